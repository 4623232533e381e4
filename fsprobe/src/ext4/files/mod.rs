//! The files of an ext2, ext3 or ext4: paths, folders, content, and what is kept of a file besides its content.
//!
//! Everything goes through a [`Filesystem`](super::Filesystem), and so through the replay overlay where there is one.
//! Names, targets and attributes are bytes that the guest chose: nothing here makes them safe to print or to create.

mod acl;
mod content;
mod entry;
mod lookup;
mod node;
mod xattr;

pub use super::time::Time;
pub use content::Content;
pub use entry::{Entries, Entry};
pub use lookup::{Follow, LookupError};
pub use node::Node;
pub use xattr::Xattr;
