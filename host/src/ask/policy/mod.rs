//! How a backup is done: every deadline and every choice of it, each with its reason and with who chose it.

mod bounds;
mod wish;

use std::fmt;
use std::num::NonZero;
use std::thread;
use std::time::Duration;

use guest_bridge::database::lock_method::LockWish;
use lvm::Bytes;
use serde::Serialize;

use self::bounds::BOUNDS;
pub use self::wish::{DumpWish, WatchdogWish};
use crate::ask::asked::{Asked, flag};
use crate::ask::config::PolicyConfig;
use crate::ask::cow_size::CowSize;
use crate::ask::setting::{Given, Setting};
use crate::ask::share::Share;
use crate::failure::Cause;
use crate::grade::Grade;

/// How a backup is done. What each number may be, the table in `bounds.rs` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The weakest grade that is a success. Where there is a database, anything less than a lock is not what is hoped for.
    pub require: Setting<Grade>,
    /// Size of each COW volume: what the guest may write during the copy. By forecast: nobody knows it by heart.
    pub cow_size: Setting<CowSize>,
    /// The largest COW volume by forecast, of the origin. 100%: more than what the copy needs it does not take.
    pub cow_max: Setting<Share>,
    /// What COW volumes by forecast leave free of a group. 0: what is free is free, as for any other new volume.
    pub vg_reserve: Setting<Share>,
    /// zstd level. 1: the copy's length is what the COW has to survive, and level 1 halves it.
    pub level: Setting<i32>,
    /// How many threads copy. Half of this host's cores, eight at most: guests need the others, and the sooner the copy is done, the less the COW has to take.
    pub threads: Setting<usize>,
    /// One answer of the agent to the survey. 10 s: it answers in milliseconds, and nobody waits for it yet.
    pub survey_agent: Setting<Duration>,
    /// One answer of the database to the survey. 15 s: through the agent, a client has to be started first.
    pub survey_database: Setting<Duration>,
    /// The guest's `sync` before the window. 120 s of dirty pages; what is left then, the freeze writes, and takes longer.
    pub guest_sync: Setting<Duration>,
    /// Each look at where things lie in the guest: its mounts, its markers. 15 s: a shell in a slow guest; nobody waits for it.
    pub marker: Setting<Duration>,
    /// The watchdog in the guest, which thaws it where everything else is gone. `auto`: one that cannot be armed is said, and no reason
    /// to make no backup.
    pub watchdog: Setting<WatchdogWish>,
    /// What is wanted of the database's lock. `auto`: an image is never worth more for writers that waited in vain.
    pub lock_wish: Setting<LockWish>,
    /// A dump of the database in place of the image. `auto`: a dump is better than no backup.
    pub dump: Setting<DumpWish>,
    /// The next piece of a dump. 60 s: a client that waits for so long waits for a lock, or for a disk that hangs.
    pub dump_progress: Setting<Duration>,
    /// All of a dump. 24 h: the next one is due then.
    pub dump_deadline: Setting<Duration>,
    /// The tables' lock. 30 s: while it waits behind a long query, the database's writers queue behind it.
    pub lock: Setting<Duration>,
    /// Any other statement of the session that holds the lock. 15 s: it reads a few words, through a slow agent at worst.
    pub statement: Setting<Duration>,
    /// The window, from the sending of the freeze until all snapshots are there. 10 s: it takes a second or two, and longer where the
    /// guest has much to write; then it is better thawed than left standing.
    pub window: Setting<Duration>,
    /// The guest's freeze. 10 s, and no longer than the window.
    pub freeze: Setting<Duration>,
    /// The volume groups, before the window. 30 s: another command of the host may hold them, and nobody waits for us yet.
    pub attach: Setting<Duration>,
    /// The answer to the first thaw. 5 s: it takes milliseconds where nothing is wrong, and else a second one is due.
    pub first_thaw: Setting<Duration>,
    /// All attempts to thaw, before a person is called. 60 s: long enough for an agent that starts again.
    pub thaw: Setting<Duration>,
    /// The device node of a snapshot, after the window. 30 s: udev on a busy host; the guest does not wait for it.
    pub node: Setting<Duration>,
}

/// The tables of the configuration that may say something of a policy.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'c> {
    /// `[vm.NAME.policy]`, with the VM's name.
    pub vm: Option<(&'c str, &'c PolicyConfig)>,
    /// `[defaults]`.
    pub defaults: &'c PolicyConfig,
}

/// One setting, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stated {
    /// Its key in the configuration.
    pub key: &'static str,
    /// Its value in words.
    pub value: String,
    /// Who chose it.
    pub from: Given,
}

