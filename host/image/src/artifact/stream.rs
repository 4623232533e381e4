//! Standard output as the place of an artifact.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal, Write},
    os::{fd::AsFd, unix::fs::FileTypeExt},
};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ArtifactError;

/// How long a reader that does not read is waited for before the writer is told.
const WAIT_MS: u8 = 100;
/// What a pipe that has room takes without blocking (`PIPE_BUF`, pipe(7)).
const PIPE_BUF_BYTES: usize = 4096;

/// Standard output, unbuffered: the standard library's own handle would search every frame for line ends.
///
/// A write to a pipe or socket whose reader does not read ends with [`ErrorKind::WouldBlock`] after 100 ms, so that a
/// stuck network does not keep a snapshot, and a signal from being obeyed.
#[derive(Debug)]
pub struct Stream {
    file: File,
    piece_bytes: usize,
}

impl Stream {
    /// Takes standard output.
    ///
    /// # Errors
    /// [`ArtifactError::Terminal`] where that is a terminal; [`ArtifactError::Io`] where it is closed.
    pub fn stdout() -> Result<Self, ArtifactError> {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Err(ArtifactError::Terminal);
        }
        let file = stdout.as_fd().try_clone_to_owned().map_err(|source| ArtifactError::Io {
            step: "open",
            path: "standard output".into(),
            source,
        })?;
        Ok(Self::of(file.into()))
    }

    fn of(file: File) -> Self {
        let is_pipe = file.metadata().is_ok_and(|of| of.file_type().is_fifo() || of.file_type().is_socket());
        Self { file, piece_bytes: if is_pipe { PIPE_BUF_BYTES } else { usize::MAX } }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match poll(&mut [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)], PollTimeout::from(WAIT_MS)) {
            Ok(0) | Err(Errno::EINTR) => Err(ErrorKind::WouldBlock.into()),
            // An error of the pipe (`POLLERR`) is the write's to tell.
            Ok(_) => self.file.write(buf.get(..self.piece_bytes).unwrap_or(buf)),
            Err(errno) => Err(errno.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_reader_that_does_not_read_is_told_of_and_one_that_does_gets_everything() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut stream = Stream::of(std::os::fd::OwnedFd::from(writer).into());
        let mut taken = 0;
        let told = loop {
            match stream.write(&[7; 1 << 20]) {
                Ok(count) => taken += count,
                Err(error) => break error,
            }
        };
        assert_eq!(told.kind(), ErrorKind::WouldBlock);
        drop(stream);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), taken);
    }
}
