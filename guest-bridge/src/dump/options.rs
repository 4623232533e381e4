//! With which arguments the client is started, and what its dump is then worth: by product, release, and what is wanted.

use super::{
    DumpSurvey, Wanted,
    loss::{self, Loss, keeps_history},
    refusal::{Refusal, refuse},
};
use crate::database::server::{Flavour, Server};

/// What will be done, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpPlan {
    /// The client's arguments, behind those of its login.
    pub arguments: Vec<String>,
    /// Where the coordinates of the dump come from.
    pub coordinates: CoordinatesFrom,
    /// Statements that have to be executed before the dump is loaded.
    pub before_loading: Vec<String>,
    /// Statements that have to be executed once it was loaded.
    pub after_loading: Vec<String>,
    /// What the dump will not have, or not as it should be.
    pub losses: Vec<Loss>,
}

/// Where the place in the binlog comes from that belongs to a dump's snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatesFrom {
    /// MariaDB's client asks inside its own snapshot and writes them into the dump; nobody is locked. See
    /// [`written_coordinates`](super::written_coordinates).
    Dump,
    /// A short lock of our own, under which the client takes its snapshot. See [`Begun`](super::Begun).
    OwnLock,
    /// The server writes no binlog.
    None,
}

impl DumpPlan {
    /// Plans a dump of `wanted`. With `locks_everything` a lock of our own will be held until its end
    /// ([`Hold::Dump`](super::Hold)): then tables without transactions are as consistent as the others, and nobody can write for as long as
    /// the dump takes.
    ///
    /// # Errors
    /// [`Refusal`] where a dump would be worth nothing.
    pub fn new(server: &Server, wanted: &Wanted, survey: &DumpSurvey, locks_everything: bool) -> Result<Self, Refusal> {
        refuse(wanted, survey)?;
        let mut arguments = always();
        let coordinates = match server.flavour {
            Flavour::MariaDb => of_mariadb(server, wanted, &mut arguments),
            Flavour::MySql | Flavour::Percona => of_mysql(server, wanted, &mut arguments),
        };
        // A view that is broken ends the client in the middle, exit code 2.
        for broken in &survey.broken_views {
            arguments.push(format!("--ignore-table={}.{}", broken.view.schema, broken.view.table));
        }
        what(wanted, &mut arguments);
        let is_mariadb = server.flavour == Flavour::MariaDb;
        // On MariaDB the dump cannot do it itself: `--flush-privileges` activates grants on routines before the routines are dropped and
        // made again, which revokes them (MDEV: measured on 10.11 and 11.8).
        let flushes_later = is_mariadb && *wanted == Wanted::Everything;
        Ok(Self {
            arguments,
            coordinates,
            before_loading: survey.create_tablespaces.clone(),
            after_loading: if flushes_later { vec!["FLUSH PRIVILEGES".to_owned()] } else { Vec::new() },
            losses: loss::of(server, wanted, survey, locks_everything),
        })
    }
}

/// Of both products; from their manuals' pages on mysqldump and mariadb-dump.
fn always() -> Vec<String> {
    let words = [
        // One snapshot for all tables of InnoDB. It turns `--lock-tables` off, which `--opt` has on.
        "--single-transaction",
        // Bytes that are no text stay what they are whatever the character set of the connection.
        "--hex-blob",
        // On by default for schemas, and said in case a build has it off.
        "--triggers",
        // Without it older clients speak utf8mb3 or latin1, and what is beyond becomes `?`.
        "--default-character-set=utf8mb4",
        // The largest row that the client takes: 24 MiB where this is not said, and error 2020 in the middle.
        "--max-allowed-packet=1G",
    ];
    words.iter().map(ToString::to_string).collect()
}

fn of_mariadb(server: &Server, wanted: &Wanted, arguments: &mut Vec<String>) -> CoordinatesFrom {
    // From 11.4 on its client insists on TLS, which a server need not have and its socket does not need. Older clients do not know it.
    arguments.push("--loose-ssl-verify-server-cert=0".to_owned());
    if keeps_history(server, wanted) {
        // History of system-versioned tables; with whole schemas only (MariaDB's manual: "Backup system-versioned tables with history").
        arguments.push("--dump-history".to_owned());
    }
    if !server.log_bin {
        // `--master-data` fails where there is no binlog.
        return CoordinatesFrom::None;
    }
    // As a comment. The server gives the position of the snapshot itself (`binlog_snapshot_file`): no lock.
    arguments.extend(["--master-data=2", "--gtid"].map(str::to_owned));
    CoordinatesFrom::Dump
}

fn of_mysql(server: &Server, wanted: &Wanted, arguments: &mut Vec<String>) -> CoordinatesFrom {
    // Without it the client of a server with GTIDs sends FLUSH TABLES WITH READ LOCK, with the server's lock_wait_timeout of a year; and its
    // dump sets GTID_PURGED, which a server that lives refuses (3546) or is poisoned by. For the same reason no `--source-data`.
    arguments.push("--set-gtid-purged=OFF".to_owned());
    if server.version.major >= 8 {
        // Histograms. Off by default in some releases.
        arguments.push("--column-statistics".to_owned());
        // A bound on statements would end the dump. Clients that do not know the option warn of it, and go on.
        arguments.push("--loose-init-command=SET SESSION max_execution_time = 0".to_owned());
    }
    if *wanted == Wanted::Everything {
        // Accounts that are loaded as rows are active only then. Unlike MariaDB's, it comes at the end of all schemas.
        arguments.push("--flush-privileges".to_owned());
    }
    if server.log_bin { CoordinatesFrom::OwnLock } else { CoordinatesFrom::None }
}

