//! What the checks' tests share, and what their findings come to together.

use guest_bridge::database::server::Server;

use super::*;

/// A server of which nothing is to be said.
pub fn mariadb() -> Server {
    let json = r#"{"flavour":"maria-db","version":{"major":10,"minor":11,"patch":19},"version_text":"10.11.19-MariaDB",
        "hostname":"db1","datadir":"/var/lib/mysql","other_data_directories":[],"log_bin":true,"gtid_mode":null,
        "read_only":false,"galera":false,"has_percona_backup_locks":false,"non_transactional_tables":0,
        "innodb_flush_log_at_trx_commit":1,"sync_binlog":1,"innodb_doublewrite":"ON","table_directories_seen":true,
        "replicates":{"channels":[],"gtid_slave_pos":null,"gtid_current_pos":null}}"#;
    serde_json::from_str(json).unwrap()
}

fn examined(require: Grade, weights: &[Weight]) -> Examination {
    let findings = weights.iter().map(|weight| Finding::new(Check::Agent, *weight, "it is so")).collect();
    Examination { vm: "db1".to_owned(), require, is_off: false, findings, freeze_test: None }
}

#[test]
fn the_exit_code_is_that_of_the_worst_finding_by_the_grade_that_is_required() {
    let exit = |require, weights: &[Weight]| examined(require, weights).exit();
    let weak = [Weight::Note, Weight::AtBest(Grade::Filesystem), Weight::Fine];
    assert_eq!(exit(Grade::Application, &[Weight::Fine, Weight::Note]), Exit::Done);
    assert_eq!((exit(Grade::Application, &weak), exit(Grade::Filesystem, &weak)), (Exit::Weaker, Exit::Done));
    assert_eq!(exit(Grade::Crash, &[Weight::AtBest(Grade::Crash), Weight::Stops]), Exit::Failed);
    assert_eq!(exit(Grade::Crash, &[Weight::Stops, Weight::NeedsPerson]), Exit::NeedsPerson);
}

#[test]
fn the_best_grade_is_the_least_of_all_and_none_where_a_backup_would_fail() {
    let weak = [Weight::AtBest(Grade::Crash), Weight::AtBest(Grade::Filesystem)];
    assert_eq!(examined(Grade::Application, &weak).at_best(), Some(Grade::Crash));
    assert_eq!(examined(Grade::Application, &[]).at_best(), Some(Grade::Application));
    assert_eq!(examined(Grade::Application, &[Weight::Stops]).at_best(), None);
}
