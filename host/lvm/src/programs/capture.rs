//! What a program writes, while it runs.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Output;

/// A stream that is read to its end on a thread, and kept up to [`Output::CAP_BYTES`].
#[derive(Default)]
pub(super) struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Capture {
    pub fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let reader = stream.map(|mut stream| {
            let kept = Arc::clone(&kept);
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                loop {
                    match stream.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(read) => {
                            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                            let room = Output::CAP_BYTES.saturating_sub(kept.len());
                            kept.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
            })
        });
        Self { kept, reader }
    }

    /// What was read by the time that the stream closed, or by `closed_by` if something still holds it.
    pub fn take(&mut self, closed_by: Instant) -> Vec<u8> {
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < closed_by {
            thread::sleep(Duration::from_micros(500));
        }
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
