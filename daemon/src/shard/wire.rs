//! Which messages are on an instance's wire: as a rule one of each lane, and a single one where something has to be
//! found out.
//!
//! A connection that ends while several messages are on it does not say whose fault that was. So those messages go
//! out one at a time afterwards. Only one under which the connection ends again and again while it is alone is to
//! blame. In the same way a single message finds out whether WhatsApp has room again after it had none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use shared::ids::{InstanceId, MessageId};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::Instant;

use super::agreements::Agreements;
use super::pace::Pace;
use super::pacer::Pacer;
use super::reachout::Reachout;

/// One instance's wire.
#[derive(Debug, Default)]
pub struct Wire {
    /// A message that may have company holds it shared, one that has to be alone exclusively. It is fair: a message
    /// that wants to be alone is not passed by others for ever.
    gate: RwLock<()>,
    /// The messages on it, and whether each has or had company.
    present: Mutex<HashMap<MessageId, bool>>,
    /// How fast WhatsApp lets it be used.
    pub pace: Pace,
    /// How fast WhatsApp lets numbers be looked up before sends.
    pub look_ups: Pace,
    /// How fast its owner wants it to be used.
    pub pacer: Pacer,
    /// Whether the account may begin chats.
    pub reachout: Reachout,
    /// The keys that are agreed upon for its chats.
    pub agreements: Agreements,
}

/// A message on the wire, until this is dropped.
#[derive(Debug)]
pub struct Present<'a> {
    wire: &'a Wire,
    message: MessageId,
    /// When it went there.
    pub began: Instant,
    _permit: Permit<'a>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "the guards are held for their drop")]
enum Permit<'a> {
    Shared(RwLockReadGuard<'a, ()>),
    Alone(RwLockWriteGuard<'a, ()>),
}

impl Wire {
    /// Waits for this message's place on the wire, and while the instance is slowed.
    pub async fn enter(&self, message: MessageId, alone: bool) -> Present<'_> {
        let permit = loop {
            if let Some(until) = self.pace.until() {
                tokio::time::sleep_until(until).await;
                continue;
            }
            let permit = if alone || self.pace.is_strained() {
                let held = self.gate.write().await;
                if alone || self.pace.is_strained() {
                    Permit::Alone(held)
                } else {
                    Permit::Shared(held.downgrade())
                }
            } else {
                let held = self.gate.read().await;
                if self.pace.is_strained() {
                    continue;
                }
                Permit::Shared(held)
            };
            if self.pace.until().is_none() {
                break permit;
            }
        };
        let mut present = self.present.lock().expect("no holder panics");
        let has_company = !present.is_empty();
        for company in present.values_mut() {
            *company = true;
        }
        present.insert(message, has_company);
        Present {
            wire: self,
            message,
            began: Instant::now(),
            _permit: permit,
        }
    }
}

impl Present<'_> {
    /// Whether nothing else was on the wire all the while.
    pub fn is_alone(&self) -> bool {
        let present = self.wire.present.lock().expect("no holder panics");
        present.get(&self.message) == Some(&false)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let mut present = self.wire.present.lock().expect("no holder panics");
        present.remove(&self.message);
    }
}

/// The wires of a shard's instances.
#[derive(Debug, Default)]
pub struct Wires(Mutex<HashMap<InstanceId, Arc<Wire>>>);

impl Wires {
    /// An instance's wire.
    pub fn of(&self, instance: InstanceId) -> Arc<Wire> {
        let mut wires = self.0.lock().expect("no holder panics");
        wires.entry(instance).or_default().clone()
    }

    /// Sets how many messages of an instance go in a minute.
    pub fn pace(&self, instance: InstanceId, per_minute: Option<u16>) {
        let is_known = self.0.lock().expect("no holder panics").contains_key(&instance);
        if is_known || per_minute.is_some() {
            self.of(instance).pacer.set(per_minute);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    fn id(number: u8) -> MessageId {
        MessageId::from_bytes([number; 16])
    }

    #[tokio::test]
    async fn who_wants_to_be_alone_is() {
        let wire = Wire::default();
        let first = wire.enter(id(1), false).await;
        assert!(first.is_alone());
        let second = wire.enter(id(2), false).await;
        assert!(!first.is_alone() && !second.is_alone());
        assert!(wire.enter(id(3), true).now_or_never().is_none(), "two are there");
        drop(second);
        assert!(!first.is_alone(), "it had company");
        drop(first);
        let third = wire.enter(id(3), true).await;
        assert!(third.is_alone());
        assert!(wire.enter(id(4), false).now_or_never().is_none());
    }

    #[tokio::test]
    async fn after_a_pause_one_goes_first() {
        let wire = Wire::default();
        wire.pace.slow(Instant::now(), None, 0.0);
        assert!(wire.enter(id(1), false).now_or_never().is_none(), "it is slowed");
        let waited = tokio::time::timeout(Duration::from_secs(30), wire.enter(id(1), false)).await;
        let first = waited.expect("the pause ends");
        let second = wire.enter(id(2), false);
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none(), "the first finds out");
        wire.pace.ease(first.began);
        drop(first);
        let second = second.await;
        let third = wire.enter(id(3), false).await;
        assert!(!second.is_alone() && !third.is_alone(), "and all go on");
    }
}
