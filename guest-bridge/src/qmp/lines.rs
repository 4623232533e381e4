//! Lines of JSON over a socket, bounded in length and time.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Longer than any answer to what is asked here.
pub(super) const LINE_MAX_BYTES: usize = 1 << 20;

pub(super) struct Lines {
    stream: UnixStream,
    /// What was read, and is no whole line yet. It outlives a call that was dropped.
    read: Vec<u8>,
    /// How much of it has no end of a line.
    searched: usize,
}

impl Lines {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, read: Vec::new(), searched: 0 }
    }

    pub(super) async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.write_all(line).await
    }

    /// The next line, without its end.
    pub(super) async fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.read[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(self.searched + end + 1);
                self.searched = 0;
                let mut line = std::mem::replace(&mut self.read, rest);
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            self.searched = self.read.len();
            if self.read.len() > LINE_MAX_BYTES {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a line longer than {LINE_MAX_BYTES} bytes"),
                ));
            }
            let mut some = [0; 4096];
            match self.stream.read(&mut some).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.read.extend_from_slice(&some[..count]),
            }
        }
    }
}
