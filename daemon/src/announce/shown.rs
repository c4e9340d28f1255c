//! An event as the realtime feed shows it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::domain::event::{Told, Whose};
use shared::domain::feed::FeedEvent;
use shared::domain::news::{Done, News};
use shared::domain::times;
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
    /// An event of this process.
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
            Self::new(
                announcement.id,
                listener.subscription,
                Some(announcement.instance),
                event,
                body(listener, announcement),
            )
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
        let (id, at) = (EventId::new(now), times::text(now));
        let body =
            json!({"id": id, "type": "pairing.updated", "timestamp": at, "instance": null, "data": {}});
        Self::new(id, subscription, Some(instance), FeedEvent::PairingUpdate, body)
    }

    /// What is shown of what a function has done; `None` where that is an event of an instance, and shown as such.
    pub(super) fn news(news: &News) -> Option<Self> {
        let News {
            id,
            at,
            subscription,
            done,
        } = news;
        let at = times::text(*at);
        let (event, kind, instance, of, data) = match done {
            Done::InstanceCreated {
                instance,
                name,
                network,
            } => (
                FeedEvent::InstanceCreated,
                "instance.created",
                Some(*instance),
                json!({"id": instance, "name": name, "metadata": {}}),
                json!({"id": instance, "name": name, "network": network}),
            ),
            Done::SubscriptionChanged { tier, active } => (
                FeedEvent::SubscriptionChanged,
                "subscription.changed",
                None,
                Value::Null,
                json!({"id": subscription, "tier": tier, "active": active}),
            ),
            Done::Tried { .. } => return None,
        };
        let body = json!({"id": id, "type": kind, "timestamp": at, "instance": of, "data": data});
        Some(Self::new(*id, *subscription, instance, event, body))
    }
}

fn size(body: &Value) -> usize {
    serde_json::to_string(body).map_or(0, |json| json.len())
}

fn body(listener: &Listener, announcement: &Announcement) -> Value {
    let told = Told {
        id: announcement.id,
        kind: announcement.data.kind(),
        timestamp: announcement.at,
        instance: Whose {
            id: announcement.instance,
            name: &listener.name,
            metadata: &listener.metadata,
        },
        data: announcement.data.told(),
    };
    serde_json::to_value(told).expect("plain data")
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
    use std::collections::BTreeMap;

    use shared::domain::event::Wants;

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
    fn a_connection_is_told_of_under_its_own_name() {
        let shown = shown(1);
        assert_eq!(shown.event, FeedEvent::ConnectionUpdate);
        assert_eq!(shown.body["id"], json!(shown.id));
        assert_eq!(shown.body["data"]["status"], "CONNECTED");
    }
}
