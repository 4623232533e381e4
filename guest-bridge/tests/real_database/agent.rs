//! The wire through a real `qemu-ga` that runs on this machine: it executes programs here, and is never asked to freeze anything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use guest_bridge::{
    agent::{Agent, AgentError, BoxFuture, Endpoint, QgaTransport, Request, SharedAgent},
    database::{
        Credentials, DatabaseError, OpenSession, Timed,
        agent_session::{AgentSession, Owner, end_all},
        lock::{LockLost, LockTerms, TablesLock},
        lock_method::LockMethod,
        server::identify,
    },
};
use serde_json::Value;
use stillpoint_tests::machine::agent::PrivateAgent;

use super::locking::unlock;
use super::server::{PASSWORD, PrivateServer};

const SOON: Duration = Duration::from_secs(30);
const TERMS: LockTerms =
    LockTerms { lock_deadline: Duration::from_secs(2), expiry: Duration::from_secs(60), statement_deadline: SOON };

fn shared(agent: &PrivateAgent) -> SharedAgent {
    SharedAgent::new(QgaTransport::new(Endpoint::Unix(agent.socket())))
}

fn account(password: &str) -> Option<Credentials> {
    Some(Credentials::new("stillpoint", Some(password.to_owned())))
}

fn through(agent: &PrivateAgent, server: &PrivateServer) -> OpenSession {
    let socket = server.socket().display().to_string();
    AgentSession::opener(shared(agent), account(PASSWORD), Some(socket), Owner::new())
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn it_identifies_locks_proves_and_unlocks() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    server.sql("INSERT INTO shop.orders VALUES (1)");
    let open = through(&agent, &server);
    let mut session = open(SOON).await.unwrap();
    let described = identify(&mut *session, SOON).await.unwrap();
    assert_eq!(described.datadir, server.directory().join("data"));
    session.close().await;

    let lock = TablesLock::take(&open, &described, &TERMS).await.unwrap();
    let coordinates = lock.coordinates().unwrap().clone();
    let mut writer = server.open()(SOON).await.unwrap();
    let commit = tokio::spawn(async move { writer.query("INSERT INTO shop.orders VALUES (2)", SOON).await });
    let waiting =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'INSERT%' AND STATE LIKE 'Waiting for%'";
    until("a waiting commit", || server.sql(waiting) == "1").await;
    assert!(server.binlog_status().starts_with(&format!("{}\t{}", coordinates.file, coordinates.position)));
    unlock(lock).await.held.unwrap();
    commit.await.unwrap().unwrap();
    until("the end of all clients", || server.agent_clients().is_empty()).await;
}

/// Its coordinator is dead, and its client would sit there until the server frees the lock.
/// MariaDB's client of 11.4 and later would not.
#[tokio::test]
async fn a_server_without_tls_is_spoken_to_through_its_socket() {
    let agent = PrivateAgent::start(&[]);
    let server = PrivateServer::start_with(&["--log-bin=binlog", "--loose-skip-ssl", "--loose-tls-version="]);
    through(&agent, &server)(SOON).await.unwrap().close().await;
}

#[tokio::test]
async fn whoever_knows_the_owner_of_a_session_ends_it_and_the_sessions_of_no_other() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let socket = server.socket().display().to_string();
    // It serves one client.
    let shared = shared(&agent);
    let of =
        |owner: &Owner| AgentSession::opener(shared.clone(), account(PASSWORD), Some(socket.clone()), owner.clone());
    let (dead, alive) = (Owner::new(), Owner::new());
    let described = identify(&mut *server.open()(SOON).await.unwrap(), SOON).await.unwrap();
    let lock = TablesLock::take(&of(&dead), &described, &TERMS).await.unwrap();
    let mut other = of(&alive)(SOON).await.unwrap();

    end_all(shared.clone(), &dead, SOON).await.unwrap();
    server.sql("INSERT INTO shop.orders VALUES (3)");
    assert_eq!(other.query("SELECT 1 AS one", SOON).await.unwrap().get(0, "one"), Some("1"));
    end_all(shared.clone(), &dead, SOON).await.unwrap();
    lock.close().await;
    other.close().await;
    until("the end of all clients", || server.agent_clients().is_empty()).await;
}

