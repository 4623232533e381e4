//! What a reader of a man page expects and `--help` does not have.

/// A command line to take over, and what it is for.
pub struct Example {
    /// What for.
    pub purpose: &'static str,
    /// As it is typed.
    pub line: &'static str,
}

const fn example(purpose: &'static str, line: &'static str) -> Example {
    Example { purpose, line }
}

/// Examples of a command; those of `""` are the program's.
pub fn examples(command: &str) -> &'static [Example] {
    match command {
        "" => PROGRAM,
        "backup" => BACKUP,
        "plan" => PLAN,
        "doctor" => DOCTOR,
        "recover" => RECOVER,
        "clean" => CLEAN,
        "watch" => WATCH,
        "check" => CHECK,
        "ls" => LS,
        "cat" => CAT,
        "cp" => CP,
        _ => &[],
    }
}

const PROGRAM: &[Example] = &[
    example("See what a backup of the VM `db1` of the configuration would do, and do it:", "stillpoint plan db1"),
    example("", "stillpoint backup db1"),
    example("Look at what was made:", "stillpoint check /backup/db1-20261121t195923z-db1-root.img.zst"),
];
const BACKUP: &[Example] = &[
    example("A VM of the configuration:", "stillpoint backup db1"),
    example(
        "A VM that no configuration has, with two disks and a database that is reached through the agent:",
        "stillpoint backup --disk vg/db1-root --disk vg/db1-data --agent unix:/run/db1.qga --db agent --to /backup",
    ),
    example(
        "One disk to another machine, with the receipt kept here:",
        "stillpoint backup web1 --to - --receipt /backup/web1.json | ssh store 'cat >web1.img.zst'",
    ),
    example("The disk of an artifact, without this program:", "zstd -dc db1-root.img.zst >/dev/vg/restored"),
];
const PLAN: &[Example] = &[example("Whether a COW of 2 GiB would last:", "stillpoint plan db1 --cow-size 2G")];
const DOCTOR: &[Example] = &[
    example("What would keep a backup of `db1` from its grade, and what to do about it:", "stillpoint doctor db1"),
    example("How long a freeze of it takes, too:", "stillpoint doctor db1 --freeze-test"),
    example("For a script that runs before the night does:", "stillpoint doctor db1 --json"),
];
const RECOVER: &[Example] = &[
    example("What a backup left that was killed, or cut off by a power loss, is given back:", "stillpoint recover"),
    example("How each run ended:", "stillpoint recover --all"),
];
const CLEAN: &[Example] = &[
    example("What is stale on this host, who holds it, and what takes it down in which order:", "stillpoint clean"),
    example(
        "Take down a snapshot that a backup tool forgot, with what is mapped from it and mounted:",
        "stillpoint clean vg/backup-7",
    ),
];
const WATCH: &[Example] = &[
    example("How full the snapshots of this host are, each second:", "stillpoint watch"),
    example(
        "For a monitoring system, from a timer: a look, and an exit code:",
        "stillpoint watch --once --alert 70 --prometheus /var/lib/prometheus/node-exporter/stillpoint.prom",
    ),
];
const CHECK: &[Example] = &[
    example("A disk of a VM that is off, every inode of it:", "stillpoint check --deep vg/db1-root"),
    example("How to mount what an image holds:", "stillpoint check --mount-hints disk.img"),
];
const LS: &[Example] = &[
    example("The root of the only volume with files:", "stillpoint ls db1-root.img.zst"),
    example(
        "A folder of the LV `data` inside the disk's second partition:",
        "stillpoint ls -R vg/db1-data 2/vg/data:/mysql",
    ),
];
const CAT: &[Example] = &[example("A file of the first partition:", "stillpoint cat db1-root.img.zst 1:/etc/fstab")];
const CP: &[Example] = &[example(
    "A data directory, into a folder that only root may enter:",
    "stillpoint cp db1-data.img.zst 1:/var/lib/mysql /root/recovered",
)];

/// Files, with what they are.
pub fn files(command: &str) -> Vec<(&'static str, &'static str)> {
    let configuration = ("/etc/stillpoint.toml", "The configuration, see stillpoint.toml(5).");
    let run_logs = (
        "/var/lib/stillpoint/runs/RUN.jsonl",
        "The run log of a backup: one JSON object a line, written before anything is taken and after it was given back. \
         After an end by `kill -9` or a power loss it says what may still be held, and `stillpoint recover` gives that back.",
    );
    let locks = (
        "/var/lib/stillpoint/vm-NAME.lock, origin-VG-LV.lock",
        "The locks by which one run a VM and an origin goes on at a time. They end with their run; what is in them says which.",
    );
    let artifact = ("FOLDER/NAME-LV.img.zst", "An artifact: the whole disk LV, in the seekable zstd format.");
    let receipt = ("FOLDER/NAME.json", "Its receipt. Where there is one, the artifact is whole.");
    let causes = ("/usr/share/doc/stillpoint/exit-codes.md", "The exit code of each kind of cause, and what helps.");
    match command {
        "" => vec![configuration, run_logs, causes],
        "backup" => vec![configuration, run_logs, locks, artifact, receipt, causes],
        "plan" => vec![configuration, causes],
        "recover" | "clean" => vec![configuration, run_logs, causes],
        "watch" => vec![causes],
        // They take any disk; a backup's is what they are mostly called for.
        _ => vec![artifact, causes],
    }
}

/// Environment variables, with what they do.
pub fn environment(command: &str) -> Vec<(&'static str, &'static str)> {
    match command {
        "" | "backup" | "plan" => vec![
            ("PATH", "Where LVM's programs are looked for, before /usr/sbin, /usr/bin, /sbin and /bin."),
            ("LVM_*, DM_*", "Handed on to LVM's programs. They get nothing else of the environment."),
            (
                "USER, PASSWORD",
                "Under the names that `--db-credentials env:USER:PASSWORD` gives: the database account.",
            ),
        ],
        _ => vec![],
    }
}

/// Pages of others that belong to a command.
pub fn see_also(command: &str) -> &'static [(&'static str, &'static str)] {
    match command {
        "" | "backup" | "plan" => &[("lvm", "8"), ("qemu-ga", "8"), ("zstd", "1")],
        "recover" => &[("lvm", "8"), ("qemu-ga", "8")],
        "clean" => &[("lvm", "8"), ("dmsetup", "8"), ("losetup", "8"), ("umount", "8")],
        "check" => &[("blkid", "8"), ("e2fsck", "8")],
        _ => &[("debugfs", "8")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_command_line_that_the_program_takes() {
        let root = stillpoint::cli::command();
        let names = root.get_subcommands().map(clap::Command::get_name).chain([""]);
        let lines: Vec<_> = names.flat_map(|name| examples(name).iter().map(|example| example.line)).collect();
        for line in lines.iter().filter(|line| line.starts_with("stillpoint ")) {
            let ours = line.split(" |").next().unwrap_or_default().split(' ');
            root.clone().try_get_matches_from(ours).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn every_command_has_an_example() {
        for command in stillpoint::cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(!examples(command.get_name()).is_empty(), "{}", command.get_name());
        }
    }
}
