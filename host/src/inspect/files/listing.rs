//! What a folder holds, for people and for programs.

use std::collections::HashSet;

use fsprobe::ext4::files::{Entry, Node};
use fsprobe::ext4::{Fault, FileType};
use serde::Serialize;

use super::{Source, exit_of};
use crate::failure::exit::{Exit, worse};
use crate::show::printable::printable;

/// Names that one listing may have.
const MAX_LISTED: usize = 1_000_000;
/// Their length, with the ways to them.
const MAX_LISTED_BYTES: usize = 256 << 20;

/// What is left of both.
struct Room {
    names: usize,
    bytes: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        match (self.names.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(names), Some(bytes)) => {
                *self = Self { names, bytes };
                true
            }
            _ => false,
        }
    }
}

/// A listing, sorted by name; a recursive one has what is in a folder after the folder.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// The volume, as `check` names it.
    pub volume: String,
    /// The path that was asked for, escaped.
    pub path: String,
    /// What is there.
    pub entries: Vec<Listed>,
    /// What could not be read, one sentence each.
    pub errors: Vec<String>,
    /// How the command ends.
    #[serde(skip)]
    pub exit: Exit,
}

/// One name.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// The name, escaped where it is not printable; of a recursive listing, with the way to it.
    pub name: String,
    /// The name's bytes in hexadecimal, where `name` had to be escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_hex: Option<String>,
    /// Its inode.
    pub inode: u32,
    /// `file`, `folder`, `symlink`, `fifo`, `socket`, `character-device` or `block-device`; absent where the inode cannot
    /// be read, as all that follows.
    #[serde(flatten)]
    pub attributes: Option<Attributes>,
}

/// What the inode says.
#[derive(Clone, Debug, Serialize)]
pub struct Attributes {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Permissions in octal, as `0644`.
    pub mode: String,
    /// Names that it has.
    pub links: u16,
    /// Owner.
    pub user_id: u32,
    /// Owning group.
    pub group_id: u32,
    /// Length of its content.
    pub size_bytes: u64,
    /// When its content was last written: RFC 3339, UTC.
    pub modified: String,
    /// Where a symlink points to, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Major and minor number of a device node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<(u32, u32)>,
}

impl Listing {
    /// Lists the folder `node`, or `node` itself where it is none; if `is_recursive` the folders in it, too.
    #[must_use]
    pub fn of(source: &Source<'_>, path: &[u8], name: &[u8], node: &Node, is_recursive: bool) -> Self {
        let (volume, path) = (source.volume.to_owned(), printable(path));
        let mut listing = Self { volume, path, entries: Vec::new(), errors: Vec::new(), exit: source.exit };
        if node.file_type != FileType::Directory {
            listing.add(source, &Entry { inode: node.inode.number, name: name.to_vec() });
            return listing;
        }
        // No sound folder has two names, and a loop enters one twice.
        let mut entered = HashSet::from([node.inode.number]);
        let mut room = Room { names: MAX_LISTED, bytes: MAX_LISTED_BYTES };
        let mut ahead = listing.names(source, node, b"", &mut room);
        while let Some(entry) = ahead.pop() {
            let Some(node) = listing.add(source, &entry) else { continue };
            if !is_recursive || node.file_type != FileType::Directory {
                continue;
            }
            if entered.insert(node.inode.number) {
                ahead.extend(listing.names(source, &node, &entry.name, &mut room));
            } else {
                listing.errors.push(format!("{}: it is one of the folders above already", printable(&entry.name)));
                listing.exit = worse(listing.exit, Exit::Damaged);
            }
        }
        listing
    }

