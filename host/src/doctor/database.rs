//! The database server: whether it can be asked, which it is, and which lock holds it still.

use guest_bridge::database::lock_method::{LockMethod, LockWish};
use guest_bridge::database::server::{Flavour, Server};

use super::finding::{Check, Finding, Weight};
use super::seen::{Seen, Unseen};
use crate::ask::job::Job;
use crate::ask::lock_expiry::lock_expiry;
use crate::grade::Grade;

/// The releases that stillpoint was run with, each by its own server.
const RAN: [(Flavour, u16, u16); 4] =
    [(Flavour::MariaDb, 10, 11), (Flavour::MariaDb, 11, 8), (Flavour::MySql, 8, 0), (Flavour::MySql, 9, 7)];

pub fn check(job: &Job, seen: &Seen) -> Vec<Finding> {
    match &seen.server {
        _ if seen.survey.is_off => Vec::new(),
        Err(_) if job.database.value.is_none() => {
            let what = "no database is configured";
            vec![
                Finding::at_best(Check::Database, Grade::Filesystem, what)
                    .because(
                        "nothing holds it still, if there is one: what it recovers from an image is what a \
                         crash would leave",
                    )
                    .remedy("name the way to it with --db, where there is one"),
            ]
        }
        Err(Unseen::Failed(cause)) => vec![Finding::failed(Check::Database, cause)],
        Err(why) => vec![Finding::unseen(Check::Database, Weight::Stops, why)],
        Ok(()) => {
            let wish = job.policy.lock_wish.value;
            let expiry = lock_expiry(&job.policy).note.map(|note| Finding::note(Check::Database, note));
            seen.survey.server.iter().flat_map(|server| of(server, wish)).chain(expiry).collect()
        }
    }
}

fn of(server: &Server, wish: LockWish) -> Vec<Finding> {
    let mut found = Vec::new();
    let Server { flavour, version, .. } = server;
    if !RAN.contains(&(*flavour, version.major, version.minor)) {
        let ran = RAN.map(|(flavour, major, minor)| format!("{flavour} {major}.{minor}")).join(", ");
        found.push(
            Finding::note(
                Check::Database,
                format!("no {flavour} {}.{} was ever run with stillpoint", version.major, version.minor),
            )
            .because(format!("it was run with {ran}; what holds for these is assumed of others"))
            .remedy("restore one backup of it, and look, before you rely on them"),
        );
    }
    if !server.log_bin {
        found.push(without_binlog(server));
    }
    match server.non_transactional_tables {
        Some(0) => {}
        Some(count) => {
            let count = match count {
                Server::NON_TRANSACTIONAL_CAP => format!("{count} tables or more are"),
                1 => "1 table is".to_owned(),
                _ => format!("{count} tables are"),
            };
            found.push(
                Finding::note(
                    Check::Database,
                    format!("{count} in an engine without transactions (MyISAM, Aria, ...)"),
                )
                .because("the lock holds them still, too; but nothing repairs one that a crash tears")
                .remedy("ALTER TABLE ... ENGINE=InnoDB"),
            );
        }
        None => found.push(Finding::unseen(
            Check::Database,
            Weight::Note,
            "whether there are tables in an engine without transactions (MyISAM, Aria, ...): the account needs \
             SELECT on *.*",
        )),
    }
    let choice = LockMethod::choose(server, wish);
    found.push(Finding::fine(
        Check::Database,
        format!("{flavour} {version}, its data in {}; {}: {}", server.datadir.display(), choice.method, choice.reason),
    ));
    found
}

/// Without a binlog only MariaDB's redo log, since it is one file, shows in the image where the server stood.
fn without_binlog(server: &Server) -> Finding {
    let what = "the database writes no binlog";
    let proves_by_redo = server.flavour == Flavour::MariaDb && (server.version.major, server.version.minor) >= (10, 8);
    let finding = match proves_by_redo {
        true => Finding::note(Check::Database, what).because("the receipt will have no coordinates"),
        false => Finding::at_best(Check::Database, Grade::Filesystem, what).because(
            "the receipt will have no coordinates, and nothing in the image shows where the server stood under the \
             lock",
        ),
    };
    finding.remedy("set log_bin in the server's configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::mariadb;
    use guest_bridge::database::server::Version;

    fn whats(server: &Server) -> Vec<(Weight, String)> {
        of(server, LockWish::Auto).into_iter().map(|finding| (finding.weight, finding.what)).collect()
    }

    #[test]
    fn a_server_of_a_release_that_was_run_is_told_with_its_lock() {
        let found = whats(&mariadb());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == Weight::Fine && found[0].1.contains("BACKUP STAGE"), "{found:?}");
    }

    #[test]
    fn a_release_that_was_never_run_is_said_to_be_one() {
        let found = of(&Server { version: Version { major: 11, minor: 4, patch: 2 }, ..mariadb() }, LockWish::Auto);
        assert_eq!((found[0].weight, &*found[0].what), (Weight::Note, "no MariaDB 11.4 was ever run with stillpoint"));
        assert!(found[0].why.contains("MySQL 9.7"), "{}", found[0].why);
    }

    #[test]
    fn without_a_binlog_the_redo_log_of_a_newer_mariadb_still_proves_its_state() {
        let weight = |flavour, major, minor| {
            let version = Version { major, minor, patch: 0 };
            without_binlog(&Server { flavour, version, log_bin: false, ..mariadb() }).weight
        };
        assert_eq!(weight(Flavour::MariaDb, 10, 11), Weight::Note);
        assert_eq!(weight(Flavour::MariaDb, 10, 6), Weight::AtBest(Grade::Filesystem));
        assert_eq!(weight(Flavour::MySql, 9, 7), Weight::AtBest(Grade::Filesystem));
    }

    #[test]
    fn tables_that_could_not_be_counted_are_not_none() {
        let found = of(&Server { non_transactional_tables: None, ..mariadb() }, LockWish::Auto);
        assert!(found[0].weight == Weight::Note && !found[0].looked_at, "{found:?}");
        let found = of(&Server { non_transactional_tables: Some(1000), ..mariadb() }, LockWish::Auto);
        assert!(found[0].what.starts_with("1000 tables or more are in"), "{found:?}");
    }
}
