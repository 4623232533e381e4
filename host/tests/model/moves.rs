//! A move: what somebody does between two states.

use stillpoint::grade::Grade;

use crate::log::Line;
use crate::state::State;

/// How a move comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// By itself, sooner or later.
    Progress,
    /// It may come, and nobody may count on it; it is no fault.
    Chance,
    /// A fault, of which a run sees only so many.
    Fault,
}

#[derive(Clone, Debug)]
pub struct Move {
    pub who: &'static str,
    pub what: &'static str,
    /// What came of it.
    pub how: &'static str,
    pub cost: Cost,
    pub state: State,
    /// What it writes to the run log, in memory or on the disk.
    pub lines: Vec<Line>,
    /// It gives the database's lock back.
    pub unlocks: bool,
    /// It publishes a backup of this grade.
    pub published: Option<Grade>,
}

impl Move {
    pub fn new(who: &'static str, what: &'static str, state: State) -> Self {
        let (how, cost) = ("", Cost::Progress);
        Self { who, what, how, cost, state, lines: Vec::new(), unlocks: false, published: None }
    }

    pub fn how(self, how: &'static str, cost: Cost) -> Self {
        Self { how, cost, ..self }
    }

    /// It is a fault, which has to be one of those that may still come.
    pub fn fault(self, how: &'static str) -> Self {
        self.how(how, Cost::Fault)
    }

    pub fn line(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }
}
