//! A session over a socket: the server's own protocol, by `mysql_async`.
//!
//! Over TCP it is encrypted where the server offers that, unless something else is wished ([`Tls`]).

mod tls;

use std::{any::Any, fmt, panic::AssertUnwindSafe, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use mysql_async::{Conn, DriverError, Opts, OptsBuilder, QueryResult, TextProtocol, Value, prelude::Queryable};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

pub use self::tls::{Tls, TlsWish};
use super::{Answers, Credentials, Database, DatabaseError, OpenSession, Rows, Statement, Timed};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket on this machine.
    Unix(PathBuf),
    /// A host and a port.
    Tcp {
        /// Name or IP address.
        host: String,
        /// TCP port, 3306 as a rule.
        port: u16,
    },
}

/// A string that is no [`Address`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no database address: it is `unix:/PATH` or `tcp:HOST:PORT`")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let tcp = |rest: &str| {
            let (host, port) = rest.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (!host.is_empty()).then_some(Self::Tcp { host: host.to_owned(), port: port.parse().ok()? })
        };
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Some(Self::Unix(path.into())),
            Some(("tcp", rest)) => tcp(rest),
            _ => None,
        }
        .ok_or_else(|| AddressError(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

/// How to open a session.
#[derive(Clone)]
struct Way {
    address: Address,
    user: String,
    opts: Opts,
    tls: Tls,
}

impl Way {
    fn new(address: &Address, credentials: &Credentials, tls: &Tls) -> Self {
        let opts = OptsBuilder::default()
            .user(Some(credentials.user()))
            .pass(credentials.password())
            // What is asked for is what is used: no reconnect to a socket path that the server names.
            .prefer_socket(false)
            // Both are asked for at connect where they are not given.
            .max_allowed_packet(Some(Rows::MAX_BYTES))
            .wait_timeout(Some(28_800))
            .stmt_cache_size(0);
        let opts = match address {
            Address::Unix(path) => opts.socket(Some(path.to_string_lossy())),
            Address::Tcp { host, port } => opts.ip_or_hostname(host).tcp_port(*port),
        };
        Self { address: address.clone(), user: credentials.user().to_owned(), opts: opts.into(), tls: tls.clone() }
    }

    async fn log_in(&self) -> mysql_async::Result<Conn> {
        if matches!(self.address, Address::Unix(_)) || self.tls.wish == TlsWish::Off {
            return Conn::new(self.opts.clone()).await;
        }
        let encrypted = OptsBuilder::from_opts(self.opts.clone()).ssl_opts(self.tls.options());
        match Conn::new(encrypted).await {
            Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))
                if self.tls.wish == TlsWish::Preferred =>
            {
                Conn::new(self.opts.clone()).await
            }
            logged_in => logged_in,
        }
    }

    async fn connect(&self, deadline: Duration) -> Result<Conn, DatabaseError> {
        // The server chooses how it wants to be sure of the account, and the client panics at some of its choices.
        let handshake = AssertUnwindSafe(self.log_in()).catch_unwind();
        match timeout(deadline, handshake).await.map(|ended| ended.unwrap_or_else(|panic| Err(panicked(&*panic)))) {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(mysql_async::Error::Server(error))) if is_refusal(error.code) => Err(DatabaseError::AccessDenied {
                address: self.address.to_string(),
                user: self.user.clone(),
                message: Statement::new(&error.message),
            }),
            Ok(Err(mysql_async::Error::Server(error))) => Err(self
                .turned_away(Some(error.code), &format!("ERROR {} ({}): {}", error.code, error.state, error.message))),
            Ok(Err(mysql_async::Error::Driver(error @ DriverError::UnknownAuthPlugin { .. }))) => {
                Err(self.turned_away(None, &error.to_string()))
            }
            Ok(Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))) => {
                Err(self.turned_away(None, "TLS is required, and the server offers none"))
            }
            Ok(Err(mysql_async::Error::Io(error))) if is_of_tls(&error) => {
                Err(self.turned_away(None, &format!("TLS fails: {error}")))
            }
            Ok(Err(mysql_async::Error::Other(error))) => Err(self.turned_away(None, &error.to_string())),
            Ok(Err(error)) => Err(self.unreachable(&error.to_string())),
            Err(_) => Err(self.unreachable(&format!("no answer within {} ms", deadline.as_millis()))),
        }
    }

    fn turned_away(&self, code: Option<u16>, problem: &str) -> DatabaseError {
        let (address, problem) = (self.address.to_string(), Statement::new(problem).to_string());
        DatabaseError::TurnedAway { address, code, problem }
    }

    fn unreachable(&self, problem: &str) -> DatabaseError {
        DatabaseError::Unreachable { address: self.address.to_string(), problem: Statement::new(problem).to_string() }
    }

    /// Ends what connection `id` does, from another one. A failure is only worth a warning: the server's own timeouts come after it.
    async fn kill(self, id: u32) {
        let kill = async {
            let mut conn = self.connect(KILL_DEADLINE).await.map_err(|error| error.to_string())?;
            let killed = conn.query_drop(format!("KILL CONNECTION {id}")).await;
            conn.disconnect().await.ok();
            match killed {
                Err(mysql_async::Error::Server(error)) if error.code == NO_SUCH_THREAD => Ok(()),
                other => other.map_err(|error| error.to_string()),
            }
        };
        match timeout(KILL_DEADLINE, kill).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => tracing::warn!(connection = id, problem, "could not kill an abandoned statement"),
            Err(_) => tracing::warn!(connection = id, "could not kill an abandoned statement in time"),
        }
    }
}

