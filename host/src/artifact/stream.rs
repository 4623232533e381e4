//! Standard output as the place of an artifact.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use super::ArtifactError;

/// Standard output, unbuffered: the standard library's own handle would search every frame for line ends.
#[derive(Debug)]
pub struct Stream {
    file: File,
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
        Ok(Self { file: file.into() })
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
