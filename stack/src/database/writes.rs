//! The writes since the start, and who may have seen which.

use std::collections::HashMap;

use super::disk::Disk;
use super::reach::Reach;

/// Partitions that are remembered as written since the last sync, before all are taken for written.
pub const REMEMBERED: usize = 4_096;

/// The writes since the start, by number.
#[derive(Debug, Default)]
pub struct Writes {
    last: u64,
    /// The last write of what may be any partition.
    anywhere: u64,
    /// The last write of each partition, as long as it may not be on disk.
    partitions: HashMap<String, u64>,
}

impl Writes {
    /// The last write that whoever looks at this may have seen.
    pub fn seen_by(&self, reach: &Reach) -> u64 {
        match reach {
            Reach::Everything => self.last,
            Reach::Partitions(names) => {
                let of_these = names.iter().filter_map(|name| self.partitions.get(name));
                of_these.copied().fold(self.anywhere, u64::max)
            }
        }
    }

    /// Numbers a write; answers its number.
    pub fn add(&mut self, reach: Reach, disk: &Disk) -> u64 {
        if disk.has(self.last) {
            self.partitions.clear();
        } else if self.partitions.len() > REMEMBERED {
            self.partitions.clear();
            self.anywhere = self.last;
        }
        self.last += 1;
        match reach {
            Reach::Everything => self.anywhere = self.last,
            Reach::Partitions(names) => {
                for name in names {
                    self.partitions.insert(name, self.last);
                }
            }
        }
        self.last
    }
}
