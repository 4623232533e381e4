//! From what a user calls a disk to what can be opened.

use std::path::{Path, PathBuf};

use lvm::LvName;

/// A path as it is; `vg/lv` is a device where no such file exists.
#[must_use]
pub fn device_path(target: &Path) -> PathBuf {
    match target.to_str().and_then(|text| text.parse::<LvName>().ok()) {
        Some(lv) if !target.exists() => Path::new("/dev").join(lv.vg()).join(lv.lv()),
        _ => target.to_owned(),
    }
}
