//! Taking down what is stale: what is done to a host, in which order, and what keeps it from being done. On a host in memory whose
//! /proc and /sys are files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use lvm::programs::{Invocation, Output, ProgramError, Programs, Started};
use lvm::{LvName, Lvm};
use serde_json::json;
use stillpoint::clean::find::find;
use stillpoint::clean::finding::Finding;
use stillpoint::clean::{Outcome, Reach, Roots, carry_out, choose, look};
use stillpoint::failure::exit::Exit;
use stillpoint::stop::Stop;
use tempfile::TempDir;

const VG_UUID: &str = "7eJ8sA-dKUB-So2r-VmkZ-WvXQ-pTn1-cYhG0f";

/// A mapped device: name, UUID, number, what it lies on, table.
type Node = (&'static str, String, &'static str, &'static str, &'static str);

#[derive(Default)]
struct State {
    /// Name, the letter that its UUID is made of, `lv_attr`, origin.
    volumes: Vec<(&'static str, char, &'static str, &'static str)>,
    nodes: Vec<Node>,
    /// Lines of mountinfo.
    mounts: Vec<String>,
    /// What was run that changes anything.
    did: Vec<String>,
    /// How often the next `lvremove`s find the volume in use.
    busy: u32,
    /// An unmount finds files open.
    has_files_open: bool,
}

/// The host: `vg/db` with a forgotten snapshot, its partition mapped by kpartx and mounted; and another snapshot.
struct Host {
    folder: TempDir,
    state: Mutex<State>,
}

fn uuid(letter: char, part: &str) -> String {
    format!("LVM-{}{}{part}", VG_UUID.replace('-', ""), letter.to_string().repeat(32))
}

fn host() -> Arc<Host> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("proc/self")).unwrap();
    fs::create_dir_all(folder.path().join("sys/block")).unwrap();
    let state = State {
        volumes: vec![
            ("db", 'd', "owi-aos---", ""),
            ("other", 'o', "swi-a-s---", "db"),
            ("snap", 's', "swi-aos---", "db"),
        ],
        nodes: vec![
            ("vg-db", uuid('d', ""), "254:0", "254:3", "0 614400 snapshot-origin 254:3"),
            ("vg-db-real", uuid('d', "-real"), "254:3", "8:0", "0 614400 linear 8:0 2048"),
            ("vg-other", uuid('o', ""), "254:9", "254:3,254:8", "0 614400 snapshot 254:3 254:8 P 8"),
            ("vg-snap-cow", uuid('s', "-cow"), "254:5", "8:0", "0 40960 linear 8:0 616448"),
            ("vg-snap", uuid('s', ""), "254:6", "254:3,254:5", "0 614400 snapshot 254:3 254:5 P 8"),
            ("vg-snap1", "part1-".to_owned(), "254:7", "254:6", "0 2048 linear 254:6 2048"),
        ],
        mounts: vec![
            "1 0 0:20 / / rw - ext4 /dev/sda1 rw".to_owned(),
            "27 1 254:7 / /mnt/snap ro - ext4 /dev/mapper/vg-snap1 ro".to_owned(),
        ],
        ..State::default()
    };
    let host = Arc::new(Host { folder, state: Mutex::new(state) });
    host.write_mounts();
    host
}

impl Host {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write_mounts(&self) {
        fs::write(self.path("proc/self/mountinfo"), self.state().mounts.join("\n")).unwrap();
    }

    fn loop_device(&self, name: &str, number: &str, backing: &str) {
        let folder = self.path("sys/block").join(name);
        fs::create_dir_all(folder.join("loop")).unwrap();
        fs::write(folder.join("dev"), number).unwrap();
        fs::write(folder.join("loop/backing_file"), backing).unwrap();
    }

    fn reach(self: &Arc<Self>) -> Reach {
        Reach {
            lvm: Lvm::with_device_dir(Arc::clone(self) as _, self.path("dev")),
            programs: Arc::clone(self) as _,
            roots: Roots { proc: self.path("proc"), sys: self.path("sys") },
            state_dir: self.path("state"),
        }
    }

    fn chosen(self: &Arc<Self>, name: &str) -> Vec<Finding> {
        let name: LvName = name.parse().unwrap();
        let seen = look(&self.reach()).unwrap();
        choose(&find(&seen), &seen, &BTreeMap::new(), &[name], false).unwrap()
    }

    fn take_down(self: &Arc<Self>, chosen: &[Finding]) -> Outcome {
        carry_out(chosen, &self.reach(), &Stop::default()).remove(0).outcome
    }

    fn did(&self) -> Vec<String> {
        self.state().did.clone()
    }

