//! Which directories of the guest hold data of a server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Flavour, Server, variables::Variables};
use crate::database::{DatabaseError, Rows, Timed};

/// The variables that are read here. Not every server has all of them.
pub(super) const VARIABLES: &str = "'log_bin_basename', 'log_bin_index', 'relay_log_basename', 'innodb_data_home_dir', \
     'innodb_data_file_path', 'innodb_log_group_home_dir', 'innodb_undo_directory', 'innodb_doublewrite_dir', \
     'innodb_directories', 'aria_log_dir_path', 'rocksdb_datadir', 'rocksdb_wal_dir'";

/// How many directories of tables are told.
const MAX_DIRECTORIES: usize = 1000;

/// The directories besides the datadir that variables name.
pub(super) fn of_variables(datadir: &Path, variables: &Variables<'_>) -> Vec<PathBuf> {
    let folder_of = |file: &str| Path::new(file).parent().map(Path::to_owned);
    let files = ["log_bin_basename", "log_bin_index", "relay_log_basename"];
    let folders = [
        "innodb_data_home_dir",
        "innodb_log_group_home_dir",
        "innodb_undo_directory",
        "innodb_doublewrite_dir",
        "aria_log_dir_path",
        "rocksdb_datadir",
        "rocksdb_wal_dir",
    ];
    let mut found: Vec<PathBuf> = files.iter().filter_map(|name| folder_of(variables.get(name)?)).collect();
    found.extend(folders.iter().filter_map(|name| variables.get(name).map(PathBuf::from)));
    found.extend(variables.get("innodb_directories").into_iter().flat_map(|all| all.split(';')).map(PathBuf::from));
    // `ibdata1:12M;/srv/ibdata2:50M:autoextend`. Without a home of their own they are in the datadir.
    let home = variables.get("innodb_data_home_dir").unwrap_or_default();
    let system = variables.get("innodb_data_file_path").into_iter().flat_map(|all| all.split(';'));
    let system = system.filter_map(|file| file.split(':').next()).map(|file| Path::new(home).join(file));
    found.extend(system.filter_map(|file| file.parent().map(Path::to_owned)));
    deduplicated(datadir, found)
}

