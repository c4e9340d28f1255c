//! An event as the realtime feed shows it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use shared::domain::event::{Told, Whose};
use shared::domain::feed::FeedEvent;
use shared::domain::news::{Done, News};
use shared::ids::{EventId, InstanceId, SubscriptionId};

use super::announcement::Announcement;
use super::audience::Listener;

/// How large an event is at most, as JSON in bytes. A larger one is shown without what its message says.
pub const MAX_BYTES: usize = 16 * 1024;

/// Where an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This process.
    Here,
    /// Another daemon, which has told it.
    Elsewhere,
}

/// An event as the realtime feed shows it.
#[derive(Clone, PartialEq)]
pub struct Shown {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// The instance that it is of; `None` where it is of the subscription itself.
    pub instance: Option<InstanceId>,
    /// What the feed calls it.
    pub event: FeedEvent,
    /// What the feed shows: the same object as a webhook's body.
    pub body: Value,
    /// The size of that as JSON.
    pub bytes: usize,
    /// Where it comes from.
    pub origin: Origin,
}

impl Shown {
    /// An event of this process, as it is told.
    pub fn told(
        subscription: SubscriptionId,
        instance: Option<InstanceId>,
        event: FeedEvent,
        told: &Told<impl Serialize, impl Serialize>,
    ) -> Self {
        let body = serde_json::to_value(told).expect("plain data");
        Self::new(told.id, subscription, instance, event, body)
    }

    /// The same with its body made.
    pub fn new(
        id: EventId,
        subscription: SubscriptionId,
        instance: Option<InstanceId>,
        event: FeedEvent,
        body: Value,
    ) -> Self {
        Self {
            id,
            subscription,
            instance,
            event,
            bytes: size(&body),
            body,
            origin: Origin::Here,
        }
    }

    /// The same as another daemon's.
    #[must_use]
    pub fn from_elsewhere(self) -> Self {
        Self {
            origin: Origin::Elsewhere,
            ..self
        }
    }

    /// What is shown of an announcement; `None` for a type that the feed does not know. What messages say is there where the
    /// instance wants it and it is not too large: it would rest here in the clear, and without a bound in bytes.
    pub(super) fn of(listener: &Listener, announcement: &Announcement) -> Option<Self> {
        let event = FeedEvent::of(announcement.data.kind())?;
        let of = |announcement: &Announcement| {
            let told = Told {
                id: announcement.id,
                kind: announcement.data.kind().as_str(),
                timestamp: announcement.at,
                instance: Whose {
                    id: announcement.instance,
                    name: listener.name.as_str(),
                    metadata: &listener.metadata,
                },
                data: announcement.data.told(),
            };
            Self::told(listener.subscription, Some(announcement.instance), event, &told)
        };
        if listener.content_in_realtime {
            let whole = of(announcement);
            if whole.bytes <= MAX_BYTES {
                return Some(whole);
            }
        }
        Some(of(&announcement.clone().without_content()))
    }

    /// What whoever has an instance's pairing link is shown when its pairing goes on: that something has changed, and not what.
    pub(super) fn pairing(instance: InstanceId, subscription: SubscriptionId, now: DateTime<Utc>) -> Self {
        let told = Told {
            id: EventId::new(now),
            kind: "pairing.updated",
            timestamp: now,
            instance: Value::Null,
            data: json!({}),
        };
        Self::told(subscription, Some(instance), FeedEvent::PairingUpdate, &told)
    }

    /// What is shown of what a function has done; `None` where that is an event of an instance, and shown as such.
    pub(super) fn news(news: &News) -> Option<Self> {
        let (subscription, no_metadata) = (news.subscription, BTreeMap::new());
        let (event, kind, of, data) = match &news.done {
            Done::InstanceCreated {
                instance,
                name,
                network,
            } => (
                FeedEvent::InstanceCreated,
                "instance.created",
                Some(Whose {
                    id: *instance,
                    name,
                    metadata: &no_metadata,
                }),
                json!({"id": instance, "name": name, "network": network}),
            ),
            Done::SubscriptionChanged { tier, active } => (
                FeedEvent::SubscriptionChanged,
                "subscription.changed",
                None,
                json!({"id": subscription, "tier": tier, "active": active}),
            ),
            Done::Tried { .. } => return None,
        };
        let told = Told {
            id: news.id,
            kind,
            timestamp: news.at,
            instance: of,
            data,
        };
        Some(Self::told(subscription, of.map(|of| of.id), event, &told))
    }
}

