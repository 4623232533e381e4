//! What the guest agent's errors mean for a run.

use guest_bridge::agent::AgentError;

use super::cause::Cause;
use super::kind::Kind;

impl From<AgentError> for Cause {
    fn from(error: AgentError) -> Self {
        Self::of(kind(&error), error.hint().map(str::to_owned), error)
    }
}

pub(super) fn kind(error: &AgentError) -> Kind {
    match error {
        AgentError::Connect { .. } | AgentError::NoSync { .. } | AgentError::SyncLost { .. } => Kind::AgentUnreachable,
        AgentError::QmpSocket { .. } => Kind::WrongSocket,
        AgentError::Timeout { .. } | AgentError::Lost { .. } => Kind::AgentSilent,
        AgentError::Protocol { .. } | AgentError::ReplyTooLong { .. } => Kind::AgentAnswer,
        AgentError::Unavailable { .. } => Kind::AgentCommand,
        AgentError::Frozen { .. } => Kind::GuestFrozen,
        AgentError::Failed { .. } => Kind::AgentFailed,
        // Why nothing is known of a program may be worse than the program.
        AgentError::LostProgram { source, .. } if kind(source) == Kind::GuestFrozen => Kind::GuestFrozen,
        AgentError::StillRunning { .. } | AgentError::LostProgram { .. } => Kind::GuestProgram,
        AgentError::OutputTruncated { .. } | AgentError::FileTooLong { .. } => Kind::AgentAnswer,
        AgentError::MaybeFrozen { .. } => Kind::GuestMayBeFrozen,
        AgentError::VmGone { .. } => Kind::VmGone,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use guest_bridge::agent::{Endpoint, Pid};

    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    #[track_caller]
    fn expect(error: AgentError, kind: Kind, exit: Exit) {
        let cause = Cause::from(error);
        assert_eq!((cause.kind, row(cause.kind, false).exit), (kind, exit), "{cause}");
    }

    fn endpoint() -> Endpoint {
        "unix:/run/qga".parse().unwrap()
    }

    fn command() -> String {
        "guest-exec".to_owned()
    }

    fn frozen() -> AgentError {
        AgentError::Frozen { command: command(), desc: "disabled".into() }
    }

    #[test]
    fn a_frozen_guest_needs_a_person_wherever_it_is_found() {
        expect(frozen(), Kind::GuestFrozen, Exit::NeedsPerson);
        let program = || "/bin/sync".to_owned();
        let lost = |source| AgentError::LostProgram { program: program(), pid: Pid(7), source: Box::new(source) };
        expect(lost(frozen()), Kind::GuestFrozen, Exit::NeedsPerson);
        expect(lost(AgentError::Timeout { command: command(), waited_ms: 1 }), Kind::GuestProgram, Exit::Failed);
        let last = "guest-fsfreeze-status says frozen".into();
        let maybe = AgentError::MaybeFrozen { attempts: 3, waited_ms: 60_000, last };
        expect(maybe, Kind::GuestMayBeFrozen, Exit::NeedsPerson);
        let nobody = AgentError::Connect { endpoint: endpoint(), source: io::Error::from(io::ErrorKind::NotFound) };
        expect(AgentError::VmGone { source: Box::new(nobody) }, Kind::VmGone, Exit::Failed);
    }

    #[test]
    fn an_agent_that_does_not_answer_fails_the_run_and_another_socket_is_the_callers_mistake() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        expect(AgentError::Connect { endpoint: endpoint(), source: broken() }, Kind::AgentUnreachable, Exit::Failed);
        let no_sync = AgentError::NoSync { endpoint: endpoint(), command: command(), waited_ms: 1 };
        expect(no_sync, Kind::AgentUnreachable, Exit::Failed);
        let lost = AgentError::SyncLost { endpoint: endpoint(), command: command(), source: broken() };
        expect(lost, Kind::AgentUnreachable, Exit::Failed);
        expect(AgentError::QmpSocket { endpoint: endpoint(), command: command() }, Kind::WrongSocket, Exit::Usage);
        expect(AgentError::Timeout { command: command(), waited_ms: 1 }, Kind::AgentSilent, Exit::Failed);
        expect(AgentError::Lost { command: command(), source: broken() }, Kind::AgentSilent, Exit::Failed);
    }

    #[test]
    fn what_an_agent_answers_or_refuses_fails_the_run() {
        let answer = AgentError::Protocol { command: command(), detail: "HTTP".into() };
        expect(answer, Kind::AgentAnswer, Exit::Failed);
        expect(AgentError::ReplyTooLong { command: command(), limit_bytes: 1 }, Kind::AgentAnswer, Exit::Failed);
        let truncated = AgentError::OutputTruncated { program: "sync".into(), stream: "stdout" };
        expect(truncated, Kind::AgentAnswer, Exit::Failed);
        expect(AgentError::FileTooLong { path: "/x".into(), limit_bytes: 1 }, Kind::AgentAnswer, Exit::Failed);
        expect(
            AgentError::Unavailable { command: command(), desc: "blocked".into() },
            Kind::AgentCommand,
            Exit::Failed,
        );
        let failed = AgentError::Failed { command: command(), class: "GenericError".into(), desc: "no".into() };
        expect(failed, Kind::AgentFailed, Exit::Failed);
        let running = AgentError::StillRunning { program: "sync".into(), pid: Pid(7), waited_ms: 1 };
        expect(running, Kind::GuestProgram, Exit::Failed);
    }
}
