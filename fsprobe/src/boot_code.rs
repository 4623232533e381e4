//! Partitions that hold a boot loader and no filesystem.

/// Whether a partition of this type (a GUID, or the hexadecimal type byte) holds only a boot loader: GPT's BIOS boot
/// partition, and PReP's of GPT and MBR. Nothing in it has to be recognised, and nothing in it is frozen.
#[must_use]
pub fn is_boot_code(partition_type: &str) -> bool {
    const TYPES: [&str; 3] = ["21686148-6449-6E6F-744E-656564454649", "9E1A2D38-C612-4316-AA26-8B49521E5A8B", "41"];
    TYPES.iter().any(|boot| boot.eq_ignore_ascii_case(partition_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_that_boot_loaders_have_are_boot_code() {
        assert!(is_boot_code("21686148-6449-6e6f-744e-656564454649") && is_boot_code("41"));
        assert!(!is_boot_code("C12A7328-F81F-11D2-BA4B-00A0C93EC93B") && !is_boot_code("83") && !is_boot_code(""));
    }
}
