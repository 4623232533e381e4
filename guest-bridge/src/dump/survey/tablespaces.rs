//! MySQL's general tablespaces: a table in one says so in its CREATE TABLE, and no dump makes the tablespace. `--all-tablespaces` is of NDB's.

use std::path::Path;

use crate::database::Rows;
use crate::dump::wanted::quoted_name;

/// `mysql` is the server's own. `FILES` has the path, which `INNODB_TABLESPACES` has not.
pub(super) const TABLESPACES: &str = "SELECT s.NAME AS name, s.ZIP_PAGE_SIZE AS zip_page_size, s.ENCRYPTION AS encryption, \
     (SELECT MIN(f.FILE_NAME) FROM information_schema.FILES f WHERE f.TABLESPACE_NAME = s.NAME) AS file \
     FROM information_schema.INNODB_TABLESPACES s WHERE s.SPACE_TYPE = 'General' AND s.NAME <> 'mysql' ORDER BY s.NAME LIMIT 200";

/// The statement that makes each of them: <https://dev.mysql.com/doc/refman/8.4/en/create-tablespace.html>.
pub(super) fn create(rows: &Rows) -> Vec<String> {
    (0..rows.rows.len()).filter_map(|row| create_one(rows, row)).collect()
}

fn create_one(rows: &Rows, row: usize) -> Option<String> {
    let name = rows.get(row, "name")?;
    let file = rows.get(row, "file").unwrap_or_default();
    // One in the data directory is named without it: the directory of another server is another. `./` is how the server writes that.
    let in_datadir = file.strip_prefix("./").filter(|file| !file.contains('/'));
    let fallback = format!("{}.ibd", name.replace(['/', '\0'], "_"));
    let file = match in_datadir {
        Some(file) => file,
        None if Path::new(file).is_absolute() => file,
        None => &fallback,
    };
    let block = match rows.get(row, "zip_page_size").and_then(|size| size.parse::<u32>().ok()) {
        Some(size @ 1..) => format!(" FILE_BLOCK_SIZE = {size}"),
        _ => String::new(),
    };
    let encryption = if rows.get(row, "encryption") == Some("Y") { " ENCRYPTION = 'Y'" } else { "" };
    Some(format!(
        "CREATE TABLESPACE {} ADD DATAFILE {}{block}{encryption} ENGINE = InnoDB",
        quoted_name(name),
        file_text(file)
    ))
}

fn file_text(file: &str) -> String {
    format!("'{}'", file.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tablespace_is_made_as_it_was() {
        let columns = ["name", "zip_page_size", "encryption", "file"];
        let rows: [&[Option<&str>]; 4] = [
            &[Some("ts1"), Some("0"), Some("N"), Some("./ts1.ibd")],
            &[Some("small`s"), Some("8192"), Some("Y"), Some("./it's.ibd")],
            &[Some("far"), Some("0"), Some("N"), Some("/srv/far.ibd")],
            &[Some("a/b"), Some("0"), Some("N"), None],
        ];
        assert_eq!(
            create(&Rows::of(&columns, &rows)),
            [
                "CREATE TABLESPACE `ts1` ADD DATAFILE 'ts1.ibd' ENGINE = InnoDB",
                "CREATE TABLESPACE `small``s` ADD DATAFILE 'it''s.ibd' FILE_BLOCK_SIZE = 8192 ENCRYPTION = 'Y' ENGINE = InnoDB",
                "CREATE TABLESPACE `far` ADD DATAFILE '/srv/far.ibd' ENGINE = InnoDB",
                "CREATE TABLESPACE `a/b` ADD DATAFILE 'a_b.ibd' ENGINE = InnoDB",
            ]
        );
    }
}
