//! Which shard an instance belongs to, and which lane a chat.

use std::fmt;

use sha2::{Digest, Sha256};

use super::recipient::Recipient;
use crate::ids::InstanceId;

/// Message groups of one instance's sends: order holds within a chat, and no chat holds up
/// more than its lane.
const LANES: u64 = 8;

/// The shard of an instance: one FIFO queue for sends, one queue for queries and nudges,
/// one lease. Chosen once, at the instance's creation, and kept on its item, so that the
/// number of shards can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u32);

impl Shard {
    /// The shard of a new instance among `shards` shards.
    pub fn of(instance: InstanceId, shards: u32) -> Self {
        let number = first_eight(instance.to_string().as_bytes()) % u64::from(shards.max(1));
        Self(u32::try_from(number).expect("a remainder of a u32"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The message group of a send, which keeps order among the messages to one chat.
pub fn lane(instance: InstanceId, chat: &Recipient) -> String {
    format!("{instance}#{}", first_eight(chat.to_jid().as_bytes()) % LANES)
}

fn first_eight(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_shard() {
        let id: InstanceId = "inst_01JD0000000000000000000000".parse().expect("well-formed");
        assert_eq!(Shard::of(id, 4), Shard::of(id, 4));
        assert_eq!(Shard::of(id, 1), Shard(0));
        assert_eq!(Shard::of(id, 0), Shard(0));
    }

    #[test]
    fn a_chat_keeps_its_lane_and_chats_spread() {
        let id: InstanceId = "inst_01JD0000000000000000000000".parse().expect("well-formed");
        let lanes: std::collections::BTreeSet<String> = (0..200)
            .map(|n| lane(id, &format!("1555010{n:04}").parse().expect("a phone number")))
            .collect();
        assert_eq!(lanes.len(), 8);
    }
}