/// Absolute, each once, and not the datadir, from which relative paths start.
pub(super) fn deduplicated(datadir: &Path, paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let paths = paths.into_iter().filter(|path| !path.as_os_str().is_empty());
    // `./` is the datadir.
    let absolute = paths.map(|path| datadir.join(path.strip_prefix("./").unwrap_or(&path)));
    let mut found = Vec::new();
    for path in absolute.filter(|path| path != datadir) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// What asks for the directories of tables that lie outside the datadir. It needs `PROCESS`.
pub(super) fn of_tables(server: &Server, deadline: Duration) -> Timed {
    let release = (server.version.major, server.version.minor);
    let (table, file) = match server.flavour {
        Flavour::MariaDb if release >= (10, 6) => ("INNODB_SYS_TABLESPACES", "FILENAME"),
        Flavour::MySql | Flavour::Percona if release >= (5, 7) => ("FILES", "FILE_NAME"),
        Flavour::MariaDb | Flavour::MySql | Flavour::Percona => ("INNODB_SYS_DATAFILES", "PATH"),
    };
    let limit = MAX_DIRECTORIES + 1;
    // The name up to its last slash.
    let statement = format!(
        "SELECT DISTINCT LEFT({file}, CHAR_LENGTH({file}) - CHAR_LENGTH(SUBSTRING_INDEX({file}, '/', -1)) - 1) AS directory \
         FROM information_schema.{table} WHERE {file} LIKE '/%' LIMIT {limit}"
    );
    Timed::new(statement, deadline)
}

/// The answer to [`of_tables`]: those outside the datadir, and whether that is all of them.
pub(super) fn read_tables(
    server: &Server,
    answer: Result<Rows, DatabaseError>,
) -> Result<(Vec<PathBuf>, bool), DatabaseError> {
    let rows = match answer {
        Ok(rows) => rows,
        // The account has no PROCESS, or the server no InnoDB.
        Err(DatabaseError::Server { .. }) => return Ok((Vec::new(), false)),
        Err(error) => return Err(error),
    };
    let all = rows.rows.len() <= MAX_DIRECTORIES;
    let directories = rows.rows.iter().filter_map(|row| row.first()?.as_deref()).map(PathBuf::from);
    Ok((directories.take(MAX_DIRECTORIES).filter(|path| !path.starts_with(&server.datadir)).collect(), all))
}

impl Server {
    /// All directories of the guest that hold its data, as far as they are known: the datadir first, each once.
    #[must_use]
    pub fn data_directories(&self) -> Vec<PathBuf> {
        let mut all = vec![self.datadir.clone()];
        all.extend(deduplicated(&self.datadir, self.other_data_directories.clone()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::server::{Version, tests::server};

    fn found(variables: &[(&str, &str)]) -> Vec<String> {
        let rows = variables.iter().map(|(name, value)| vec![Some((*name).to_owned()), Some((*value).to_owned())]);
        let rows = Rows { columns: vec!["Variable_name".into(), "Value".into()], rows: rows.collect() };
        let found = of_variables(Path::new("/data/"), &Variables(&rows));
        found.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn what_is_in_the_datadir_is_no_other_directory() {
        let usual = [
            ("innodb_undo_directory", "./"),
            ("innodb_data_home_dir", ""),
            ("innodb_data_file_path", "ibdata1:12M:autoextend"),
            ("aria_log_dir_path", "/data/"),
            ("log_bin_basename", "/data/binlog"),
            ("innodb_directories", ""),
        ];
        assert_eq!(found(&usual), [""; 0]);
    }

    #[test]
    fn every_variable_that_names_a_place_is_read() {
        assert_eq!(found(&[("relay_log_basename", "/relay/bin"), ("log_bin_index", "/index/x")]), ["/index", "/relay"]);
        assert_eq!(
            found(&[("innodb_doublewrite_dir", "/dblwr"), ("aria_log_dir_path", "aria")]),
            ["/dblwr", "/data/aria"]
        );
        assert_eq!(found(&[("innodb_directories", "/a;./b;/a")]), ["/a", "/data/b"]);
    }

    #[test]
    fn files_of_the_system_tablespace_are_found_in_their_home_and_elsewhere() {
        assert_eq!(found(&[("innodb_data_file_path", "ibdata1:12M;/x/ibdata2:1M:autoextend")]), ["/x"]);
        let homed = [("innodb_data_home_dir", "/home"), ("innodb_data_file_path", "sub/ibdata1:12M")];
        assert_eq!(found(&homed), ["/home", "/home/sub"]);
    }

    #[test]
    fn each_product_is_asked_where_it_tells_the_files_of_its_tables() {
        let asked = |flavour, major, minor| {
            let server = Server { flavour, version: Version { major, minor, patch: 0 }, ..server() };
            of_tables(&server, Duration::ZERO).statement
        };
        for (flavour, major, minor, table) in [
            (Flavour::MariaDb, 10, 6, "INNODB_SYS_TABLESPACES"),
            (Flavour::MariaDb, 10, 5, "INNODB_SYS_DATAFILES"),
            (Flavour::MySql, 5, 6, "INNODB_SYS_DATAFILES"),
            (Flavour::Percona, 8, 0, "information_schema.FILES"),
        ] {
            assert!(asked(flavour, major, minor).contains(table), "{flavour} {major}.{minor}");
        }
    }

    #[test]
    fn directories_of_tables_are_those_outside_and_not_all_where_there_are_too_many() {
        let rows = |count: usize| Rows {
            columns: vec!["directory".into()],
            rows: (0..count).map(|number| vec![Some(format!("/x/{number}"))]).collect(),
        };
        let (found, all) = read_tables(&server(), Ok(rows(1001))).unwrap();
        assert_eq!((found.len(), all), (1000, false));
        let inside = Rows::of(&["directory"], &[&[Some("/var/lib/mysql/shop")], &[Some("/x")]]);
        assert_eq!(read_tables(&server(), Ok(inside)).unwrap(), (vec!["/x".into()], true));
    }

    #[test]
    fn all_directories_of_a_server_are_told_once_the_datadir_first() {
        let other_data_directories = vec!["/srv/binlog".into(), "/var/lib/mysql".into(), "/srv/binlog".into()];
        let server = Server { other_data_directories, ..server() };
        assert_eq!(server.data_directories(), [Path::new("/var/lib/mysql/"), Path::new("/srv/binlog")]);
    }
}
