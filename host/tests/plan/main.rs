//! What a plan decides, from a job and a survey that are made up: nothing is run, read or asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cow;

use std::path::PathBuf;
use std::time::Duration;

use fsprobe::{Disk, Table};
use guest_bridge::agent::AgentInfo;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::database::server::Server;
use guest_bridge::places::Places;
use lvm::{Bytes, Origin, VolumeGroup};
use stillpoint::ask::config::Config;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::backup::foresight::Foresight;
use stillpoint::backup::plan::Plan;
use stillpoint::backup::survey::{DiskSurvey, GuestSurvey, Survey};
use stillpoint::failure::Kind;
use stillpoint::grade::Grade;
use stillpoint::run::held::Held;

const GIB: u64 = 1 << 30;

/// A disk of this size in a group with so much room.
fn disk(name: &str, size: u64, free: u64) -> DiskSurvey {
    let name: lvm::LvName = name.parse().unwrap();
    let vg = VolumeGroup {
        name: name.vg().to_owned(),
        size: Bytes(free * 2),
        free: Bytes(free),
        barred: Bytes(0),
        extent_size: Bytes(4 << 20),
        volumes_left: None,
        devices: vec!["/dev/sda".to_owned()],
    };
    DiskSurvey {
        origin: Origin {
            device_path: PathBuf::from("/dev").join(name.to_string()),
            name,
            size: Bytes(size),
            layout: "linear".to_owned(),
            pool: None,
            snapshots: Vec::new(),
            open: true,
            vg,
        },
        layout: Disk {
            size_bytes: size,
            sector_size_bytes: 512,
            table: Table::None,
            table_uuid: None,
            volumes: Vec::new(),
            findings: Vec::new(),
        },
        foresight: Foresight::default(),
    }
}

fn guest(commands: &[&str]) -> GuestSurvey {
    let supported = commands.iter().map(|command| (*command).to_owned()).collect();
    let info = AgentInfo { version: "7.2.22".to_owned(), supported };
    GuestSurvey { info, filesystems: Vec::new(), unlisted: None }
}

fn mariadb() -> Server {
    let json = r#"{"flavour":"maria-db","version":{"major":10,"minor":11,"patch":19},"version_text":"10.11.19-MariaDB",
        "hostname":"db1","datadir":"/var/lib/mysql","other_data_directories":[],"log_bin":true,"gtid_mode":null,
        "read_only":false,"galera":false,"has_percona_backup_locks":false,"non_transactional_tables":0,
        "innodb_flush_log_at_trx_commit":1,"sync_binlog":1,"innodb_doublewrite":"ON"}"#;
    serde_json::from_str(json).unwrap()
}

fn survey() -> Survey {
    Survey {
        is_off: false,
        places: Ok(Places::default()),
        disks: vec![disk("vg/root", 10 * GIB, 100 * GIB), disk("vg/data", 20 * GIB, 100 * GIB)],
        guest: Some(guest(&["guest-exec", "guest-exec-status"])),
        server: Some(mariadb()),
        account: Vec::new(),
    }
}

fn asked() -> Asked {
    Asked {
        disks: vec!["vg/root".into(), "vg/data".into()],
        agent: Some("unix:/run/qga".into()),
        database: Some("agent".into()),
        ..Asked::default()
    }
}

fn plan_of(asked: Asked, config: &str, survey: &Survey) -> Plan {
    let job = Job::new(asked, &toml::from_str::<Config>(config).unwrap()).unwrap();
    Plan::make(&job, survey).unwrap()
}

fn plan() -> Plan {
    plan_of(asked(), "", &survey())
}

#[test]
fn disks_keep_the_order_in_which_they_were_named() {
    let names: Vec<String> = plan().disks.iter().map(|disk| disk.origin.name.to_string()).collect();
    assert_eq!(names, ["vg/root", "vg/data"]);
}

#[test]
fn the_lock_is_the_one_that_fits_the_server() {
    let lock = plan().window.lock.unwrap();
    assert_eq!(lock.choice.method, LockMethod::BackupStage);
    assert_eq!(lock.holds(None), Held::Lock { method: LockMethod::BackupStage, expiry_ms: 30_000, session: None });
}

