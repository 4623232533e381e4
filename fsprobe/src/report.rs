//! The result of a check, as `stillpoint check --json` prints it and a receipt keeps it.
//!
//! What a newer version wrote can be read: names that are not known are skipped, and a kind, verdict or weight that is not
//! known is `unknown`.

use serde::{Deserialize, Serialize};

use crate::{Finding, Kind, Table, Verdict, VolumePiece};

/// What a check found, in the names of `stillpoint check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// What was checked, as the user named it: for the caller to fill in.
    pub target: String,
    /// Length of the disk.
    pub size_bytes: u64,
    /// The unit of its table.
    pub sector_size_bytes: u32,
    /// The partition table that counts.
    pub table: Table,
    /// As in [`Disk::table_uuid`](crate::Disk::table_uuid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_uuid: Option<String>,
    /// The worst of the volumes and of `findings`. A volume of no known content is `unknown`; a boot loader's partition counts
    /// only if something is wrong with it.
    pub verdict: Verdict,
    /// What was seen of the table.
    pub findings: Vec<Finding>,
    /// Every volume, partitions first.
    pub volumes: Vec<VolumeReport>,
}

/// What was found of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VolumeReport {
    /// `1` or `5` for a partition, `0` for the whole disk, `2/vg/lv` for a logical volume in partition 2.
    pub path: String,
    /// Its first byte on the disk; `null` where that is not on this disk.
    pub offset_bytes: Option<u64>,
    /// Its size as its table or volume group says.
    pub size_bytes: u64,
    /// What it holds.
    pub kind: Kind,
    /// The type of its partition, as `sfdisk --json` prints it: a GUID, or the hexadecimal type byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_type: Option<String>,
    /// The name that a GPT gives it. The guest chose it, as the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_name: Option<String>,
    /// As in [`Volume::partition_uuid`](crate::Volume::partition_uuid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_uuid: Option<String>,
    /// As in [`Volume::label`](crate::Volume::label).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// As in [`Volume::uuid`](crate::Volume::uuid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Where it is, if not in one piece. `offset_bytes` then is that of the first only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<VolumePiece>,
    /// How far it can be trusted as it is.
    pub verdict: Verdict,
    /// What was seen.
    pub findings: Vec<Finding>,
    /// Journal and orphans, for ext2, ext3 and ext4; `null` for others, and where no superblock can be read.
    pub ext4: Option<Ext4Summary>,
}

/// What the journal and the orphan lists of an ext2, ext3 or ext4 volume say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ext4Summary {
    /// `INCOMPAT_RECOVER`: the superblock says that the journal has to be replayed.
    pub needs_recovery: bool,
    /// `s_start` of the journal superblock, in journal blocks; 0 is an empty journal.
    pub journal_start: u32,
    /// Committed transactions that a replay would apply.
    pub replay_transactions: u32,
    /// Filesystem blocks that a replay would write.
    pub replay_blocks: u64,
    /// Inodes that were deleted while open, of the chain and of the orphan file.
    pub orphans: u32,
    /// `s_error_count`: errors that the kernel has recorded since the last e2fsck.
    pub errors_recorded: u32,
    /// `s_sequence` of the journal superblock: the first transaction that a replay would apply.
    pub journal_sequence: u32,
    /// Fast commits that a replay would apply after the transactions.
    pub fast_commits: u32,
    /// `s_volume_name`, escaped for a terminal.
    pub label: String,
    /// `s_uuid`.
    pub uuid: String,
    /// `s_last_mounted`, escaped for a terminal.
    pub last_mounted: String,
    /// Bytes of a block.
    pub block_size_bytes: u64,
    /// `s_blocks_count`.
    pub blocks: u64,
    /// `s_inodes_count`.
    pub inodes: u32,
    /// The features that are set, in the names of e2fsprogs.
    pub features: Vec<String>,
    /// The first and the last error that the kernel has recorded.
    pub error_record: Option<crate::ext4::ErrorRecord>,
}

/// How thoroughly [`check`](fn@crate::check) looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Superblocks, journals, orphans: well under a second on any size.
    #[default]
    Default,
    /// Every inode, bitmap and directory as well.
    Deep,
}

/// What the ext4 check of one volume came to.
#[derive(Debug, Clone)]
pub struct Ext4Check {
    /// The worst that `findings` allow.
    pub verdict: Verdict,
    /// What was seen.
    pub findings: Vec<Finding>,
    /// Journal and orphans; `None` where no superblock could be read.
    pub ext4: Option<Ext4Summary>,
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::Severity;
    use crate::ext4::{ErrorRecord, RecordedError};

    fn recorded(inode: u32, errno: &'static str) -> RecordedError {
        let function = "ext4_lookup".to_owned();
        RecordedError { time_seconds: 1_700_000_000, inode, block: 7, function, line: 1609, errno: errno.into() }
    }

