//! One agent, used by several: the coordinator, and the database session that goes through it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Agent, AgentError, Request};

/// A handle to an agent that others hold too. Calls queue up: qemu-ga serves one client, and that client one command.
#[derive(Clone)]
pub struct SharedAgent {
    agent: Arc<Mutex<Box<dyn Agent>>>,
}

impl SharedAgent {
    /// Shares `agent`.
    pub fn new(agent: impl Agent + 'static) -> Self {
        Self { agent: Arc::new(Mutex::new(Box::new(agent))) }
    }
}

impl Agent for SharedAgent {
    /// The wait for another holder's call is not counted in `deadline`: it is bounded by that call's own.
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(async move { self.agent.lock().await.call(request, deadline).await })
    }

    /// For all holders. A call that is under way is answered first.
    fn release(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.agent.lock().await.release().await })
    }
}
