//! What the server promises of a commit. A backup is none the worse for it: the engines write their logs out under the lock. What a crash
//! of the guest would cost is another matter, and a person who reads this wants to know.

use guest_bridge::database::server::Server;

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;

pub fn check(seen: &Seen) -> Vec<Finding> {
    seen.survey.server.as_ref().map(of).unwrap_or_default()
}

fn of(server: &Server) -> Vec<Finding> {
    let mut found =
        vec![flush(server.innodb_flush_log_at_trx_commit), doublewrite(server.innodb_doublewrite.as_deref())];
    if server.log_bin {
        found.push(sync_binlog(server.sync_binlog));
    }
    let mut found: Vec<Finding> = found.into_iter().flatten().collect();
    if found.is_empty() {
        found.push(Finding::fine(Check::Durability, "a commit is on the disk before it is acknowledged"));
    }
    found
}

fn flush(setting: Option<u8>) -> Option<Finding> {
    const NAME: &str = "innodb_flush_log_at_trx_commit";
    match setting {
        Some(1) => None,
        Some(value) => Some(
            Finding::note(Check::Durability, format!("{NAME} is {value}"))
                .because(match value {
                    0 => {
                        "a crash of the server or of the guest loses up to a second of acknowledged transactions; \
                         a backup does not"
                    }
                    _ => "a crash of the guest loses up to a second of acknowledged transactions; a backup does not",
                })
                .remedy(format!("set {NAME} to 1, unless that is meant")),
        ),
        None => Some(Finding::unseen(Check::Durability, Weight::Note, format!("the server does not tell {NAME}"))),
    }
}

fn doublewrite(setting: Option<&str>) -> Option<Finding> {
    const NAME: &str = "innodb_doublewrite";
    match setting {
        Some(value) if !matches!(value, "OFF" | "0" | "DETECT_ONLY") => None,
        Some(value) => Some(
            Finding::note(Check::Durability, format!("{NAME} is {value}"))
                .because(
                    "a page that a crash tears is lost, in an image of grade `crash` too; a frozen image has \
                     no torn pages",
                )
                .remedy(format!("set {NAME} to ON, unless the storage writes 16 KiB whole")),
        ),
        None => Some(Finding::unseen(Check::Durability, Weight::Note, format!("the server does not tell {NAME}"))),
    }
}

fn sync_binlog(setting: Option<u64>) -> Option<Finding> {
    match setting {
        Some(1) => None,
        Some(value) => Some(
            Finding::note(Check::Durability, format!("sync_binlog is {value}"))
                .because(
                    "a crash of the guest may lose the end of the binlog, and replicas are then ahead of it; a \
                     backup does not",
                )
                .remedy("set sync_binlog to 1, unless that is meant"),
        ),
        None => Some(Finding::unseen(Check::Durability, Weight::Note, "the server does not tell sync_binlog")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::mariadb;

    fn whats(server: &Server) -> Vec<String> {
        of(server).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_strictest_settings_are_fine() {
        let found = of(&mariadb());
        assert_eq!((found.len(), found[0].weight), (1, Weight::Fine));
    }

    #[test]
    fn each_setting_that_promises_less_is_a_note_with_its_value() {
        let lax = Server {
            innodb_flush_log_at_trx_commit: Some(2),
            sync_binlog: Some(0),
            innodb_doublewrite: Some("OFF".to_owned()),
            ..mariadb()
        };
        assert_eq!(
            whats(&lax),
            ["innodb_flush_log_at_trx_commit is 2", "innodb_doublewrite is OFF", "sync_binlog is 0"]
        );
        assert!(of(&lax).iter().all(|finding| finding.weight == Weight::Note));
    }

    #[test]
    fn a_setting_that_is_not_told_is_not_taken_for_the_strictest() {
        let found = of(&Server { innodb_flush_log_at_trx_commit: None, ..mariadb() });
        assert!(found.len() == 1 && !found[0].looked_at, "{found:?}");
    }

    #[test]
    fn without_a_binlog_it_does_not_matter_how_it_is_synced() {
        assert_eq!(of(&Server { sync_binlog: Some(0), log_bin: false, ..mariadb() })[0].weight, Weight::Fine);
    }
}