    fn report() -> Report {
        let ext4 = Ext4Summary {
            needs_recovery: true,
            journal_start: 1,
            replay_transactions: 2,
            replay_blocks: 3,
            orphans: 4,
            errors_recorded: 5,
            journal_sequence: 6,
            fast_commits: 7,
            label: "root".to_owned(),
            uuid: "aa".to_owned(),
            last_mounted: "/".to_owned(),
            block_size_bytes: 4096,
            blocks: 1 << 40,
            inodes: 8,
            features: vec!["has_journal".to_owned(), "0x80000000".to_owned()],
            error_record: Some(ErrorRecord {
                count: 5,
                first: recorded(12, "EIO"),
                last: recorded(0, "unknown error"),
            }),
        };
        let ext = VolumeReport {
            path: "2/vg/root".to_owned(),
            offset_bytes: Some(1_048_576),
            size_bytes: 8_589_934_592,
            kind: Kind::Ext4,
            partition_type: None,
            partition_name: None,
            partition_uuid: None,
            label: None,
            uuid: None,
            pieces: Vec::new(),
            verdict: Verdict::Replay,
            findings: vec![Finding::replay("journal-needs-replay", "journal", "2 transactions")],
            ext4: Some(ext4),
        };
        let elsewhere = VolumeReport {
            path: "3".to_owned(),
            offset_bytes: None,
            size_bytes: 512,
            kind: Kind::Lvm2Pv,
            partition_type: Some("8e".to_owned()),
            verdict: Verdict::Unknown,
            findings: Vec::new(),
            ext4: None,
            ..ext.clone()
        };
        Report {
            target: "disk.img".to_owned(),
            size_bytes: 10_737_418_240,
            sector_size_bytes: 512,
            table: Table::Gpt,
            table_uuid: None,
            verdict: Verdict::Replay,
            findings: vec![Finding::note("n", "here", "\"quoted\"")],
            volumes: vec![ext, elsewhere],
        }
    }

    /// Programs read it, and receipts that were written are read again: a name is not renamed.
    const JSON: &str = concat!(
        r#"{"target":"disk.img","size_bytes":10737418240,"sector_size_bytes":512,"table":"gpt","verdict":"replay","#,
        r#""findings":[{"code":"n","where":"here","detail":"\"quoted\"","severity":"note"}],"volumes":["#,
        r#"{"path":"2/vg/root","offset_bytes":1048576,"size_bytes":8589934592,"kind":"ext4","verdict":"replay","#,
        r#""findings":[{"code":"journal-needs-replay","where":"journal","detail":"2 transactions","severity":"replay"}],"#,
        r#""ext4":{"needs_recovery":true,"journal_start":1,"replay_transactions":2,"replay_blocks":3,"orphans":4,"#,
        r#""errors_recorded":5,"journal_sequence":6,"fast_commits":7,"label":"root","uuid":"aa","last_mounted":"/","#,
        r#""block_size_bytes":4096,"blocks":1099511627776,"inodes":8,"features":["has_journal","0x80000000"],"#,
        r#""error_record":{"count":5,"#,
        r#""first":{"time_seconds":1700000000,"inode":12,"block":7,"function":"ext4_lookup","line":1609,"errno":"EIO"},"#,
        r#""last":{"time_seconds":1700000000,"inode":0,"block":7,"function":"ext4_lookup","line":1609,"#,
        r#""errno":"unknown error"}}}},"#,
        r#"{"path":"3","offset_bytes":null,"size_bytes":512,"kind":"lvm2-pv","partition_type":"8e","#,
        r#""verdict":"unknown","findings":[],"ext4":null}]}"#,
    );

    #[test]
    fn a_report_is_written_in_the_same_bytes_as_ever() {
        assert_eq!(serde_json::to_string(&report()).unwrap(), JSON);
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        // From a reader, as from a file: nothing is borrowed from what is read.
        assert_eq!(serde_json::from_reader::<_, Report>(JSON.as_bytes()).unwrap(), report());
    }

    #[test]
    fn what_a_newer_version_wrote_is_read_as_far_as_it_is_known() {
        let newer = JSON
            .replace(r#""kind":"ext4""#, r#""kind":"newfs","pool":{"name":"tank"}"#)
            .replace(r#""verdict":"replay""#, r#""verdict":"suspicious""#)
            .replace(r#""severity":"replay""#, r#""severity":"grave""#);
        let read: Report = serde_json::from_str(&newer).unwrap();
        let [volume, _] = read.volumes.as_slice() else { panic!("two volumes") };
        assert_eq!((volume.kind, volume.verdict), (Kind::Unknown, Verdict::Unknown));
        assert_eq!(volume.findings[0].severity, Severity::Unknown);
        assert_eq!(volume.ext4, report().volumes[0].ext4);
    }

    #[test]
    fn every_word_of_a_report_is_the_same_as_ever() {
        let kinds = [
            (Kind::Ext2, "ext2"),
            (Kind::Ext3, "ext3"),
            (Kind::Ext4, "ext4"),
            (Kind::ExtJournal, "ext-journal"),
            (Kind::Xfs, "xfs"),
            (Kind::Ntfs, "ntfs"),
            (Kind::Fat, "fat"),
            (Kind::Exfat, "exfat"),
            (Kind::Btrfs, "btrfs"),
            (Kind::Swap, "swap"),
            (Kind::Luks, "luks"),
            (Kind::Lvm2Pv, "lvm2-pv"),
            (Kind::LinuxRaid, "linux-raid"),
            (Kind::Other("iso9660"), "iso9660"),
            (Kind::Empty, "empty"),
            (Kind::Unknown, "unknown"),
        ];
        assert_words(&kinds.map(|(kind, _)| kind), &kinds.map(|(_, word)| word));
        assert_eq!(kinds.map(|(kind, _)| kind.as_str()), kinds.map(|(_, word)| word));
        let verdicts = [Verdict::Consistent, Verdict::Unknown, Verdict::Replay, Verdict::Damaged];
        assert_words(&verdicts, &["consistent", "unknown", "replay", "damaged"]);
        let severities = [Severity::Note, Severity::Warning, Severity::Unknown, Severity::Replay, Severity::Damage];
        assert_words(&severities, &["note", "warning", "unknown", "replay", "damage"]);
        assert_words(&[Table::Gpt, Table::Mbr, Table::None], &["gpt", "mbr", "none"]);
    }

    fn assert_words<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(values: &[T], words: &[&str]) {
        assert_eq!(serde_json::to_value(values).unwrap(), serde_json::json!(words));
        assert_eq!(serde_json::from_value::<Vec<T>>(serde_json::json!(words)).unwrap(), values);
    }
}