    fn lvs(&self) -> String {
        let state = self.state();
        let rows = state.volumes.iter().map(|(name, letter, attr, origin)| {
            json!({
                "vg_name": "vg", "vg_uuid": VG_UUID, "lv_name": name, "lv_uuid": letter.to_string().repeat(32),
                "lv_size": "20971520", "lv_attr": attr, "origin": origin, "lv_tags": "", "lv_time": "1764100060",
                "pool_lv": "", "lv_layout": "linear",
            })
        });
        json!({"report": [{"lv": rows.collect::<Vec<_>>()}]}).to_string()
    }

    fn listed(&self, line: impl Fn(&Node) -> String) -> String {
        self.state().nodes.iter().map(|node| line(node) + "\n").collect()
    }
}

impl Programs for Host {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        let arguments: Vec<_> = invocation.arguments().iter().map(|argument| argument.to_str().unwrap()).collect();
        let last = arguments.last().copied().unwrap_or_default();
        let prints = |text: String| Ok(Output { stdout: text.into_bytes(), ..Output::default() });
        let fails = |text: &str| Ok(Output { exit_code: 5, stderr: text.as_bytes().to_vec(), ..Output::default() });
        match (invocation.program(), arguments.first().copied().unwrap_or_default()) {
            ("vgs", _) => {
                return prints(json!({"report": [{"vg": [{"vg_name": "vg", "vg_uuid": VG_UUID}]}]}).to_string());
            }
            ("lvs", _) => return prints(self.lvs()),
            ("dmsetup", "info") if arguments.contains(&"name,suspended,devno,devnos_used") => {
                return prints(
                    self.listed(|(name, _, number, lies_on, _)| format!("{name} Active {number} {lies_on}")),
                );
            }
            ("dmsetup", "info") => {
                return prints(
                    self.listed(|(name, uuid, number, lies_on, _)| format!("{name}|{uuid}|Active|{number}|{lies_on}")),
                );
            }
            ("dmsetup", "table") => return prints(self.listed(|(name, .., table)| format!("{name}: {table}"))),
            ("dmsetup", "status") => return prints("vg-snap: 0 614400 snapshot 16/40960 16\n".to_owned()),
            ("udevadm", _) => return prints(String::new()),
            _ => {}
        }
        let mut state = self.state();
        state.did.push(invocation.to_string());
        match (invocation.program(), arguments.first().copied().unwrap_or_default()) {
            ("dmsetup", "remove") => state.nodes.retain(|node| node.0 != last),
            ("umount", _) if state.has_files_open => return fails("umount: /mnt/snap: target is busy."),
            ("umount", _) => {
                state.mounts.retain(|mount| mount.split(' ').nth(4) != Some(last));
                drop(state);
                self.write_mounts();
            }
            ("losetup", _) => {
                let name = Path::new(last).file_name().unwrap().to_owned();
                fs::remove_dir_all(self.path("sys/block").join(name)).unwrap();
            }
            ("lvremove", _) if state.busy > 0 => {
                state.busy -= 1;
                return fails("  Unable to deactivate open vg-db-real (254:3)\n  Failed to resume db.");
            }
            ("lvremove", _) => {
                let name = last.strip_prefix("vg/").unwrap();
                state.volumes.retain(|volume| volume.0 != name);
                let dm_name = format!("vg-{name}");
                state.nodes.retain(|node| node.0 != dm_name && node.0 != format!("{dm_name}-cow"));
            }
            _ => panic!("{invocation}"),
        }
        prints(String::new())
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        panic!("{invocation}")
    }
}

fn lvremove(name: &str, letter: char) -> String {
    format!("lvremove --yes --select lv_uuid={} {name}", letter.to_string().repeat(32))
}

const UMOUNT: &str = "umount --no-canonicalize /mnt/snap";
const UNMAP: &str = "dmsetup remove --retry vg-snap1";

#[test]
fn a_listing_changes_nothing() {
    let host = host();
    let found = find(&look(&host.reach()).unwrap());
    let names: Vec<&str> = found.iter().map(|finding| &*finding.name).collect();
    assert_eq!(names, ["vg/other", "vg/snap"]);
    assert_eq!(host.did(), [""; 0]);
}

#[test]
fn a_snapshot_is_taken_down_from_the_top_and_nothing_else_is_touched() {
    let host = host();
    let outcome = host.take_down(&host.chosen("vg/snap"));
    assert!(matches!(outcome, Outcome::Gone), "{outcome:?}");
    assert_eq!(host.did(), [UMOUNT, UNMAP, &lvremove("vg/snap", 's')]);
    let left: Vec<&str> = host.state().volumes.iter().map(|volume| volume.0).collect();
    assert_eq!(left, ["db", "other"]);
}

