//! Polls whose votes come in: what can be chosen, the secret that votes are encrypted under, and who chose what.
//!
//! A vote names options by a hash, and takes the place of the same person's vote before. So a poll rests here, sealed, for
//! as long as its votes count. It is one entry: a vote reads it and writes it back, one unit each where few people vote.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::message::RECORD_TERM;
use shared::domain::person::Person;
use shared::storage::StorageError;

use super::SessionStore;
use super::names::name;

/// The most people whose votes on a poll are counted: the largest groups have as many members.
const MAX_VOTERS: usize = 5_000;

/// A poll.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPoll {
    /// What can be chosen.
    pub options: Vec<String>,
    /// What votes are encrypted under, in hex; `None` for a message that was accepted here, whose secret is derived.
    secret: Option<String>,
    /// Who else made it; `None` where the account itself did.
    pub creator: Option<Person>,
    /// Until when its votes count.
    until: DateTime<Utc>,
    /// What was chosen: one for each person who voted, in no order.
    votes: Vec<StoredVote>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredVote {
    /// The voter's canonical name: the LID where that is known, else the number.
    #[serde(rename = "v")]
    voter: String,
    /// When the vote was given, in milliseconds since the epoch.
    #[serde(rename = "t")]
    at: i64,
    /// What was chosen, by the place among the options; nothing where the vote was taken back.
    #[serde(rename = "o")]
    options: Vec<usize>,
}

/// A poll that nobody has voted on.
pub struct NewPoll {
    /// What can be chosen.
    pub options: Vec<String>,
    /// Its secret, where that is not derived.
    pub secret: Option<[u8; 32]>,
    /// Who else made it; `None` where the account itself did.
    pub creator: Option<Person>,
}

/// A vote as it came in.
pub struct CastVote {
    /// Whose, with each name that is known.
    pub voter: Person,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// What was chosen, by the place among the options.
    pub options: Vec<usize>,
}

/// What came of a vote.
pub enum Counted {
    /// It counts.
    Counts {
        /// The poll with it.
        poll: StoredPoll,
        /// What was chosen, by the place among the options.
        options: Vec<usize>,
    },
    /// The same person has voted anew since, or too many have voted: it does not count.
    Void,
    /// It is on no poll that is known, or cannot be opened.
    Unreadable,
}

impl StoredPoll {
    /// Its secret, where that is not derived.
    pub fn secret(&self) -> Option<[u8; 32]> {
        let secret = self.secret.as_deref()?;
        hex::decode(secret).ok()?.try_into().ok()
    }

    /// How many people chose each option, in the order of the options.
    pub fn tally(&self) -> Vec<u32> {
        let mut tally = vec![0; self.options.len()];
        for chosen in self.votes.iter().flat_map(|vote| &vote.options) {
            if let Some(count) = tally.get_mut(*chosen) {
                *count += 1;
            }
        }
        tally
    }

    /// Counts a vote in place of the same person's before. Answers whether it counts: one that was given before the last
    /// one does not. One that comes again does, and changes nothing.
    fn count(&mut self, vote: CastVote) -> bool {
        let CastVote { voter, at, options } = vote;
        let names: Vec<_> = voter.names().map(|name| name.to_jid()).collect();
        let lid = voter
            .lid
            .as_ref()
            .and_then(|_| names.iter().find(|name| name.ends_with("@lid")));
        let Some(voter) = lid.or(names.first()).cloned() else {
            return false;
        };
        let is_theirs = |vote: &StoredVote| names.contains(&vote.voter);
        if self.votes.iter().any(|vote| is_theirs(vote) && vote.at > at) {
            return false;
        }
        self.votes.retain(|vote| !is_theirs(vote));
        if self.votes.len() >= MAX_VOTERS {
            return false;
        }
        self.votes.push(StoredVote { voter, at, options });
        true
    }
}

fn entry(id: &str) -> String {
    name("poll", &[id])
}

