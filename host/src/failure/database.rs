//! What the database's errors mean for a run.

use std::borrow::Cow;

use guest_bridge::database::DatabaseError;

use super::agent;
use super::cause::Cause;
use super::kind::Kind;

impl From<DatabaseError> for Cause {
    fn from(error: DatabaseError) -> Self {
        let kind = kind(&error);
        // A frozen guest is what has to be said, whatever the statement was.
        let hint = if kind == Kind::GuestFrozen { None } else { error.hint() };
        Self::of(kind, hint.map(Cow::into_owned), error)
    }
}

fn kind(error: &DatabaseError) -> Kind {
    match error {
        DatabaseError::Credentials { .. } | DatabaseError::Certificates { .. } => Kind::Credentials,
        DatabaseError::AccessDenied { .. } | DatabaseError::MayNot { .. } => Kind::AccessDenied,
        DatabaseError::Unreachable { .. } | DatabaseError::TurnedAway { .. } => Kind::DatabaseUnreachable,
        DatabaseError::Server { .. } => Kind::DatabaseRefused,
        DatabaseError::TimedOut { .. } => Kind::DatabaseSilent,
        DatabaseError::Lost { .. } | DatabaseError::Closed { .. } => Kind::DatabaseLost,
        DatabaseError::UnexpectedReply { .. } => Kind::DatabaseAnswer,
        DatabaseError::Unsupported { .. } => Kind::DatabaseWay,
        DatabaseError::Agent { source, .. } => agent::kind(source),
        DatabaseError::InTheWay { .. } => Kind::LockNotGranted,
        DatabaseError::LockNotGranted { diagnosis_failed, .. } => match diagnosis_failed.as_deref().map(kind) {
            Some(Kind::GuestFrozen) => Kind::GuestFrozen,
            _ => Kind::LockNotGranted,
        },
        // The type is open: what comes later is an error of the database until it has a kind.
        _ => Kind::Database,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guest_bridge::agent::AgentError;
    use guest_bridge::database::Statement;
    use guest_bridge::database::lock_method::LockMethod;

    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    #[track_caller]
    fn expect(error: DatabaseError, kind: Kind, exit: Exit) {
        let cause = Cause::from(error);
        assert_eq!((cause.kind, row(cause.kind, false).exit), (kind, exit), "{cause}");
    }

    fn statement() -> Statement {
        Statement::new("SELECT 1")
    }

    const DEADLINE: Duration = Duration::from_secs(1);

    #[test]
    fn an_account_that_is_not_let_in_is_a_mistake_of_the_configuration() {
        let credentials = DatabaseError::Credentials { origin: "/x".into(), problem: "no such file".into() };
        expect(credentials, Kind::Credentials, Exit::Usage);
        let certificates = DatabaseError::Certificates { path: "/ca.pem".into(), problem: "no such file".into() };
        expect(certificates, Kind::Credentials, Exit::Usage);
        let message = statement();
        let denied = DatabaseError::AccessDenied { address: "unix:/x".into(), user: "root".into(), message };
        expect(denied, Kind::AccessDenied, Exit::Usage);
        let (account, missing, grant) = ("'a'@'b'".into(), "RELOAD".into(), "GRANT RELOAD ON *.* TO 'a'@'b'".into());
        expect(DatabaseError::MayNot { account, missing, grant }, Kind::AccessDenied, Exit::Usage);
    }

    #[test]
    fn a_database_that_does_not_do_its_part_fails_the_run() {
        let unreachable = DatabaseError::Unreachable { address: "unix:/x".into(), problem: "refused".into() };
        expect(unreachable, Kind::DatabaseUnreachable, Exit::Failed);
        let full =
            DatabaseError::TurnedAway { address: "unix:/x".into(), code: Some(1040), problem: "too many".into() };
        expect(full, Kind::DatabaseUnreachable, Exit::Failed);
        let server = DatabaseError::Server { statement: statement(), code: 1205, message: statement() };
        expect(server, Kind::DatabaseRefused, Exit::Failed);
        let silent = DatabaseError::TimedOut { statement: statement(), deadline: DEADLINE };
        expect(silent, Kind::DatabaseSilent, Exit::Failed);
        let lost = DatabaseError::Lost { statement: statement(), problem: "end of file".into() };
        expect(lost, Kind::DatabaseLost, Exit::Failed);
        expect(DatabaseError::Closed { statement: statement() }, Kind::DatabaseLost, Exit::Failed);
        let odd = DatabaseError::UnexpectedReply { statement: statement(), detail: "no rows".into() };
        expect(odd, Kind::DatabaseAnswer, Exit::Failed);
        expect(DatabaseError::Unsupported { problem: "no client".into() }, Kind::DatabaseWay, Exit::Failed);
    }

    #[test]
    fn a_setting_that_was_not_put_back_fails_the_run_and_says_what_does_it() {
        let silent = DatabaseError::TimedOut { statement: statement(), deadline: DEADLINE };
        let left = DatabaseError::NotPutBack { statement: "SET GLOBAL x = 0".into(), source: Box::new(silent) };
        assert!(Cause::from(left).hint().contains("send that statement"));
    }

    fn not_granted(diagnosis_failed: Option<DatabaseError>) -> DatabaseError {
        DatabaseError::LockNotGranted {
            method: LockMethod::BackupStage,
            statement: statement(),
            deadline: DEADLINE,
            holders: Vec::new(),
            diagnosis_failed: diagnosis_failed.map(Box::new),
        }
    }

    #[test]
    fn on_the_way_through_the_agent_the_agents_error_counts() {
        let agent = |source| DatabaseError::Agent { statement: statement(), source };
        let frozen = || AgentError::Frozen { command: "guest-exec".into(), desc: "disabled".into() };
        let silent = AgentError::Timeout { command: "guest-exec".into(), waited_ms: 1 };
        expect(agent(silent), Kind::AgentSilent, Exit::Failed);
        expect(agent(frozen()), Kind::GuestFrozen, Exit::NeedsPerson);
        expect(not_granted(None), Kind::LockNotGranted, Exit::Failed);
        expect(not_granted(Some(agent(frozen()))), Kind::GuestFrozen, Exit::NeedsPerson);
        assert!(Cause::from(not_granted(Some(agent(frozen())))).hint().contains("guest-fsfreeze-thaw"));
    }
}