/// What the handshake finds wrong comes as data that are none of its own.
fn is_of_tls(error: &mysql_async::IoError) -> bool {
    match error {
        mysql_async::IoError::Tls(_) => true,
        mysql_async::IoError::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
    }
}

/// What a panic of the client says.
fn panicked(panic: &(dyn Any + Send)) -> mysql_async::Error {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    mysql_async::Error::Other(words.unwrap_or("the client broke off").to_owned().into())
}

/// Opening the second connection and killing, together.
const KILL_DEADLINE: Duration = Duration::from_secs(5);
/// Saying goodbye.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// `ER_NO_SUCH_THREAD`.
const NO_SUCH_THREAD: u16 = 1094;

/// `ER_DBACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_ERROR`, `ER_HOST_NOT_PRIVILEGED`, `ER_ACCESS_DENIED_NO_PASSWORD_ERROR`,
/// `ER_MUST_CHANGE_PASSWORD_LOGIN`, `ER_ACCOUNT_HAS_BEEN_LOCKED`, MariaDB's `ER_ACCOUNT_HAS_BEEN_LOCKED`.
pub(super) fn is_refusal(code: u16) -> bool {
    matches!(code, 1044 | 1045 | 1130 | 1698 | 1862 | 3118 | 4151)
}

/// `ER_SERVER_SHUTDOWN`, `ER_NORMAL_SHUTDOWN`, `ER_FORCING_CLOSE`, `ER_CONNECTION_KILLED`, `ER_CLIENT_INTERACTION_TIMEOUT`: errors that
/// come as the answer to a statement, and are the connection's last words.
pub(super) fn ends_the_connection(code: u16) -> bool {
    matches!(code, 1053 | 1077 | 1080 | 1927 | 4031)
}

/// A session over a socket.
pub struct NetSession {
    way: Way,
    /// Gone while a statement runs, and for good once one was given up.
    conn: Option<Conn>,
    killing: Option<JoinHandle<()>>,
}

impl NetSession {
    /// Connects to `address` and logs in.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`] and [`DatabaseError::AccessDenied`].
    pub async fn open(
        address: &Address,
        credentials: &Credentials,
        tls: &Tls,
        deadline: Duration,
    ) -> Result<Self, DatabaseError> {
        let way = Way::new(address, credentials, tls);
        let conn = way.connect(deadline).await?;
        Ok(Self { way, conn: Some(conn), killing: None })
    }

    /// Opens such sessions on demand.
    pub fn opener(address: Address, credentials: Credentials, tls: Tls) -> OpenSession {
        Arc::new(move |deadline| {
            let (address, credentials, tls) = (address.clone(), credentials.clone(), tls.clone());
            async move { Ok(Box::new(Self::open(&address, &credentials, &tls, deadline).await?) as Box<dyn Database>) }
                .boxed()
        })
    }

    async fn execute(&mut self, batch: &[Timed]) -> Answers {
        let Some(conn) = self.conn.take() else {
            let statement = batch.first().map_or_else(|| Statement::new(""), Timed::shown);
            return DatabaseError::Closed { statement }.into();
        };
        let mut running = Running { conn: Some(conn), session: self };
        let mut answers = Answers::default();
        let mut until = Instant::now();
        while let Some(conn) = &mut running.conn
            && let rest = &batch[answers.len()..]
            && let Some(first) = rest.first()
        {
            until = ends(first, until);
            // The server ends what travels together at the first statement that it refuses: the others are sent again.
            until = fetch(conn, rest, until, &mut answers).await;
            match answers.end() {
                None => {}
                // Its connection is killed.
                Some(DatabaseError::TimedOut { .. }) => return answers,
                // It is gone by itself.
                Some(_) => running.conn = None,
            }
        }
        running.session.conn = running.conn.take();
        answers
    }
}

