//! `lab-series COUNT SECONDS`: records how the COW of the guest's first disk fills, COUNT times for SECONDS each, under a database whose load
//! changes. A new snapshot is taken every few seconds, and several fill at once. Prints a JSON document a line: `points` are milliseconds
//! since the snapshot and bytes in use, `written_per_second` is what the disk was given to write meanwhile.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for the lab's scripts")]

use std::fs::read_to_string;
use std::time::{Duration, Instant};

use serde_json::json;
use stillpoint_tests::lab::guest::{Guest, client};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::volume::{ROOT, VG};
use stillpoint_tests::machine::program::run;

/// From one snapshot to the next.
const EVERY: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(1000);

/// A table of 16 MiB, and writers to it that change their pace every few seconds, from a hundred a second to one, with a rewrite of a part of the
/// table in between: as a shop has its quiet minutes, its rush and its nightly job.
const LOAD: &str = "USE stillpoint_demo;
DROP TABLE IF EXISTS goods; DROP PROCEDURE IF EXISTS fill; DROP PROCEDURE IF EXISTS sell;
CREATE TABLE goods (id INT AUTO_INCREMENT PRIMARY KEY, payload VARBINARY(600)) ENGINE=InnoDB;
INSERT INTO goods (payload) VALUES (REPEAT('a', 500));
DELIMITER //
CREATE PROCEDURE fill() BEGIN DECLARE i INT DEFAULT 0; WHILE i < 15 DO INSERT INTO goods (payload) SELECT payload FROM goods; SET i = i + 1; END WHILE; END//
CREATE PROCEDURE sell() BEGIN
  DECLARE pause DOUBLE; DECLARE until_then DATETIME(6); DECLARE least, most, pick INT;
  SELECT MIN(id), MAX(id) INTO least, most FROM goods;
  LOOP
    SET pause = 0.005 * EXP(4 * RAND()), until_then = SYSDATE(6) + INTERVAL (2 + 8 * RAND()) SECOND;
    IF RAND() < 0.1 THEN
      SET pick = least + (most - least) * RAND() * 0.2;
      UPDATE goods SET payload = REVERSE(payload) WHERE id BETWEEN least AND pick;
    END IF;
    WHILE SYSDATE(6) < until_then DO
      SET pick = least + FLOOR((most - least) * RAND());
      UPDATE goods SET payload = REPEAT(CHAR(97 + FLOOR(26 * RAND())), 500) WHERE id = pick;
      DO SLEEP(pause);
    END WHILE;
  END LOOP;
END//
DELIMITER ;
CALL fill()";

struct Snapshot {
    name: String,
    since: Instant,
    written_before: u64,
    points: Vec<(u64, u64)>,
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let (count, seconds) = (arguments.next().unwrap_or(100), arguments.next().unwrap_or(30));
    scenario(|guest| {
        begin(guest);
        let (mut taken, mut filling) = (0, Vec::new());
        let mut next = Instant::now();
        while taken < count || !filling.is_empty() {
            if taken < count && Instant::now() >= next {
                filling.push(Snapshot::take(taken));
                taken += 1;
                next = Instant::now() + EVERY;
            }
            look(&mut filling);
            while filling.first().is_some_and(|first: &Snapshot| first.since.elapsed().as_secs() >= seconds) {
                filling.remove(0).end();
            }
            std::thread::sleep(LOOK);
        }
        guest.sh(&format!("{0} -N -e \"SELECT CONCAT('KILL ', ID, ';') FROM information_schema.PROCESSLIST WHERE DB = 'stillpoint_demo'\" | {0} --force", client()));
        guest.sql("DROP TABLE stillpoint_demo.goods");
    });
}

fn begin(guest: &Guest) {
    guest.sh(&format!("{} <<'END'\n{LOAD}\nEND", client()));
    guest.sh(&format!("setsid {} stillpoint_demo -e 'CALL sell()' >/dev/null 2>&1 </dev/null &", client()));
    std::thread::sleep(Duration::from_secs(10));
}

/// One program for all of them: on this machine each takes its time.
fn look(filling: &mut [Snapshot]) {
    let status = run("dmsetup", &["status", "--target", "snapshot"]);
    for snapshot in filling {
        let device = format!("{VG}-{}:", snapshot.name);
        let line = status.lines().find(|line| line.starts_with(&device)).unwrap();
        // NAME: START LENGTH snapshot USED/TOTAL METADATA, in sectors.
        let used = line.split_whitespace().nth(4).unwrap().split('/').next().unwrap();
        let used: u64 = used.parse().unwrap();
        let at_ms = u64::try_from(snapshot.since.elapsed().as_millis()).unwrap();
        snapshot.points.push((at_ms, used * 512));
    }
}

impl Snapshot {
    fn take(number: u64) -> Self {
        let name = format!("series{number}");
        run("lvcreate", &["-q", "-s", "-c", "4k", "-L", "600M", "-n", &name, ROOT]);
        Self { name, since: Instant::now(), written_before: written(), points: Vec::new() }
    }

    fn end(self) {
        let per_second = (written() - self.written_before) as f64 / self.since.elapsed().as_secs_f64();
        run("lvremove", &["-q", "-y", &format!("{VG}/{}", self.name)]);
        println!("{}", json!({"points": self.points, "written_per_second": per_second as u64}));
    }
}

/// What the kernel counts of the guest's first disk, in bytes.
fn written() -> u64 {
    let device = std::fs::canonicalize(format!("/dev/{ROOT}")).unwrap();
    let name = device.file_name().unwrap().to_str().unwrap().to_owned();
    let stat = read_to_string(format!("/sys/class/block/{name}/stat")).unwrap();
    stat.split_ascii_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * 512
}
