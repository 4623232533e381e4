//! Peers that do something of their own at one moment, and pass everything else on.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guest_bridge::agent::{Agent, AgentError, BoxFuture, Request, SimulatedGuest};
use lvm::Bytes;
use lvm::programs::{Invocation, Output, ProgramError, Programs, Started};
use lvm::simulated::SimulatedLvm;
use serde_json::Value;
use stillpoint::run::event::{Event, Listener};
use stillpoint::stop::Stop;
use stillpoint_tests::machine::guest_image::GuestImage;

use super::setting::{DISKS, Setting, frozen, live};

/// The number of signal(7).
pub const SIGTERM: i32 = 15;

/// A guest that shows on its disks whether it is frozen, as ext4 does: `needs_recovery` is set when it is mounted and when it is thawed,
/// and cleared by a freeze. Of its thaws the first `lies` do nothing but say so.
pub struct Shown {
    pub guest: SimulatedGuest,
    pub dev: PathBuf,
    pub lies: usize,
}

impl Shown {
    /// Its disks are live.
    pub fn new(setting: &Setting, lies: usize) -> Self {
        let shown = Self { guest: setting.guest.clone(), dev: setting.path("dev"), lies };
        shown.show(live());
        shown
    }

    /// The superblock of each disk is that of `image`.
    pub fn show(&self, image: &GuestImage) {
        for (_, disk, _) in DISKS {
            let disk = File::options().write(true).open(self.dev.join(disk)).unwrap();
            disk.write_all_at(&image.bytes[1024..2048], 1024).unwrap();
        }
    }
}

impl Agent for Shown {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(async move {
            let command = request.command;
            let answer = self.guest.call(request, deadline).await;
            match command {
                "guest-fsfreeze-freeze" if self.guest.is_frozen() => self.show(frozen()),
                "guest-fsfreeze-thaw" if self.lies == 0 => self.show(live()),
                "guest-fsfreeze-thaw" => self.lies -= 1,
                _ => {}
            }
            answer
        })
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.guest.release()
    }
}

/// The notes of a run.
#[derive(Default)]
pub struct Notes(pub Mutex<Vec<String>>);

impl Listener for Notes {
    fn hear(&self, event: &Event) {
        if let Event::Note { text } = event {
            self.0.lock().unwrap().push(text.clone());
        }
    }
}

/// Passes calls on; before the first look at a snapshot's state, the guest's writes fill its COW.
pub struct Filling(pub Arc<SimulatedLvm>);

impl Programs for Filling {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        if invocation.to_string().starts_with("dmsetup status") {
            let snapshots = self.0.volumes().into_iter().filter(|name| name.starts_with("vg/stillpoint-"));
            for snapshot in snapshots {
                self.0.fill_cow(&snapshot.parse().unwrap(), Bytes(400 << 20));
            }
        }
        self.0.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        self.0.start(invocation)
    }
}

/// Passes calls on, and panics in the middle of the window.
pub struct Panicking(pub Arc<SimulatedLvm>);

impl Programs for Panicking {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        assert!(!invocation.to_string().starts_with("lvconvert"), "a bug of ours");
        self.0.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        let inner = self.0.start(invocation)?;
        Ok(Box::new(Acting { inner, then: Arc::new(|| panic!("a bug of ours")) }))
    }
}

/// Does something at the moment at which a program that waited may go on: between freeze and thaw.
pub struct Acting {
    pub inner: Box<dyn Started>,
    pub then: Arc<dyn Fn() + Send + Sync>,
}

impl Started for Acting {
    fn pid(&self) -> Option<u32> {
        self.inner.pid()
    }

    fn has_ended(&mut self, within: Duration) -> Result<bool, ProgramError> {
        // A mere look comes before that.
        if !within.is_zero() {
            (self.then)();
        }
        self.inner.has_ended(within)
    }

    fn ask_to_end(&mut self) {
        self.inner.ask_to_end();
    }

    fn end(self: Box<Self>) -> Result<Output, ProgramError> {
        self.inner.end()
    }
}

/// Passes calls on; does something before each of one program.
pub struct Interposing {
    pub inner: Arc<SimulatedLvm>,
    pub on: &'static str,
    pub then: Arc<dyn Fn() + Send + Sync>,
}

impl Programs for Interposing {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        if invocation.to_string().starts_with(self.on) {
            (self.then)();
        }
        self.inner.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        let inner = self.inner.start(invocation)?;
        let interposes = invocation.to_string().starts_with(self.on);
        Ok(if interposes { Box::new(Acting { inner, then: self.then.clone() }) } else { inner })
    }
}

/// Passes calls on, and asks the run to stop before one of them.
pub struct Interrupting<P> {
    pub inner: P,
    pub stop: Stop,
    pub calls: AtomicUsize,
    pub at: usize,
}

impl<P> Interrupting<P> {
    pub fn new(inner: P, stop: Stop, at: usize) -> Self {
        Self { inner, stop, calls: AtomicUsize::new(0), at }
    }

    pub fn arrive(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.at {
            self.stop.ask(SIGTERM);
        }
    }
}

impl Programs for Interrupting<Arc<SimulatedLvm>> {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        self.arrive();
        self.inner.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        self.arrive();
        self.inner.start(invocation)
    }
}

impl Agent for Interrupting<SimulatedGuest> {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        self.arrive();
        self.inner.call(request, deadline)
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.inner.release()
    }
}