/// A statement is under way. If it is given up, its connection is closed, and killed from another one: the server would go on to wait
/// for a lock that nobody wants any more, and then hold it.
struct Running<'s> {
    conn: Option<Conn>,
    session: &'s mut NetSession,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.session.killing = Some(runtime.spawn(self.session.way.clone().kill(conn.id())));
        }
    }
}

/// When the time of `timed` ends, where that of the one before it would end at `until`.
fn ends(timed: &Timed, until: Instant) -> Instant {
    if timed.shared { until } else { Instant::now() + timed.deadline }
}

/// Sends `batch` as one request and takes the answers, up to the first that is none or a refusal; the first has time `until`. Gives
/// when the time of the last one that was answered ends.
async fn fetch(conn: &mut Conn, batch: &[Timed], mut until: Instant, answers: &mut Answers) -> Instant {
    let together = batch.iter().map(|timed| timed.statement.as_str()).collect::<Vec<_>>().join("; ");
    let mut asked = Some(timeout_at(until, conn.query_iter(together)).await);
    let mut result = None;
    for (index, timed) in batch.iter().enumerate() {
        // The beginning of the next answer comes with the end of this one: what fails then has failed there.
        let next = batch.get(index + 1);
        let after = next.map_or(until, |next| ends(next, until));
        let answer = match (asked.take(), &mut result) {
            (Some(Ok(Ok(first))), _) => {
                let first = result.insert(first);
                read(first, timed, next, after).await
            }
            (Some(Ok(Err(error))), _) => Err(failure(timed, Some(error))),
            (Some(Err(_)), _) | (None, None) => Err(failure(timed, None)),
            (None, Some(result)) => read(result, timed, next, after).await,
        };
        let answered = answer.is_ok();
        answers.push(answer);
        if !answered {
            break;
        }
        until = after;
    }
    until
}

/// What `error` says of a statement; without one, that its answer did not come in time.
fn failure(timed: &Timed, error: Option<mysql_async::Error>) -> DatabaseError {
    let statement = timed.shown();
    match error {
        None => DatabaseError::TimedOut { statement, deadline: timed.deadline },
        Some(mysql_async::Error::Server(error)) if !ends_the_connection(error.code) => {
            DatabaseError::Server { statement, code: error.code, message: Statement::new(&error.message) }
        }
        Some(other) => DatabaseError::Lost { statement, problem: Statement::new(&other.to_string()).to_string() },
    }
}

/// One result set, to its end and to the beginning of that of `next`.
async fn read(
    result: &mut TextResult<'_>,
    timed: &Timed,
    next: Option<&Timed>,
    until: Instant,
) -> Result<Rows, DatabaseError> {
    let columns = result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    let (mut rows, mut bytes) = (Vec::new(), 0);
    loop {
        let row = match timeout_at(until, result.next()).await {
            Ok(Ok(Some(row))) => row,
            Ok(Ok(None)) => return Ok(Rows { columns, rows }),
            Ok(Err(error @ mysql_async::Error::Server(_))) => return Err(failure(timed, Some(error))),
            Ok(Err(error)) => return Err(failure(next.unwrap_or(timed), Some(error))),
            Err(_) => return Err(failure(next.unwrap_or(timed), None)),
        };
        let row: Vec<_> = row.unwrap_raw().into_iter().map(|value| value.and_then(text)).collect();
        bytes += row.iter().flatten().map(String::len).sum::<usize>();
        if bytes > Rows::MAX_BYTES {
            let detail = format!("more than {} bytes of it", Rows::MAX_BYTES);
            return Err(DatabaseError::UnexpectedReply { statement: timed.shown(), detail });
        }
        rows.push(row);
    }
}

type TextResult<'c> = QueryResult<'c, 'static, TextProtocol>;

/// In the text protocol every value arrives as bytes, or as NULL.
fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

impl Database for NetSession {
    fn batch<'a>(&'a mut self, batch: &'a [Timed]) -> BoxFuture<'a, Answers> {
        self.execute(batch).boxed()
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            if let Some(conn) = self.conn.take() {
                // Dropped or not: the socket closes, and the server frees what the session held.
                timeout(CLOSE_DEADLINE, conn.disconnect()).await.ok();
            }
            if let Some(killing) = self.killing.take() {
                killing.await.ok();
            }
        }
        .boxed()
    }
}
