//! The table: what each kind of cause means for scripts and for people, with something still held or not.

use super::exit::Exit;
use super::kind::Kind;

/// What follows from a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The exit code.
    pub exit: Exit,
    /// What helps, where the cause itself knows nothing better.
    pub hint: &'static str,
}

/// The row of `kind`. Where something is `held` after it (a clean-up failed), a person is needed, whatever the cause was.
#[must_use]
pub fn row(kind: Kind, held: bool) -> Row {
    let row = alone(kind);
    Row { exit: if held { Exit::NeedsPerson } else { row.exit }, ..row }
}

fn alone(kind: Kind) -> Row {
    let usage = |hint| Row { exit: Exit::Usage, hint };
    let failed = |hint| Row { exit: Exit::Failed, hint };
    let damaged = |hint| Row { exit: Exit::Damaged, hint };
    let needs_person = |hint| Row { exit: Exit::NeedsPerson, hint };
    match kind {
        Kind::Usage => usage("`stillpoint COMMAND --help` says what can be asked for"),
        Kind::Configuration => usage("mend the file, or name another with --config; flags alone do without one"),
        Kind::NoSuchDisk => usage("name a VG/LV, a block device, a raw image or an artifact (.img.zst)"),
        Kind::NoSuchVg => usage("`vgs` lists the volume groups of this host"),
        Kind::NoSuchLv => usage("`lvs` lists the logical volumes of this host"),
        Kind::NotAnOrigin => usage("name the LV that the guest has as its disk: `lsblk`, or the VM's definition"),
        Kind::WrongSocket => usage("the agent's socket is that of the channel org.qemu.guest_agent.0"),
        Kind::Credentials => usage("the file has a section [client] with user and password, and mode 0600"),
        Kind::AccessDenied => usage("check the account in the file of --db-credentials"),
        Kind::Target => usage("name a folder that exists and may be written to with --to"),
        Kind::TargetTaken => usage("give another --name; without it the name has the time in it"),
        Kind::NotForClean => usage("`stillpoint clean` lists what is stale, with who holds it and what takes it down"),

        Kind::Refused => failed("`stillpoint plan` shows what was found"),
        Kind::NotPermitted => failed("run it as root; in a container, with the rights and devices of its host"),
        Kind::ProgramMissing => failed("install it; it is looked for in PATH, /usr/sbin, /usr/bin, /sbin and /bin"),
        Kind::ProgramFailed => failed("run the same command by hand; LVM's say more with -vv"),
        Kind::ProgramTimeout => failed("look whether the host's disks answer (`dmesg`), and try the command by hand"),
        Kind::LvmLocked => failed("`lslocks` shows who holds the lock in /run/lock/lvm; try again when it has ended"),
        Kind::LvmLockFolder => failed("make /run/lock/lvm a folder that can be written to"),
        Kind::LvmAnswer => failed("look for unusual settings of `report` and `log` in /etc/lvm/lvm.conf"),
        Kind::NoDeviceMapper => failed("`modprobe dm_mod dm_snapshot`; a container sees none of its host's"),
        Kind::NoDeviceNode => failed("`systemctl status systemd-udevd`; `vgmknodes` makes nodes that are missing"),
        Kind::OriginNotReady => failed("`lvs -a -o +lv_attr,devices` shows its state"),
        Kind::NoRoom => failed("free some, add a physical volume (`vgextend`), or ask for less with --cow-size"),
        Kind::SnapshotWouldNotLast => failed(
            "give the group room (`vgextend`), or the COW (cow_max, vg_reserve); back up when the guest writes less; --cow-size SIZE tries it \
             all the same",
        ),
        Kind::CowFull => failed("give it a larger --cow-size, or back up when the guest writes less"),
        Kind::SnapshotGone => {
            failed("look for a cron job or another backup that removes snapshots, and for `lvremove` in root's history")
        }
        Kind::RunLog => {
            failed("name a folder that can be written to with --state-dir, or state_dir in the configuration")
        }
        Kind::AlreadyRunning => {
            failed("wait for its end, or stop it (SIGTERM): it gives back what it holds; stagger the timers")
        }
        Kind::Unreadable => failed("`dmesg` says whether the disk fails; `stillpoint check` what can be read of it"),
        Kind::NotAnArtifact => failed("copy it again from where it was made; `zstd -t` says whether it is whole"),
        Kind::File => failed("`stillpoint ls` shows what is there"),
        Kind::TargetFull => {
            failed("free some room there, or name another target with --to; nothing partial was left behind")
        }
        Kind::TargetClosed => failed("look why the program at the other end of the pipe ended"),
        Kind::TargetFailed => {
            failed("`dmesg` says whether its disk fails, or its server is gone; or name another with --to")
        }
        Kind::AgentUnreachable => failed("is the VM running, and does qemu-ga run in it?"),
        Kind::AgentSilent => failed("the guest may be overloaded or paused, or stuck in I/O"),
        Kind::AgentAnswer => failed(
            "something other than qemu-ga answers there, or the channel is disturbed: restart qemu-ga in the guest, \
             and look for another client of the channel",
        ),
        Kind::AgentCommand => failed("allow it in the guest's configuration of qemu-ga"),
        Kind::AgentFailed => failed("see qemu-ga's log in the guest: `journalctl -u qemu-guest-agent`"),
        Kind::VmGone => failed(
            "nothing of it stands frozen on this host; if it was saved, or moved to another host, it may be frozen where it goes on: send \
             guest-fsfreeze-thaw to its agent there",
        ),
        Kind::GuestProgram => failed("look for it in the guest: `ps`"),
        Kind::DatabaseUnreachable => failed("is the server running, and does it listen there?"),
        Kind::DatabaseRefused => {
            failed("try the statement by hand, with the same account; the server's error log says more")
        }
        Kind::DatabaseSilent | Kind::DatabaseLost => {
            failed("the server freed this session's locks when the session ended; see its error log")
        }
        Kind::DatabaseAnswer => {
            failed("what answers is no MariaDB or MySQL, or an option file changes its client's output")
        }
        Kind::DatabaseWay => failed("reach the database with --db unix:PATH or tcp:HOST:PORT"),
        Kind::Database => failed("see the server's error log"),
        Kind::LockNotGranted => {
            failed("let what holds it end, or wait longer with --lock-deadline; nothing is locked now")
        }
        Kind::DumpImpossible => {
            failed("install the server's own dump client in the guest; an image needs none: see `stillpoint plan`")
        }
        Kind::DumpNotWhole => failed("make it again; the server's error log in the guest may say more"),
        Kind::Stopped => {
            failed("a person sent it, or the system did (a shutdown, a time limit of systemd or cron); start it again")
        }
        Kind::Bug => failed("this is a bug of stillpoint: report it with the lines above"),

        Kind::Damaged => damaged("`stillpoint check --deep` says what else is damaged"),

        Kind::GuestFrozen => needs_person(
            "thaw it: send guest-fsfreeze-thaw to the agent, with `virsh domfsthaw VM` or `qm guest cmd ID \
             fsfreeze-thaw`",
        ),
        Kind::GuestMayBeFrozen => needs_person(
            "on the guest's console run `fsfreeze -u MOUNTPOINT` for each filesystem; if no login is possible, reset \
             the VM",
        ),
        Kind::OriginSuspended => needs_person(
            "`lvchange --refresh VG/LV`; if that fails, `dmsetup info -c` shows what is suspended: `dmsetup resume` \
             each, what lies lowest first",
        ),
        Kind::VolumesLeft => {
            needs_person("free what holds them, then `lvremove` each; they cost every write of the guest until then")
        }
        Kind::RunBroken => needs_person(
            "this is a bug of stillpoint. What the run held was given back on the way out, as far as possible: look \
             whether the guest answers, and for volumes named stillpoint-*; then report it with the lines above",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, as `docs/exit-codes.md` has it.
    fn document() -> String {
        let rows = Kind::ALL.iter().map(|&kind| {
            let Row { exit, hint } = row(kind, false);
            format!("| `{kind}` | {} | {} | {hint} |\n", exit.code(), kind.means())
        });
        format!(
            "# Exit codes by cause\n\nWith `--json` a command that fails prints `error.kind`, `error.exit` and \
             `error.hint`. Where a clean-up failed too\n(`error.clean_up`), the exit code is 6, whatever the kind. A cause \
             that knows better than the general hint says so.\n\n| kind | exit code | means | what helps |\n|---|---|---|---|\n{}",
            rows.collect::<String>()
        )
    }

    #[test]
    fn the_documentation_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/exit-codes.md");
        assert!(std::fs::read_to_string(path).unwrap() == document(), "docs/exit-codes.md should be\n{}", document());
    }

    #[test]
    fn whatever_failed_what_is_still_held_needs_a_person() {
        for &kind in Kind::ALL {
            assert_eq!(row(kind, true).exit, Exit::NeedsPerson, "{kind}");
            assert_eq!(row(kind, true).hint, row(kind, false).hint, "{kind}");
        }
    }

    #[test]
    fn a_failure_is_never_called_done() {
        for &kind in Kind::ALL {
            assert!(!matches!(row(kind, false).exit, Exit::Done | Exit::Weaker), "{kind}");
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_in_small_letters() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert!(kind.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{kind}");
            assert!(Kind::ALL[..index].iter().all(|other| other.name() != kind.name()), "{kind}");
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    /// The contract, row by row, in words of its own: a change of the table has to be made twice.
    #[test]
    fn kinds_end_with_the_code_that_scripts_rely_on() {
        let of = |exit| {
            let kinds = Kind::ALL.iter().filter(|kind| row(**kind, false).exit == exit);
            kinds.map(|kind| kind.name()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            of(Exit::Usage),
            "usage configuration no-such-disk no-such-vg no-such-lv not-an-origin wrong-socket credentials access-denied \
             target target-taken not-for-clean"
        );
        assert_eq!(of(Exit::NeedsPerson), "guest-frozen guest-may-be-frozen origin-suspended volumes-left run-broken");
        assert_eq!(of(Exit::Damaged), "damaged");
    }
}