/// The last arguments. Behind `--` no name is taken for an option.
fn what(wanted: &Wanted, arguments: &mut Vec<String>) {
    match wanted {
        Wanted::Everything => arguments.extend(["--routines", "--events", "--all-databases"].map(str::to_owned)),
        Wanted::Schemas(schemas) => {
            // `--databases`: with CREATE DATABASE and USE, also of a single one.
            arguments.extend(["--routines", "--events", "--databases", "--"].map(str::to_owned));
            arguments.extend(schemas.iter().cloned());
        }
        Wanted::Tables { schema, tables } => {
            arguments.extend(["--".to_owned(), schema.clone()]);
            arguments.extend(tables.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        database::server::{Version, tests::server},
        dump::{BrokenView, TableName},
    };

    fn mysql(major: u16, minor: u16) -> Server {
        let gtid_mode = Some("ON".to_owned());
        Server { flavour: Flavour::MySql, version: Version { major, minor, patch: 39 }, gtid_mode, ..server() }
    }

    fn plan(server: &Server, wanted: &Wanted) -> DumpPlan {
        DumpPlan::new(server, wanted, &DumpSurvey::default(), false).unwrap()
    }

    fn shop() -> Wanted {
        Wanted::Schemas(vec!["shop".to_owned(), "--odd".to_owned()])
    }

    #[test]
    fn mariadb_is_dumped_with_its_own_coordinates_and_without_a_lock() {
        let all = plan(&server(), &Wanted::Everything);
        assert_eq!(
            all.arguments,
            [
                "--single-transaction",
                "--hex-blob",
                "--triggers",
                "--default-character-set=utf8mb4",
                "--max-allowed-packet=1G",
                "--loose-ssl-verify-server-cert=0",
                "--dump-history",
                "--master-data=2",
                "--gtid",
                "--routines",
                "--events",
                "--all-databases",
            ]
        );
        assert_eq!(all.coordinates, CoordinatesFrom::Dump);
        assert_eq!(all.after_loading, ["FLUSH PRIVILEGES"]);
        let older = Server { version: Version { major: 10, minor: 6, patch: 1 }, ..server() };
        assert!(!plan(&older, &Wanted::Everything).arguments.contains(&"--dump-history".to_owned()));
    }

    #[test]
    fn a_server_without_a_binlog_has_no_coordinates() {
        let mariadb = plan(&Server { log_bin: false, ..server() }, &Wanted::Everything);
        assert_eq!(mariadb.coordinates, CoordinatesFrom::None);
        assert!(!mariadb.arguments.iter().any(|argument| argument.contains("master-data") || argument == "--gtid"));
        let mysql = plan(&Server { log_bin: false, ..mysql(8, 4) }, &Wanted::Everything);
        assert_eq!(mysql.coordinates, CoordinatesFrom::None);
    }

    #[test]
    fn mysqls_client_takes_no_lock_and_leaves_gtids_alone() {
        for flavour in [Flavour::MySql, Flavour::Percona] {
            let all = plan(&Server { flavour, ..mysql(8, 0) }, &Wanted::Everything);
            assert_eq!(
                all.arguments[5..],
                [
                    "--set-gtid-purged=OFF",
                    "--column-statistics",
                    "--loose-init-command=SET SESSION max_execution_time = 0",
                    "--flush-privileges",
                    "--routines",
                    "--events",
                    "--all-databases",
                ]
            );
            assert_eq!((all.coordinates, all.after_loading.len()), (CoordinatesFrom::OwnLock, 0));
        }
        assert!(!plan(&mysql(5, 7), &Wanted::Everything).arguments.contains(&"--column-statistics".to_owned()));
    }

    #[test]
    fn no_name_is_taken_for_an_option() {
        for server in [server(), mysql(9, 7)] {
            let arguments = plan(&server, &shop()).arguments;
            assert!(arguments.ends_with(&["--databases", "--", "shop", "--odd"].map(str::to_owned)), "{arguments:?}");
            let tables = Wanted::Tables { schema: "-x".to_owned(), tables: vec!["--t".to_owned()] };
            let arguments = plan(&server, &tables).arguments;
            assert!(arguments.ends_with(&["--", "-x", "--t"].map(str::to_owned)), "{arguments:?}");
        }
    }

    #[test]
    fn accounts_are_made_active_only_where_they_are_dumped() {
        assert!(!plan(&mysql(9, 7), &shop()).arguments.contains(&"--flush-privileges".to_owned()));
        assert_eq!(plan(&server(), &shop()).after_loading, [""; 0]);
    }

    #[test]
    fn a_view_that_is_broken_is_left_out() {
        let view = TableName { schema: "shop".to_owned(), table: "v.1".to_owned() };
        let broken_views = vec![BrokenView { view, problem: "gone".to_owned() }];
        let survey = DumpSurvey { broken_views, ..DumpSurvey::default() };
        let plan = DumpPlan::new(&server(), &Wanted::Everything, &survey, false).unwrap();
        assert!(plan.arguments.contains(&"--ignore-table=shop.v.1".to_owned()));
    }
}
