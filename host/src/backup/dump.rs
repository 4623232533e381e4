//! The other branch of a backup: a dump, which the guest's own client makes, and which is streamed out while it is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use guest_bridge::database::agent_session::Owner;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::database::server::{Coordinates, Server};
use guest_bridge::dump::{self, Begun, CoordinatesFrom, DumpName, DumpStream, Ended, Hold, Login, Wanted};
use image::copy::{CopyError, Options, Progress, StreamCopy, Streamed};
use lvm::Bytes;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Outcome;
use super::destination::{Destination, Publication, claim_dump};
use super::dump_plan::{DumpPlan, Reason};
use super::dump_receipt::{self, Made};
use super::output::Image;
use super::plan::Plan;
use super::survey::Survey;
use crate::ask::connect::World;
use crate::blocking::blocking;
use crate::clock::millis;
use crate::failure::{At, Cause, Failure, Kind};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::run::event::Event;
use crate::run::held::{GuestSession, Held, Means, release_all};
use crate::show::amount::took;
use crate::show::speed::Meter;
use crate::step::Step;
use crate::stop::Stop;

/// Between two lines of how far it is.
const TELL: Duration = Duration::from_millis(200);

/// Everything that a dump is made of and with.
pub(super) struct DumpPass<'p> {
    pub(super) survey: &'p Survey,
    pub(super) plan: &'p Plan,
    pub(super) dump: &'p DumpPlan,
    pub(super) reason: Reason,
    pub(super) world: &'p World,
    pub(super) means: &'p Means,
    pub(super) run: &'p Run,
    pub(super) stop: &'p Stop,
}

