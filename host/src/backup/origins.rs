//! The origins, looked at beside the window: what their filesystems show while the guest uses them, past every page cache.
//!
//! Nobody in the window waits for a disk: each is read by a thread of its own, which may hang with it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use fsprobe::{Kind, Liveness, Volume};
use image::device::Device;
use lvm::LvName;

use super::identity::OnVolume;
use super::survey::DiskSurvey;
use super::thaw_proof::{Seen, Shows};
use crate::blocking::blocking;

/// How long a filesystem may look frozen after the agent has said that it is thawed. 2 s: Linux writes that it is live before it answers a
/// thaw, and a disk behind a busy host takes a moment to show it; nothing but this program waits.
const SHOWS_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks at one disk.
const PAUSE: Duration = Duration::from_millis(5);
/// How much longer the last look may take.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// The origins of a run whose filesystems are frozen; none where nothing is.
#[derive(Debug, Default)]
pub struct Origins {
    disks: Vec<Arc<Origin>>,
    /// Those that cannot be watched, and why.
    untold: Vec<Seen>,
}

#[derive(Debug)]
struct Origin {
    name: LvName,
    device: Device,
    /// Those that show whether they are frozen, and were live.
    volumes: Vec<Volume>,
}

impl Origins {
    /// Opens them, and looks at each a first time: what is not live before the freeze shows nothing after the thaw.
    #[must_use]
    pub fn open(disks: &[DiskSurvey]) -> Self {
        let mut origins = Self::default();
        blocking(|| disks.iter().for_each(|disk| origins.add(disk)));
        origins
    }

    fn add(&mut self, DiskSurvey { origin, layout, .. }: &DiskSurvey) {
        let device = Device::open_direct(&origin.device_path);
        let mut volumes = Vec::new();
        for volume in layout.volumes.iter().filter(|volume| volume.kind.is_ext() || volume.kind == Kind::Xfs) {
            let before = match &device {
                Ok(device) => volume.liveness(device).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let shows = match before {
                Ok(Liveness::Live) => {
                    volumes.push(volume.clone());
                    continue;
                }
                Ok(Liveness::Still) => Shows::Idle,
                Ok(Liveness::Untold(why)) => Shows::Untold(why.to_owned()),
                Err(why) => Shows::Untold(why),
            };
            self.untold.push(Seen { on: on(&origin.name, volume), shows });
        }
        if let (Ok(device), false) = (device, volumes.is_empty()) {
            self.disks.push(Arc::new(Origin { name: origin.name.clone(), device, volumes }));
        }
    }

    /// Looks at each once, and does not wait for it.
    #[must_use]
    pub fn look(&self) -> Look {
        Look(self.each(|origin, tell| {
            for volume in &origin.volumes {
                if let Ok(Liveness::Live) = volume.liveness(&origin.device) {
                    tell.send(on(&origin.name, volume)).ok();
                }
            }
        }))
    }

    /// Looks at each of those that `wanted` names, from now on and until it is live again, and does not wait for it.
    #[must_use]
    pub fn watch(&self, wanted: impl Fn(&OnVolume) -> bool + Clone + Send + 'static) -> Watch {
        let since = Instant::now();
        let all = self.disks.iter().flat_map(|disk| disk.volumes.iter().map(|volume| on(&disk.name, volume)));
        let watched = all.filter(|on| wanted(on)).collect();
        let told = self.each(move |origin, tell| origin.watch(since, &wanted, tell));
        Watch { watched, told, until: since + SHOWS_WITHIN + LAST_LOOK }
    }

    /// Those that cannot be watched, and why.
    #[must_use]
    pub fn untold(&self) -> &[Seen] {
        &self.untold
    }

    fn each<T: Send + 'static>(&self, work: impl Fn(&Origin, &Sender<T>) + Clone + Send + 'static) -> Receiver<T> {
        let (tell, told) = channel();
        for origin in &self.disks {
            let (origin, tell, work) = (Arc::clone(origin), tell.clone(), work.clone());
            let begun = thread::Builder::new().spawn(move || work(&origin, &tell));
            if let Err(error) = begun {
                tracing::debug!(%error, "an origin is not looked at");
            }
        }
        told
    }
}

impl Origin {
    /// Tells of each volume once: as soon as it is live, or what it shows in the end.
    fn watch(&self, since: Instant, wanted: &impl Fn(&OnVolume) -> bool, tell: &Sender<Seen>) {
        let mut left: Vec<(OnVolume, &Volume)> = self.volumes.iter().map(|it| (on(&self.name, it), it)).collect();
        left.retain(|(on, _)| wanted(on));
        while !left.is_empty() {
            let is_last = since.elapsed() >= SHOWS_WITHIN;
            left.retain(|(on, volume)| {
                let shows = match volume.liveness(&self.device) {
                    Ok(Liveness::Live) => Shows::Live { after: since.elapsed() },
                    Ok(_) if !is_last => return true,
                    Ok(Liveness::Still) => Shows::Frozen,
                    Ok(Liveness::Untold(why)) => Shows::Untold(why.to_owned()),
                    Err(error) => Shows::Untold(error.to_string()),
                };
                tell.send(Seen { on: on.clone(), shows }).ok();
                false
            });
            if !left.is_empty() {
                thread::sleep(PAUSE);
            }
        }
    }
}

fn on(origin: &LvName, volume: &Volume) -> OnVolume {
    OnVolume { origin: origin.clone(), volume: volume.path.clone() }
}

/// A look that was begun.
#[derive(Debug)]
pub struct Look(Receiver<OnVolume>);

impl Look {
    /// Those that have shown until now that they are live.
    #[must_use]
    pub fn live_so_far(self) -> Vec<OnVolume> {
        self.0.try_iter().collect()
    }
}

/// A watch that was begun.
#[derive(Debug)]
pub struct Watch {
    watched: Vec<OnVolume>,
    told: Receiver<Seen>,
    until: Instant,
}

impl Watch {
    /// Waits until each has shown that it is live, or has had its time.
    #[must_use]
    pub fn end(self) -> Vec<Seen> {
        let Self { watched, told, until } = self;
        let mut seen: Vec<Seen> = Vec::new();
        blocking(|| {
            while seen.len() < watched.len()
                && let Ok(one) = told.recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                seen.push(one);
            }
        });
        let told = |on: OnVolume| {
            let silent = || Shows::Untold("its disk gave no answer in time".to_owned());
            let shows = seen.iter().find(|one| one.on == on).map_or_else(silent, |one| one.shows.clone());
            Seen { on, shows }
        };
        watched.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(disk: &str) -> OnVolume {
        OnVolume { origin: disk.parse().unwrap(), volume: "1".to_owned() }
    }

    /// A read of a disk that is gone does not come back, and neither does its thread.
    #[test]
    fn a_disk_that_gives_no_answer_tells_nothing_and_keeps_no_other() {
        let (tell, told) = channel();
        let live = Seen { on: on("vg/data"), shows: Shows::Live { after: Duration::ZERO } };
        tell.send(live.clone()).unwrap();
        let watched = vec![on("vg/root"), on("vg/data")];
        let seen = Watch { watched, told, until: Instant::now() }.end();
        let [silent, other] = &seen[..] else { panic!("{seen:?}") };
        assert!(matches!(&silent.shows, Shows::Untold(why) if why.contains("no answer")), "{silent:?}");
        assert_eq!(*other, live);
        drop(tell);
    }
}
