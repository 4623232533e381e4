//! The arguments, as typed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand};
use guest_bridge::database::lock_method::LockWish;
use guest_bridge::database::net::TlsWish;

use super::voice::Progress;
use crate::ask::asked::Asked;
use crate::ask::cow_size::CowSize;
use crate::ask::policy::{DumpWish, WatchdogWish};
use crate::failure::exit;
use crate::grade::Grade;
use crate::show::printable::printable;

/// Backs up a database VM while it works, and proves what it backed up.
#[derive(Debug, Parser)]
#[command(name = "stillpoint", version, after_long_help = exit::help())]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more on stderr: ids, places, every program that is run; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    pub verbose: u8,
    /// Say nothing on stderr but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 901)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Back up a VM: lock, freeze, snapshot, thaw, unlock, prove, copy.
    Backup(BackupArgs),
    /// Show what `backup` would do, and change nothing.
    Plan(PlanArgs),
    /// Say what on host and guest would keep a backup from its grade, and what to do about it; change nothing.
    ///
    /// Exit codes: 0 nothing that was looked at keeps a backup from the required grade; 3 something does; 1 a backup would fail; 6 the
    /// guest is frozen, or may be, and a person is needed now.
    Doctor(DoctorArgs),
    /// Give back what runs left behind that died: thaw, remove snapshots and unfinished files, by their logs.
    ///
    /// A run that lives is not touched. It can be called as often as wanted; `backup` does it first. Exit codes: 0 nothing is left;
    /// 6 something is, or a log cannot be read, and a person is needed now.
    Recover(RecoverArgs),
    /// List what is stale on this host, with who holds it; take down what is named.
    ///
    /// Listed are snapshots of any tool, partitions and loop devices mapped from volumes, mounts of these, and device-mapper nodes
    /// that LVM knows nothing of, each with the steps that take it down in their order. Nothing is changed without a name. No
    /// process is ended, and nothing unmounted lazily or by force. Exit codes: 0 listed, or gone; 1 something is left, or a volume
    /// group could not be looked at; 2 what is named is not for `clean`, or nobody can be asked, and nothing was done.
    Clean(CleanArgs),
    /// Show how full the COW of every snapshot on this host is, and every thin pool, whoever made them; how fast they fill, and how long they
    /// last.
    ///
    /// Exit codes: 0 nothing was lost or is over the alert; 3 something is over it; 1 a snapshot was lost, or found so, or a pool
    /// takes no writes.
    Watch(WatchArgs),
    /// Wait for the end of a run, and give back what it did not: `backup` starts it for itself.
    #[command(hide = true)]
    Guardian(GuardianArgs),
    /// Say what an LV, image, snapshot or artifact holds and whether it is consistent: read-only, without mounting.
    ///
    /// Exit codes: 0 consistent, 3 sound only after a journal replay (or not to be judged), 5 damaged; 1 it cannot be read;
    /// 2 there is no such disk.
    Check(CheckArgs),
    /// List a folder, or show one file, of an ext2, ext3 or ext4 volume: read-only, without mounting.
    Ls(LsArgs),
    /// Write a file's content to stdout; on a terminal, control characters are escaped.
    Cat(CatArgs),
    /// Copy a file or folder out, with everything in it: owner, mode, times, links, holes, extended attributes.
    ///
    /// Exit codes: 0 every file was copied; 1 one was not; 3 the volume could not be judged whole; 5 damage was found. What
    /// is left out otherwise is said on stderr: device nodes, and an owner or attribute that the target does not take.
    Cp(CpArgs),
}