#[test]
fn a_loop_device_over_a_snapshot_is_detached_before_that_is_removed() {
    let host = host();
    host.loop_device("loop0", "7:0", "/dev/dm-9");
    host.loop_device("loop1", "7:1", "/srv/image");
    let outcome = host.take_down(&host.chosen("vg/other"));
    assert!(matches!(outcome, Outcome::Gone), "{outcome:?}");
    assert_eq!(host.did(), ["losetup --detach /dev/loop0", &lvremove("vg/other", 'o')]);
}

#[test]
fn what_a_person_took_down_meanwhile_is_gone() {
    let host = host();
    let chosen = host.chosen("vg/snap");
    host.state().volumes.pop();
    host.state().nodes.truncate(3);
    assert!(matches!(host.take_down(&chosen), Outcome::Gone));
    assert_eq!(host.did(), [""; 0]);
}

/// Nothing was done, and it is said why.
#[track_caller]
fn is_left(host: &Arc<Host>, chosen: &[Finding], words: &str) {
    match host.take_down(chosen) {
        Outcome::Left { why, hint, needs_person: false } => {
            assert!(format!("{why}; {hint}").contains(words), "{why}; {hint}")
        }
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(host.did(), [""; 0]);
}

#[test]
fn another_snapshot_that_got_the_name_meanwhile_stays() {
    let host = host();
    let chosen = host.chosen("vg/other");
    host.state().volumes[1].1 = 'n';
    host.state().nodes[2].1 = uuid('n', "");
    assert!(matches!(host.take_down(&chosen), Outcome::Gone), "the one that was listed is gone");
    assert_eq!(host.did(), [""; 0]);
    assert_eq!(host.state().volumes.len(), 3);
}

#[test]
fn another_mapping_that_got_the_name_meanwhile_stays() {
    let host = host();
    let chosen = host.chosen("vg/snap");
    host.state().nodes[5].4 = "0 4096 linear 254:6 2048";
    is_left(&host, &chosen, "not what was listed");
}

#[test]
fn what_is_mounted_over_it_meanwhile_is_not_unmounted() {
    let host = host();
    let chosen = host.chosen("vg/snap");
    host.state().mounts.push("40 27 0:50 / /mnt/snap rw - tmpfs tmpfs rw".to_owned());
    host.write_mounts();
    is_left(&host, &chosen, "tmpfs is mounted over it");
}

#[test]
fn an_unmount_that_fails_ends_it_there() {
    let host = host();
    let chosen = host.chosen("vg/snap");
    host.state().has_files_open = true;
    let outcome = host.take_down(&chosen);
    assert!(matches!(&outcome, Outcome::Left { why, .. } if why.contains("target is busy")), "{outcome:?}");
    assert_eq!((outcome.exit(), host.did()), (Exit::Failed, vec![UMOUNT.to_owned()]));
}

#[test]
fn a_removal_that_udev_got_in_the_way_of_is_tried_again() {
    let host = host();
    host.state().busy = 2;
    assert!(matches!(host.take_down(&host.chosen("vg/other")), Outcome::Gone));
    assert_eq!(host.did(), [lvremove("vg/other", 'o'), lvremove("vg/other", 'o'), lvremove("vg/other", 'o')]);
}

#[test]
fn a_removal_that_stays_busy_is_explained_and_not_tried_for_ever() {
    let host = host();
    host.state().busy = u32::MAX;
    let outcome = host.take_down(&host.chosen("vg/other"));
    assert!(
        matches!(&outcome, Outcome::Left { why, .. } if why.contains("Unable to deactivate open vg-db-real")),
        "{outcome:?}"
    );
    assert_eq!((outcome.exit(), host.did().len()), (Exit::Failed, 4));
}

#[test]
fn nodes_that_lvm_knows_nothing_of_are_removed_without_lvm() {
    let host = host();
    host.state().volumes.pop();
    assert!(matches!(host.take_down(&host.chosen("vg/snap")), Outcome::Gone));
    let expected = [UMOUNT, UNMAP, "dmsetup remove --retry vg-snap", "dmsetup remove --retry vg-snap-cow"];
    assert_eq!(host.did(), expected);
}

#[test]
fn a_signal_before_a_step_leaves_what_is_not_done() {
    let host = host();
    let (chosen, stop) = (host.chosen("vg/snap"), Stop::default());
    stop.ask(15);
    let outcome = carry_out(&chosen, &host.reach(), &stop).remove(0).outcome;
    assert!(matches!(&outcome, Outcome::Left { why, .. } if why.contains("SIGTERM")), "{outcome:?}");
    assert_eq!(host.did(), [""; 0]);
}
