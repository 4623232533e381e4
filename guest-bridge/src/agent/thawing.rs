//! What a thaw asks next, by what it has heard. Pure: the test `model` of the host tries every order of answers on it.

use super::AgentError;

/// What the agent believes; it is not the kernel's truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FreezeStatus {
    /// No freeze is in effect that the agent knows of.
    Thawed,
    /// The agent froze and has not thawed.
    Frozen,
}

/// What the agent is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// `guest-fsfreeze-thaw`.
    Thaw,
    /// `guest-fsfreeze-status`.
    Status,
    /// The same, a moment later: a freeze may come late.
    StatusAgain,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Heard {
    /// So many filesystems were thawed.
    Count(u64),
    /// The thaw ended with an error. The agent thaws first and then runs its hook, whose failure must not look like a frozen guest.
    Complaint,
    /// What the agent believes.
    Status(FreezeStatus),
    /// Nothing, and it may have been done.
    Silence,
    /// It was not done.
    NotDone,
}

/// What a thaw does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// It asks this.
    Ask(Question),
    /// It begins anew after a pause, where there is time.
    StartOver,
    /// The guest is thawed.
    Sure,
}

impl Question {
    /// What comes after this question, where `heard` came of it.
    #[must_use]
    pub fn next(self, heard: Heard) -> Next {
        match (self, heard) {
            (Self::Thaw, Heard::Count(_) | Heard::Complaint) => Next::Ask(Self::Status),
            (Self::Status, Heard::Status(FreezeStatus::Thawed)) => Next::Ask(Self::StatusAgain),
            (Self::StatusAgain, Heard::Status(FreezeStatus::Thawed)) => Next::Sure,
            _ => Next::StartOver,
        }
    }
}

impl Heard {
    /// What an answer to `guest-fsfreeze-thaw` says.
    #[must_use]
    pub fn of_thaw(answer: &Result<u64, AgentError>) -> Self {
        match answer {
            Ok(count) => Self::Count(*count),
            Err(AgentError::Failed { .. }) => Self::Complaint,
            Err(error) => Self::of_error(error),
        }
    }

    /// What an answer to `guest-fsfreeze-status` says.
    #[must_use]
    pub fn of_status(answer: &Result<FreezeStatus, AgentError>) -> Self {
        answer.as_ref().map_or_else(Self::of_error, |status| Self::Status(*status))
    }

    fn of_error(error: &AgentError) -> Self {
        if error.may_have_executed() { Self::Silence } else { Self::NotDone }
    }

    /// Whether a first thaw needs no second look: it released as many filesystems as were frozen, and the database's writers wait.
    #[must_use]
    pub fn releases(self, frozen: u64) -> bool {
        frozen > 0 && self == Self::Count(frozen)
    }

    /// How many filesystems were thawed, with `others`, by other thaws; `None` where that is not known.
    #[must_use]
    pub fn add_to(self, others: Option<u64>) -> Option<u64> {
        match self {
            Self::Count(count) => others.map(|others| others.saturating_add(count)),
            Self::NotDone | Self::Status(_) => others,
            Self::Complaint | Self::Silence => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: [Heard; 6] = [
        Heard::Count(1),
        Heard::Complaint,
        Heard::Status(FreezeStatus::Thawed),
        Heard::Status(FreezeStatus::Frozen),
        Heard::Silence,
        Heard::NotDone,
    ];

    #[test]
    fn nothing_but_a_second_look_that_says_thawed_makes_sure() {
        for question in [Question::Thaw, Question::Status, Question::StatusAgain] {
            for heard in EVERYTHING {
                let is_sure = question.next(heard) == Next::Sure;
                let is_thawed = heard == Heard::Status(FreezeStatus::Thawed);
                assert_eq!(is_sure, question == Question::StatusAgain && is_thawed, "{question:?}: {heard:?}");
            }
        }
    }

    #[test]
    fn a_count_is_known_only_where_all_its_parts_are() {
        let counts = EVERYTHING.map(|heard| heard.add_to(Some(2)));
        assert_eq!(counts, [Some(3), None, Some(2), Some(2), None, Some(2)]);
        assert_eq!(EVERYTHING.map(|heard| heard.add_to(None)), [None; 6]);
        assert_eq!(Heard::Count(1).add_to(Some(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn a_first_thaw_is_believed_only_where_it_released_what_was_frozen() {
        assert_eq!(EVERYTHING.map(|heard| heard.releases(1)), [true, false, false, false, false, false]);
        assert_eq!(EVERYTHING.map(|heard| heard.releases(2)), [false; 6]);
        assert!(!Heard::Count(0).releases(0), "a freeze of which nobody told a count");
    }
}