impl Policy {
    /// Picks every setting from where it is said.
    ///
    /// # Errors
    /// Where one means nothing, or is out of its range.
    pub fn new(asked: &Asked, tables: Tables<'_>, has_database: bool) -> Result<Self, Cause> {
        let seconds = |flag, key: fn(&PolicyConfig) -> Option<u64>, built_in| {
            tables.pick(flag, |table| key(table).map(Duration::from_secs), Duration::from_secs(built_in))
        };
        let (lock, freeze) = (asked.lock_deadline, asked.freeze_deadline);
        let dump = tables.pick(
            flag("--dump", asked.dump.map(Ok)),
            |table| table.dump.as_deref().map(str::parse),
            Ok(DumpWish::Auto),
        );
        let dump = dump.read(("policy", "dump"), "it is auto, only or never", |wish: Result<_, String>| wish)?;
        let usual = match (dump.value, has_database) {
            (DumpWish::Only, _) => Grade::Logical,
            (DumpWish::Auto | DumpWish::Never, true) => Grade::Application,
            (DumpWish::Auto | DumpWish::Never, false) => Grade::Filesystem,
        };
        let require = tables.pick(
            flag("--require", asked.require.map(Ok)),
            |table| table.require.as_deref().map(str::parse),
            Ok(usual),
        );
        let watchdog = tables.pick(
            flag("--watchdog", asked.watchdog.map(Ok)),
            |table| table.watchdog.as_deref().map(str::parse),
            Ok(WatchdogWish::Auto),
        );
        let lock_wish = tables.pick(
            flag("--lock", asked.lock.map(Ok)),
            |table| table.lock.as_deref().map(str::parse),
            Ok(LockWish::Auto),
        );
        let policy = Self {
            require: require.read(("policy", "require"), "name one of these", |grade: Result<_, String>| grade)?,
            cow_size: tables.pick(flag("--cow-size", asked.cow_size), |table| table.cow_size, CowSize::Auto),
            cow_max: tables.pick(None, |table| table.cow_max, Share::Percent(100)),
            vg_reserve: tables.pick(None, |table| table.vg_reserve, Share::Bytes(Bytes(0))),
            level: tables.pick(flag("--level", asked.level), |table| table.level, 1),
            threads: tables.pick(None, |table| table.threads, half_of_the_cores()),
            survey_agent: seconds(None, |table| table.survey_agent_deadline_s, 10),
            survey_database: seconds(None, |table| table.survey_database_deadline_s, 15),
            guest_sync: seconds(None, |table| table.guest_sync_deadline_s, 120),
            marker: seconds(None, |table| table.marker_deadline_s, 15),
            watchdog: watchdog.read(
                ("policy", "watchdog"),
                "it is auto, require or none",
                |wish: Result<_, String>| wish,
            )?,
            lock_wish: lock_wish.read(
                ("policy", "lock"),
                "it is auto, tables, none or require",
                |wish: Result<_, String>| wish,
            )?,
            dump,
            dump_progress: seconds(None, |table| table.dump_progress_deadline_s, 60),
            dump_deadline: seconds(None, |table| table.dump_deadline_s, 86_400),
            lock: seconds(flag("--lock-deadline", lock), |table| table.lock_deadline_s, 30),
            statement: seconds(None, |table| table.statement_deadline_s, 15),
            window: seconds(flag("--window-deadline", asked.window_deadline), |table| table.window_deadline_s, 10),
            freeze: seconds(flag("--freeze-deadline", freeze), |table| table.freeze_deadline_s, 10),
            attach: seconds(None, |table| table.attach_deadline_s, 30),
            first_thaw: seconds(None, |table| table.first_thaw_deadline_s, 5),
            thaw: seconds(None, |table| table.thaw_deadline_s, 60),
            node: seconds(None, |table| table.node_deadline_s, 30),
        };
        bounds::check(&policy)?;
        Ok(policy)
    }

    /// Every setting in words, for whoever asks what a backup would do and why.
    #[must_use]
    pub fn stated(&self) -> Vec<Stated> {
        let stated =
            |key, value: &dyn fmt::Display, from: &Given| Stated { key, value: value.to_string(), from: from.clone() };
        let mut all = vec![
            stated("require", &self.require.value, &self.require.from),
            stated("cow_size", &self.cow_size.value, &self.cow_size.from),
            stated("cow_max", &self.cow_max.value, &self.cow_max.from),
            stated("vg_reserve", &self.vg_reserve.value, &self.vg_reserve.from),
            stated("watchdog", &self.watchdog.value, &self.watchdog.from),
            stated("lock", &self.lock_wish.value, &self.lock_wish.from),
            stated("dump", &self.dump.value, &self.dump.from),
        ];
        all.extend(BOUNDS.iter().map(|bound| {
            let (amount, from) = (bound.of)(self);
            stated(bound.key, &amount, from)
        }));
        all
    }
}

impl Tables<'_> {
    /// The one rule of precedence, for a key of these tables.
    fn pick<T>(
        self,
        flag: Option<(&'static str, T)>,
        key: impl Fn(&PolicyConfig) -> Option<T>,
        built_in: T,
    ) -> Setting<T> {
        let vm = self.vm.and_then(|(name, table)| Some((name, key(table)?)));
        Setting::pick(flag, vm, key(self.defaults), || Setting::built_in(built_in))
    }
}

/// Half of the cores that this process may use: the host runs guests on them. More than eight seldom wait for anything but the disk.
fn half_of_the_cores() -> usize {
    (thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(1, 8)
}
