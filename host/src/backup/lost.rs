//! What would be lost by a restore, in a sentence, by grade and by how the server writes. Pure.

use guest_bridge::database::server::Server;

use crate::grade::{Grade, Indication};

/// What a restore of an image of this grade would lack of what clients were told is done. `server` is the one that was surveyed,
/// `found` what kept the image from a better grade.
#[must_use]
pub fn would_be_lost(grade: Grade, server: Option<&Server>, found: &[Indication]) -> String {
    let has = |wanted: &[Indication]| server.is_some() && wanted.iter().any(|one| found.contains(one));
    if has(&[Indication::OtherServer, Indication::LogShortOfCoordinates]) && grade != Grade::Damaged {
        return "of the database, it is not known: what is in the images is not what was locked.".to_owned();
    }
    let elsewhere =
        match has(&[Indication::DatabaseNotInImage, Indication::FilesystemNotInImage, Indication::IdentityNotProven]) {
            true => "whatever the database keeps outside of these disks, if not all of it; of the rest: ",
            false => "",
        };
    let lost = match (grade, server) {
        (Grade::Damaged, _) => "it may be anything: the bytes are damaged".to_owned(),
        (Grade::Logical, _) => "what was committed after the dump's coordinates, unless the binlog brings it back".to_owned(),
        (Grade::Clean, _) => "nothing: the VM was off".to_owned(),
        (Grade::Application, _) => {
            "nothing that was acknowledged before the snapshot; what came after it, unless the binlog brings it back".to_owned()
        }
        (Grade::Filesystem, None) => {
            "nothing that a program had written to a file before the snapshot; of a database, what it kept in memory".to_owned()
        }
        (Grade::Crash, None) => {
            "as after a power cut: what programs had not synced, up to half a minute of writes; files may be half written".to_owned()
        }
        (Grade::Filesystem, Some(server)) => with_files(with_transactions(server, false), server),
        (Grade::Crash, Some(server)) => with_files(with_transactions(server, true), server),
    };
    format!("{elsewhere}{lost}.")
}

/// Of transactional tables. In a crash image what was not synced is not there; in a frozen one what was not written.
fn with_transactions(server: &Server, is_crash: bool) -> String {
    let commit = match (server.innodb_flush_log_at_trx_commit, is_crash) {
        (Some(1), _) => "of InnoDB, nothing that was acknowledged, where the binlog is restored with it".to_owned(),
        (Some(2), false) => {
            "of InnoDB, nothing that was acknowledged, where the binlog is restored with it (innodb_flush_log_at_trx_commit is \
             2: written at each commit)"
                .to_owned()
        }
        (Some(2), true) => {
            "of InnoDB, about the last second of what was acknowledged (innodb_flush_log_at_trx_commit is 2: synced once a \
             second)"
                .to_owned()
        }
        (Some(_), _) => {
            "of InnoDB, about the last second of what was acknowledged (innodb_flush_log_at_trx_commit is 0: written once a \
             second)"
                .to_owned()
        }
        (None, _) => "of InnoDB, it is not known: its innodb_flush_log_at_trx_commit was not seen".to_owned(),
    };
    let binlog = match (server.sync_binlog, is_crash && server.log_bin) {
        (Some(1), true) | (_, false) => String::new(),
        (Some(every), true) => {
            format!("; of the binlog, its last events (sync_binlog is {every}): a replica may have more")
        }
        (None, true) => "; of the binlog, perhaps its last events".to_owned(),
    };
    let doublewrite = match (&server.innodb_doublewrite, is_crash) {
        (Some(mode), true) if matches!(&**mode, "OFF" | "0" | "DETECT_ONLY") => {
            "; pages that were half written, for good (innodb_doublewrite is off)"
        }
        _ => "",
    };
    commit + &binlog + doublewrite
}

/// Of tables that no log brings back.
fn with_files(transactions: String, server: &Server) -> String {
    match server.non_transactional_tables {
        Some(0) => transactions,
        Some(count) => format!(
            "{transactions}; tables without transactions ({count}) may be half written, and need a check before they are used"
        ),
        None => format!("{transactions}; whether there are tables without transactions was not seen"),
    }
}

