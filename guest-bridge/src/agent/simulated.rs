//! A guest that behaves, and fails where it is told to: for injecting a fault at every step of a backup.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Agent, AgentError, BoxFuture, Endpoint, Exit, Finished, Program, Request, millis, reply};
use crate::{call_log::CallLog, places::SimulatedPlaces, watchdog::SimulatedWatchdogs};

/// What an agent accepts while it believes its filesystems frozen (`ga_freeze_allowlist` in QEMU's `qga/main.c`).
const WHILE_FROZEN: [&str; 6] =
    ["guest-ping", "guest-info", "guest-sync", "guest-sync-delimited", "guest-fsfreeze-status", "guest-fsfreeze-thaw"];
/// What this guest offers besides.
const WHILE_THAWED: [&str; 6] = [
    "guest-get-fsinfo",
    "guest-get-time",
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-freeze-list",
    "guest-exec",
    "guest-exec-status",
];

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The agent answers with an error and does nothing.
    Refused,
    /// Nothing is done and nothing is answered.
    Hang,
    /// It is done, and the reply does not come in time.
    DoneButSilent,
    /// The reply does not come in time, and it is done after the command that follows has been answered.
    DoneLater,
    /// The connection breaks before anything is done.
    Lost,
    /// It is done, and the connection breaks before the reply.
    DoneButLost,
    /// It is done, and what is answered is no answer.
    DoneButGarbage,
    /// The guest is gone: this command and all that follow cannot connect.
    Gone,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::Hang,
        Self::DoneButSilent,
        Self::DoneLater,
        Self::Lost,
        Self::DoneButLost,
        Self::DoneButGarbage,
        Self::Gone,
    ];
}

type Programs = Box<dyn FnMut(&Program) -> Finished + Send>;

struct Guest {
    log: CallLog,
    mountpoints: Vec<String>,
    blocked: BTreeSet<String>,
    freezes_nothing: bool,
    /// The next thaw is answered with what another command was, and not done.
    answers_thaw_for_another: bool,
    /// Nanoseconds since 1970; `None`: that of this machine.
    time_ns: Option<i64>,
    /// What the agent believes.
    agent_frozen: bool,
    /// What the kernel holds.
    kernel_frozen: BTreeSet<String>,
    programs: Programs,
    places: SimulatedPlaces,
    watchdogs: SimulatedWatchdogs,
    ended: BTreeMap<i64, Finished>,
    next_pid: i64,
    calls: usize,
    fault_at_call: BTreeMap<usize, Fault>,
    fault_at_command: BTreeMap<String, Fault>,
    gone: bool,
    later: Option<(String, Value)>,
}

/// A healthy guest with an agent, and a handle to it: clones are the same guest.
///
/// Its programs end at once with exit code 0 and print nothing, unless [`SimulatedGuest::runs`] says otherwise. What asks where
/// things lie, marks filesystems, and arms a watchdog, is answered.
#[derive(Clone)]
pub struct SimulatedGuest(Arc<Mutex<Guest>>);

