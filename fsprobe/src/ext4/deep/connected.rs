//! Every inode in use has as many names as it says, and every directory leads up to the root.

use super::Deep;
use super::inode_map::Use;
use super::inodes::ROOT_INODE;
use super::links::Count;
use crate::Finding;

impl Deep<'_, '_> {
    pub(super) fn connected(&mut self) {
        if self.links.directory(ROOT_INODE).is_none() && self.are_names_complete {
            self.damage("root-inode", ROOT_INODE, "there is no root directory".to_owned());
            self.are_names_complete = false;
        }
        if !self.are_names_complete {
            let detail = "some names could not be read: link counts are not judged";
            self.findings.push(Finding::note("links-not-judged", "directories", detail));
            return;
        }
        self.directory_links();
        self.paths();
        self.files();
        self.ea_inodes();
    }

    fn directory_links(&mut self) {
        let directories = std::mem::take(&mut self.links.directories);
        for directory in &directories {
            let number = directory.number;
            if directory.parent == 0 {
                self.damage("inode-unconnected", number, "no directory names this one".to_owned());
                continue;
            }
            if directory.dot_dot != directory.parent {
                let detail = format!("`..` is inode {}, but inode {} names it", directory.dot_dot, directory.parent);
                self.damage("directory-dot-dot", number, detail);
            }
            // More than 65000 subdirectories make it 1, and it stays so when there are fewer again.
            let is_overflown = directory.i_links_count == 1 && (directory.is_indexed || directory.seen > 65000);
            if !is_overflown && u32::from(directory.i_links_count) != directory.seen {
                let detail = format!("i_links_count is {}, it has {}", directory.i_links_count, directory.seen);
                self.damage("link-count", number, detail);
            }
        }
        self.links.directories = directories;
    }

    /// Climbs from each directory until it comes to one that is known to lead to the root.
    fn paths(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Climbing,
            Done,
        }
        let mut states = vec![State::New; self.links.directories.len()];
        for start in 0..states.len() {
            let mut path = Vec::new();
            let mut next = Some(start);
            while let Some(index) = next {
                let Some(state) = states.get_mut(index) else { break };
                let Some(directory) = self.links.directories.get(index) else { break };
                let (number, parent) = (directory.number, directory.parent);
                if *state == State::Climbing {
                    self.damage("directory-loop", number, "it is one of its own parents".to_owned());
                }
                if *state != State::New {
                    break;
                }
                *state = State::Climbing;
                path.push(index);
                next = self.links.directory_index(parent).filter(|_| number != ROOT_INODE);
            }
            for index in path {
                if let Some(state) = states.get_mut(index) {
                    *state = State::Done;
                }
            }
        }
    }

    fn files(&mut self) {
        let inodes_per_group = self.filesystem.superblock.s_inodes_per_group;
        for group in 0..self.filesystem.superblock.groups_count() {
            for (index, usage) in self.inodes.in_use(group) {
                if !usage.is_named() || usage == Use::Directory {
                    continue;
                }
                let number = group * inodes_per_group + index + 1;
                let Count { stored, seen } = self.links.count(number, group, index);
                let (code, detail) = match seen {
                    0 => ("inode-unconnected", "no directory names it".to_owned()),
                    _ if seen != stored => ("link-count", format!("i_links_count is {stored}, it has {seen}")),
                    _ => continue,
                };
                self.findings.push(Finding::damage(code, format!("inode {number}"), detail));
            }
        }
    }

    /// Inodes that hold values: each is one, and referred to as often as it says.
    fn ea_inodes(&mut self) {
        let mut counts: Vec<(u32, Count)> =
            self.links.ea_inodes.iter().map(|(number, count)| (*number, *count)).collect();
        counts.sort_unstable_by_key(|(number, _)| *number);
        for (number, Count { stored, seen }) in counts {
            let usage = self.filesystem.inode_place(number).map(|(group, index)| self.inodes.get(group, index));
            if usage != Some(Use::EaInode) {
                let detail = format!("{seen} attributes have their value in it, but it holds none");
                self.damage("xattr-inode", number, detail);
            } else if seen != stored {
                let detail = format!("{stored} attributes should have their value in it, {seen} do");
                self.damage("xattr-inode", number, detail);
            }
        }
    }
}