/// Passes everything on, and counts the programs that it has run.
struct Counting {
    agent: QgaTransport,
    programs: Arc<AtomicUsize>,
}

impl Agent for Counting {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        if request.command == "guest-exec" {
            self.programs.fetch_add(1, Ordering::SeqCst);
        }
        self.agent.call(request, deadline)
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.agent.release()
    }
}

#[tokio::test]
async fn under_the_lock_the_agent_runs_two_programs() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let described = identify(&mut *server.open()(SOON).await.unwrap(), SOON).await.unwrap();
    let programs = Arc::new(AtomicUsize::new(0));
    let counting = Counting { agent: QgaTransport::new(Endpoint::Unix(agent.socket())), programs: programs.clone() };
    let socket = server.socket().display().to_string();
    let open = AgentSession::opener(SharedAgent::new(counting), account(PASSWORD), Some(socket), Owner::new());

    let mut lock = TablesLock::take(&open, &described, &TERMS).await.unwrap();
    // The session, its bounds, and then the lock with all that is asked under it. Before the last two, on a server without BACKUP STAGE, a
    // look at who would be in its way.
    let looks = usize::from(lock.method() == LockMethod::FlushTablesWithReadLock);
    assert_eq!(programs.swap(0, Ordering::SeqCst), 3 + looks);
    lock.let_go(SOON).await.held.unwrap();
    assert_eq!(programs.swap(0, Ordering::SeqCst), 1);
    lock.close().await;
}

#[tokio::test]
async fn each_statement_of_a_batch_gets_its_own_answer_and_its_own_error() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    for open in [through(&agent, &server), server.open()] {
        let mut session = open(SOON).await.unwrap();
        for _ in 0..2 {
            let batch = ["SELECT nonsense", "SET @a = 7", "SELECT @a AS a", "DO nonsense", "SELECT 1 FROM shop.orders"];
            let mut answers = session.batch(&batch.map(|statement| Timed::new(statement, SOON))).await;
            for (statement, value) in [(0, None), (1, Some(None)), (2, Some(Some("7"))), (3, None), (4, Some(None))] {
                match (answers.next(), value) {
                    (Ok(rows), Some(value)) => assert_eq!(rows.get(0, "a"), value),
                    (Err(DatabaseError::Server { code: 1054, statement: named, .. }), None) => {
                        assert_eq!(named.to_string(), batch[statement]);
                    }
                    (answer, _) => panic!("{statement}: {answer:?}"),
                }
            }
        }
        session.close().await;
    }
}

#[tokio::test]
async fn a_batch_that_is_too_late_names_the_statement_that_was() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    for open in [through(&agent, &server), server.open()] {
        let mut session = open(SOON).await.unwrap();
        let soon = Duration::from_millis(300);
        let batch = [
            Timed::new("SELECT 1 AS a", SOON),
            Timed::new("SELECT SLEEP(600), 'late'", soon),
            Timed::new("SELECT 2", SOON),
        ];
        let mut answers = session.batch(&batch).await;
        let answer = [answers.next(), answers.next()].into_iter().find_map(Result::err).unwrap();
        assert!(matches!(&answer, DatabaseError::TimedOut { statement, .. } if statement.to_string().contains("late")));
        assert!(matches!(session.query("SELECT 3", SOON).await, Err(DatabaseError::Closed { .. })));
        session.close().await;
        let running =
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%late%' AND ID <> CONNECTION_ID()";
        until("the end of the statement", || server.sql(running) == "0").await;
    }
}

#[tokio::test]
async fn a_session_that_is_killed_in_a_batch_is_lost() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    for open in [through(&agent, &server), server.open()] {
        let mut session = open(SOON).await.unwrap();
        let batch = ["DO 1", "KILL CONNECTION CONNECTION_ID()", "DO 2"];
        let mut answers = session.batch(&batch.map(|statement| Timed::new(statement, SOON))).await;
        // MySQL still says that the statement was interrupted.
        let errors: Vec<_> = (0..3).filter_map(|_| answers.next().err()).collect();
        assert!(errors.iter().any(|error| matches!(error, DatabaseError::Lost { .. })), "{errors:?}");
        session.close().await;
    }
}

