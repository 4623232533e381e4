//! What is asked for, by whom, and what is refused before anything is touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod any_toml;
mod job;
mod precedence;
mod ranges;

use stillpoint::ask::asked::Asked;
use stillpoint::ask::job::Job;
use stillpoint::failure::Cause;

/// `[vm.db1]` with all that a job needs.
const DB1: &str = "[vm.db1]\nagent = \"unix:/run/qga\"\ndisks = [\"vg/root\", \"vg/data\"]\n";

fn db1() -> Asked {
    Asked { vm: Some("db1".into()), ..Asked::default() }
}

fn job(asked: Asked, config: &str) -> Result<Job, Cause> {
    Job::new(asked, &toml::from_str(config).unwrap())
}

fn refusal(asked: Asked, config: &str) -> String {
    job(asked, config).unwrap_err().to_string()
}

/// Value and source of a setting of the policy.
fn stated(job: &Job, key: &str) -> (String, String) {
    let setting = job.policy.stated().into_iter().find(|setting| setting.key == key).unwrap();
    (setting.value, setting.from.to_string())
}
