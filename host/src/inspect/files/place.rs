//! `VOLUME:/path`, as typed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::failure::Cause;
use crate::show::printable::printable;

/// A path in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    volume: Option<String>,
    path: Vec<u8>,
}

impl Place {
    /// Reads `1:/path`, `2/vg/lv:/path`, or `:/path` and `/path` where the volume is left to be found.
    ///
    /// # Errors
    /// Where no absolute path is in it.
    pub fn parse(typed: &OsStr) -> Result<Self, Cause> {
        let bytes = typed.as_bytes();
        let (volume, path) = match bytes.iter().position(|&byte| byte == b':') {
            Some(colon) if !bytes.starts_with(b"/") => bytes.split_at(colon),
            _ => (&b""[..], bytes),
        };
        let path = path.strip_prefix(b":").unwrap_or(path);
        let volume = String::from_utf8_lossy(volume).into_owned();
        if !path.starts_with(b"/") {
            let what = format!("{} names no path", printable(bytes));
            return Err(Cause::usage(what, "write VOLUME:/path, as in 1:/etc or 2/vg/root:/etc, or only /etc"));
        }
        Ok(Self { volume: (!volume.is_empty()).then_some(volume), path: path.to_vec() })
    }

    /// The volume, where one is named.
    #[must_use]
    pub fn volume(&self) -> Option<&str> {
        self.volume.as_deref()
    }

    /// The path, which begins with a slash.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The path's last name; `None` where that is the root, or says only how to get there.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        let last = self.path.split(|&byte| byte == b'/').rfind(|name| !name.is_empty() && *name != b".")?;
        (last != b"..").then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(typed: &str) -> Option<(Option<String>, String)> {
        let place = Place::parse(OsStr::new(typed)).ok()?;
        Some((place.volume, String::from_utf8(place.path).unwrap()))
    }

    #[test]
    fn a_place_is_a_volume_and_an_absolute_path() {
        let place = |volume: &str, path: &str| Some((Some(volume.to_owned()), path.to_owned()));
        assert_eq!(parsed("1:/etc/fstab"), place("1", "/etc/fstab"));
        assert_eq!(parsed("2/vg/lv:/"), place("2/vg/lv", "/"));
        assert_eq!(parsed("1:/with:colon"), place("1", "/with:colon"));
        for alone in ["/a:b", ":/a:b"] {
            assert_eq!(parsed(alone), Some((None, "/a:b".to_owned())), "{alone}");
        }
        for none in ["", "1", "1:", "1:etc", "etc"] {
            assert_eq!(parsed(none), None, "{none}");
        }
    }

    #[test]
    fn the_name_of_a_copy_is_the_last_of_its_path() {
        let name = |typed: &str| Place::parse(OsStr::new(typed)).unwrap().name().map(<[u8]>::to_vec);
        assert_eq!(name("/a/b"), Some(b"b".to_vec()));
        assert_eq!(name("/a/b/."), Some(b"b".to_vec()));
        for none in ["/", "//", "/.", "/a/.."] {
            assert_eq!(name(none), None, "{none}");
        }
    }
}