#[tokio::test]
async fn a_batch_in_the_guest_is_carried_out_also_where_nobody_hears_of_it() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let mut session = through(&agent, &server)(SOON).await.unwrap();
    server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0");
    let batch = [
        "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        "INSERT INTO shop.visits VALUES (1)",
        "SELECT SLEEP(3)",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
    ];
    let sent = tokio::spawn(async move {
        session.batch(&batch.map(|statement| Timed::new(statement, SOON))).await.next().ok();
    });
    until("the first statements", || server.sql("SELECT COUNT(*) FROM shop.visits") == "1").await;
    assert_eq!(server.sql("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"), "1");
    // As if this process were killed: nothing is said to anybody any more.
    drop(agent);
    std::mem::forget(sent);
    until("the last statement", || server.sql("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit") == "0").await;
}

#[tokio::test]
async fn values_arrive_as_the_server_sent_them() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let mut session = through(&agent, &server)(SOON).await.unwrap();
    let rows =
        session.query("SELECT 'tab\\tnew\\nline \\\\ back' AS a, NULL AS b, '' AS c, 'ü' AS d", SOON).await.unwrap();
    assert_eq!(rows.get(0, "a"), Some("tab\tnew\nline \\ back"));
    assert_eq!([rows.get(0, "b"), rows.get(0, "c"), rows.get(0, "d")], [None, Some(""), Some("ü")]);
    assert_eq!(session.query("SELECT 1 FROM shop.orders", SOON).await.unwrap().rows.len(), 0);
    session.close().await;
}

#[tokio::test]
async fn an_error_of_the_server_leaves_the_session_usable() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let mut session = through(&agent, &server)(SOON).await.unwrap();
    let error = session.query("SELECT nonsense", SOON).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Server { code: 1054, .. }), "{error:?}");
    assert_eq!(session.query("SELECT 7 AS n", SOON).await.unwrap().get(0, "n"), Some("7"));
    session.close().await;
}

#[tokio::test]
async fn a_statement_cannot_carry_a_second_one_or_a_command_of_the_client() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let mut session = through(&agent, &server)(SOON).await.unwrap();
    let proof = server.directory().join("proof");
    for statement in [format!("\\! touch {}", proof.display()), format!("system touch {}", proof.display())] {
        session.query(&statement, SOON).await.unwrap_err();
    }
    session.query("SELECT 1; SELECT 2", SOON).await.unwrap_err();
    assert!(!proof.exists());
}

#[tokio::test]
async fn a_wrong_password_is_said_without_showing_it_and_nothing_is_left() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let socket = server.socket().display().to_string();
    let error =
        AgentSession::open(shared(&agent), account("geheim"), Some(socket), &Owner::new(), SOON).await.err().unwrap();
    assert!(matches!(error, DatabaseError::AccessDenied { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    assert!(server.agent_clients().is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_run_is_unreachable() {
    let agent = PrivateAgent::start(&[]);
    let socket = Some("/nonexistent/mysqld.sock".to_owned());
    let error = AgentSession::open(shared(&agent), None, socket, &Owner::new(), SOON).await.err().unwrap();
    assert!(matches!(&error, DatabaseError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/mysqld.sock"), "{error}");
}

/// Passes everything on, and loses the reply to the first `guest-exec`.
struct LosesTheFirstReply {
    agent: QgaTransport,
    lost: bool,
}

impl Agent for LosesTheFirstReply {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(async move {
            let command = request.command;
            let reply = self.agent.call(request, deadline).await?;
            if command == "guest-exec" && !std::mem::replace(&mut self.lost, true) {
                return Err(AgentError::Timeout { command: command.to_owned(), waited_ms: 1 });
            }
            Ok(reply)
        })
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.agent.release()
    }
}

#[tokio::test]
async fn a_session_whose_opening_was_not_answered_leaves_no_client() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let lossy = LosesTheFirstReply { agent: QgaTransport::new(Endpoint::Unix(agent.socket())), lost: false };
    let socket = server.socket().display().to_string();
    let error = AgentSession::open(SharedAgent::new(lossy), account(PASSWORD), Some(socket), &Owner::new(), SOON)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, DatabaseError::TimedOut { .. }), "{error:?}");
    assert!(server.agent_clients().is_empty());
}

#[tokio::test]
async fn an_agent_that_blocks_guest_exec_is_said_to_do_so() {
    let agent = PrivateAgent::start(&["-b", "guest-exec"]);
    let error = AgentSession::open(shared(&agent), None, None, &Owner::new(), SOON).await.err().unwrap();
    assert!(matches!(&error, DatabaseError::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("guest-exec"), "{error}");
}

#[tokio::test]
async fn after_a_timeout_the_session_is_closed_and_its_statement_killed() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let mut session = through(&agent, &server)(SOON).await.unwrap();
    let error = session.query("SELECT SLEEP(600), 'late'", Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(error, DatabaseError::TimedOut { .. }), "{error:?}");
    let error = session.query("SELECT 'next'", SOON).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Closed { .. }), "{error:?}");
    let running =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%late%' AND ID <> CONNECTION_ID()";
    until("the end of the statement", || server.sql(running) == "0").await;
    until("the end of the client", || server.agent_clients().is_empty()).await;
}

