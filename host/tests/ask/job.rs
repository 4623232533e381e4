//! Disks, agent, freeze, database, target and state folder: who chose them, and what is refused by its place.

use std::path::PathBuf;

use stillpoint::ask::asked::Asked;
use stillpoint::ask::config::Config;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::{Job, Target};

use super::{DB1, db1, job, refusal};

/// A choice of a job, and who made it.
fn sources(job: &Job) -> [(&'static str, String); 6] {
    [
        ("disks", job.disks.from.to_string()),
        ("agent", job.agent.from.to_string()),
        ("freeze", job.freeze.from.to_string()),
        ("database", job.database.from.to_string()),
        ("target", job.target.from.to_string()),
        ("state_dir", job.state_dir.from.to_string()),
    ]
}

const FULL: &str = "state_dir = \"/state\"\n[defaults]\ntarget = \"/all\"\n[vm.db1]\nagent = \"unix:/run/qga\"\n\
    disks = [\"vg/a\"]\ntarget = \"/db1\"\ndatabase = { via = \"agent\", credentials = \"/db1.cnf\" }\n";

#[test]
fn what_nobody_says_is_built_in() {
    let asked = Asked { no_freeze: true, disks: vec!["vg/a".into()], ..Asked::default() };
    let job = job(asked, "").unwrap();
    assert_eq!(
        sources(&job).map(|(what, from)| format!("{what}: {from}")),
        [
            "disks: --disk",
            "agent: built in",
            "freeze: --no-freeze",
            "database: built in",
            "target: built in",
            "state_dir: built in"
        ]
    );
    assert_eq!(job.state_dir.value, PathBuf::from("/var/lib/stillpoint"));
    assert!(job.target().unwrap_err().to_string().contains("no target"));
}

#[test]
fn what_the_table_of_the_vm_says_is_named_after_it() {
    let job = job(db1(), FULL).unwrap();
    assert_eq!(
        sources(&job).map(|(what, from)| format!("{what}: {from}")),
        [
            "disks: [vm.db1]",
            "agent: [vm.db1]",
            "freeze: built in",
            "database: [vm.db1]",
            "target: [vm.db1]",
            "state_dir: top of the configuration"
        ]
    );
    let database = job.database.value.unwrap();
    assert_eq!(database.credentials.unwrap().from.to_string(), "[vm.db1]");
}

#[test]
fn what_a_flag_says_is_named_after_it() {
    let asked = Asked {
        disks: vec!["vg/b".into()],
        agent: Some("unix:/b".into()),
        no_freeze: true,
        database: Some("tcp:db:3306".into()),
        credentials: Some("/b.cnf".into()),
        to: Some("/b".into()),
        state_dir: Some("/b".into()),
        ..db1()
    };
    let job = job(asked, FULL).unwrap();
    assert_eq!(
        sources(&job).map(|(_, from)| from),
        ["--disk", "--agent", "--no-freeze", "--db", "--to", "--state-dir"]
    );
    assert_eq!(job.database.value.unwrap().credentials.unwrap().from.to_string(), "--db-credentials");
}

#[test]
fn a_target_for_all_vms_is_overridden_by_the_vms_own_and_that_by_the_flag() {
    let target = |asked, config: &str| job(asked, config).unwrap().target.value.unwrap();
    let folder = |path: &str| Target::Folder(path.into());
    let defaults = format!("[defaults]\ntarget = \"/all\"\n{DB1}");
    assert_eq!(target(db1(), &defaults), folder("/all"));
    assert_eq!(target(db1(), FULL), folder("/db1"));
    assert_eq!(target(Asked { to: Some("/flag".into()), ..db1() }, FULL), folder("/flag"));
    assert_eq!(target(Asked { to: Some("-".into()), ..db1() }, FULL), Target::Stdout);
}

#[test]
fn a_database_of_the_configuration_is_declined_by_a_flag() {
    let job = job(Asked { database: Some("none".into()), ..db1() }, FULL).unwrap();
    assert_eq!((job.database.value, &*job.database.from.to_string()), (None, "--db"));
}

#[test]
fn a_refusal_names_the_table_and_the_key_or_the_flag() {
    for (asked, config, place) in [
        (db1(), "[vm.db1]\nagent = \"qga\"\ndisks = [\"vg/a\"]\n".to_owned(), "`agent` in [vm.db1]: "),
        (db1(), "[vm.db1]\ndisks = [\"a\"]\n".to_owned(), "`disks` in [vm.db1]: "),
        (db1(), format!("{DB1}database = {{ via = \"x\" }}"), "`via` in [vm.db1.database]: "),
        (db1(), format!("{DB1}target = \"-\""), "`target` in [vm.db1]: "),
        (db1(), format!("[defaults]\ntarget = \"-\"\n{DB1}"), "`target` in [defaults]: "),
        (db1(), format!("{DB1}[vm.db1.policy]\nrequire = \"best\""), "`require` in [vm.db1.policy]: "),
        (db1(), format!("[defaults]\nrequire = \"best\"\n{DB1}"), "`require` in [defaults]: "),
        (Asked { agent: Some("qga".into()), ..db1() }, DB1.to_owned(), "--agent: "),
        (Asked { disks: vec!["a".into()], ..db1() }, DB1.to_owned(), "--disk: "),
        (Asked { database: Some("agent:x".into()), ..db1() }, DB1.to_owned(), "--db: "),
        (
            Asked { no_freeze: true, ..db1() },
            "[vm.db1]\ndisks = [\"vg/a\"]\ndatabase = { via = \"agent\" }".to_owned(),
            "`via` in [vm.db1.database]: ",
        ),
    ] {
        let refusal = refusal(asked, &config);
        assert!(refusal.starts_with(place), "{refusal:?} of\n{config}");
    }
}

#[test]
fn a_key_that_there_is_not_is_refused_by_name_with_its_line() {
    for (config, key) in [
        ("[defaults]\n\nlock_deadline = 3\n", "lock_deadline"),
        ("[vm.db1]\n\nagnet = \"\"\n", "agnet"),
        ("[vm.db1.policy]\n\nlevle = 3\n", "levle"),
        ("[vm.db1.policy]\nlevel = 1\ntarget = \"/x\"\n", "target"),
    ] {
        let error = toml::from_str::<Config>(config).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
        assert!(error.contains("line "), "{error}");
    }
}

#[test]
fn what_needs_a_seam_that_the_job_has_not_is_refused() {
    let asked = Asked { no_freeze: true, disks: vec!["vg/a".into()], ..Asked::default() };
    let world = World::of(&job(asked, "").unwrap()).unwrap();
    let agent = world.agent_for("the freeze").map(drop).unwrap_err().to_string();
    assert_eq!(agent, "the freeze needs the guest agent, and the job has none");
    let database = world.database_for("the lock").map(drop).unwrap_err().to_string();
    assert_eq!(database, "the lock needs a database, and the job has none");

    let job = job(db1(), &format!("{DB1}database = {{ via = \"agent\" }}")).unwrap();
    let world = World::of(&job).unwrap();
    assert!(world.agent_for("the freeze").is_ok() && world.database_for("the lock").is_ok());
}