impl SimulatedGuest {
    /// A guest with ext4 on each of `mountpoints`, whose agent records in `log` each command as `agent: COMMAND`, behind it
    /// what is frozen or executed, and the end of a connection as `agent: released`.
    pub fn new<'m>(log: CallLog, mountpoints: impl IntoIterator<Item = &'m str>) -> Self {
        Self(Arc::new(Mutex::new(Guest {
            log,
            mountpoints: mountpoints.into_iter().map(str::to_owned).collect(),
            blocked: BTreeSet::new(),
            freezes_nothing: false,
            answers_thaw_for_another: false,
            time_ns: None,
            agent_frozen: false,
            kernel_frozen: BTreeSet::new(),
            programs: Box::new(|_| Finished { exit: Exit::Code(0), stdout: Vec::new(), stderr: Vec::new() }),
            places: SimulatedPlaces::default(),
            watchdogs: SimulatedWatchdogs::default(),
            ended: BTreeMap::new(),
            next_pid: 1000,
            calls: 0,
            fault_at_call: BTreeMap::new(),
            fault_at_command: BTreeMap::new(),
            gone: false,
            later: None,
        })))
    }

    /// The agent blocks `command`, as RHEL's does `guest-exec`.
    pub fn blocks(self, command: &str) -> Self {
        self.guest().blocked.insert(command.to_owned());
        self
    }

    /// A freeze succeeds, counts all filesystems, and freezes none.
    pub fn freezes_nothing(self) -> Self {
        self.guest().freezes_nothing = true;
        self
    }

    /// The first thaw gets the answer that the freeze had, and is not done.
    pub fn answers_the_first_thaw_for_another(self) -> Self {
        self.guest().answers_thaw_for_another = true;
        self
    }

    /// Its clock stands still, at so many nanoseconds since 1970. Else it is that of this machine.
    pub fn whose_clock_says(self, time_ns: i64) -> Self {
        self.guest().time_ns = Some(time_ns);
        self
    }

    /// What programs in the guest do.
    pub fn runs(self, programs: impl FnMut(&Program) -> Finished + Send + 'static) -> Self {
        self.guest().programs = Box::new(programs);
        self
    }

    /// Where things lie in it is changed.
    pub fn with_places(self, change: impl FnOnce(&mut SimulatedPlaces)) -> Self {
        change(&mut self.guest().places);
        self
    }

    /// The paths of the markers that are on its filesystems now.
    pub fn markers(&self) -> Vec<String> {
        self.guest().places.markers().map(str::to_owned).collect()
    }

    /// The `nth` call of all, counted from 0, goes wrong.
    pub fn fails_at_call(self, nth: usize, fault: Fault) -> Self {
        self.guest().fault_at_call.insert(nth, fault);
        self
    }

    /// The next call of `command` goes wrong; the one after it does not.
    pub fn fails_at(self, command: &str, fault: Fault) -> Self {
        self.guest().fault_at_command.insert(command.to_owned(), fault);
        self
    }

    /// Whether the kernel holds a filesystem frozen, whatever the agent believes.
    pub fn is_frozen(&self) -> bool {
        !self.guest().kernel_frozen.is_empty()
    }

    /// How many calls have come: a fault can be injected at each.
    pub fn calls(&self) -> usize {
        self.guest().calls
    }

    /// Something in the guest runs `fsfreeze -u` on everything: the agent does not notice.
    pub fn thaw_behind_the_agent(&self) {
        self.guest().kernel_frozen.clear();
    }

    /// The time of the watchdogs that are armed in it has come: they thaw everything, if there are any, and the agent does not notice.
    pub fn watchdog_acts(&self) {
        let mut guest = self.guest();
        if guest.watchdogs.act() {
            guest.kernel_frozen.clear();
        }
    }

    /// The tokens of the watchdogs that are armed in it and were not disarmed, in their order.
    pub fn watchdogs(&self) -> Vec<String> {
        self.guest().watchdogs.armed().map(str::to_owned).collect()
    }

    fn guest(&self) -> MutexGuard<'_, Guest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request, deadline: Duration) -> Result<Value, AgentError> {
        let Request { command, arguments, .. } = request;
        let fault = self.guest().arrive(command, &arguments);
        let name = || command.to_owned();
        match fault {
            None => {
                let mut guest = self.guest();
                let reply = guest.execute(command, &arguments);
                if let Some((command, arguments)) = guest.later.take() {
                    // Whether the late command succeeds is nobody's to see.
                    drop(guest.execute(&command, &arguments));
                }
                return reply;
            }
            Some(Fault::Refused) => return Err(reply::refusal(command, "GenericError", "the simulation says so")),
            Some(Fault::Gone) => {
                let source = io::ErrorKind::ConnectionRefused.into();
                return Err(AgentError::Connect { endpoint: Endpoint::Unix("/simulated".into()), source });
            }
            Some(Fault::DoneButSilent | Fault::DoneButLost) => drop(self.guest().execute(command, &arguments)),
            Some(Fault::DoneButGarbage) => {
                drop(self.guest().execute(command, &arguments));
                return Err(AgentError::Protocol { command: name(), detail: "HTTP/1.1 400".to_owned() });
            }
            Some(Fault::DoneLater) => self.guest().later = Some((name(), arguments)),
            Some(Fault::Hang | Fault::Lost) => {}
        }
        if matches!(fault, Some(Fault::Lost | Fault::DoneButLost)) {
            return Err(AgentError::Lost { command: name(), source: io::ErrorKind::ConnectionReset.into() });
        }
        sleep(deadline).await;
        Err(AgentError::Timeout { command: name(), waited_ms: millis(deadline) })
    }
}

impl Agent for SimulatedGuest {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(self.answer(request, deadline))
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.guest().log.record("agent: released");
        Box::pin(std::future::ready(()))
    }
}

