//! What device-mapper says of a thin pool (Documentation/admin-guide/device-mapper/thin-provisioning.rst).

/// How a thin pool is. Its blocks are of one size for data, another for metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Blocks of data in use.
    pub data_used: u64,
    /// Blocks of data that there are.
    pub data_total: u64,
    /// Blocks of metadata in use.
    pub metadata_used: u64,
    /// Blocks of metadata that there are.
    pub metadata_total: u64,
    /// Whether everybody may write to it.
    pub mode: PoolMode,
}

/// Whether a pool's volumes may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// They may.
    ReadWrite,
    /// Only what has its block: there is no free one.
    OutOfDataSpace,
    /// No.
    ReadOnly,
    /// The pool has failed, or wants a repair.
    Failed,
}

impl PoolState {
    /// Reads the words of a `thin-pool` target; `None` where they make no sense.
    #[must_use]
    pub fn parse(words: &str) -> Option<Self> {
        let failed = Self { data_used: 0, data_total: 0, metadata_used: 0, metadata_total: 0, mode: PoolMode::Failed };
        let fields: Vec<&str> = words.split_whitespace().collect();
        let (metadata, data, mode, rest) = match fields.as_slice() {
            ["Fail" | "Error"] => return Some(failed),
            [_transaction, metadata, data, _held_root, mode, rest @ ..] => (metadata, data, mode, rest),
            _ => return None,
        };
        let share = |text: &str| {
            let (used, total) = text.split_once('/')?;
            Some((used.parse().ok()?, total.parse().ok()?))
        };
        let ((metadata_used, metadata_total), (data_used, data_total)) = (share(metadata)?, share(data)?);
        let mode = match *mode {
            _ if rest.contains(&"needs_check") => PoolMode::Failed,
            "rw" => PoolMode::ReadWrite,
            "ro" => PoolMode::ReadOnly,
            "out_of_data_space" => PoolMode::OutOfDataSpace,
            _ => return None,
        };
        Some(Self { data_used, data_total, metadata_used, metadata_total, mode })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        // The first as of dm 4.47.
        let pool = PoolState::parse("1 13/1024 81/6400 - rw discard_passdown queue_if_no_space - 1024").unwrap();
        assert_eq!((pool.metadata_used, pool.metadata_total, pool.data_used, pool.data_total), (13, 1024, 81, 6400));
        let mode = |words| PoolState::parse(words).map(|pool| pool.mode);
        assert_eq!(mode("1 13/1024 81/6400 - rw discard_passdown queue_if_no_space - 1024"), Some(PoolMode::ReadWrite));
        assert_eq!(
            mode("1 1/2 6/6 - out_of_data_space no_discard_passdown error_if_no_space - 4"),
            Some(PoolMode::OutOfDataSpace)
        );
        assert_eq!(mode("1 1/2 6/6 - ro no_discard_passdown error_if_no_space - 4"), Some(PoolMode::ReadOnly));
        assert_eq!(mode("1 1/2 6/6 - ro no_discard_passdown error_if_no_space needs_check 4"), Some(PoolMode::Failed));
        assert_eq!(mode("Fail"), Some(PoolMode::Failed));
    }

    #[test]
    fn words_that_make_no_sense_are_no_pool_that_is_well() {
        for words in ["", "1", "1 a/b 1/2 - rw", "1 1/2 1/2 - what", "1 12 1/2 - rw", "Unknown"] {
            assert_eq!(PoolState::parse(words), None, "{words}");
        }
    }
}
