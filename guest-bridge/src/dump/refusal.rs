//! Dumps that would be worth nothing.

use super::{DumpSurvey, Wanted};

/// Why there is no plan of a dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Rows beyond it would not be in the dump, and the client would call it whole.
    #[error(
        "the server gives no more than {rows} rows of a table (sql_select_limit), and the dump client would not say so"
    )]
    RowLimit {
        /// `@@GLOBAL.sql_select_limit`.
        rows: u64,
    },
    /// The client would stop in the middle.
    #[error("the database account lacks what a dump needs: {missing}")]
    MayNot {
        /// The privileges.
        missing: String,
        /// The statement that gives them.
        grant: String,
    },
    /// Nothing is asked for, or by a name that is none.
    #[error("there is nothing to dump: {problem}")]
    Nothing {
        /// Why.
        problem: String,
    },
}

impl Refusal {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::RowLimit { .. } => Some("on the server: SET GLOBAL sql_select_limit = DEFAULT".to_owned()),
            Self::MayNot { grant, .. } => Some(format!("on the server: {grant}")),
            Self::Nothing { .. } => None,
        }
    }
}

pub(super) fn refuse(wanted: &Wanted, survey: &DumpSurvey) -> Result<(), Refusal> {
    if let Some(rows) = survey.row_limit {
        return Err(Refusal::RowLimit { rows });
    }
    if let Some(grant) = &survey.grant {
        return Err(Refusal::MayNot { missing: survey.missing_privileges.join(", "), grant: grant.clone() });
    }
    let names: Vec<&String> = match wanted {
        Wanted::Everything => return Ok(()),
        Wanted::Schemas(schemas) => schemas.iter().collect(),
        Wanted::Tables { schema, tables } if !tables.is_empty() => tables.iter().chain([schema]).collect(),
        Wanted::Tables { .. } => Vec::new(),
    };
    if names.is_empty() {
        return Err(Refusal::Nothing { problem: "no schema or table is named".to_owned() });
    }
    match names.iter().find(|name| name.is_empty() || name.contains('\0') || name.len() > NAME_MAX_BYTES) {
        None => Ok(()),
        Some(name) => Err(Refusal::Nothing { problem: format!("`{}` is no name", crate::agent::guest_text(name)) }),
    }
}

/// 64 characters, of four bytes at most.
const NAME_MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(wanted: &Wanted, survey: &DumpSurvey) -> Option<Refusal> {
        refuse(wanted, survey).err()
    }

    #[test]
    fn a_server_that_cuts_results_short_is_not_dumped() {
        let survey = DumpSurvey { row_limit: Some(1000), ..DumpSurvey::default() };
        assert_eq!(refused(&Wanted::Everything, &survey), Some(Refusal::RowLimit { rows: 1000 }));
    }

    #[test]
    fn an_account_that_lacks_a_privilege_is_told_the_grant() {
        let grant = Some("GRANT EVENT ON *.* TO 'a'@'b'".to_owned());
        let survey = DumpSurvey { missing_privileges: vec!["EVENT"], grant, ..DumpSurvey::default() };
        let hint = refused(&Wanted::Everything, &survey).unwrap().hint().unwrap();
        assert_eq!(hint, "on the server: GRANT EVENT ON *.* TO 'a'@'b'");
    }

    #[test]
    fn nothing_and_what_is_no_name_are_not_dumped() {
        let survey = DumpSurvey::default();
        let schemas = |names: &[&str]| Wanted::Schemas(names.iter().map(ToString::to_string).collect());
        for odd in [&[][..], &[""], &["a\0b"], &[&"x".repeat(257)]] {
            assert!(matches!(refused(&schemas(odd), &survey), Some(Refusal::Nothing { .. })), "{odd:?}");
        }
        assert_eq!(refused(&schemas(&["shop"]), &survey), None);
    }
}
