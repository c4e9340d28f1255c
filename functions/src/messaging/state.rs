//! What this function's handlers work with.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use shared::bucket::Bucket;
use shared::config;
use shared::seal::Sealer;
use shared::storage::address_books::AddressBooks;
use shared::storage::answers::Answers;
use shared::storage::api_keys::ApiKeys;
use shared::storage::contents::Contents;
use shared::storage::counters::Counters;
use shared::storage::idempotency::IdempotencyKeys;
use shared::storage::instances::Instances;
use shared::storage::media::MediaTable;
use shared::storage::messages::Messages;
use shared::storage::schedule::Schedule;

use super::messages::backlog::{Backlog, Limits};
use super::people::Directory;
use crate::state::Base;
use crate::webhook_routes::Hooks;

/// The state of the function `messaging`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MessagingState(Arc<OfMessaging>);

/// What [`MessagingState`] holds.
#[derive(Debug)]
pub struct OfMessaging {
    base: Base,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Instances.
    pub instances: Instances,
    /// Message records.
    pub messages: Messages,
    /// Messages that are due later.
    pub schedule: Schedule,
    /// How many of them an instance may have for one day.
    pub schedule_limit: u32,
    /// Quotas and statistics.
    pub counters: Counters,
    /// What is known of instances and shards with many messages.
    pub backlog: Backlog,
    /// Who is who to each instance.
    pub people: Directory,
    /// The address books of instances' phones.
    pub address_books: AddressBooks,
    /// Answers to questions.
    pub answers: Answers,
    /// Idempotency keys.
    pub idempotency: IdempotencyKeys,
    /// Seals content, and nothing else.
    pub sealer: Arc<Sealer>,
    /// The contents of messages, where they are kept.
    pub contents: Contents,
    /// What is known of files.
    pub media: MediaTable,
    /// The files themselves.
    pub bucket: Bucket,
    /// Webhooks, and what became of their events.
    pub(crate) hooks: Hooks,
    /// How long a request tries to bring a message into its queue.
    pub queue_answer: Duration,
    /// How long a request waits for a daemon's answer.
    pub daemon_answer: Duration,
}

impl MessagingState {
    /// The state over what every function has.
    pub fn new(base: Base, sealer: Arc<Sealer>, bucket: Bucket, config: &config::Messaging) -> Self {
        let limits = Limits {
            instance: config.queue_limit,
            offline: config.offline_queue_limit,
            shard: config.shard_queue_limit,
        };
        let table = &base.table;
        Self(Arc::new(OfMessaging {
            api_keys: ApiKeys::new(table.clone()),
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            schedule: Schedule::new(table.clone()),
            schedule_limit: config.schedule_limit,
            counters: Counters::new(table.clone()),
            backlog: Backlog::new(base.clone(), limits),
            contents: Contents::new(table.clone()),
            media: MediaTable::new(table.clone()),
            people: Directory::new(table.clone()),
            address_books: AddressBooks::new(table.clone()),
            answers: Answers::new(table.clone()),
            idempotency: IdempotencyKeys::new(table.clone()),
            hooks: Hooks::new(table, Arc::clone(&sealer), base.reach),
            sealer,
            bucket,
            queue_answer: config.queue_answer,
            daemon_answer: config.daemon_answer,
            base,
        }))
    }
}

impl Deref for MessagingState {
    type Target = OfMessaging;

    fn deref(&self) -> &OfMessaging {
        &self.0
    }
}

impl Deref for OfMessaging {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl FromRef<MessagingState> for Base {
    fn from_ref(state: &MessagingState) -> Self {
        Self::clone(state)
    }
}

impl FromRef<MessagingState> for ApiKeys {
    fn from_ref(state: &MessagingState) -> Self {
        state.api_keys.clone()
    }
}
