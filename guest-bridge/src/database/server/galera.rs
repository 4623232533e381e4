//! Where a node of a Galera cluster stands.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Server, variables::Variables};
use crate::database::{Answers, Database, DatabaseError, Rows, Timed};

const STATE: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
     ('wsrep_cluster_state_uuid', 'wsrep_last_committed', 'wsrep_local_state_comment')";

/// What a node says once it takes part again.
const SYNCED: &str = "Synced";
/// Between two looks at a node that does not.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a node stood.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GaleraState {
    /// `wsrep_cluster_state_uuid`: which history of transactions it is.
    pub cluster_uuid: String,
    /// `wsrep_last_committed`: the number of the last transaction of that.
    pub seqno: u64,
    /// `wsrep_local_state_comment`, such as `Synced`.
    pub state: String,
}

/// What asks where the node stands; nothing where `server` is none.
pub(in crate::database) fn where_galera_stands(server: &Server, deadline: Duration) -> Option<Timed> {
    server.galera.then(|| Timed::new(STATE, deadline))
}

/// The answer to [`where_galera_stands`]; `None` where the node does not tell.
pub(in crate::database) fn read_galera(answers: &mut Answers) -> Result<Option<GaleraState>, DatabaseError> {
    match answers.next() {
        Ok(rows) => Ok(state(&rows)),
        Err(DatabaseError::Server { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A node that belongs to no cluster tells no number.
fn state(rows: &Rows) -> Option<GaleraState> {
    let status = Variables(rows);
    Some(GaleraState {
        cluster_uuid: status.owned("wsrep_cluster_state_uuid")?,
        seqno: status.number("wsrep_last_committed")?,
        state: status.owned("wsrep_local_state_comment").unwrap_or_default(),
    })
}

/// Waits after the unlock until the node takes part in its cluster again (under the lock it may have fallen behind), for `deadline` at
/// most. Gives what the node said last: `Synced`, or what it still is; `None` where the server is no node.
///
/// # Errors
/// Those of the session.
pub async fn wait_for_synced(session: &mut dyn Database, deadline: Duration) -> Result<Option<String>, DatabaseError> {
    let end = Instant::now() + deadline;
    loop {
        // The session ends where an answer is late: it is given longer than the wait.
        let rows = session.query(STATE, deadline.max(PAUSE)).await?;
        let state = Variables(&rows).owned("wsrep_local_state_comment");
        if state.is_none() || state.as_deref() == Some(SYNCED) || Instant::now() + PAUSE >= end {
            return Ok(state);
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call_log::CallLog,
        database::scripted::{Line, ScriptedDatabase, expect},
    };

    fn says(state: &str) -> Line {
        expect(STATE).returns(&["Variable_name", "Value"], &[&[Some("wsrep_local_state_comment"), Some(state)]])
    }

    async fn waited(script: impl IntoIterator<Item = Line>, seconds: u64) -> Option<String> {
        let script: Vec<_> = script.into_iter().collect();
        let mut session = ScriptedDatabase::new(CallLog::new(), script);
        wait_for_synced(&mut session, Duration::from_secs(seconds)).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_waited_for_until_it_takes_part_again_and_no_longer_than_it_may_take() {
        assert_eq!(waited([says("Donor/Desynced"), says("Joined"), says("Synced")], 10).await.unwrap(), "Synced");
        assert_eq!(waited([says("Joined")], 0).await.unwrap(), "Joined");
        assert_eq!(waited([expect(STATE)], 10).await, None);
    }

    #[test]
    fn a_node_without_a_cluster_stands_nowhere() {
        let row = |name: &str, value: &str| vec![Some(name.to_owned()), Some(value.to_owned())];
        let rows = |rows| Rows { columns: vec!["Variable_name".into(), "Value".into()], rows };
        let state = rows(vec![
            row("wsrep_cluster_state_uuid", "aa-bb"),
            row("wsrep_last_committed", "71"),
            row("wsrep_local_state_comment", "Synced"),
        ]);
        let expected = GaleraState { cluster_uuid: "aa-bb".into(), seqno: 71, state: "Synced".into() };
        assert_eq!(super::state(&state), Some(expected));
        assert_eq!(super::state(&rows(vec![row("wsrep_last_committed", "18446744073709551616")])), None);
    }
}
