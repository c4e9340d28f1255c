//! How many members of a group have received a message, and how many have read it.
//!
//! The members are noted when the server has taken the message. They are a roster, which all messages to the same
//! members share. It costs one write unit for each 64 members when the membership changes, and one for each message.
//!
//! From then on receipts are two bits a member. All that come within a window are one write unit, in a group of three
//! or of a thousand. The window grows with the group. In a group of 1,024, a message costs some ten write units when
//! all its receipts come at once, and at most two for each member when they come one by one. A receipt that comes
//! twice, from another device of a member or after a crash, finds its bit set.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::domain::message::{RECORD_TERM, State};
use shared::domain::recipient::Recipient;
use shared::domain::roster::Roster;
use shared::ids::{InstanceId, MessageId};
use shared::storage::StorageError;
use shared::storage::group_receipts::Progress;
use shared::telemetry::chain;
use tracing::debug;

use super::link::Links;
use super::pending::{Unstored, WINDOW};
use crate::connection::{ReceiptKind, SendError};
use crate::deps::Deps;

/// How long receipts of a message wait for others: this for each member of its group, and the longest wait.
const WINDOW_OF_A_MEMBER: Duration = Duration::from_millis(10);
const LONGEST_WINDOW: Duration = Duration::from_secs(10);

/// The pauses before members are asked for again: without a connection, and after WhatsApp did not tell them.
const NOT_CONNECTED_PAUSE: Duration = Duration::from_secs(5);
const NOT_TOLD_PAUSE: Duration = Duration::from_secs(30);

/// How long they are asked for. Whoever is no member any more is not told.
const PATIENCE: Duration = Duration::from_mins(10);

/// How often a message's progress is read anew where somebody else has changed it.
const ATTEMPTS: usize = 4;

/// How many messages' sets and how many rosters are kept in memory.
const KEPT: usize = 256;
const KEPT_ROSTERS: usize = 32;

/// What came of counting.
pub enum Counted {
    /// There is no record (yet).
    NoRecord,
    /// Not now: after this pause.
    Later(Duration),
    /// The members cannot be known.
    Never,
    /// It is counted.
    Done {
        /// The state that all members have reached, where the message is not in it yet.
        all: Option<State>,
    },
}

enum Known {
    Roster(Arc<Roster>),
    /// Somebody else has noted a roster meanwhile.
    Noted,
    Later(Duration),
    Never,
}

/// Counts the members of an instance's groups.
pub struct Groups {
    deps: Arc<Deps>,
    instance: InstanceId,
    links: Arc<Links>,
    rosters: Mutex<HashMap<String, Arc<Roster>>>,
    progress: Mutex<HashMap<MessageId, Progress>>,
}

impl Groups {
    pub fn new(deps: Arc<Deps>, instance: InstanceId, links: Arc<Links>) -> Self {
        Self {
            deps,
            instance,
            links,
            rosters: Mutex::default(),
            progress: Mutex::default(),
        }
    }

    /// Counts what is told of a message; `at_once` where nothing more is waited for.
    pub async fn count(
        &self,
        message: MessageId,
        told: &Unstored,
        at_once: bool,
    ) -> Result<Counted, StorageError> {
        let Some(group) = &told.group else {
            return Ok(Counted::Never);
        };
        for _ in 0..ATTEMPTS {
            // It leaves the cache until it is known what was stored.
            let kept = self.progress.lock().expect("no holder panics").remove(&message);
            let found = match kept {
                Some(progress) => Some(progress),
                None => self.deps.messages.get_progress(self.instance, message).await?,
            };
            let Some(mut progress) = found else {
                return Ok(Counted::NoRecord);
            };
            let roster = match self.roster(message, &mut progress, group, told).await? {
                Known::Roster(roster) => roster,
                Known::Noted => continue,
                Known::Later(pause) => {
                    // Nothing was stored, so it need not be read again.
                    self.keep(message, progress);
                    return Ok(Counted::Later(pause));
                }
                Known::Never => return Ok(Counted::Never),
            };
            let waits = window(roster.len()).saturating_sub(told.since().elapsed());
            if told.len() > 0 && !waits.is_zero() && !at_once {
                self.keep(message, progress);
                return Ok(Counted::Later(waits));
            }
            let mut is_new = false;
            for (reader, kind) in told.readers() {
                if let Some(number) = roster.number(self.instance, reader) {
                    is_new |= progress.delivered.add(number);
                    is_new |= kind >= ReceiptKind::Read && progress.read.add(number);
                }
            }
            if is_new {
                if !self
                    .deps
                    .messages
                    .advance(self.instance, message, &progress)
                    .await?
                {
                    continue;
                }
                progress.revision += 1;
            }
            let all = reached_by_all(&progress);
            self.keep(message, progress);
            return Ok(Counted::Done { all });
        }
        Err(StorageError::Conflict("others count it too".into()))
    }