impl DumpPass<'_> {
    /// Makes it.
    ///
    /// # Errors
    /// The step that failed. Nothing is left then, in the guest or in the target, or the failure says what.
    pub(super) async fn make(self, destination: &Destination) -> Result<Outcome, Failure> {
        let Self { survey, run, .. } = self;
        let server = survey.server.as_ref().ok_or_else(no_server).at(Step::Dump)?;
        let how = self.look(server).await?;
        for loss in &how.losses {
            run.note(format!("the dump: {loss}"));
        }
        let (publication, mut file) = claim_dump(destination, run).await?;
        let (made, left) = self.stream(server, &how, &mut file).await?;
        self.publish(publication, file, how, made, left).await
    }

    /// What a dump would meet on the server, and how it is made then.
    async fn look(&self, server: &Server) -> Result<dump::DumpPlan, Failure> {
        let deadline = self.dump.statement_deadline;
        let looked = async {
            let mut session = self.world.database_for("a dump")?(deadline).await?;
            let looked = self.stop.or(dump::survey(&mut *session, server, &Wanted::Everything, deadline)).await;
            session.close().await;
            Ok::<_, Cause>(dump::DumpPlan::new(server, &Wanted::Everything, &looked??, false)?)
        };
        looked.await.at(Step::Dump)
    }

    /// Carries it out into `file`, and leaves nothing of it in the guest; what is left there all the same stands beside it.
    async fn stream(
        &self,
        server: &Server,
        how: &dump::DumpPlan,
        file: &mut Image,
    ) -> Result<(Made, Option<Failure>), Failure> {
        let name = DumpName::new();
        let held = holds(self.dump, self.world.session.as_ref(), how.coordinates, &name);
        self.run.intend(Step::Dump, held.clone())?;
        let made = self.carry_out(server, how, name, file).await.at(Step::Dump);
        let ended = release_all(&held, self.means).await;
        let frees = if ended.is_ok() { held } else { Vec::new() };
        let left = ended.err().map(|left| Failure::new(Step::Dump, left));
        match made {
            Ok(made) => {
                let fact =
                    Fact::Dumped { raw_bytes: made.streamed.raw_bytes, stored_bytes: made.streamed.stored_bytes };
                self.run.done(Step::Dump, frees, Some(fact));
                Ok((made, left))
            }
            Err(failure) => {
                self.run.failed(Step::Dump, frees, &failure);
                Err(left.into_iter().fold(failure, Failure::and))
            }
        }
    }

    async fn carry_out(
        &self,
        server: &Server,
        how: &dump::DumpPlan,
        name: DumpName,
        file: &mut Image,
    ) -> Result<Made, Cause> {
        let (progress, began_at) = (Progress::default(), self.run.now());
        let halt = Halt::new(self.stop.clone(), self.dump.terms.lifetime);
        let options = Options { level: self.plan.copy.level, ..Options::default() };
        let mut copy = StreamCopy::new(file, &options, &progress, &halt.is_up)?;
        let (mut stream, coordinates, stall) = self.stop.or(self.start(server, how, name)).await??;
        let client = stream.client().version.clone();
        let (started, mut told, mut meter) = (Instant::now(), Instant::now(), Meter::default());
        while let Some(piece) = self.stop.or(stream.next()).await?? {
            blocking(|| copy.write(&piece)).map_err(|error| self.unwritten(error))?;
            if told.elapsed() > TELL {
                self.tell(&mut meter, started, stream.received_bytes());
                told = Instant::now();
            }
        }
        let ended = stream.ended().ok_or_else(|| Cause::plain(Kind::Bug, "a dump ended, and does not say how"))?;
        dump::verdict(&ended)?;
        let streamed = blocking(|| copy.finish()).map_err(|error| self.unwritten(error))?;
        let streamed = whole(streamed, &ended)?;
        let coordinates = coordinates.or_else(|| dump::written_coordinates(&ended));
        if coordinates.is_none() && how.coordinates != CoordinatesFrom::None {
            return Err(Cause::plain(Kind::DumpNotWhole, "the dump does not say at which coordinates it was made"));
        }
        // Whatever is left of it after that, its release finds.
        if let Err(error) = stream.close().await {
            tracing::debug!(%error, "the dump is ended once more");
        }
        Ok(Made { began_at, took: started.elapsed(), client, coordinates, stall, streamed })
    }

    /// Why a piece was not written: of a halt, who wanted it.
    fn unwritten(&self, error: CopyError) -> Cause {
        match (self.stop.check(), error) {
            (Err(stopped), _) => stopped.into(),
            (Ok(()), CopyError::Stopped { copied_bytes, .. }) => Cause::new(
                Kind::DumpNotWhole,
                format!(
                    "the target has taken {} within {}, and no more",
                    Bytes(copied_bytes),
                    took(self.dump.terms.lifetime)
                ),
                "see why the target takes so little, or give it more time with dump_deadline_s",
            ),
            (Ok(()), error) => error.into(),
        }
    }

    /// Starts the client, on a server whose client cannot note the coordinates itself under a short lock.
    async fn start(
        &self,
        server: &Server,
        how: &dump::DumpPlan,
        name: DumpName,
    ) -> Result<(DumpStream, Option<Coordinates>, Option<Duration>), Cause> {
        let guest = self.world.guest_login.clone().unwrap_or_default();
        let login = Login { flavour: server.flavour, credentials: guest.credentials, socket: guest.socket };
        let start = DumpStream::start(self.means.agent()?, name, &login, &how.arguments, self.dump.terms);
        if how.coordinates != CoordinatesFrom::OwnLock {
            return Ok((start.await?, None, None));
        }
        let open = self.world.database_for("a dump")?;
        let deadline = self.dump.snapshot_deadline;
        let Begun { stream, coordinates, stall, .. } =
            dump::begin(&open, server, &self.dump.lock, Hold::Snapshot, deadline, start).await?;
        Ok((stream, coordinates, Some(stall)))
    }

    fn tell(&self, meter: &mut Meter, started: Instant, received_bytes: u64) {
        // Nobody knows how long it will be.
        let now = meter.look(started.elapsed(), received_bytes, received_bytes);
        self.run.tell(&Event::Dump { received_bytes, bytes_per_s: now.bytes_per_s });
    }

    async fn publish(
        self,
        publication: Publication,
        file: Image,
        how: dump::DumpPlan,
        made: Made,
        left: Option<Failure>,
    ) -> Result<Outcome, Failure> {
        let receipt = dump_receipt::receipt(self.run, self.survey, self.plan, self.reason, how, &file.name(), made);
        match publication.publish(vec![file], &receipt, self.run).await {
            Ok(()) => Ok(Outcome { receipt, left }),
            Err(failure) => Err(left.into_iter().fold(failure, Failure::and)),
        }
    }
}

