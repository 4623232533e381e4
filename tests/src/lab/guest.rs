//! The guest: its shell, its database, and whether it is frozen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::agent::Agent;
use crate::machine::database_product::Product;

/// The port that the tool under test uses, and nothing else but a look at the freeze between its runs.
pub const AGENT_SOCKET: &str = "/run/lab/qga.sock";
/// A second agent, with guest-exec and guest-file-* blocked.
pub const RESTRICTED_SOCKET: &str = "/run/lab/restricted.sock";
/// A third agent, for the tests' own questions.
pub const OBSERVER_SOCKET: &str = "/run/lab/observer.sock";

/// How long a program in the guest may take: the guest is emulated, and the machine may have other work.
const PATIENCE: Duration = Duration::from_secs(300);

/// The lab's guest.
#[derive(Debug)]
pub struct Guest {
    /// The agent that backups use.
    pub agent: Agent,
    observer: Agent,
    ticks: AtomicBool,
}

impl Default for Guest {
    fn default() -> Self {
        Self { agent: Agent::new(AGENT_SOCKET), observer: Agent::new(OBSERVER_SOCKET), ticks: AtomicBool::new(false) }
    }
}

impl Guest {
    /// Runs `program` with `arguments` in the guest and waits for its end, at most `deadline`.
    ///
    /// # Errors
    /// The agent's, or that the program was still running.
    pub fn run(&self, program: &str, arguments: &[&str], deadline: Duration) -> std::io::Result<GuestOutput> {
        let end = Instant::now() + deadline;
        let started =
            self.observer.call("guest-exec", json!({"path": program, "arg": arguments, "capture-output": true}))?;
        loop {
            let status = self.observer.call("guest-exec-status", json!({"pid": started["pid"]}))?;
            if status["exited"] == true {
                return Ok(GuestOutput::from(&status));
            }
            if Instant::now() > end {
                return Err(std::io::Error::other(format!("{program} {arguments:?} still runs in the guest")));
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// What `script` prints in the guest's shell. Panics if it fails.
    pub fn sh(&self, script: &str) -> String {
        let output = self.run("/bin/sh", &["-c", script], PATIENCE).unwrap();
        assert!(output.code == Some(0), "in the guest: {script}: {output:?}");
        output.stdout
    }

    /// The rows that `statement` gives, a line each, columns separated by tabs. Panics if it fails.
    pub fn sql(&self, statement: &str) -> String {
        let output = self.run(client(), &["-N", "-B", "-e", statement], PATIENCE).unwrap();
        assert!(output.code == Some(0), "in the guest: {statement}: {output:?}");
        output.stdout.trim_end().to_owned()
    }

    /// Whether the agent believes that it froze the guest.
    pub fn is_frozen(&self) -> bool {
        self.agent.call("guest-fsfreeze-status", json!({})).unwrap() == "frozen"
    }

    /// Begins the rows and the binlog anew, so that a proof that reads all of both stays short.
    pub fn forget_ticks(&self) {
        let reset = match product() {
            Product::MariaDb => "RESET MASTER",
            Product::MySql => "RESET BINARY LOGS AND GTIDS",
        };
        self.sql(&format!("TRUNCATE TABLE stillpoint_demo.ticks; {reset}"));
    }

    /// Starts the stream of numbered inserts.
    pub fn start_ticks(&self, per_second: u32) {
        self.ticks.store(true, Ordering::Relaxed);
        self.sh(&format!("echo TICKS_PER_SECOND={per_second} >/run/ticks.env; systemctl restart ticks"));
    }

    /// Waits until the stream of inserts has committed `more` rows from now on, and gives the last one's id.
    pub fn wait_for_ticks(&self, more: u64) -> u64 {
        let goal = self.last_tick() + more;
        until("the stream of inserts goes on", || self.last_tick() >= goal);
        self.last_tick()
    }

    /// Ends the stream of numbered inserts where it was started: also in the server, where a statement outlives its client
    /// until it has something to say to it.
    pub fn stop_ticks(&self) {
        if !self.ticks.swap(false, Ordering::Relaxed) {
            return;
        }
        self.sh("systemctl stop ticks");
        self.sh(&format!(
            "{client} -N -e \"SELECT CONCAT('KILL ', ID, ';') FROM information_schema.PROCESSLIST \
             WHERE DB = 'stillpoint_demo'\" | {client} --force",
            client = client()
        ));
    }

    /// The highest id that the stream of inserts has committed, 0 before the first.
    pub fn last_tick(&self) -> u64 {
        self.sql("SELECT COALESCE(MAX(id), 0) FROM stillpoint_demo.ticks").parse().unwrap()
    }

    /// The longest time without a commit of the stream of inserts since the row `since`, in milliseconds, as the rows themselves say.
    pub fn longest_gap_ms(&self, since: u64) -> u64 {
        let statement = format!(
            "SELECT COALESCE(CEIL(MAX(TIMESTAMPDIFF(MICROSECOND, a.created_at, b.created_at)) / 1000), 0) \
             FROM stillpoint_demo.ticks a JOIN stillpoint_demo.ticks b ON b.id = a.id + 1 WHERE a.id >= {since}"
        );
        self.sql(&statement).parse().unwrap()
    }

    /// Waits until the agent answers.
    ///
    /// # Errors
    /// That `give_up` said so.
    pub fn wait_for_agent(&self, give_up: impl FnMut() -> Option<String>) -> std::io::Result<()> {
        let hurried = self.observer.clone().within(Duration::from_secs(10));
        until_up(|| hurried.call("guest-ping", json!({})).is_ok(), give_up)
    }

    /// Waits until the database answers, behind an agent that does.
    ///
    /// # Errors
    /// That `give_up` said so.
    pub fn wait_for_database(&self, give_up: impl FnMut() -> Option<String>) -> std::io::Result<()> {
        let ping = ["--connect-timeout=10", "ping"];
        let admin = match product() {
            Product::MariaDb => "/usr/bin/mariadb-admin",
            Product::MySql => "/usr/bin/mysqladmin",
        };
        let alive = || self.run(admin, &ping, Duration::from_secs(60));
        until_up(|| alive().is_ok_and(|ping| ping.code == Some(0)), give_up)
    }
}

/// Whose database the guest has: the flavour that the lab was begun with.
pub fn product() -> Product {
    match std::env::var("LAB_GUEST").as_deref() {
        Ok("mysql") => Product::MySql,
        _ => Product::MariaDb,
    }
}

/// The database's own client in the guest.
pub fn client() -> &'static str {
    match product() {
        Product::MariaDb => "/usr/bin/mariadb",
        Product::MySql => "/usr/bin/mysql",
    }
}

fn until_up(mut is_up: impl FnMut() -> bool, mut give_up: impl FnMut() -> Option<String>) -> std::io::Result<()> {
    while !is_up() {
        if let Some(reason) = give_up() {
            return Err(std::io::Error::other(reason));
        }
        sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// Waits until `what` holds. Panics if it does not come to hold.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "still not so after {} s: {what}", PATIENCE.as_secs());
        sleep(Duration::from_millis(100));
    }
}

/// How a program in the guest ended.
#[derive(Debug)]
pub struct GuestOutput {
    /// Its exit code, `None` if a signal ended it.
    pub code: Option<i64>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl From<&Value> for GuestOutput {
    fn from(status: &Value) -> Self {
        let stream = |name: &str| {
            let bytes = BASE64.decode(status[name].as_str().unwrap_or_default()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self { code: status["exitcode"].as_i64(), stdout: stream("out-data"), stderr: stream("err-data") }
    }
}
