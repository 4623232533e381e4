//! `lab-window [ROUNDS [NAME...]]`: how long a client of the guest's database waits for a backup's window, by stillpoint and by a plain script
//! (`FLUSH TABLES WITH READ LOCK`, freeze, `lvcreate -s`, thaw, `UNLOCK TABLES`), with different things in the lock's way. Prints a table:
//! medians of the longest time between two commits of a client that commits as fast as it is told to. With names, only what has one
//! of them in its name is put in the way.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a program for the lab's scripts")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::json;
use stillpoint_tests::lab::guest::{Guest, client, until};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, VG};
use stillpoint_tests::machine::database_product::Programs;
use stillpoint_tests::machine::program;
use tempfile::NamedTempFile;

const PER_SECOND: u32 = 200;

/// What is in the lock's way: a name, and SQL that a session of the guest runs meanwhile.
const IN_THE_WAY: [(&str, &str); 6] = [
    ("nothing", ""),
    ("a long SELECT", "SELECT SLEEP(20) FROM stillpoint_demo.one"),
    ("a long UPDATE", "UPDATE stillpoint_demo.one SET n = SLEEP(20)"),
    ("ALTER TABLE", "ALTER TABLE stillpoint_demo.many ADD COLUMN m INT DEFAULT 0, ALGORITHM=COPY"),
    ("an open transaction", "START TRANSACTION; INSERT INTO stillpoint_demo.free VALUES (0)"),
    ("writes to MyISAM", "CALL stillpoint_demo.write_myisam()"),
];

const TABLES: &str = "USE stillpoint_demo;
DROP TABLE IF EXISTS one, many, free, old; DROP PROCEDURE IF EXISTS write_myisam; DROP PROCEDURE IF EXISTS fill;
CREATE TABLE one (n INT) ENGINE=InnoDB; INSERT INTO one VALUES (1);
CREATE TABLE free (n INT) ENGINE=InnoDB;
CREATE TABLE many (id INT AUTO_INCREMENT PRIMARY KEY, payload CHAR(200)) ENGINE=InnoDB;
INSERT INTO many (payload) VALUES ('a');
DELIMITER //
CREATE PROCEDURE fill() BEGIN DECLARE i INT DEFAULT 0; WHILE i < 15 DO INSERT INTO many (payload) SELECT payload FROM many; SET i = i + 1; END WHILE; END//
CREATE PROCEDURE write_myisam() BEGIN LOOP INSERT INTO old VALUES (1); DO SLEEP(0.01); END LOOP; END//
DELIMITER ;
CALL fill()";

/// How the snapshot is taken.
#[derive(Clone, Copy)]
enum Way {
    Script,
    Agent,
    Tcp,
}

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    let names: Vec<String> = std::env::args().skip(2).collect();
    let guest = Guest::default();
    guest.sh(&format!("{} <<'END'\n{TABLES}\nEND", client()));
    println!("{}, {PER_SECOND} commits a second asked for, medians of {rounds}", guest.sql("SELECT VERSION()"));
    println!("| in the way | script: window, gap | through the agent | over TCP | of the script's gap |");
    println!("|---|---|---|---|---|");
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|one| name.contains(one.as_str()));
    for (name, statements) in IN_THE_WAY.into_iter().filter(|(name, _)| is_wanted(name)) {
        let [script, agent, tcp] = [Way::Script, Way::Agent, Way::Tcp].map(|way| {
            let mut runs: Vec<(u64, u64)> = (0..rounds).filter_map(|_| one(statements, way)).collect();
            runs.sort_by_key(|(_, gap)| *gap);
            (runs.len() * 2 > rounds).then(|| runs[runs.len() / 2])
        });
        let cell =
            |run: Option<(u64, u64)>| run.map_or("none".to_owned(), |(window, gap)| format!("{window} ms, {gap} ms"));
        let of = |run: Option<(u64, u64)>| {
            run.zip(script).map_or("?".to_owned(), |((_, gap), (_, script))| hundredths(gap, script))
        };
        println!("| {name} | {} | {} | {} | {}, {} |", cell(script), cell(agent), cell(tcp), of(agent), of(tcp));
    }
    ExitCode::SUCCESS
}

