//! The function `webhooks`: it takes events out of the events queue and sends each to its instance's webhook. It serves no
//! requests.
//!
//! ```text
//! events.fifo ──▶ send ──▶ 2xx: recorded, deleted
//!                  │
//!                  └─ else: kept in the bucket, recorded ──▶ events-retry ──▶ send …
//! ```
//!
//! An event is tried once in the line of its chat. While its endpoint answers 2xx the next one waits behind it, so order
//! holds. One that fails leaves the line for the retry queue, which hides it until it is due ([`plan`]), a quarter of an hour
//! at a time. So an endpoint that fails holds up its own events for as long as one attempt takes, and none of others:
//! [`slots`] bounds what is under way, and the breaker ([`health`]) keeps everybody from connecting to an endpoint that
//! fails again and again.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`dispatch`] | takes a message of either queue, and says whether it is done or stays |
//! | `send` | one attempt, and what is stored of it |
//! | `claims` | whose an attempt is |
//! | `verdict` | what an attempt was, and what follows from it |
//! | `retries` | when an event is tried again, and its way there |
//! | `errands` | the retry queue: events that are due again |
//! | `forget` | what is left of deleted webhooks |
//! | [`transport`], [`signing`] | the request itself |
//! | [`slots`] | how many attempts are under way at once in a process |
//! | [`slow`] | endpoints that take long for each event |
//! | `parties` | whose an event is, and where it goes |
//! | `kept` | bodies of events that failed, in the bucket |
//! | `line` | the order of groups |
//! | [`batch`] | batches as Lambda gives them |
//! | [`local`] | the same over the embedded queues, in a process of its own |
//!
//! A message is deleted only when what follows from it is stored. Where the table, the bucket, the queue or the key service is
//! away, it stays in its queue, and what is behind it in its chat with it. So an event comes at least once, and always under
//! the same `webhook-id`.

pub mod batch;
mod claims;
pub mod dispatch;
mod errands;
mod forget;
pub mod health;
mod kept;
mod line;
pub mod local;
mod parties;
pub mod plan;
mod retries;
mod send;
pub mod signing;
pub mod slots;
pub mod slow;
mod state;
pub mod transport;
mod verdict;

pub use self::state::{OfWebhooks, Settings, WebhooksState};