#[test]
fn the_lock_outlasts_the_window_and_the_first_thaw_at_their_deadlines() {
    let asked = Asked { window_deadline: Some(Duration::from_secs(29)), ..asked() };
    let plan = plan_of(asked, "", &survey());
    let window = &plan.window;
    let lock = window.lock.as_ref().unwrap();
    let freeze = window.freeze.as_ref().unwrap();
    let longest = window.deadline + freeze.first_thaw_deadline + lock.terms.statement_deadline;
    assert_eq!((lock.terms.expiry, longest), (Duration::from_secs(49), Duration::from_secs(49)));
}

#[test]
fn a_freeze_may_take_no_longer_than_the_window() {
    let asked = Asked { freeze_deadline: Some(Duration::from_secs(64)), ..asked() };
    assert_eq!(plan_of(asked, "", &survey()).window.freeze.unwrap().deadline, Duration::from_secs(10));
}

#[test]
fn without_a_database_nothing_is_locked_and_the_grade_that_is_asked_for_is_weaker() {
    let plan = plan_of(Asked { database: None, ..asked() }, "", &Survey { server: None, ..survey() });
    assert!(plan.window.lock.is_none());
    assert_eq!(plan.require, Grade::Filesystem);
}

#[test]
fn a_freeze_that_was_declined_is_not_planned() {
    let plan = plan_of(Asked { no_freeze: true, ..asked() }, "", &survey());
    assert!(plan.window.freeze.is_none());
}

#[test]
fn a_disk_that_nobody_has_open_is_remarked_on() {
    let mut survey = survey();
    survey.disks[1].origin.open = false;
    let notes = plan_of(asked(), "", &survey).notes;
    assert!(notes.len() == 1 && notes[0].starts_with("vg/data is open nowhere"), "{notes:?}");
}

#[test]
fn the_guest_syncs_first_where_programs_can_be_run_in_it() {
    assert_eq!(plan().guest_sync, Some(Duration::from_secs(120)));
    let blocked = Survey { guest: Some(guest(&[])), ..survey() };
    let plan = plan_of(asked(), "", &blocked);
    assert_eq!(plan.guest_sync, None);
    assert!(plan.notes.iter().any(|note| note.contains("guest-exec")), "{:?}", plan.notes);
}

#[test]
fn every_number_that_a_step_needs_is_the_one_that_was_set() {
    let config = "[vm.db1]\nagent = \"unix:/run/qga\"\ndisks = [\"vg/root\", \"vg/data\"]\n[vm.db1.database]\nvia = \"agent\"\n\
        [vm.db1.policy]\nlevel = 3\nthreads = 5\nguest_sync_deadline_s = 61\nlock_deadline_s = 62\nstatement_deadline_s = 63\n\
        window_deadline_s = 66\nfreeze_deadline_s = 64\nattach_deadline_s = 65\nfirst_thaw_deadline_s = 6\nthaw_deadline_s = 67\nnode_deadline_s = 68\n";
    let plan = plan_of(Asked { vm: Some("db1".into()), ..Asked::default() }, config, &survey());
    let s = Duration::from_secs;
    let (lock, freeze) = (plan.window.lock.as_ref().unwrap(), plan.window.freeze.as_ref().unwrap());
    assert_eq!((plan.copy.level, plan.copy.threads), (3, 5));
    assert_eq!((plan.guest_sync, plan.node_deadline), (Some(s(61)), s(68)));
    assert_eq!((lock.terms.lock_deadline, lock.terms.statement_deadline), (s(62), s(63)));
    assert_eq!((freeze.deadline, freeze.first_thaw_deadline), (s(64), s(6)));
    assert_eq!((plan.window.attach_deadline, plan.window.deadline, plan.window.thaw_deadline), (s(65), s(66), s(67)));
}

#[test]
fn the_document_says_of_every_setting_who_chose_it() {
    let asked = Asked { level: Some(3), ..asked() };
    let document = plan_of(asked, "[defaults]\nthreads = 5\n", &survey()).document();
    let of = |name: &str| {
        let setting = document.settings.iter().find(|setting| setting.name == name);
        setting.map(|setting| (&*setting.value, &*setting.from)).unwrap()
    };
    assert_eq!(of("level"), ("3", "--level"));
    assert_eq!(of("threads"), ("5", "[defaults]"));
    assert_eq!(of("cow_size"), ("auto", "built in"));
    assert_eq!(of("disks"), ("vg/root, vg/data", "--disk"));
    assert_eq!(of("agent"), ("unix:/run/qga", "--agent"));
    assert_eq!(of("database"), ("agent", "--db"));
    assert_eq!(of("target"), ("none", "built in"));
}
