//! Votes on polls: what people chose, and how a poll stands.
//!
//! A vote is encrypted under its poll's secret, and names options by a hash. So what is needed of a poll is kept when it goes
//! out or comes in ([`StoredPoll`]). Secrets of other messages are not kept: that would be a write for every message.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shared::domain::content::{Ballot, Target};
use shared::domain::event::OptionVotes;
use shared::domain::person::Person;
use shared::ids::MessageId;
use shared::storage::StorageError;
use tracing::warn;
use wacore::poll::{PollVoteCiphertext, compute_option_hash, decrypt_poll_vote_with_secret};
use wacore::proto_helpers::MessageExt as _;
use wacore::reporting_token::extract_message_secret;
use wacore::types::events::InboundMessage as LibraryMessage;
use waproto::whatsapp as wa;

use super::secrets::MessageSecrets;
use crate::connection::Vote;
use crate::store::{CastVote, Counted, NewPoll, SessionStore, StoredPoll};

/// The polls of a session.
#[derive(Clone)]
pub struct Polls {
    store: Arc<SessionStore>,
    secrets: MessageSecrets,
}

/// What came of reading a vote.
pub enum Cast {
    /// It counts.
    Counts(Vote),
    /// The same person has voted anew since, or too many have voted: it does not count, and nobody is told.
    Void,
    /// It is on no poll that is known, or cannot be opened.
    Unreadable,
}

impl Polls {
    /// Those that are kept in `store`. `secrets` are those of what was accepted here.
    pub fn new(store: Arc<SessionStore>, secrets: MessageSecrets) -> Self {
        Self { store, secrets }
    }

    /// Keeps a poll that is about to go out.
    pub async fn keep_sent(&self, id: MessageId, ballot: &Ballot) -> Result<(), StorageError> {
        let poll = NewPoll {
            options: ballot.options.clone(),
            secret: None,
            creator: None,
        };
        self.store.keep_poll(&id.to_whatsapp(), poll).await
    }

    /// Keeps a poll that came in from this person, where its votes can be opened. One that cannot be stored is left out:
    /// votes on it are told as unknown.
    pub async fn keep_received(
        &self,
        message: &LibraryMessage,
        ballot: &Ballot,
        from: &Person,
    ) -> Result<(), StorageError> {
        let secret = extract_message_secret(&message.message)
            .or_else(|| extract_message_secret(message.message.get_base_message()));
        let Some(secret) = secret.and_then(|secret| secret.try_into().ok()) else {
            return Ok(());
        };
        let info = &message.info;
        let poll = NewPoll {
            options: ballot.options.clone(),
            secret: Some(secret),
            creator: Some(from.clone()).filter(|_| !info.source.is_from_me),
        };
        passed_over(self.store.keep_poll(&info.id, poll).await, ())
    }

    /// Opens a vote of this person, and counts it. `None` where the message is no vote. `own` is the account.
    pub async fn count(
        &self,
        message: &LibraryMessage,
        from: &Person,
        own: &Person,
    ) -> Result<Option<Cast>, StorageError> {
        let base = message.message.get_base_message();
        let Some(update) = base.poll_update_message.as_option() else {
            return Ok(None);
        };
        let cast = self.cast(update, message.info.timestamp, from, own).await;
        passed_over(cast, Cast::Unreadable).map(Some)
    }

    async fn cast(
        &self,
        update: &wa::message::PollUpdateMessage,
        came_at: DateTime<Utc>,
        from: &Person,
        own: &Person,
    ) -> Result<Cast, StorageError> {
        let key = update.poll_creation_message_key.as_option();
        let Some(id) = key.and_then(|key| key.id.as_deref()) else {
            return Ok(Cast::Unreadable);
        };
        // By the voter's clock, since an earlier vote may come after a later one; but not later than it came.
        let came_at = came_at.timestamp_millis().saturating_add(999);
        let at = update.sender_timestamp_ms.map_or(came_at, |at| at.min(came_at));
        let counting = self.store.count_vote(id, |poll| {
            let creator = poll.creator.as_ref().unwrap_or(own);
            Some(CastVote {
                voter: from.clone(),
                at,
                options: self.open(id, poll, update, [creator, from])?,
            })
        });
        Ok(match counting.await? {
            Counted::Counts { poll, options } => Cast::Counts(told(id, &poll, &options)),
            Counted::Void => Cast::Void,
            Counted::Unreadable => Cast::Unreadable,
        })
    }

    /// What was chosen, by the place among the poll's options. Options that somebody has added since are left out.
    fn open(
        &self,
        id: &str,
        poll: &StoredPoll,
        update: &wa::message::PollUpdateMessage,
        people: [&Person; 2],
    ) -> Option<Vec<usize>> {
        let secret = match poll.secret() {
            Some(secret) => secret,
            None => self.secrets.of(MessageId::from_whatsapp(id)?),
        };
        let vote = update.vote.as_option()?;
        let ciphertext = PollVoteCiphertext {
            enc_payload: vote.enc_payload.as_deref()?,
            enc_iv: vote.enc_iv.as_deref()?,
        };
        let [creator, voter] = people.map(|person| person.names().map(|name| name.to_jid()));
        let voter: Vec<_> = voter.collect();
        // Both go by one kind of name or the other, and while an account moves from one to the other perhaps not by the same.
        let mut pairs = creator.flat_map(|creator| voter.iter().map(move |voter| (creator.clone(), voter)));
        let hashes = pairs.find_map(|(creator, voter)| {
            decrypt_poll_vote_with_secret(ciphertext, &secret, id, &creator, voter).ok()
        })?;
        let chosen = poll.options.iter().enumerate().filter(|(_, option)| {
            let hash = compute_option_hash(option);
            hashes.iter().any(|chosen| *chosen == hash)
        });
        Some(chosen.map(|(place, _)| place).collect())
    }
}

/// Whether a message is a vote.
pub fn is_vote(message: &wa::Message) -> bool {
    message.get_base_message().poll_update_message.is_set()
}

/// What never passes must not keep a message from being told of, but for a lost lease.
fn passed_over<T>(result: Result<T, StorageError>, instead: T) -> Result<T, StorageError> {
    match result {
        Err(error) if error.nature().is_permanent() && !matches!(error, StorageError::Fenced) => {
            warn!(%error, "a poll cannot be stored or read, and its votes are not told");
            Ok(instead)
        }
        result => result,
    }
}

/// What is told of a vote on a poll that stands so.
fn told(id: &str, poll: &StoredPoll, options: &[usize]) -> Vote {
    let tally = poll.options.iter().zip(poll.tally());
    let tally = tally.map(|(option, votes)| OptionVotes {
        option: option.clone(),
        votes,
    });
    Vote {
        poll: Target {
            whatsapp_id: id.to_owned(),
            from_me: poll.creator.is_none(),
            author: poll.creator.clone().unwrap_or_default(),
        },
        options: options.iter().map(|place| poll.options[*place].clone()).collect(),
        tally: tally.collect(),
    }
}
