//! The run log: what a reader of it concludes that is held. The program's own `Mark::apply_to` concludes it.

use std::sync::OnceLock;

use guest_bridge::database::agent_session::Owner;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::watchdog::Token;
use stillpoint::run::entry::Mark;
use stillpoint::run::held::{GuestSession, Held};
use stillpoint::step::Step;

/// Things held, a bit each, the first taken lowest.
pub type Bits = u8;
pub const COW: Bits = 1;
pub const WATCHDOG: Bits = 2;
pub const FROZEN: Bits = 4;
pub const LOCK: Bits = 8;
pub const ALL: [Bits; 4] = [COW, WATCHDOG, FROZEN, LOCK];
const SETS: usize = 16;

/// A line, as far as the model writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    Intent(Step, Bits),
    Done(Step, Bits),
    Failed(Step, Bits),
    Closed(Bits),
}

/// What the lines of the log come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// On the disk, whatever happens to the host.
    pub synced: Bits,
    /// In the file.
    pub written: Bits,
    /// What lines that are held back in memory free.
    pub waiting: Bits,
    pub holds_back: bool,
    /// What the coordinator itself knows to hold.
    pub told: Bits,
}

impl Log {
    /// An intent, on the disk with all lines before it.
    pub fn intend(&mut self, takes: Bits) {
        self.write();
        self.written = intent(self.written, takes);
        self.synced = self.written;
        self.told = intent(self.told, takes);
    }

    /// An intent that is written, and not known to be on the disk: nothing is taken.
    pub fn intend_unsynced(&mut self, takes: Bits) {
        self.write();
        self.written = intent(self.written, takes);
    }

    /// An outcome, which nobody waits for.
    pub fn outcome(&mut self, frees: Bits) {
        self.told = free(self.told, frees);
        self.waiting |= frees;
        if !self.holds_back {
            self.write();
        }
    }

    /// The lines that were held back are written.
    pub fn write(&mut self) {
        self.written = free(self.written, self.waiting);
        self.waiting = 0;
    }

    /// A recovery's line that frees, synced.
    pub fn recovered(&mut self, frees: Bits) {
        self.written = free(self.written, frees);
        self.synced = self.written;
    }

    /// The last line, synced.
    pub fn close(&mut self, left: Bits) {
        let mark = Mark::Closed { exit: 0, left: held(left) };
        self.written = apply(&mark, self.written);
        self.synced = self.written;
        self.waiting = 0;
    }

    /// The coordinator is gone, and what it had in memory.
    pub fn forget(&mut self) {
        *self = Self { waiting: 0, holds_back: false, told: 0, ..*self };
    }
}

fn intent(before: Bits, takes: Bits) -> Bits {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| table(|takes| Mark::Intent { step: Step::Unknown, takes }))[usize::from(takes)]
        [usize::from(before)]
}

fn free(before: Bits, frees: Bits) -> Bits {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let done = |frees| Mark::Done { step: Step::Unknown, frees, detail: None };
    TABLE.get_or_init(|| table(done))[usize::from(frees)][usize::from(before)]
}

/// What is held after a line with these things, where those were held before it.
type Table = [[Bits; SETS]; SETS];

fn table(mark: impl Fn(Vec<Held>) -> Mark) -> Table {
    let row = |things: usize| {
        let mark = mark(held(things as Bits));
        std::array::from_fn(|before| apply(&mark, before as Bits))
    };
    std::array::from_fn(row)
}

fn apply(mark: &Mark, before: Bits) -> Bits {
    let mut things = held(before);
    mark.apply_to(&mut things);
    bits(&things)
}

/// What these bits stand for, the first taken first.
pub fn held(bits: Bits) -> Vec<Held> {
    ALL.into_iter().filter(|bit| bits & bit != 0).map(|bit| thing(bit).clone()).collect()
}

pub fn bits(held: &[Held]) -> Bits {
    held.iter().map(bit).fold(0, |all, one| all | one)
}

/// The bit of one thing; none for what is not modelled.
pub fn bit(held: &Held) -> Bits {
    match held {
        Held::Cow { .. } => COW,
        Held::Watchdog { .. } => WATCHDOG,
        Held::Frozen { .. } => FROZEN,
        Held::Lock { .. } => LOCK,
        _ => 0,
    }
}

pub fn thing(bit: Bits) -> &'static Held {
    static THINGS: OnceLock<[Held; ALL.len()]> = OnceLock::new();
    let agent = || "unix:/run/qga".to_owned();
    let things = THINGS.get_or_init(|| {
        [
            Held::Cow { volume: "vg/stillpoint-r1-0".parse().unwrap(), origin: "vg/db".parse().unwrap() },
            Held::Watchdog { agent: agent(), token: Token::new() },
            Held::Frozen { agent: agent() },
            Held::Lock {
                method: LockMethod::BackupStage,
                expiry_ms: 70_000,
                session: Some(GuestSession { agent: agent(), owner: Owner::new() }),
            },
        ]
    });
    &things[bit.trailing_zeros() as usize]
}