fn hundredths(part: u64, whole: u64) -> String {
    let hundredths = part * 100 / whole.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// One window: how long the guest was frozen, and the longest time between two commits, in milliseconds. `None` where there was none.
fn one(statements: &str, way: Way) -> Option<(u64, u64)> {
    let mut measured = None;
    scenario(|guest| {
        guest.forget_ticks();
        guest.start_ticks(PER_SECOND);
        guest.wait_for_ticks(u64::from(PER_SECOND) / 4);
        let busy = !statements.is_empty();
        if statements.contains("write_myisam") {
            guest.sql("CREATE TABLE IF NOT EXISTS stillpoint_demo.old (n INT) ENGINE=MyISAM");
        }
        if busy {
            // Its input stays open, so that what it has begun stays so.
            let held = format!(
                "(echo \"{statements};\"; exec sleep 30) | {} >/dev/null 2>&1 & echo $! >/run/busy.pid",
                client()
            );
            guest.sh(&format!("({held}) >/dev/null 2>&1; sleep 3"));
        }
        let since = guest.last_tick();
        let window = match way {
            Way::Script => Some(by_script(guest)),
            Way::Agent => by_stillpoint(Run::backup().with(&["--db", "agent"])),
            Way::Tcp => by_stillpoint(over_tcp()),
        };
        if busy {
            let text = "SELECT CONCAT('KILL ', ID, ';') FROM information_schema.PROCESSLIST WHERE DB IS NULL AND COMMAND <> 'Daemon' \
                        AND USER = 'root' AND ID <> CONNECTION_ID()";
            guest.sh(&format!("{0} -N -e \"{text}\" | {0} --force 2>/dev/null; true", client()));
        }
        guest.wait_for_ticks(u64::from(PER_SECOND) / 4);
        measured = window.map(|window| (window, guest.longest_gap_ms(since)));
        guest.stop_ticks();
        guest.sql("DROP TABLE IF EXISTS stillpoint_demo.old");
    });
    measured
}

fn by_stillpoint(mut run: Run) -> Option<u64> {
    run = run.with(&["--disk", DATA, "--cow-size", "100M", "--require", "crash"]);
    let ended = run.end();
    (ended.code == Some(0)).then(|| run.receipt()["window"]["window_ms"].as_u64()).flatten()
}

/// What people have: it waits for its lock for as long as that takes.
fn by_script(guest: &Guest) -> u64 {
    let (mut session, _options) = session();
    let mut input = session.stdin.take().unwrap();
    let mut output = BufReader::new(session.stdout.take().unwrap());
    input.write_all(b"FLUSH TABLES WITH READ LOCK; SELECT 'locked';\n").unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "locked\n");
    let began = Instant::now();
    guest.agent.call("guest-fsfreeze-freeze", json!({})).unwrap();
    program::run("lvcreate", &["-q", "-s", "-L", "100M", "-n", "plain-script", DATA]);
    guest.agent.call("guest-fsfreeze-thaw", json!({})).unwrap();
    let window = u64::try_from(began.elapsed().as_millis()).unwrap();
    input.write_all(b"UNLOCK TABLES;\n").unwrap();
    drop(input);
    session.wait().unwrap();
    program::run("lvremove", &["-q", "-f", &format!("{VG}/plain-script")]);
    until("the snapshot is gone", || stillpoint_tests::lab::volume::foreign().is_empty());
    window
}

fn options() -> NamedTempFile {
    let password = std::fs::read_to_string(std::env::var("LAB_DB_PASSWORD_FILE").unwrap()).unwrap();
    let mut file = NamedTempFile::new().unwrap();
    write!(file, "[client]\nuser = stillpoint\npassword = {password}\n").unwrap();
    file
}

/// The stock client, over the network, with its input open.
fn session() -> (Child, NamedTempFile) {
    let options = options();
    let mut client: Command = Programs::of_this_run().client();
    client.arg(format!("--defaults-file={}", options.path().display()));
    client.args(["--host=127.0.0.1", "-N", "-B", "-n"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    (client.spawn().unwrap(), options)
}

fn over_tcp() -> Run {
    let run = Run::backup();
    let file = run.folder().join("credentials");
    std::fs::copy(options().path(), &file).unwrap();
    let file = file.display().to_string();
    run.with(&["--db", "tcp:127.0.0.1:3306", "--db-credentials", &file])
}