/// `stillpoint backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// What to back up.
    #[command(flatten)]
    pub job: JobArgs,
    /// Folder for artifact and receipt; `-` writes the image of a single disk, or the dump, to standard output.
    #[arg(long, value_name = "FOLDER|-")]
    pub to: Option<PathBuf>,
    /// Name of artifact and receipt in the folder, without ending [default: VM-TIME].
    #[arg(long, conflicts_with = "receipt")]
    pub name: Option<String>,
    /// With `--to -`: the file that gets the receipt.
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// The weakest grade that is a success: clean, application, filesystem, crash or logical [default: application with a
    /// database, else filesystem; logical with --dump only].
    #[arg(long, value_name = "GRADE")]
    pub require: Option<Grade>,
    /// zstd level, 1 to 19 [default: 1, because the copy's length is what the COW has to survive].
    #[arg(long)]
    pub level: Option<i32>,
    /// How to tell on stderr what happens; stdout stays as it is. docs/progress.md describes the documents of `json`.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub progress: Progress,
    /// Print the receipt, or the failure, as one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// What would be backed up.
    #[command(flatten)]
    pub job: JobArgs,
    /// Show every setting with where it comes from, the built in ones too.
    #[arg(long)]
    pub settings: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// What would be backed up.
    #[command(flatten)]
    pub job: JobArgs,
    /// Folder that artifacts would go to: whether it can be written to, and has room.
    #[arg(long, value_name = "FOLDER|-")]
    pub to: Option<PathBuf>,
    /// The grade that is to be reached: clean, application, filesystem or crash [default: application with a database, else
    /// filesystem].
    #[arg(long, value_name = "GRADE")]
    pub require: Option<Grade>,
    /// Freeze the guest and thaw it at once, through all that thaws it after a backup, and say how long each took.
    #[arg(long, conflicts_with = "no_freeze")]
    pub freeze_test: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint recover`.
#[derive(Debug, clap::Args)]
pub struct RecoverArgs {
    /// The configuration [default: /etc/stillpoint.toml, where there is one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where run logs are kept [default: /var/lib/stillpoint].
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// Show runs that hold nothing, too.
    #[arg(long)]
    pub all: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint watch`.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// From one look to the next.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// Look once. Nothing is known of rates then.
    #[arg(long, conflicts_with = "for")]
    pub once: bool,
    /// End after so long; without it, at a signal.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub r#for: Option<Duration>,
    /// From how full on something is told at once, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 80, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub alert: u8,
    /// Keep the last look in this file too, for Prometheus' node exporter (`--collector.textfile`).
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
    /// Print each look as a JSON document, one a line.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint clean`.