    /// The names in `folder`, each after the `way` to it, the last one first.
    fn names(&mut self, source: &Source<'_>, folder: &Node, way: &[u8], room: &mut Room) -> Vec<Entry> {
        let mut names = Vec::new();
        let entries = match source.filesystem.entries(folder) {
            Ok(entries) => entries,
            Err(fault) => {
                self.fail(way, &fault);
                return names;
            }
        };
        for entry in entries {
            match entry {
                Ok(mut entry) => {
                    if !way.is_empty() {
                        entry.name = [way, b"/", &entry.name].concat();
                    }
                    if !room.take(entry.name.len()) {
                        self.errors
                            .push(format!("there are more names than {MAX_LISTED}, or longer: the rest is left out"));
                        self.exit = worse(self.exit, Exit::Failed);
                        break;
                    }
                    names.push(entry);
                }
                Err(fault) => self.fail(way, &fault),
            }
        }
        names.sort_unstable_by(|a, b| b.name.cmp(&a.name));
        names
    }

    /// Adds one line and returns the file that it is for.
    fn add(&mut self, source: &Source<'_>, entry: &Entry) -> Option<Node> {
        let found = source.filesystem.node(entry.inode).and_then(|node| Ok((attributes(source, &node)?, node)));
        let (attributes, node) = match found {
            Ok((attributes, node)) => (Some(attributes), Some(node)),
            Err(fault) => {
                self.fail(&entry.name, &fault);
                (None, None)
            }
        };
        let name = printable(&entry.name);
        let is_escaped = name.as_bytes() != entry.name;
        let hex = || entry.name.iter().map(|byte| format!("{byte:02x}")).collect();
        self.entries.push(Listed { name, name_hex: is_escaped.then(hex), inode: entry.inode, attributes });
        node
    }

    fn fail(&mut self, name: &[u8], fault: &Fault) {
        // A folder of damaged entries must not make a million lines.
        if self.errors.len() < 1000 {
            let name = if name.is_empty() { String::new() } else { printable(name) + ": " };
            self.errors.push(format!("{name}{fault}"));
        }
        self.exit = worse(self.exit, exit_of(fault));
    }

    /// The listing as `ls -l` writes it, with times in UTC.
    #[must_use]
    pub fn describe(&self) -> String {
        self.entries.iter().map(|listed| listed.describe() + "\n").collect()
    }
}

fn attributes(source: &Source<'_>, node: &Node) -> Result<Attributes, Fault> {
    let filesystem = &source.filesystem;
    let is_device = matches!(node.file_type, FileType::CharacterDevice | FileType::BlockDevice);
    let is_symlink = node.file_type == FileType::Symlink && !node.is_encrypted();
    let target = if is_symlink { Some(filesystem.symlink_target(node)?) } else { None };
    Ok(Attributes {
        kind: kind(node.file_type),
        mode: format!("{:04o}", node.permissions()),
        links: node.inode.i_links_count,
        user_id: node.user_id(),
        group_id: node.group_id(),
        size_bytes: node.inode.i_size,
        modified: node.modified().to_string(),
        target: target.map(|target| printable(&target)),
        device: is_device.then(|| node.device_number()),
    })
}

impl Listed {
    fn describe(&self) -> String {
        let Some(attributes) = &self.attributes else { return format!("?????????? {}", self.name) };
        let size = match attributes.device {
            Some((major, minor)) => format!("{major}, {minor}"),
            None => attributes.size_bytes.to_string(),
        };
        let Attributes { links, user_id, group_id, modified, .. } = attributes;
        let target = attributes.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
        let mode = symbolic(attributes);
        format!("{mode} {links:>3} {user_id:>6} {group_id:>6} {size:>13} {modified} {}{target}", self.name)
    }
}

/// The mode as `ls -l` writes it.
fn symbolic(attributes: &Attributes) -> String {
    let mode = u16::from_str_radix(&attributes.mode, 8).unwrap_or(0);
    let kind = match attributes.kind {
        "folder" => 'd',
        "symlink" => 'l',
        "fifo" => 'p',
        "socket" => 's',
        "character-device" => 'c',
        "block-device" => 'b',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "file",
        FileType::Directory => "folder",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character-device",
        FileType::BlockDevice => "block-device",
    }
}
