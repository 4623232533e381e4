//! A dump of MySQL at coordinates that are known.

use std::time::Duration;

use guest_bridge::{
    database::{DatabaseError, lock::LockTerms, server::Server},
    dump::{Begun, DumpError, DumpName, DumpPlan, DumpStream, DumpSurvey, Hold, Wanted, begin},
};
use stillpoint_tests::machine::agent::PrivateAgent;

use crate::dump::machine::{SOON, TERMS, left_of, login, shared};
use crate::locking::described;
use crate::server::PrivateServer;

const LOCK: LockTerms =
    LockTerms { lock_deadline: Duration::from_secs(2), expiry: Duration::from_secs(60), statement_deadline: SOON };

struct Dumped {
    agent: PrivateAgent,
    server: PrivateServer,
    described: Server,
    name: DumpName,
}

impl Dumped {
    async fn new(options: &[&str]) -> Self {
        let server = PrivateServer::start_with(&[&["--log-bin=binlog"], options].concat());
        let described = described(&server.open()).await;
        Self { agent: PrivateAgent::start(&[]), server, described, name: DumpName::new() }
    }

    /// Begins it with a client that gets the arguments of `change`.
    async fn begin(
        &self,
        snapshot_deadline: Duration,
        change: impl FnOnce(&mut Vec<String>),
        meanwhile: impl FnOnce(),
    ) -> Result<Begun, DumpError> {
        let plan = DumpPlan::new(&self.described, &Wanted::Everything, &DumpSurvey::default(), false).unwrap();
        let mut arguments = plan.arguments;
        change(&mut arguments);
        let login = login(&self.server);
        let start = async {
            let stream = DumpStream::start(shared(&self.agent), self.name.clone(), &login, &arguments, TERMS).await;
            meanwhile();
            stream
        };
        begin(&self.server.open(), &self.described, &LOCK, Hold::Snapshot, snapshot_deadline, start).await
    }

    /// Nobody waits, and nothing is left in the guest.
    async fn is_as_it_was(&self) {
        self.server.sql("INSERT INTO shop.orders VALUES (1)");
        crate::dump::machine::until_nothing_is_left_of(&self.name).await;
    }
}

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn writers_go_on_as_soon_as_the_snapshot_is_there() {
    let dumped = Dumped::new(&[]).await;
    let begun = dumped.begin(SOON, |_| {}, || {}).await.unwrap();
    dumped.server.sql("INSERT INTO shop.orders VALUES (1)");
    let coordinates = begun.coordinates.unwrap();
    assert!(!dumped.server.binlog_status().starts_with(&format!("{}\t{}\t", coordinates.file, coordinates.position)));
    begun.stream.close().await.unwrap();
    assert_eq!(left_of(&dumped.name), [""; 0]);
}

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn a_client_without_a_snapshot_is_ended_and_the_lock_is_free() {
    let dumped = Dumped::new(&[]).await;
    let no_snapshot = |arguments: &mut Vec<String>| {
        arguments.retain(|argument| argument != "--single-transaction");
        // It has little else to do, either: what the server reads for it of its own tables looks like a snapshot while it lasts.
        arguments.splice(0..0, ["--skip-lock-tables", "--no-data", "--no-create-info"].map(str::to_owned));
    };
    let error = dumped.begin(Duration::from_secs(2), no_snapshot, || {}).await.err().unwrap();
    assert!(matches!(error, DumpError::NotCoordinated { .. }), "{error}");
    dumped.is_as_it_was().await;
}

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn a_lock_that_was_lost_before_the_snapshot_is_no_lock() {
    let dumped = Dumped::new(&[]).await;
    let kill = || {
        let ids = "SELECT GROUP_CONCAT('KILL ', t.PROCESSLIST_ID SEPARATOR ';') FROM performance_schema.metadata_locks m \
                   JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID \
                   WHERE m.OBJECT_TYPE = 'GLOBAL' AND m.LOCK_TYPE = 'SHARED'";
        dumped.server.sql(&dumped.server.sql(ids));
    };
    let error = dumped.begin(SOON, |_| {}, kill).await.err().unwrap();
    assert!(matches!(&error, DumpError::NotCoordinated { problem } if problem.contains("lock")), "{error}");
    dumped.is_as_it_was().await;
}

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn behind_a_long_query_the_lock_is_not_asked_for() {
    let dumped = Dumped::new(&[]).await;
    dumped.server.sql("INSERT INTO shop.orders VALUES (7)");
    let _visitor = dumped.server.visitor("SELECT SLEEP(600) FROM shop.orders;");
    let runs = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%' AND TIME > 1";
    while dumped.server.sql(runs) == "0" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let error = dumped.begin(SOON, |_| {}, || {}).await.err().unwrap();
    assert!(matches!(&error, DumpError::Database(DatabaseError::InTheWay { .. })), "{error}");
    dumped.is_as_it_was().await;
}

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn without_performance_schema_nothing_is_locked() {
    let dumped = Dumped::new(&["--performance-schema=OFF"]).await;
    let error = dumped.begin(SOON, |_| {}, || {}).await.err().unwrap();
    assert!(
        matches!(&error, DumpError::NotCoordinated { problem } if problem.contains("performance_schema")),
        "{error}"
    );
    dumped.is_as_it_was().await;
}
