//! LVM in memory: volume groups, volumes and snapshots that answer the command lines of this package.
//!
//! Device nodes are files in a folder of the test, `DIR/vg/lv`; a snapshot's file is a copy of its origin's at the moment of
//! `lvconvert`. What it cannot show: time, udev, and I/O errors (an invalidated snapshot's file is cut to nothing instead).

mod commands;
mod state;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::state::State;
use crate::programs::{Invocation, Later, Output, ProgramError, Programs, Record, Started};
use crate::{Bytes, LvName};

/// Simulated volume groups.
pub struct SimulatedLvm(Arc<Simulation>);

struct Simulation {
    record: Record,
    state: Mutex<State>,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has done nothing.
    Refuses,
    /// It does its work, and then its deadline passes: the answer is lost.
    LosesReply,
    /// It does its work, leaves the origin suspended, and its deadline passes.
    LeavesSuspended,
    /// It is killed half way: it leaves the origin suspended, and with tables that are not what the metadata asks for. Resumed, it works,
    /// and is no origin until it is refreshed once the COW volume is gone.
    DiesHalfWay,
    /// It says that the volume is in use.
    IsBusy,
    /// It does its work, succeeds, and prints what is no answer.
    Babbles,
}

impl Fault {
    /// Each but [`Fault::DiesHalfWay`], of which a volume is left that only a refresh makes whole.
    pub const ALL_BUT_DEATH: [Self; 5] =
        [Self::Refuses, Self::LosesReply, Self::LeavesSuspended, Self::IsBusy, Self::Babbles];
}

impl SimulatedLvm {
    /// No groups yet. Device nodes are made below `dev`; `record` gets each call, as `program: COMMAND LINE`. A program that is
    /// started gives two such lines: one with ` (waits at the lock)`, and one when it acts, which is when it is waited for; or one
    /// with ` (ended at the lock)` where that never was.
    pub fn new(dev: &Path, record: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Simulation { record: Box::new(record), state: Mutex::new(State::new(dev)) }))
    }

    /// Adds a group of this size with extents of 4 MiB.
    pub fn add_vg(&self, vg: &str, size: Bytes) {
        self.state().add_vg(vg, size);
    }

    /// Adds an active volume with this content, its size rounded up to extents. A guest has it open.
    pub fn add_lv(&self, name: &LvName, content: &[u8]) {
        self.state().add_lv(name, content);
    }

    /// Its guest has ended.
    pub fn close(&self, name: &LvName) {
        if let Some(volume) = self.state().volumes.get_mut(name) {
            volume.opens = 0;
        }
    }

    /// Every volume that there is, as `vg/lv`, sorted.
    #[must_use]
    pub fn volumes(&self) -> Vec<String> {
        self.state().volumes.keys().map(ToString::to_string).collect()
    }

    /// Whether a volume is suspended.
    #[must_use]
    pub fn is_suspended(&self, name: &LvName) -> bool {
        self.state().volumes.get(name).is_some_and(|volume| volume.suspended)
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Makes the `nth` call of all (from 1) go wrong.
    pub fn fail_call(&self, nth: usize, fault: Fault) {
        self.state().faults.push((None, nth, fault));
    }

    /// Makes the `nth` call of one program (from 1) go wrong.
    pub fn fail_program(&self, program: &'static str, nth: usize, fault: Fault) {
        self.state().faults.push((Some(program), nth, fault));
    }

    /// Sets what a snapshot's COW has in use; more than it has makes it invalid.
    pub fn fill_cow(&self, name: &LvName, used: Bytes) {
        self.state().fill_cow(name, used);
    }

    /// Makes reports say `value` in a field of a group (`vg`) or a volume (`vg/lv`), whatever is there: what is not simulated can
    /// be reported all the same.
    pub fn report(&self, of: &str, field: &str, value: &str) {
        self.state().told.push((of.to_owned(), field.to_owned(), value.to_owned()));
    }

    /// Sets `activation/volume_list` of the simulated lvm.conf.
    pub fn set_volume_list(&self, entries: &[&str]) {
        self.state().volume_list = Some(entries.iter().map(ToString::to_string).collect());
    }

    /// Sets a number in the simulated lvm.conf, by its name with its section.
    pub fn set_number(&self, name: &str, value: u32) {
        self.state().settings.insert(name.to_owned(), value);
    }

    /// Sets `global/wait_for_locks` of the simulated lvm.conf. Its locks are files in `.lock` beside the groups' folders.
    pub fn set_wait_for_locks(&self, waits: bool) {
        self.state().waits_for_locks = waits;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }
}

impl Programs for SimulatedLvm {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        self.0.run(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        (self.0.record)(format!("program: {invocation} (waits at the lock)"));
        let (acting, ended) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let (acted, unacted) = (invocation.clone(), format!("program: {invocation} (ended at the lock)"));
        Ok(Box::new(Later::new(invocation, move || acting.run(&acted), move || (ended.record)(unacted))))
    }
}

impl Simulation {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        let command = invocation.to_string();
        (self.record)(format!("program: {command}"));
        let mut state = self.state();
        let fault = state.count(invocation.program());
        let fail = |said: &str| Ok(Output { exit_code: 5, stderr: said.as_bytes().to_vec(), ..Output::default() });
        match fault {
            Some(Fault::Refuses) => return fail("  the simulated LVM was told to refuse this"),
            Some(Fault::IsBusy) => return fail("  Logical volume vg/lv in use."),
            _ => {}
        }
        let origin = commands::origin_of(&state, invocation);
        if fault == Some(Fault::DiesHalfWay) {
            state.half_attach(origin, commands::cow_of(invocation));
            return Err(ProgramError::Signalled { command, signal: 9, said: String::new() });
        }
        let output = commands::run(&mut state, invocation);
        if fault == Some(Fault::LeavesSuspended) {
            state.suspend(origin);
        }
        match fault {
            None => Ok(output),
            Some(Fault::Babbles) => Ok(Output { stdout: b"Segmentation fault\n{\"report\": [".to_vec(), ..output }),
            Some(_) => {
                let (deadline, said) = (invocation.deadline(), output.last_words());
                Err(ProgramError::TimedOut { command, deadline, gone: true, said })
            }
        }
    }
}
