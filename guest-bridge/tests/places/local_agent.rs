//! An agent that runs our scripts on this machine, with the mounts of the test in place of this machine's.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use guest_bridge::agent::{Agent, AgentError, BoxFuture, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The shells that guests have.
pub const SHELLS: [&str; 2] = ["dash", "busybox"];

pub struct LocalAgent {
    shell: &'static str,
    /// Where the test has its mounts.
    folder: PathBuf,
    /// Stands for `/dev/disk/by-uuid`.
    pub by_uuid: PathBuf,
    /// Stands for the folders in memory that a watchdog may live in.
    pub memory: String,
    /// Holds the table of mounts, and busybox's programs.
    private: TempDir,
    ended: BTreeMap<u32, Value>,
}

impl LocalAgent {
    /// Sees what is mounted in `folder`, and what that lies on, read-only.
    pub fn new(shell: &'static str, folder: &Path) -> Self {
        let private = tempfile::tempdir().unwrap();
        let (programs, by_uuid) = (private.path().join("bin"), private.path().join("by-uuid"));
        fs::create_dir(&programs).unwrap();
        fs::create_dir(&by_uuid).unwrap();
        if shell == "busybox" {
            assert!(Command::new("busybox").arg("--install").arg("-s").arg(&programs).status().unwrap().success());
        }
        Self { shell, folder: folder.to_owned(), by_uuid, memory: String::new(), private, ended: BTreeMap::new() }
    }

    fn table(&self) -> PathBuf {
        let point_of = |line: &str| PathBuf::from(line.split(' ').nth(4).unwrap());
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        // What the folder lies on. The last one lies on top.
        let below = table.lines().map(point_of).filter(|point| self.folder.starts_with(point) && *point != self.folder);
        let below = below.max_by_key(|point| point.as_os_str().len()).unwrap_or_default();
        let own = |line: &&str| point_of(line) == below || point_of(line).starts_with(&self.folder);
        let seen = |line: &str| {
            let mut fields: Vec<&str> = line.split(' ').collect();
            let options = fields[5].replacen("rw", "ro", 1);
            if point_of(line) == below {
                fields[5] = &options;
            }
            // This machine's own filesystem is never written to.
            assert!(point_of(line) != below || fields[5].starts_with("ro"), "{line}");
            fields.join(" ") + "\n"
        };
        let table: String = table.lines().filter(own).map(seen).collect();
        let path = self.private.path().join("mountinfo");
        fs::write(&path, table).unwrap();
        path
    }

    fn execute(&mut self, arguments: &Value) -> Value {
        assert_eq!(arguments["path"], "/bin/sh");
        let (table, by_uuid) = (self.table(), self.by_uuid.to_str().unwrap());
        let given = arguments["arg"].as_array().unwrap().iter().map(|argument| match argument.as_str().unwrap() {
            "/proc/self/mountinfo" => table.to_str().unwrap(),
            "/dev/disk/by-uuid" => by_uuid,
            "/run /dev/shm" => &self.memory,
            other => other,
        });
        let mut command = Command::new(self.shell);
        if self.shell == "busybox" {
            command.arg("sh").env("PATH", format!("{}/bin:/usr/bin:/bin", self.private.path().display()));
        }
        command.args(given).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{} is needed: {error}", self.shell));
        let input = BASE64_STANDARD.decode(arguments["input-data"].as_str().unwrap_or_default()).unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let pid = child.id();
        // As an agent does: until nobody holds its output.
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // udev's links have the name of their folder.
        let out = out.replace(by_uuid, "/dev/disk/by-uuid");
        assert!(err.is_empty() || !output.status.success(), "the script has nothing to say beside its answer: {err}");
        let status = json!({
            "exited": true, "exitcode": output.status.code().unwrap(),
            "out-data": BASE64_STANDARD.encode(out.as_bytes()), "err-data": BASE64_STANDARD.encode(err.as_bytes()),
        });
        self.ended.insert(pid, status);
        json!({ "pid": pid })
    }
}

impl Agent for LocalAgent {
    fn call(&mut self, request: Request, _: std::time::Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        let answer = match request.command {
            "guest-exec" => self.execute(&request.arguments),
            "guest-exec-status" => {
                let pid = u32::try_from(request.arguments["pid"].as_u64().unwrap()).unwrap();
                self.ended.remove(&pid).unwrap()
            }
            other => panic!("{other} is not asked here"),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