#[derive(Debug, clap::Args)]
pub struct CleanArgs {
    /// Snapshots to take down, with all that lies on them.
    #[arg(value_name = "VG/LV")]
    pub names: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Take named thin snapshots, too: each is a whole volume, and may be a guest's disk.
    #[arg(long)]
    pub thin: bool,
    /// The configuration [default: /etc/stillpoint.toml, where there is one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where run logs are kept [default: /var/lib/stillpoint].
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint guardian`.
#[derive(Debug, clap::Args)]
pub struct GuardianArgs {
    /// The run's log.
    pub log: PathBuf,
}

/// What describes a VM and how its window is passed.
#[derive(Debug, clap::Args)]
pub struct JobArgs {
    /// The VM: `[vm.NAME]` of the configuration. Flags override what is said there, and suffice without it.
    pub vm: Option<String>,
    /// The configuration [default: /etc/stillpoint.toml, where there is one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A disk of the VM: an LV of this host. Once for each disk.
    #[arg(long = "disk", value_name = "VG/LV")]
    pub disks: Vec<String>,
    /// A mountpoint of the guest that is left out on purpose: its disk is none of the job's. Once for each.
    #[arg(long = "ignore-mount", value_name = "PATH")]
    pub ignore_mounts: Vec<String>,
    /// The guest agent: unix:PATH, tcp:HOST:PORT or vsock:CID:PORT.
    #[arg(long, value_name = "ENDPOINT")]
    pub agent: Option<String>,
    /// Do not freeze the guest: the copy is then at best of grade `crash`.
    #[arg(long)]
    pub no_freeze: bool,
    /// The database to lock: agent (a client inside the guest, with agent:PATH its socket there), unix:PATH,
    /// tcp:HOST:PORT, or none.
    #[arg(long = "db", value_name = "WAY")]
    pub database: Option<String>,
    /// Option file with user and password of the database account, in a section [client], mode 0600; or env:USER:PASSWORD,
    /// the names of two environment variables.
    #[arg(long = "db-credentials", value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// TLS of a session over tcp: off, preferred (where the server offers it) or required [default: preferred].
    #[arg(long = "db-tls", value_name = "WISH")]
    pub tls: Option<TlsWish>,
    /// Certificates by one of which the server's has to be signed, PEM; TLS is required then.
    #[arg(long = "db-ca", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Size of each COW volume: auto (what the forecast needs), 10G, or 20% of the origin [default: auto].
    #[arg(long, value_name = "SIZE")]
    pub cow_size: Option<CowSize>,
    /// A watchdog in the guest, which thaws it where everything else is gone: auto (where it can be had), require or none
    /// [default: auto].
    #[arg(long, value_name = "WISH")]
    pub watchdog: Option<WatchdogWish>,
    /// A dump of the database, made in the guest and streamed out, in place of the image: auto (where a snapshot would not last), only or
    /// never [default: auto].
    #[arg(long, value_name = "WISH")]
    pub dump: Option<DumpWish>,
    /// What to lock in the database: auto (what makes writers wait least, and nothing where that proves as much), tables (whatever every
    /// commit waits for), none, or require (auto, and no backup where it is not granted) [default: auto].
    #[arg(long, value_name = "WISH")]
    pub lock: Option<LockWish>,
    /// How long to wait for the lock [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub lock_deadline: Option<Duration>,
    /// How long the guest may stand still until the snapshots are there; then it is thawed, whatever there is [default: 10s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub window_deadline: Option<Duration>,
    /// How long the guest may take to freeze, within that [default: 10s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub freeze_deadline: Option<Duration>,
    /// Where run logs are kept [default: /var/lib/stillpoint].
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
}

/// `stillpoint check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// VG/LV, a device, a raw image or an artifact (.img.zst).
    pub target: PathBuf,
    /// Look at every inode, bitmap and directory too.
    #[arg(long)]
    pub deep: bool,
    /// Print for each volume the read-only mount line that an admin would otherwise compute by hand.
    #[arg(long)]
    pub mount_hints: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint ls`.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// VG/LV, a device, a raw image or an artifact (.img.zst).
    pub target: PathBuf,
    /// VOLUME:/PATH with a volume as `check` names it (1, 5, 0, 2/vg/lv), or /PATH where only one has files to show.
    #[arg(value_name = "VOLUME:/PATH", default_value = "/")]
    pub place: OsString,
    /// List what is in folders below it too, each name with the way to it.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `stillpoint cat`.
#[derive(Debug, clap::Args)]
pub struct CatArgs {
    /// VG/LV, a device, a raw image or an artifact (.img.zst).
    pub target: PathBuf,
    /// VOLUME:/PATH with a volume as `check` names it (1, 5, 0, 2/vg/lv), or /PATH where only one has files to show.
    #[arg(value_name = "VOLUME:/PATH")]
    pub place: OsString,
}

/// `stillpoint cp`.
#[derive(Debug, clap::Args)]
pub struct CpArgs {
    /// VG/LV, a device, a raw image or an artifact (.img.zst).
    pub target: PathBuf,
    /// VOLUME:/PATH with a volume as `check` names it (1, 5, 0, 2/vg/lv), or /PATH where only one has files to show.
    #[arg(value_name = "VOLUME:/PATH")]
    pub place: OsString,
    /// A folder that exists gets the copy under its own name (of `/`, what is in it); else this is the copy's name.
    #[arg(value_name = "DEST", default_value = ".")]
    pub destination: PathBuf,
    /// Replace files that are there already. Without it they stay as they are, and it is said.
    #[arg(long)]
    pub overwrite: bool,
    /// Make device nodes too. A node that the guest chose gives whoever may open it one of this host's devices.
    #[arg(long)]
    pub devices: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

impl Command {
    /// What it is about, for messages: `backup of db1`, `check of disk.img`.
    #[must_use]
    pub fn about(&self) -> String {
        match self {
            Self::Backup(args) => args.job.what("backup"),
            Self::Plan(args) => args.job.what("plan"),
            Self::Doctor(args) => args.job.what("doctor"),
            Self::Recover(_) => "recover".to_owned(),
            Self::Clean(_) => "clean".to_owned(),
            Self::Watch(_) => "watch".to_owned(),
            Self::Guardian(args) => about("guardian", &args.log),
            Self::Check(args) => about("check", &args.target),
            Self::Ls(args) => about("ls", &args.target),
            Self::Cat(args) => about("cat", &args.target),
            Self::Cp(args) => about("cp", &args.target),
        }
    }

    /// Whether stdout is for one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        match self {
            Self::Backup(args) => args.json && args.to.as_deref() != Some(Path::new("-")),
            Self::Plan(args) => args.json,
            Self::Doctor(args) => args.json,
            Self::Recover(args) => args.json,
            Self::Clean(args) => args.json,
            Self::Watch(args) => args.json,
            Self::Guardian(_) => false,
            Self::Check(args) => args.json,
            Self::Ls(args) => args.json,
            Self::Cat(_) => false,
            Self::Cp(args) => args.json,
        }
    }

    /// How it tells what happens.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match self {
            Self::Backup(args) => args.progress,
            Self::Plan(_)
            | Self::Doctor(_)
            | Self::Recover(_)
            | Self::Clean(_)
            | Self::Watch(_)
            | Self::Guardian(_)
            | Self::Check(_)
            | Self::Ls(_)
            | Self::Cat(_)
            | Self::Cp(_) => Progress::Auto,
        }
    }

    /// Whether it takes anything that a person would have to give back after a bug: a lock, a freeze, volumes.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        match self {
            Self::Backup(_) | Self::Recover(_) | Self::Guardian(_) => true,
            Self::Doctor(args) => args.freeze_test,
            Self::Plan(_)
            | Self::Clean(_)
            | Self::Watch(_)
            | Self::Check(_)
            | Self::Ls(_)
            | Self::Cat(_)
            | Self::Cp(_) => false,
        }
    }
}

/// As a deadline is written; a tenth of a second at least, for each look takes the kernel some work.
fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text).map_err(|error| error.to_string())? {
        interval if interval < Duration::from_millis(100) => Err("100ms at least".to_owned()),
        interval => Ok(interval),
    }
}

/// What a command is about, for messages: `check of disk.img`.
pub(super) fn about(command: &str, target: &Path) -> String {
    format!("{command} of {}", printable(target.as_os_str().as_bytes()))
}

impl JobArgs {
    /// What a command of this name is about, for messages: `backup of db1`.
    #[must_use]
    pub fn what(&self, command: &str) -> String {
        match (&self.vm, &*self.disks) {
            (Some(vm), _) => format!("{command} of {}", vm.escape_default()),
            (None, [disk, ..]) => format!("{command} of {}", disk.escape_default()),
            (None, []) => command.to_owned(),
        }
    }

    /// The same without the configuration's path.
    #[must_use]
    pub fn asked(self) -> Asked {
        Asked {
            vm: self.vm,
            disks: self.disks,
            ignore_mounts: self.ignore_mounts,
            agent: self.agent,
            no_freeze: self.no_freeze,
            database: self.database,
            credentials: self.credentials,
            tls: self.tls,
            tls_ca: self.tls_ca,
            to: None,
            require: None,
            cow_size: self.cow_size,
            watchdog: self.watchdog,
            dump: self.dump,
            lock: self.lock,
            lock_deadline: self.lock_deadline,
            window_deadline: self.window_deadline,
            freeze_deadline: self.freeze_deadline,
            level: None,
            state_dir: self.state_dir,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::ask::config::Config;
    use crate::ask::job::Job;

    /// The help says in words what the policy has in numbers.
    #[test]
    fn the_defaults_that_help_names_are_those_that_are_built_in() {
        let asked = Asked { disks: vec!["vg/a".into()], no_freeze: true, ..Asked::default() };
        let Job { policy, state_dir, .. } = Job::new(asked, &Config::default()).unwrap();
        let mut backup = Args::command().find_subcommand("backup").unwrap().clone();
        let help = backup.render_long_help().to_string();
        let default_of = |flag: &str| {
            let (_, rest) = help.split_once(&format!("--{flag} <")).unwrap();
            let (_, default) = rest.split_once("[default: ").unwrap();
            default.split([',', ']']).next().unwrap().to_owned()
        };
        assert_eq!(default_of("cow-size").parse(), Ok(policy.cow_size.value));
        assert_eq!(default_of("level").parse(), Ok(policy.level.value));
        assert_eq!(humantime::parse_duration(&default_of("lock-deadline")), Ok(policy.lock.value));
        assert_eq!(humantime::parse_duration(&default_of("freeze-deadline")), Ok(policy.freeze.value));
        assert_eq!(Path::new(&default_of("state-dir")), state_dir.value);
    }
}