#[cfg(test)]
mod tests {
    use guest_bridge::database::server::{Flavour, Version};

    use super::*;

    fn server() -> Server {
        let json = r#"{"flavour":"maria-db","version":{"major":10,"minor":11,"patch":19},"version_text":"10.11.19-MariaDB",
            "hostname":"db1","datadir":"/var/lib/mysql/","other_data_directories":[],"log_bin":true,"gtid_mode":null,
            "read_only":false,"galera":false,"has_percona_backup_locks":false,"non_transactional_tables":0,
            "innodb_flush_log_at_trx_commit":1,"sync_binlog":1,"innodb_doublewrite":"ON"}"#;
        let server: Server = serde_json::from_str(json).unwrap();
        assert_eq!((server.flavour, server.version), (Flavour::MariaDb, Version { major: 10, minor: 11, patch: 19 }));
        server
    }

    #[track_caller]
    fn says(grade: Grade, server: &Server, wanted: &str) {
        let said = would_be_lost(grade, Some(server), &[]);
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn an_application_image_lacks_nothing_that_was_acknowledged() {
        says(Grade::Application, &server(), "nothing that was acknowledged before the snapshot");
    }

    #[test]
    fn what_a_commit_waits_for_decides_what_a_crash_takes() {
        let with = |setting| Server { innodb_flush_log_at_trx_commit: setting, ..server() };
        says(Grade::Crash, &with(Some(1)), "nothing that was acknowledged");
        says(Grade::Crash, &with(Some(2)), "the last second");
        says(Grade::Crash, &with(Some(0)), "the last second");
        says(Grade::Crash, &with(None), "not known");
    }

    #[test]
    fn what_was_written_is_in_a_frozen_image_though_it_was_not_synced() {
        let with = |setting| Server { innodb_flush_log_at_trx_commit: Some(setting), ..server() };
        says(Grade::Filesystem, &with(2), "nothing that was acknowledged");
        says(Grade::Filesystem, &with(0), "the last second");
    }

    #[test]
    fn a_binlog_that_is_not_synced_and_pages_without_a_second_copy_are_said_of_a_crash_only() {
        let lazy = Server { sync_binlog: Some(0), innodb_doublewrite: Some("OFF".to_owned()), ..server() };
        says(Grade::Crash, &lazy, "sync_binlog is 0");
        says(Grade::Crash, &lazy, "innodb_doublewrite is off");
        assert!(!would_be_lost(Grade::Filesystem, Some(&lazy), &[]).contains("doublewrite"));
        assert!(!would_be_lost(Grade::Crash, Some(&server()), &[]).contains("sync_binlog"));
    }

    #[test]
    fn tables_that_no_log_brings_back_are_counted_or_said_to_be_unknown() {
        says(Grade::Filesystem, &Server { non_transactional_tables: Some(3), ..server() }, "without transactions (3)");
        says(Grade::Crash, &Server { non_transactional_tables: None, ..server() }, "was not seen");
    }

    #[test]
    fn a_database_that_is_not_in_the_images_is_lost_whatever_its_settings() {
        let lost = |found| would_be_lost(Grade::Filesystem, Some(&server()), &[found]);
        for elsewhere in
            [Indication::DatabaseNotInImage, Indication::FilesystemNotInImage, Indication::IdentityNotProven]
        {
            assert!(lost(elsewhere).starts_with("whatever the database keeps outside of these disks"), "{elsewhere}");
        }
        for other in [Indication::OtherServer, Indication::LogShortOfCoordinates] {
            assert!(lost(other).contains("not what was locked"), "{other}");
        }
        assert!(lost(Indication::LockLost).starts_with("of InnoDB, nothing"));
    }

    #[test]
    fn without_a_database_files_are_spoken_of() {
        assert!(would_be_lost(Grade::Crash, None, &[]).contains("power cut"));
        assert!(would_be_lost(Grade::Filesystem, None, &[]).contains("what it kept in memory"));
    }
}
