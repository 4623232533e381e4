//! From a volume to a filesystem whose structures can be believed: superblock, features, journal.

use super::backup::find_superblock;
use super::fast_replay;
use super::fault::Fault;
use super::features::{COMPAT_NAMES, INCOMPAT_NAMES, RO_COMPAT_NAMES, compat, incompat, named, ro_compat};
use super::fields::put;
use super::filesystem::{Filesystem, read_volume};
use super::journal::{self, JournalSuperblock, Log, Replay};
use super::overlay::Overlay;
use super::superblock::{self, FEATURE_INCOMPAT_OFFSET, PRIMARY_OFFSET_BYTES, SIZE_BYTES, Superblock};
use crate::{Finding, ProbeError, ReadAt, Severity};

const PRIMARY: &str = "superblock";

/// A volume with ext2, ext3 or ext4 on it, its journal replayed onto an overlay where it has to be.
pub struct Opened<'d> {
    base: &'d dyn ReadAt,
    /// The volume as everything after the journal has to see it.
    pub volume: Overlay<'d>,
    /// The superblock on disk, or a backup of it; `None` where there is none that can be used.
    pub superblock: Option<Superblock>,
    /// The superblock after the replay.
    replayed_superblock: Option<Superblock>,
    /// The internal journal's superblock, where it could be read.
    pub journal: Option<JournalSuperblock>,
    /// What was replayed onto `volume`; `None` where nothing had to be.
    pub replay: Option<Replay>,
    /// What was noticed on the way.
    pub findings: Vec<Finding>,
}

/// Opens the filesystem on `volume`; whatever is wrong with it is in the findings.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub fn open(volume: &dyn ReadAt) -> Result<Opened<'_>, ProbeError> {
    let (superblock, findings) = find_superblock(volume)?;
    let mut opened = Opened {
        base: volume,
        volume: Overlay::plain(volume),
        replayed_superblock: superblock.clone(),
        superblock,
        journal: None,
        replay: None,
        findings,
    };
    if let Some(on_disk) = opened.on_disk() {
        opened.findings.extend(features(&on_disk.superblock));
        if on_disk.superblock.size_bytes() > volume.size_bytes() {
            let detail = format!(
                "the filesystem has {} bytes, the volume {}",
                on_disk.superblock.size_bytes(),
                volume.size_bytes()
            );
            opened.findings.push(Finding::damage("volume-truncated", PRIMARY, detail));
        }
        if opened.is_interpretable()
            && let Err(fault) = opened.open_journal(&on_disk)
        {
            opened.findings.push(fault.finding()?);
        }
    }
    Ok(opened)
}