#[tokio::test]
async fn dropping_the_lock_frees_it() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let open = through(&agent, &server);
    let described = identify(&mut *open(SOON).await.unwrap(), SOON).await.unwrap();
    drop(TablesLock::take(&open, &described, &TERMS).await.unwrap());
    let mut writer = server.open()(SOON).await.unwrap();
    writer.query("INSERT INTO shop.orders VALUES (2)", SOON).await.unwrap();
    until("the end of all clients", || server.agent_clients().is_empty()).await;
}

#[test]
fn a_panic_under_the_lock_is_over_only_when_the_lock_is_free() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let open = through(&agent, &server);
            let described = identify(&mut *open(SOON).await.unwrap(), SOON).await.unwrap();
            let _lock = TablesLock::take(&open, &described, &TERMS).await.unwrap();
            panic!("a bug of ours");
        })
    }));
    assert!(panicked.is_err());
    // The process would end here, and with it every task.
    runtime.shutdown_background();
    assert!(server.agent_clients().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_dropped_only_when_its_statement_and_its_client_are_ended() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let mut session = through(&agent, &server)(SOON).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(500), session.query("SELECT SLEEP(600), 'late'", SOON));
    assert!(waited.await.is_err());
    drop(session);
    let running =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%late%' AND ID <> CONNECTION_ID()";
    assert_eq!(server.sql(running), "0");
    assert!(server.agent_clients().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farewell_that_is_given_up_is_still_said() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let session = through(&agent, &server)(SOON).await.unwrap();
    assert!(tokio::time::timeout(Duration::ZERO, session.close()).await.is_err());
    assert!(server.agent_clients().is_empty());
}

#[tokio::test]
async fn a_killed_session_does_not_reconnect_and_pass_for_a_held_lock() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let open = through(&agent, &server);
    let described = identify(&mut *open(SOON).await.unwrap(), SOON).await.unwrap();
    let lock = TablesLock::take(&open, &described, &TERMS).await.unwrap();
    server.sql(&format!("KILL CONNECTION {}", lock.connection_id()));
    let lost = unlock(lock).await.held.unwrap_err();
    assert!(matches!(lost, LockLost::Session(DatabaseError::Lost { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_lock_whose_coordinator_vanished_frees_itself() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let open = through(&agent, &server);
    let described = identify(&mut *open(SOON).await.unwrap(), SOON).await.unwrap();
    let terms = LockTerms { expiry: Duration::from_secs(1), ..TERMS };
    let lock = TablesLock::take(&open, &described, &terms).await.unwrap();
    // As if this process were killed: nobody closes anything, and the client in the guest lives on.
    std::mem::forget(lock);
    let mut writer = server.open()(SOON).await.unwrap();
    writer.query("INSERT INTO shop.orders VALUES (2)", SOON).await.unwrap();
}