fn size(body: &Value) -> usize {
    serde_json::to_string(body).map_or(0, |json| json.len())
}

/// Content and numbers stay out of logs.
impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown")
            .field("id", &self.id)
            .field("event", &self.event)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use shared::domain::account::Tier;
    use shared::domain::event::Wants;
    use shared::domain::network::Network;

    use super::super::announcement::tests::{received, session};
    use super::*;

    fn listener(content_in_realtime: bool) -> Listener {
        Listener {
            subscription: SubscriptionId::from_bytes([9; 16]),
            name: "sales".parse().expect("a name"),
            metadata: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            wants: Wants::default(),
            content_days: 0,
            content_in_realtime,
        }
    }

    /// Of so many seconds after the epoch.
    pub fn shown(seconds: i64) -> Shown {
        Shown::of(&listener(false), &session(seconds)).expect("known")
    }

    #[test]
    fn what_a_message_says_is_shown_where_the_instance_wants_it_alone() {
        let said = |feeds, text: &str| {
            let shown = Shown::of(&listener(feeds), &received(text)).expect("known");
            assert_eq!(shown.event, FeedEvent::MessageReceived);
            assert_eq!(shown.body["type"], "message.received");
            assert_eq!(shown.body["data"]["kind"], "text");
            assert_eq!(shown.body["instance"]["metadata"], json!({"team": "blue"}));
            shown.body.to_string()
        };
        assert!(!said(false, "see you at eight").contains("eight"));
        assert!(said(true, "see you at eight").contains("at eight"));
        let large = said(true, &"eight ".repeat(MAX_BYTES / 5));
        assert!(!large.contains("eight") && large.len() < 1_024, "{large}");
    }

    /// A machine's clock has nanoseconds.
    #[test]
    fn a_pairing_that_goes_on_is_told_with_milliseconds_and_nothing_of_the_instance() {
        let now = DateTime::from_timestamp_nanos(1_412_345_678);
        let (instance, subscription) = (
            InstanceId::from_bytes([1; 16]),
            SubscriptionId::from_bytes([9; 16]),
        );
        let shown = Shown::pairing(instance, subscription, now);
        assert_eq!(
            shown.body,
            json!({
                "id": shown.id,
                "type": "pairing.updated",
                "timestamp": "1970-01-01T00:00:01.412Z",
                "instance": null,
                "data": {},
            })
        );
    }

    #[test]
    fn what_functions_do_is_told_in_the_same_envelope() {
        let (instance, subscription) = (
            InstanceId::from_bytes([1; 16]),
            SubscriptionId::from_bytes([9; 16]),
        );
        let (id, at) = (EventId::from_bytes([3; 16]), DateTime::UNIX_EPOCH);
        let told = |done| {
            let news = News {
                id,
                at,
                subscription,
                done,
            };
            let shown = Shown::news(&news).expect("told");
            (shown.instance, shown.body)
        };
        let (of, body) = told(Done::InstanceCreated {
            instance,
            name: "sales".to_owned(),
            network: Network::Sandbox,
        });
        assert_eq!(of, Some(instance));
        assert_eq!(
            body,
            json!({
                "id": id,
                "type": "instance.created",
                "timestamp": "1970-01-01T00:00:00.000Z",
                "instance": {"id": instance, "name": "sales", "metadata": {}},
                "data": {"id": instance, "name": "sales", "network": "sandbox"},
            })
        );
        let (of, body) = told(Done::SubscriptionChanged {
            tier: Tier::Pro,
            active: false,
        });
        assert_eq!(of, None);
        assert_eq!(
            body,
            json!({
                "id": id,
                "type": "subscription.changed",
                "timestamp": "1970-01-01T00:00:00.000Z",
                "instance": null,
                "data": {"id": subscription, "tier": "PRO", "active": false},
            })
        );
    }

    #[test]
    fn a_connection_is_told_of_under_its_own_name() {
        let shown = shown(1);
        assert_eq!(shown.event, FeedEvent::ConnectionUpdate);
        assert_eq!(shown.body["id"], json!(shown.id));
        assert_eq!(shown.body["data"]["status"], "CONNECTED");
    }
}