/// The dump in the guest, and the lock under which its client begins, where that is ours.
fn holds(dump: &DumpPlan, session: Option<&Owner>, coordinates: CoordinatesFrom, name: &DumpName) -> Vec<Held> {
    let mut held = vec![Held::Dump { agent: dump.agent.clone(), name: name.clone() }];
    if coordinates == CoordinatesFrom::OwnLock {
        let session = session.cloned().map(|owner| GuestSession { agent: dump.agent.clone(), owner });
        let (method, expiry_ms) = (LockMethod::FlushTablesWithReadLock, millis(dump.lock.expiry));
        held.push(Held::Lock { method, expiry_ms, session });
    }
    held
}

/// Rises when the run is asked to stop, or the dump's deadline is over: a target that takes nothing must not be waited for then.
struct Halt {
    is_up: Arc<AtomicBool>,
    raising: JoinHandle<()>,
}

impl Halt {
    fn new(stop: Stop, deadline: Duration) -> Self {
        let is_up = Arc::new(AtomicBool::new(false));
        let flag = is_up.clone();
        let raising = tokio::spawn(async move {
            timeout(deadline, stop.asked()).await.ok();
            flag.store(true, Relaxed);
        });
        Self { is_up, raising }
    }
}

impl Drop for Halt {
    fn drop(&mut self) {
        self.raising.abort();
    }
}

/// What arrived is what was written.
fn whole(streamed: Streamed, ended: &Ended) -> Result<Streamed, Cause> {
    if streamed.raw_bytes == ended.counted_bytes {
        return Ok(streamed);
    }
    let (written, counted) = (streamed.raw_bytes, ended.counted_bytes);
    Err(Cause::plain(
        Kind::DumpNotWhole,
        format!("{written} bytes of the dump were written, and the guest counted {counted}"),
    ))
}

fn no_server() -> Cause {
    Cause::plain(Kind::DumpImpossible, "there is no database to dump")
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_bridge::database::lock::LockTerms;
    use guest_bridge::dump::DumpTerms;

    use crate::backup::dump_plan::When;

    const DEADLINE: Duration = Duration::from_secs(5);

    async fn is_up(halt: &Halt, after: Duration) -> bool {
        tokio::time::sleep(after).await;
        halt.is_up.load(Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_takes_nothing_is_waited_for_until_the_deadline() {
        let halt = Halt::new(Stop::default(), DEADLINE);
        assert!(!is_up(&halt, DEADLINE / 2).await);
        assert!(is_up(&halt, DEADLINE).await);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_waited_for_by_a_run_that_was_asked_to_stop() {
        let stop = Stop::default();
        let halt = Halt::new(stop.clone(), DEADLINE);
        stop.ask(15);
        assert!(is_up(&halt, Duration::from_millis(1)).await);
    }

    #[test]
    fn a_lock_of_ours_is_held_by_the_session_that_is_found_again_in_the_guest() {
        let lock = LockTerms { lock_deadline: DEADLINE, statement_deadline: DEADLINE, expiry: DEADLINE };
        let terms = DumpTerms { start: DEADLINE, progress: DEADLINE, idle: DEADLINE, lifetime: DEADLINE };
        let agent = "unix:/a".to_owned();
        let when = When::IfNeeded;
        let plan = DumpPlan { when, agent, terms, lock, snapshot_deadline: DEADLINE, statement_deadline: DEADLINE };
        let (name, owner) = (DumpName::new(), Owner::new());
        let held = holds(&plan, Some(&owner), CoordinatesFrom::OwnLock, &name);
        let [Held::Dump { .. }, Held::Lock { session: Some(session), expiry_ms: 5000, .. }] = &held[..] else {
            panic!("{held:?}")
        };
        assert_eq!((&*session.agent, &session.owner), ("unix:/a", &owner));
        assert_eq!(holds(&plan, Some(&owner), CoordinatesFrom::None, &name).len(), 1);
    }
}
