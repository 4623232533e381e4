//! A database server in the guest: the wire to it, and above the wire every statement that is ever sent.
//!
//! [`Database`] is the wire: statements, their rows. [`NetSession`](net::NetSession) speaks the protocol over a socket,
//! [`AgentSession`](agent_session::AgentSession) feeds a client inside the guest through the guest agent. What is said over the wire
//! is written once, for all of them, in [`server`] (who is it), [`lock`] (hold it still) and [`holder`] (who would not let us).

pub mod agent_session;
mod batch;
pub(crate) mod bounds;
mod credentials;
pub mod engine_logs;
mod error;
pub(crate) mod grants;
mod hint;
pub mod holder;
pub(crate) mod last_words;
pub mod lock;
pub mod lock_method;
mod milliseconds;
pub mod net;
pub mod privileges;
mod rows;
#[cfg(any(test, feature = "scripted"))]
pub mod scripted;
pub mod server;
#[cfg(any(test, feature = "scripted"))]
pub mod simulated;
mod statement;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};

pub use batch::{Answers, Timed};
pub use credentials::Credentials;
pub use error::DatabaseError;
pub use rows::Rows;
pub use statement::Statement;

/// One session of a database server.
///
/// A call that did not run to its end, because its deadline passed or because its future was dropped, **ends the session**: the
/// reply that is still to come would otherwise be taken for the reply to the next statement. The implementation closes the
/// connection, asks the server to kill what it still executes, and answers every later call with [`DatabaseError::Closed`].
///
/// Dropping a session closes it, and with the connection the server frees all its locks.
pub trait Database: Send {
    /// Sends statements in one round trip and gives the answer to each. **All are carried out**, in their order: also those behind
    /// one that the server refuses, and, once they are sent, as a rule also where this end of the session is gone meanwhile. So what
    /// a statement does, a later one of the same batch can take back.
    fn batch<'a>(&'a mut self, batch: &'a [Timed]) -> BoxFuture<'a, Answers>;

    /// Sends one statement and returns its rows; a statement without a result set gives none.
    ///
    /// # Errors
    /// Any [`DatabaseError`]. After [`DatabaseError::Server`] the session goes on; after all others it is closed.
    fn query<'a>(&'a mut self, statement: &'a str, deadline: Duration) -> BoxFuture<'a, Result<Rows, DatabaseError>> {
        async move { self.batch(&[Timed::new(statement, deadline)]).await.next() }.boxed()
    }

    /// Says goodbye to the server and waits, for a bounded time, until it is gone.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Opens one more session to the same server, within the given time.
pub type OpenSession =
    Arc<dyn Fn(Duration) -> BoxFuture<'static, Result<Box<dyn Database>, DatabaseError>> + Send + Sync>;