impl Guest {
    fn arrive(&mut self, command: &str, arguments: &Value) -> Option<Fault> {
        let what = match command {
            "guest-exec" => {
                let program = program(arguments);
                if let Some(question) = SimulatedPlaces::question(&program) {
                    [&["places".to_owned()], question].concat()
                } else if let Some(question) = SimulatedWatchdogs::question(&program) {
                    [vec!["watchdog".to_owned()], question].concat()
                } else {
                    [vec![program.path], program.args].concat()
                }
            }
            "guest-fsfreeze-freeze-list" => strings(arguments.get("mountpoints")),
            _ => Vec::new(),
        };
        self.log.record([vec![format!("agent: {command}")], what].concat().join(" "));
        let fault = self.fault_at_call.remove(&self.calls).or_else(|| self.fault_at_command.remove(command));
        self.calls += 1;
        self.gone |= fault == Some(Fault::Gone);
        if self.gone { Some(Fault::Gone) } else { fault }
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, AgentError> {
        let refuse = |class, desc: String| Err(reply::refusal(command, class, &desc));
        if !WHILE_FROZEN.contains(&command) {
            if !WHILE_THAWED.contains(&command) {
                return refuse("CommandNotFound", format!("The command {command} has not been found"));
            }
            if self.blocked.contains(command) {
                return refuse("CommandNotFound", format!("Command {command} has been disabled"));
            }
            if self.agent_frozen {
                let desc = format!("Command {command} has been disabled: the agent is in frozen state");
                return refuse("CommandNotFound", desc);
            }
        }
        Ok(match command {
            "guest-info" => self.info(),
            "guest-get-fsinfo" => self.mountpoints.iter().enumerate().map(filesystem).collect(),
            "guest-get-time" => json!(self.time_ns.unwrap_or_else(now_ns)),
            "guest-fsfreeze-status" => json!(if self.agent_frozen { "frozen" } else { "thawed" }),
            "guest-fsfreeze-freeze" => self.freeze(self.mountpoints.clone()),
            "guest-fsfreeze-freeze-list" => match arguments.get("mountpoints") {
                None => self.freeze(self.mountpoints.clone()),
                listed => self.freeze(strings(listed)),
            },
            "guest-fsfreeze-thaw" if std::mem::take(&mut self.answers_thaw_for_another) => {
                json!(self.kernel_frozen.len())
            }
            "guest-fsfreeze-thaw" => {
                self.agent_frozen = false;
                let thawed = self.kernel_frozen.len();
                self.kernel_frozen.clear();
                json!(thawed)
            }
            "guest-exec" => {
                let program = program(arguments);
                let answer = self.places.answer(&program, &self.mountpoints);
                let answer = answer.or_else(|| self.watchdogs.answer(&program, &self.mountpoints));
                let finished = answer.unwrap_or_else(|| (self.programs)(&program));
                self.next_pid += 1;
                self.ended.insert(self.next_pid, finished);
                json!({ "pid": self.next_pid })
            }
            "guest-exec-status" => {
                let pid = arguments.get("pid").and_then(Value::as_i64).unwrap_or_default();
                // Telling the end reaps, as in a real agent.
                match self.ended.remove(&pid) {
                    Some(finished) => status(&finished),
                    None => return refuse("GenericError", "Invalid parameter 'pid'".into()),
                }
            }
            _ => json!({}),
        })
    }

    fn info(&self) -> Value {
        let enabled = |name: &str| WHILE_FROZEN.contains(&name) || !self.agent_frozen && !self.blocked.contains(name);
        let commands: Vec<Value> = WHILE_FROZEN
            .iter()
            .chain(&WHILE_THAWED)
            .map(|name| json!({"name": name, "enabled": enabled(name), "success-response": true}))
            .collect();
        json!({"version": "7.2.22", "supported_commands": commands})
    }

    fn freeze(&mut self, wanted: Vec<String>) -> Value {
        let found: BTreeSet<String> = wanted.into_iter().filter(|wanted| self.mountpoints.contains(wanted)).collect();
        let count = found.len();
        // With nothing to freeze, a real agent leaves its frozen state again.
        self.agent_frozen = count > 0;
        if !self.freezes_nothing {
            self.kernel_frozen = found;
        }
        json!(count)
    }
}

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

fn filesystem((i, mountpoint): (usize, &String)) -> Value {
    json!({"name": format!("vda{}", i + 1), "mountpoint": mountpoint, "type": "ext4", "disk": []})
}

fn status(finished: &Finished) -> Value {
    let mut status = json!({
        "exited": true,
        "out-data": BASE64_STANDARD.encode(&finished.stdout),
        "err-data": BASE64_STANDARD.encode(&finished.stderr),
    });
    match finished.exit {
        Exit::Code(code) => status["exitcode"] = code.into(),
        Exit::Signal(signal) => status["signal"] = signal.into(),
    }
    status
}

fn program(arguments: &Value) -> Program {
    let text = |name| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut program = Program::new(text("path"), strings(arguments.get("arg")));
    program.input = BASE64_STANDARD.decode(text("input-data")).unwrap_or_default();
    program.capture = arguments.get("capture-output").and_then(Value::as_bool).unwrap_or_default();
    program
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{
        FreezeScope, FreezeStatus, exec, exec_status, freeze, freeze_status, fsinfo, info, ping, run, thaw,
        thaw_until_sure, time,
    };

    const SOON: Duration = Duration::from_secs(5);
    const LONG: Duration = Duration::from_secs(60);

    fn guest() -> SimulatedGuest {
        SimulatedGuest::new(CallLog::new(), ["/", "/var/lib/mysql"])
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_guest_accepts_six_commands() {
        let mut guest = guest();
        let thawed_info = info(&mut guest, SOON).await.unwrap();
        assert_eq!(thawed_info.missing(&["guest-exec", "guest-file-open"]), ["guest-file-open"]);
        assert_eq!(freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap(), 2);
        assert!(guest.is_frozen());

        ping(&mut guest, SOON).await.unwrap();
        assert_eq!(info(&mut guest, SOON).await.unwrap().supported.len(), 6);
        assert_eq!(freeze_status(&mut guest, SOON).await.unwrap(), FreezeStatus::Frozen);
        assert!(matches!(fsinfo(&mut guest, SOON).await, Err(AgentError::Frozen { .. })));
        assert!(matches!(freeze(&mut guest, &FreezeScope::All, SOON).await, Err(AgentError::Frozen { .. })));

        assert_eq!(thaw(&mut guest, SOON).await.unwrap(), 2);
        assert_eq!(fsinfo(&mut guest, SOON).await.unwrap().len(), 2);
        assert!(!guest.is_frozen());
    }

    #[tokio::test(start_paused = true)]
    async fn its_clock_can_be_asked_while_it_is_not_frozen() {
        let mut guest = guest().whose_clock_says(1_795_291_163_250_000_000);
        assert_eq!(time(&mut guest, SOON).await.unwrap(), 1_795_291_163_250_000_000);
        freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap();
        assert!(matches!(time(&mut guest, SOON).await, Err(AgentError::Frozen { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thaw_behind_the_agent_shows_in_the_count() {
        let mut guest = guest();
        freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap();
        guest.thaw_behind_the_agent();
        assert_eq!(freeze_status(&mut guest, SOON).await.unwrap(), FreezeStatus::Frozen);
        assert_eq!(thaw_until_sure(&mut guest, SOON, &mut || false).await.unwrap().count, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_is_told_once() {
        let mut guest = guest().runs(|program| Finished {
            exit: Exit::Code(3),
            stdout: program.input.clone(),
            stderr: program.args.concat().into_bytes(),
        });
        let program = Program::new("/bin/cat", ["-", "x"]).with_input("hello");
        let pid = exec(&mut guest, &program, SOON).await.unwrap();
        let finished = exec_status(&mut guest, pid, SOON).await.unwrap().unwrap();
        assert_eq!(finished, Finished { exit: Exit::Code(3), stdout: b"hello".into(), stderr: b"-x".into() });
        assert!(matches!(exec_status(&mut guest, pid, SOON).await, Err(AgentError::Failed { .. })));
        assert_eq!(run(&mut guest, &program, SOON).await.unwrap(), finished);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_is_thawed_whatever_happened_to_the_freeze() {
        for fault in Fault::ALL {
            let mut guest = guest().fails_at("guest-fsfreeze-freeze", fault);
            freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap_err();
            let thawed = thaw_until_sure(&mut guest, LONG, &mut || false).await;
            assert_eq!(thawed.is_ok(), fault != Fault::Gone, "{fault:?}: {thawed:?}");
            assert!(!guest.is_frozen(), "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_is_thawed_whatever_happened_to_a_first_thaw() {
        for fault in Fault::ALL {
            let mut guest = guest().fails_at("guest-fsfreeze-thaw", fault);
            freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap();
            match thaw_until_sure(&mut guest, LONG, &mut || false).await {
                Ok(thawed) => {
                    assert!(!guest.is_frozen(), "{fault:?}");
                    assert_eq!(thawed.count, None, "{fault:?}: the count went with the reply");
                }
                Err(error) => {
                    assert!(fault == Fault::Gone && guest.is_frozen(), "{fault:?}: {error}");
                    assert!(matches!(error, AgentError::MaybeFrozen { .. }), "{error}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_is_thawed_whatever_happened_to_a_first_look_at_its_status() {
        for fault in Fault::ALL {
            let mut guest = guest().fails_at("guest-fsfreeze-status", fault);
            freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap();
            let thawed = thaw_until_sure(&mut guest, LONG, &mut || false).await;
            assert!(!guest.is_frozen(), "{fault:?}");
            match thawed {
                Ok(thawed) => assert_eq!(thawed.count, Some(2), "{fault:?}"),
                Err(error) => assert_eq!(fault, Fault::Gone, "{error}"),
            }
        }
    }
}
