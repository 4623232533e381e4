//! The threads of a copy, and the frames that are between them and the writer.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread::Scope,
    time::Duration,
};

use super::{
    CopyError,
    give_way::give_way,
    worker::{Delivery, Done, Worker},
};

/// How often a wait for the workers looks whether it is to stop.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Hands frames out and gives them back in order. Dropping it ends the threads after the frame that each is at.
pub(super) struct Pool<I> {
    to_read: I,
    jobs: SyncSender<u32>,
    delivered: Receiver<Delivery>,
    early: BTreeMap<u32, Done>,
    in_flight: usize,
    window: usize,
}

impl<I: Iterator<Item = u32>> Pool<I> {
    /// Starts a thread for each of `workers`; at most `window` of the frames `to_read` will be in memory.
    pub(super) fn start<'scope, 's: 'scope>(
        scope: &'scope Scope<'scope, '_>,
        workers: Vec<Worker<'s>>,
        window: usize,
        to_read: I,
    ) -> Self {
        // Both hold the whole window, so no thread ever waits to hand something over.
        let (jobs, queue) = mpsc::sync_channel(window);
        let (deliver, delivered) = mpsc::sync_channel(window);
        let queue = Arc::new(Mutex::new(queue));
        for worker in workers {
            let (queue, deliver) = (Arc::clone(&queue), deliver.clone());
            scope.spawn(move || {
                give_way();
                worker.serve(&queue, &deliver);
            });
        }
        Self { to_read, jobs, delivered, early: BTreeMap::new(), in_flight: 0, window }
    }

    /// Frame `index`; they have to be asked for in the order of `to_read`. `None` when it was told to stop.
    pub(super) fn take(&mut self, index: u32, stop: &AtomicBool) -> Result<Option<Done>, CopyError> {
        // What is handed out and not yet taken never exceeds the window, however slow one frame or the target is.
        while self.in_flight < self.window {
            let Some(next) = self.to_read.next() else { break };
            self.jobs.send(next).map_err(|_| CopyError::Threads)?;
            self.in_flight += 1;
        }
        loop {
            if stop.load(Relaxed) {
                return Ok(None);
            }
            if let Some(done) = self.early.remove(&index) {
                self.in_flight -= 1;
                return Ok(Some(done));
            }
            match self.delivered.recv_timeout(STOP_POLL) {
                Ok(Ok(outcome)) => {
                    let done = outcome?;
                    self.early.insert(done.index, done);
                }
                Ok(Err(panic)) => resume_unwind(panic),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(CopyError::Threads),
            }
        }
    }
}
