//! What a dump does not have.

use super::{BrokenView, DumpSurvey, TableName, Wanted};
use crate::database::server::{Flavour, Server};

/// Something that is not in a dump, or not as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// Rows of these tables are of the moment at which each was read, and not of the dump's coordinates: a replay from there may stop at a
    /// duplicate key (error 1062).
    #[error(
        "{count} tables without transactions are dumped as each is when it is read, not as all were at one moment: {}",
        listed(tables)
    )]
    NotAtOneMoment {
        /// Some of them.
        tables: Vec<TableName>,
        /// How many there are.
        count: u64,
    },
    /// A view is left out.
    #[error("the view {}.{} is left out, because it is broken: {}", broken.view.schema, broken.view.table, broken.problem)]
    View {
        /// Which one, and why.
        broken: BrokenView,
    },
    /// Whether these are broken is not known. One that is, ends the dump.
    #[error("{count} views were not looked at; the dump ends at the first that is broken")]
    UncheckedViews {
        /// How many.
        count: u64,
    },
    /// Accounts, roles and grants.
    #[error("accounts, roles and grants are not in it: it is not a dump of everything")]
    Accounts,
    /// Old rows of system-versioned tables.
    #[error("the history of {tables} system-versioned tables is not in it: that needs MariaDB 10.11 and whole schemas")]
    History {
        /// How many tables have one.
        tables: u64,
    },
    /// What somebody has defined with CREATE SPATIAL REFERENCE SYSTEM.
    #[error("{count} spatial reference systems of this server's own are not in it")]
    SpatialReferenceSystems {
        /// How many.
        count: u64,
    },
    /// Whether there are general tablespaces is not known. A table in one cannot be loaded before its tablespace is there (error 3510).
    #[error(
        "whether tables lie in general tablespaces is not known: the account has no PROCESS, or the server is older than 8.0"
    )]
    TablespacesUnseen,
    /// There is no place in a binlog to go on from.
    #[error("there are no coordinates: the server writes no binlog")]
    Coordinates,
}

/// Names that fit into a sentence.
fn listed(tables: &[TableName]) -> String {
    const SHOWN: usize = 10;
    let mut text: Vec<String> = tables.iter().take(SHOWN).map(|it| format!("{}.{}", it.schema, it.table)).collect();
    if tables.len() > SHOWN {
        text.push("…".to_owned());
    }
    crate::agent::guest_text(&text.join(", "))
}

pub(super) fn of(server: &Server, wanted: &Wanted, survey: &DumpSurvey, locks_everything: bool) -> Vec<Loss> {
    let mut losses = Vec::new();
    if survey.non_transactional_count > 0 && !locks_everything {
        let (tables, count) = (survey.non_transactional.clone(), survey.non_transactional_count);
        losses.push(Loss::NotAtOneMoment { tables, count });
    }
    losses.extend(survey.broken_views.iter().map(|broken| Loss::View { broken: broken.clone() }));
    if survey.unchecked_views > 0 {
        losses.push(Loss::UncheckedViews { count: survey.unchecked_views });
    }
    if *wanted != Wanted::Everything {
        losses.push(Loss::Accounts);
    }
    if survey.versioned_tables > 0 && !keeps_history(server, wanted) {
        losses.push(Loss::History { tables: survey.versioned_tables });
    }
    if survey.spatial_reference_systems > 0 {
        losses.push(Loss::SpatialReferenceSystems { count: survey.spatial_reference_systems });
    }
    if survey.tablespaces_unseen && server.flavour != Flavour::MariaDb {
        losses.push(Loss::TablespacesUnseen);
    }
    if !server.log_bin {
        losses.push(Loss::Coordinates);
    }
    losses
}

/// Whether the history of system-versioned tables is in it.
pub(super) fn keeps_history(server: &Server, wanted: &Wanted) -> bool {
    let whole_schemas = !matches!(wanted, Wanted::Tables { .. });
    server.flavour == Flavour::MariaDb && (server.version.major, server.version.minor) >= (10, 11) && whole_schemas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::server::{Version, tests::server};

    fn table(name: &str) -> TableName {
        TableName { schema: "shop".to_owned(), table: name.to_owned() }
    }

    #[test]
    fn a_dump_of_everything_on_a_plain_server_loses_nothing() {
        assert_eq!(of(&server(), &Wanted::Everything, &DumpSurvey::default(), false), []);
    }

    #[test]
    fn tables_without_transactions_are_named_unless_everything_is_locked() {
        let non_transactional: Vec<TableName> = (0..20).map(|number| table(&format!("t{number}"))).collect();
        let survey = DumpSurvey { non_transactional, non_transactional_count: 700, ..DumpSurvey::default() };
        let losses = of(&server(), &Wanted::Everything, &survey, false);
        let text = losses[0].to_string();
        assert!(text.starts_with("700 tables") && text.contains("shop.t0, shop.t1") && text.ends_with(", …"), "{text}");
        assert_eq!(of(&server(), &Wanted::Everything, &survey, true), []);
    }

    #[test]
    fn a_view_that_is_left_out_is_named_with_the_reason() {
        let broken = BrokenView { view: table("v"), problem: "references invalid table(s)".to_owned() };
        let survey = DumpSurvey { broken_views: vec![broken], ..DumpSurvey::default() };
        let text = of(&server(), &Wanted::Everything, &survey, false)[0].to_string();
        assert!(text.contains("shop.v") && text.contains("references invalid"), "{text}");
    }

    #[test]
    fn history_is_lost_before_10_11_and_where_single_tables_are_dumped() {
        let survey = DumpSurvey { versioned_tables: 2, ..DumpSurvey::default() };
        let older = Server { version: Version { major: 10, minor: 6, patch: 0 }, ..server() };
        assert_eq!(of(&older, &Wanted::Everything, &survey, false), [Loss::History { tables: 2 }]);
        let tables = Wanted::Tables { schema: "shop".to_owned(), tables: vec!["t".to_owned()] };
        assert!(of(&server(), &tables, &survey, false).contains(&Loss::History { tables: 2 }));
        assert_eq!(of(&server(), &Wanted::Everything, &survey, false), []);
    }
}