    /// The message's record is in this state.
    pub fn is_in(&self, message: MessageId, state: State) {
        if let Some(progress) = self.progress.lock().expect("no holder panics").get_mut(&message) {
            progress.state = state;
        }
    }

    async fn roster(
        &self,
        message: MessageId,
        progress: &mut Progress,
        group: &Recipient,
        told: &Unstored,
    ) -> Result<Known, StorageError> {
        if let Some(digest) = &progress.roster {
            if let Some(roster) = self.kept(digest) {
                return Ok(Known::Roster(roster));
            }
            return Ok(
                match self.deps.messages.get_roster(self.instance, digest).await? {
                    Some(roster) => Known::Roster(self.keep_roster(roster)),
                    // A roster is stored before a record names it, so this one has run out.
                    None if told.since().elapsed() >= PATIENCE => Known::Never,
                    None => Known::Later(NOT_TOLD_PAUSE),
                },
            );
        }
        let link = self.links.watch(self.instance).borrow().clone();
        let Some(link) = link else {
            return Ok(Known::Later(NOT_CONNECTED_PAUSE));
        };
        let members = match link.connection.group_members(group).await {
            Ok(members) => members,
            Err(SendError::NotConnected) => return Ok(Known::Later(NOT_CONNECTED_PAUSE)),
            Err(error) => {
                debug!(message.id = %message, error = %chain(&error), "a group's members are not told");
                return Ok(if told.since().elapsed() < PATIENCE {
                    Known::Later(NOT_TOLD_PAUSE)
                } else {
                    Known::Never
                });
            }
        };
        let roster = Roster::new(self.instance, &members);
        let digest = roster.digest();
        let roster = if let Some(kept) = self.kept(&digest) {
            kept
        } else {
            // Messages of a long session go on naming it.
            let expires = self.deps.clock.now() + RECORD_TERM * 2;
            self.deps
                .messages
                .put_roster(self.instance, &roster, expires)
                .await?;
            self.keep_roster(roster)
        };
        let noted = self
            .deps
            .messages
            .begin_progress(self.instance, message, &roster)
            .await?;
        if !noted {
            return Ok(Known::Noted);
        }
        progress.roster = Some(digest);
        progress.of = u32::from(roster.len());
        Ok(Known::Roster(roster))
    }

    fn keep(&self, message: MessageId, progress: Progress) {
        let mut kept = self.progress.lock().expect("no holder panics");
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(message, progress);
    }

    fn kept(&self, digest: &str) -> Option<Arc<Roster>> {
        self.rosters
            .lock()
            .expect("no holder panics")
            .get(digest)
            .cloned()
    }

    fn keep_roster(&self, roster: Roster) -> Arc<Roster> {
        let roster = Arc::new(roster);
        let mut kept = self.rosters.lock().expect("no holder panics");
        if kept.len() >= KEPT_ROSTERS {
            kept.clear();
        }
        kept.insert(roster.digest(), Arc::clone(&roster));
        roster
    }
}

/// How long receipts of a message to a group of so many wait for others.
fn window(members: u16) -> Duration {
    (WINDOW_OF_A_MEMBER * u32::from(members)).clamp(WINDOW, LONGEST_WINDOW)
}

/// The state that all members have reached, where the message is not in it yet.
fn reached_by_all(progress: &Progress) -> Option<State> {
    let by_all = |count: u32| progress.of > 0 && count >= progress.of;
    let reached = if by_all(progress.read.count()) {
        State::Read
    } else if by_all(progress.delivered.count()) {
        State::Delivered
    } else {
        return None;
    };
    let is_there = match progress.state {
        State::Read | State::Played => true,
        State::Delivered => reached == State::Delivered,
        _ => false,
    };
    (!is_there).then_some(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_short_in_a_small_group_and_bounded_in_a_large_one() {
        assert_eq!(window(2), WINDOW);
        assert_eq!(window(100), Duration::from_secs(1));
        assert_eq!(window(1_024), LONGEST_WINDOW);
    }
}
