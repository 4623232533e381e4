//! The tool under test, run as its user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::guest::{AGENT_SOCKET, until};
use super::volume::{DATA, ROOT};

/// A folder of this machine that is writable in the lab. Large, where everything else there is memory.
const SHARE: &str = "/run/share";

/// One run of `stillpoint`, and the folder that is its own.
#[derive(Debug)]
pub struct Run {
    folder: TempDir,
    target: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    window_deadline: &'static str,
    command: Command,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Run {
    /// `stillpoint backup`, and what it needs to find the guest's agent, but no disk yet.
    pub fn backup() -> Self {
        Self::of("backup").with(&["--agent", &format!("unix:{AGENT_SOCKET}")])
    }

    /// `stillpoint backup` of both disks, the database locked through the agent.
    pub fn backup_of_all() -> Self {
        Self::backup().with(&["--disk", ROOT, "--disk", DATA, "--db", "agent"])
    }

    /// `stillpoint COMMAND`.
    pub fn of(command: &str) -> Self {
        let program = std::env::var_os("STILLPOINT").expect("STILLPOINT names the program under test");
        let folder = TempDir::new_in(SHARE).unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        let mut command_line = Command::new(program);
        command_line.arg(command).stdin(Stdio::null());
        Self { folder, target: None, state_dir: None, window_deadline: "60s", command: command_line }
    }

    /// The same with more arguments.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// The same with its artifacts in `target`, instead of a folder of its own.
    pub fn to(mut self, target: &Path) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    /// The same with `deadline` for window and freeze, instead of a minute.
    pub fn within(mut self, deadline: &'static str) -> Self {
        self.window_deadline = deadline;
        self
    }

    /// The folder for artifacts.
    pub fn target(&self) -> PathBuf {
        self.target.clone().unwrap_or_else(|| self.folder.path().join("target"))
    }

    /// A folder for whatever else belongs to this run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its run logs are.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| self.folder.path().join("state"))
    }

    /// The same with its run logs where those of `other` are.
    pub fn after(self, other: &Self) -> Self {
        self.with_state(&other.state_dir())
    }

    /// The same with its run logs in `folder`.
    pub fn with_state(mut self, folder: &Path) -> Self {
        self.state_dir = Some(folder.to_owned());
        self
    }

    /// The text of all its run logs.
    pub fn log_text(&self) -> String {
        let Ok(entries) = fs::read_dir(self.state_dir().join("runs")) else { return String::new() };
        let logs = entries.map(|entry| entry.unwrap().path());
        logs.filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .map(|log| fs::read_to_string(log).unwrap())
            .collect()
    }

    /// Runs it to its end.
    pub fn end(&mut self) -> Ended {
        Ended::of(self.start())
    }

    /// Starts it.
    pub fn start(&mut self) -> Child {
        let (target, state, deadline) = (self.target(), self.state_dir(), self.window_deadline);
        let is_named = target != Path::new("-");
        let command = self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let verb = command.get_args().next().unwrap_or_default().to_owned();
        if verb == "backup" || verb == "plan" || verb == "doctor" {
            command.arg("--state-dir").arg(state);
            // An emulated guest on a busy machine takes its time.
            command.args(["--window-deadline", deadline, "--freeze-deadline", deadline]);
        }
        if verb == "backup" || verb == "doctor" {
            command.arg("--to").arg(target);
        }
        if verb == "backup" && is_named {
            command.args(["--name", "backup"]);
        }
        command.spawn().unwrap()
    }

    /// Starts it, sends it `signal` once it has begun `step` and `ready` holds, and waits for its end.
    pub fn interrupted(&mut self, signal: &str, step: &str, ready: impl FnMut() -> bool) -> Ended {
        let child = self.start();
        let steps = || self.steps();
        let begun = (step.to_owned(), "intent".to_owned());
        until(&format!("the run begins to {step}"), || steps().contains(&begun));
        until("the moment for the signal", ready);
        crate::machine::program::run("kill", &["-s", signal, &child.id().to_string()]);
        Ended::of(child)
    }

    /// The lines of the run log, in order: step and mark. Empty before there is one.
    pub fn steps(&self) -> Vec<(String, String)> {
        let Ok(entries) = fs::read_dir(self.state_dir().join("runs")) else { return Vec::new() };
        let mut logs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        logs.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
        assert!(logs.len() <= 1, "one run, one log: {logs:?}");
        let text = logs.first().map(|log| fs::read_to_string(log).unwrap()).unwrap_or_default();
        let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        // The last line may be half written yet.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.map(|line| (word(&line, "step"), word(&line, "mark"))).collect()
    }

    /// The receipt.
    pub fn receipt(&self) -> Value {
        let path = self.target().join("backup.json");
        serde_json::from_slice(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
    }

    /// The names of all files in the target folder, hidden ones too.
    pub fn files(&self) -> Vec<String> {
        files_of(&self.target())
    }
}

/// The names of all files in `folder`, hidden ones too.
pub fn files_of(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

impl Ended {
    /// Waits for its end.
    pub fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stderr, self.stdout);
        self
    }

    /// Asserts that it failed with `code`, and said one sentence with all of `words` in it.
    #[track_caller]
    pub fn refused(self, code: i32, words: &[&str]) -> Self {
        let ended = self.with_code(code);
        let said = ended.complaint();
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
        ended
    }

    /// The line that says why it failed.
    #[track_caller]
    pub fn complaint(&self) -> &str {
        let line = self.stderr.lines().find(|line| line.starts_with("stillpoint: "));
        line.unwrap_or_else(|| panic!("no complaint in: {}", self.stderr))
    }
}
