//! What of a server is to be dumped.

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All schemas, with accounts and grants.
    Everything,
    /// These schemas, with their routines, events and triggers.
    Schemas(Vec<String>),
    /// These tables or views of one schema, with their triggers.
    Tables {
        /// Where they are.
        schema: String,
        /// Their names.
        tables: Vec<String>,
    },
}

impl Wanted {
    /// The schemas that are named; `None` where that is all.
    pub fn schemas(&self) -> Option<&[String]> {
        match self {
            Self::Everything => None,
            Self::Schemas(schemas) => Some(schemas),
            Self::Tables { schema, .. } => Some(std::slice::from_ref(schema)),
        }
    }
}

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name there.
    pub table: String,
}

impl TableName {
    /// As SQL has it.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted_name(&self.schema), quoted_name(&self.table))
    }
}

/// A name as SQL has it.
pub(super) fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string as SQL has it, whatever `sql_mode` says of backslashes: there is none left in it.
pub(super) fn quoted_text(text: &str) -> String {
    match text.contains(['\\', '\'', ';', '\n', '\r', '\0']) {
        false => format!("'{text}'"),
        true => format!("X'{}'", text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_or_text_ends_its_own_quotes() {
        let name = TableName { schema: "a`b".to_owned(), table: "c.d".to_owned() };
        assert_eq!(name.quoted(), "`a``b`.`c.d`");
        assert_eq!(quoted_text("shop"), "'shop'");
        assert_eq!(quoted_text("a'b"), "X'612762'");
    }
}
