//! Of which tables something is asked, and which ones the answer names.

use crate::database::Rows;
use crate::dump::{TableName, Wanted, wanted::quoted_text};

/// `table_schema` and `table_name` of each row.
pub(super) fn names(rows: &Rows) -> Vec<TableName> {
    let name = |row| {
        let (schema, table) = rows.get(row, "table_schema").zip(rows.get(row, "table_name"))?;
        Some(TableName { schema: schema.to_owned(), table: table.to_owned() })
    };
    (0..rows.rows.len()).filter_map(name).collect()
}

/// Of the tables that are wanted, as a condition. The schemas of the server itself are in no dump, or have no views that break.
pub(super) fn in_schemas(wanted: &Wanted) -> String {
    let list = |words: &[String]| words.iter().map(|word| quoted_text(word)).collect::<Vec<_>>().join(", ");
    match wanted {
        Wanted::Everything => {
            "TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'ndbinfo')".to_owned()
        }
        Wanted::Schemas(schemas) if schemas.is_empty() => "FALSE".to_owned(),
        Wanted::Schemas(schemas) => format!("TABLE_SCHEMA IN ({})", list(schemas)),
        Wanted::Tables { schema, tables } if tables.is_empty() => format!("TABLE_SCHEMA = {}", quoted_text(schema)),
        Wanted::Tables { schema, tables } => {
            format!("TABLE_SCHEMA = {} AND TABLE_NAME IN ({})", quoted_text(schema), list(tables))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_part_of_the_statement() {
        let schemas = Wanted::Schemas(vec!["shop".to_owned(), "a' OR '1".to_owned()]);
        assert_eq!(in_schemas(&schemas), "TABLE_SCHEMA IN ('shop', X'6127204F52202731')");
        let tables = Wanted::Tables { schema: "shop".to_owned(), tables: vec!["a;b".to_owned()] };
        assert_eq!(in_schemas(&tables), "TABLE_SCHEMA = 'shop' AND TABLE_NAME IN (X'613B62')");
    }
}
