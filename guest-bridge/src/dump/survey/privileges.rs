//! What the account of a dump has to be given.

use crate::database::{
    grants::{Grants, Holds},
    privileges::quoted,
    server::{Flavour, Server},
};
use crate::dump::Wanted;

/// What a dump needs on the whole server, and what would do in its place. From the manuals' sections on `mysqldump` ("requires at least the
/// SELECT privilege for dumped tables, SHOW VIEW for dumped views, …"), and measured.
fn needed(server: &Server, wanted: &Wanted) -> Vec<&'static [&'static str]> {
    let mut needed: Vec<&[&str]> = Vec::new();
    if *wanted == Wanted::Everything {
        // For some schemas these may be given on the schema alone, which is not read here: the client says it when it lacks one.
        needed.extend([&["SELECT"][..], &["SHOW VIEW"], &["TRIGGER"], &["EVENT"]]);
    }
    match server.flavour {
        Flavour::MariaDb if !server.log_bin => {}
        Flavour::MariaDb if (server.version.major, server.version.minor) >= (10, 5) => needed.push(&["BINLOG MONITOR"]),
        Flavour::MariaDb => needed.push(&["REPLICATION CLIENT"]),
        // The short lock, the coordinates, and to see when the client has its transaction.
        Flavour::MySql | Flavour::Percona if server.version.major >= 8 => {
            needed.extend([&["RELOAD", "FLUSH_TABLES"][..], &["REPLICATION CLIENT"], &["PROCESS"]]);
        }
        Flavour::MySql | Flavour::Percona => {
            needed.extend([&["RELOAD"][..], &["REPLICATION CLIENT"], &["PROCESS"]]);
        }
    }
    needed
}

/// What surely is missing, and the statement that gives it.
pub(super) fn missing(
    server: &Server,
    wanted: &Wanted,
    grants: &Grants,
    account: &str,
) -> (Vec<&'static str>, Option<String>) {
    let lacks = |alternatives: &&'static [&'static str]| grants.hold(alternatives) == Holds::No;
    let missing: Vec<_> =
        needed(server, wanted).into_iter().filter(lacks).map(|alternatives| alternatives[0]).collect();
    let grant = (!missing.is_empty()).then(|| format!("GRANT {} ON *.* TO {}", missing.join(", "), quoted(account)));
    (missing, grant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Rows, server::Version, server::tests::server};

    fn said(server: &Server, wanted: &Wanted, grants: &str) -> (Vec<&'static str>, Option<String>) {
        let rows = Rows::of(&["Grants"], &[&[Some(grants)]]);
        missing(server, wanted, &Grants::read(&rows), "back'up@%")
    }

    fn mysql() -> Server {
        Server { flavour: Flavour::MySql, version: Version { major: 9, minor: 7, patch: 4 }, ..server() }
    }

    #[test]
    fn each_privilege_that_is_missing_is_in_the_grant() {
        let (missing, grant) = said(&mysql(), &Wanted::Everything, "GRANT SELECT, PROCESS ON *.* TO `a`@`b`");
        assert_eq!(missing, ["SHOW VIEW", "TRIGGER", "EVENT", "RELOAD", "REPLICATION CLIENT"]);
        let wanted = "GRANT SHOW VIEW, TRIGGER, EVENT, RELOAD, REPLICATION CLIENT ON *.* TO 'back\\'up'@'%'";
        assert_eq!(grant.unwrap(), wanted);
        let (missing, _) = said(&server(), &Wanted::Everything, "GRANT SELECT, SHOW VIEW, EVENT ON *.* TO `a`@`b`");
        assert_eq!(missing, ["TRIGGER", "BINLOG MONITOR"]);
    }

    #[test]
    fn an_account_with_all_of_them_or_something_as_good_lacks_nothing() {
        let all =
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO `a`@`b`";
        assert_eq!(said(&mysql(), &Wanted::Everything, all), (vec![], None));
        assert_eq!(said(&server(), &Wanted::Everything, "GRANT ALL PRIVILEGES ON *.* TO `a`@`b`"), (vec![], None));
    }

    #[test]
    fn what_may_be_granted_on_a_schema_is_not_asked_for_on_the_server() {
        let shop = Wanted::Schemas(vec!["shop".to_owned()]);
        assert_eq!(said(&server(), &shop, "GRANT USAGE ON *.* TO `a`@`b`").0, ["BINLOG MONITOR"]);
        let without_binlog = Server { log_bin: false, ..server() };
        assert_eq!(said(&without_binlog, &shop, "GRANT USAGE ON *.* TO `a`@`b`").0, [""; 0]);
    }
}