impl<'d> Opened<'d> {
    /// The filesystem as its journal leaves it.
    #[must_use]
    pub fn filesystem(&self) -> Option<Filesystem<'_>> {
        Some(Filesystem { volume: &self.volume, superblock: self.replayed_superblock.clone()? })
    }

    /// The filesystem as its blocks are on disk.
    #[must_use]
    pub fn on_disk(&self) -> Option<Filesystem<'d>> {
        Some(Filesystem { volume: self.base, superblock: self.superblock.clone()? })
    }

    /// How much was replayed, in words; `None` where nothing had to be.
    #[must_use]
    pub fn replay_extent(&self) -> Option<String> {
        let replay = self.replay.as_ref()?;
        let fast_commits = match replay.fast_commits.count {
            0 => String::new(),
            count => format!(", fast commits: {count}"),
        };
        Some(format!("transactions: {}{fast_commits}, blocks: {}", replay.transactions, self.volume.replayed_blocks()))
    }

    /// No incompatible feature keeps its structures from being understood.
    #[must_use]
    pub fn is_interpretable(&self) -> bool {
        self.superblock.as_ref().is_some_and(|superblock| {
            superblock.s_feature_incompat & !incompat::KNOWN == 0 && !superblock.has_incompat(incompat::JOURNAL_DEV)
        })
    }

    /// Its bitmaps can be believed to say what is in use, before and after a replay.
    pub(super) fn is_layout_known(&self) -> bool {
        let ro_known = |superblock: &Superblock| superblock.s_feature_ro_compat & !ro_compat::KNOWN == 0;
        self.is_interpretable()
            && self.superblock.as_ref().is_some_and(ro_known)
            && !self.findings.iter().any(|finding| finding.severity >= Severity::Damage)
            && !self.findings.iter().any(|finding| finding.severity == Severity::Unknown)
    }

    /// The overlay differs from the disk in more than the superblocks.
    pub(super) fn has_replayed_blocks(&self) -> bool {
        self.volume.replayed_blocks() > 0
    }

    fn open_journal(&mut self, on_disk: &Filesystem<'d>) -> Result<(), Fault> {
        let superblock = &on_disk.superblock;
        if !superblock.has_journal() {
            if superblock.needs_recovery() {
                let detail = "needs_recovery is set, but there is no journal to recover from";
                return Err(Fault::damage("recovery-without-journal", PRIMARY, detail));
            }
            return Ok(());
        }
        if superblock.s_journal_inum == 0 {
            if superblock.s_journal_dev == 0 && superblock.s_journal_uuid == [0; 16] {
                let detail = "has_journal is set, but it is in no inode and on no device: the kernel does not mount it";
                return Err(Fault::damage("journal-nowhere", PRIMARY, detail));
            }
            let uuid = uuid::Uuid::from_bytes(superblock.s_journal_uuid);
            let detail = format!("the journal is on another device, with the UUID {uuid}");
            let severity = if superblock.needs_recovery() { Severity::Unknown } else { Severity::Note };
            self.findings.push(Finding::new(severity, "journal-external", PRIMARY, detail));
            return Ok(());
        }
        if superblock.s_journal_dev != 0 {
            let detail = format!(
                "the journal is in inode {} and on device {:#x}: the kernel mounts neither",
                superblock.s_journal_inum, superblock.s_journal_dev
            );
            return Err(Fault::damage("journal-in-two-places", PRIMARY, detail));
        }
        let log = Log::open(on_disk)?;
        self.journal = Some(log.superblock.clone());
        if log.superblock.s_errno != 0 {
            let detail = format!("s_errno is {}: the kernel aborted the journal", log.superblock.s_errno);
            self.findings.push(Finding::damage("journal-aborted", "journal superblock", detail));
        }
        // A backup superblock does not know; then the journal itself says.
        let has_to_be_replayed = superblock.needs_recovery() || (superblock.is_backup() && log.superblock.s_start != 0);
        if !has_to_be_replayed {
            if log.superblock.s_start != 0 {
                let detail = format!(
                    "s_start is {}, but needs_recovery is not set: a mount would throw the journal's content away",
                    log.superblock.s_start
                );
                self.findings.push(Finding::damage("journal-not-empty", "journal superblock", detail));
            }
            return Ok(());
        }
        let mut replay = journal::replay(&log)?;
        self.findings.append(&mut replay.findings);
        let copies = std::mem::take(&mut replay.blocks);
        self.volume = Overlay::new(self.base, superblock.block_size_bytes(), copies);
        let records = std::mem::take(&mut replay.fast_commits.records);
        self.replay = Some(replay);
        self.finish_replay(&log)?;
        self.replay_fast_commits(&records)
    }

    fn replay_fast_commits(&mut self, records: &[journal::Record]) -> Result<(), Fault> {
        let Some(filesystem) = self.filesystem().filter(|_| !records.is_empty()) else { return Ok(()) };
        let replayed = fast_replay::replay(&filesystem, records)?;
        self.volume.write(replayed.blocks);
        self.findings.extend(replayed.remarks);
        Ok(())
    }

    /// What the kernel changes once the blocks are written: both superblocks say that nothing is left to do.
    fn finish_replay(&mut self, log: &Log<'_, '_>) -> Result<(), Fault> {
        let place = "superblock after the replay";
        let mut raw = [0; SIZE_BYTES];
        read_volume(&self.volume, &mut raw, PRIMARY_OFFSET_BYTES, place)?;
        let mut replayed = Superblock::parse(&raw, place)?;
        if let Some(computed) = replayed.computed_checksum()
            && computed != replayed.s_checksum
        {
            let detail = format!("s_checksum is {:#010x}, computed {computed:#010x}", replayed.s_checksum);
            return Err(Fault::damage("superblock-checksum", place, detail));
        }
        let recovered = replayed.s_feature_incompat & !incompat::RECOVER;
        put(&mut raw, FEATURE_INCOMPAT_OFFSET, &recovered.to_le_bytes());
        if replayed.has_metadata_csum() {
            let checksum = superblock::checksum_of(&raw);
            put(&mut raw, superblock::CHECKSUM_OFFSET, &checksum.to_le_bytes());
        }
        replayed = Superblock::parse(&raw, place)?;
        self.volume.patch(PRIMARY_OFFSET_BYTES, raw.to_vec());
        self.replayed_superblock = Some(replayed);

        let (block, bytes) = log.emptied_superblock(self.replay.as_ref().map_or(0, |replay| replay.end_sequence))?;
        self.volume.patch(block * u64::from(log.superblock.s_blocksize), bytes);
        Ok(())
    }
}

fn features(superblock: &Superblock) -> Vec<Finding> {
    let mut findings = Vec::new();
    let unknown = superblock.s_feature_incompat & !incompat::KNOWN;
    if unknown != 0 {
        let detail =
            format!("no released kernel mounts {}: nothing is read", named(unknown, &INCOMPAT_NAMES).join(", "));
        findings.push(Finding::unknown("unknown-incompat-feature", PRIMARY, detail));
    }
    if superblock.has_incompat(incompat::JOURNAL_DEV) {
        let detail = "this is the journal device of another filesystem";
        findings.push(Finding::unknown("journal-device", PRIMARY, detail));
    }
    let unknown = superblock.s_feature_ro_compat & !ro_compat::KNOWN;
    if unknown != 0 {
        let detail = format!("{} may change what structures mean", named(unknown, &RO_COMPAT_NAMES).join(", "));
        findings.push(Finding::unknown("unknown-ro-compat-feature", PRIMARY, detail));
    }
    let unknown = superblock.s_feature_compat & !compat::KNOWN;
    if unknown != 0 {
        let detail = format!("{} is set, which changes nothing here", named(unknown, &COMPAT_NAMES).join(", "));
        findings.push(Finding::note("unknown-compat-feature", PRIMARY, detail));
    }
    findings
}
