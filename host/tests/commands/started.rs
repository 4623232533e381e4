//! Starting it, beside programs that only pretend to be LVM's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// The arguments of a plan that has only LVM to ask.
pub const PLAN: [&str; 7] = ["plan", "--json", "--config", "/dev/null", "--disk", "vg/db", "--no-freeze"];

/// How it ended.
pub struct Ended {
    pub code: i32,
    /// What `--json` printed; null where stdout was empty.
    pub document: Value,
    pub stderr: String,
}

impl Ended {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Self { code: output.status.code().unwrap_or_else(|| panic!("a signal ended it: {stderr}")), document, stderr }
    }

    pub fn kind(&self) -> &str {
        self.document["error"]["kind"].as_str().unwrap_or_else(|| panic!("no failure: {}", self.stderr))
    }

    /// It failed with `code`, said so in the document too, and has a hint with `words` in it.
    #[track_caller]
    pub fn assert_failed(&self, code: i32, kind: &str, words: &str) {
        assert_eq!((self.code, self.kind()), (code, kind), "{}", self.stderr);
        assert_eq!(self.document["error"]["exit"], code);
        let hint = self.document["error"]["hint"].as_str().unwrap();
        assert!(hint.contains(words), "{hint}");
        assert!(self.stderr.contains(&format!("hint: {hint}\n")), "{}", self.stderr);
    }
}

pub fn stillpoint() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stillpoint"))
}

/// A folder with `lvs` and `vgs`, which leave word that they were started and end with LVM's words for a lock that is held.
pub struct FakeLvm {
    folder: TempDir,
}

impl FakeLvm {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        for program in ["lvs", "vgs"] {
            let path = folder.path().join(program);
            let script =
                format!("#!/bin/sh\n: >'{}'\necho \"  Can't get lock for vg.\" >&2\nexit 5\n", started.display());
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn was_started(&self) -> bool {
        self.started().exists()
    }

    fn started(&self) -> PathBuf {
        self.folder.path().join("started")
    }
}
