//! Files with several names.

use std::collections::HashMap;

use fsprobe::ext4::files::Node;

/// Files whose further names are still to come; beyond that they are copied once for each name.
const MAX_REMEMBERED: usize = 1 << 20;

/// Where the first copy of each file with several names is.
#[derive(Default)]
pub(super) struct HardLinks(HashMap<u32, First>);

struct First {
    way: Vec<Vec<u8>>,
    /// Names that have not come by.
    to_come: u16,
}

impl HardLinks {
    /// Where `node` was copied to before, from the top folder down.
    pub(super) fn first_copy(&mut self, node: &Node) -> Option<Vec<Vec<u8>>> {
        let first = self.0.get_mut(&node.inode.number)?;
        first.to_come = first.to_come.saturating_sub(1);
        if first.to_come > 0 {
            return Some(first.way.clone());
        }
        self.0.remove(&node.inode.number).map(|first| first.way)
    }

    /// Has `node` been copied to `way`.
    pub(super) fn remember(&mut self, node: &Node, way: &[Vec<u8>]) {
        let to_come = node.inode.i_links_count.saturating_sub(1);
        if to_come > 0 && self.0.len() < MAX_REMEMBERED {
            self.0.insert(node.inode.number, First { way: way.to_vec(), to_come });
        }
    }
}