impl SessionStore {
    /// Keeps a poll, by its WhatsApp id, unless it is kept already: nobody else's takes its place. One read unit, and one
    /// write unit for each KiB.
    pub async fn keep_poll(&self, id: &str, poll: NewPoll) -> Result<(), StorageError> {
        let _alone = self.locks.polls.lock().await;
        if self.poll(id).await?.is_some() {
            return Ok(());
        }
        let poll = StoredPoll {
            options: poll.options,
            secret: poll.secret.map(hex::encode),
            creator: poll.creator,
            until: self.expiry(RECORD_TERM),
            votes: Vec::new(),
        };
        self.put_poll(id, &poll).await
    }

    /// Counts the vote that `open` reads on the poll with this WhatsApp id.
    pub async fn count_vote(
        &self,
        id: &str,
        open: impl FnOnce(&StoredPoll) -> Option<CastVote> + Send,
    ) -> Result<Counted, StorageError> {
        let _alone = self.locks.polls.lock().await;
        let Some(before) = self.poll(id).await? else {
            return Ok(Counted::Unreadable);
        };
        let Some(vote) = open(&before) else {
            return Ok(Counted::Unreadable);
        };
        let (mut poll, options) = (before.clone(), vote.options.clone());
        if !poll.count(vote) {
            return Ok(Counted::Void);
        }
        if poll != before {
            self.put_poll(id, &poll).await?;
        }
        Ok(Counted::Counts { poll, options })
    }

    /// The poll with this WhatsApp id. One that cannot be read is none.
    async fn poll(&self, id: &str) -> Result<Option<StoredPoll>, StorageError> {
        let stored = self.state.get(&entry(id)).await?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn put_poll(&self, id: &str, poll: &StoredPoll) -> Result<(), StorageError> {
        let value = serde_json::to_vec(poll).expect("plain data");
        self.state.put(&entry(id), &value, Some(poll.until)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll() -> StoredPoll {
        StoredPoll {
            options: ["Soup", "Salad"].map(str::to_owned).into(),
            secret: None,
            creator: None,
            until: DateTime::UNIX_EPOCH,
            votes: Vec::new(),
        }
    }

    fn vote(phone: Option<&str>, lid: Option<&str>, at: i64, options: &[usize]) -> CastVote {
        CastVote {
            voter: Person {
                phone: phone.map(str::to_owned),
                lid: lid.map(str::to_owned),
            },
            at,
            options: options.to_vec(),
        }
    }

    const BOB: (Option<&str>, Option<&str>) = (Some("15550100002"), Some("200000000000002"));

    #[test]
    fn the_last_vote_of_a_person_counts_once() {
        let mut poll = poll();
        assert!(poll.count(vote(BOB.0, None, 1, &[0])));
        assert!(poll.count(vote(Some("15550100003"), None, 1, &[0])));
        assert_eq!(poll.tally(), [2, 0]);
        assert!(poll.count(vote(BOB.0, BOB.1, 2, &[0, 1])));
        assert_eq!(poll.tally(), [2, 1]);
        // By whichever name they are called, and whichever device it is.
        assert!(poll.count(vote(None, BOB.1, 3, &[1])));
        assert_eq!(poll.tally(), [1, 1]);
        // One that was given before and comes late does not count, and one that comes again does.
        assert!(!poll.count(vote(BOB.0, BOB.1, 2, &[0])));
        assert!(poll.count(vote(BOB.0, BOB.1, 3, &[1])));
        assert_eq!(poll.tally(), [1, 1]);
        // Taken back.
        assert!(poll.count(vote(BOB.0, BOB.1, 4, &[])));
        assert!(!poll.count(vote(BOB.0, BOB.1, 3, &[1])));
        assert_eq!(poll.tally(), [1, 0]);
        assert!(!poll.count(vote(None, None, 9, &[1])));
    }

    #[test]
    fn a_poll_takes_so_many_voters_and_no_more() {
        let mut poll = poll();
        for n in 0..MAX_VOTERS {
            assert!(poll.count(vote(Some(&format!("1555{n:07}")), None, 1, &[0])));
        }
        assert!(!poll.count(vote(BOB.0, None, 1, &[0])));
        assert!(poll.count(vote(Some("15550000007"), None, 2, &[1])));
        assert_eq!(poll.tally(), [4_999, 1]);
        let size = serde_json::to_vec(&poll).expect("plain data").len();
        assert!(size < shared::session_state::MAX_VALUE_LENGTH, "{size}");
    }
}
