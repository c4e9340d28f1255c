//! Typed, prefixed identifiers: a ULID behind the name of what it identifies, such as
//! `inst_01JD…`. An identifier parses only with its own prefix, so one kind cannot be
//! taken for another.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use ulid::Ulid;

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an id that starts with `{prefix}` and goes on with 26 letters and digits")]
pub struct InvalidId {
    /// The wanted prefix, its underscore included.
    pub prefix: &'static str,
}

macro_rules! prefixed_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// What every identifier of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier made at `now`; its other 80 bits are random.
            pub fn new(now: DateTime<Utc>) -> Self {
                Self(Ulid::from_parts(milliseconds(now), rand::random::<u128>()))
            }

            /// The identifier of what happened at `at`, derived from `parts`: a redelivery derives the same one
            /// again.
            pub fn derived(at: DateTime<Utc>, parts: &[&str]) -> Self {
                let mut hasher = Sha256::new();
                for part in parts {
                    hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hasher.update(part.as_bytes());
                }
                let digest = hasher.finalize();
                let mut random = [0; 16];
                random.copy_from_slice(&digest[..16]);
                Self(Ulid::from_parts(milliseconds(at), u128::from_be_bytes(random)))
            }

            /// The same for a time that is known to the microsecond, by which such identifiers sort.
            pub fn derived_in_order(at: DateTime<Utc>, parts: &[&str]) -> Self {
                const DIGEST_BITS: u32 = 70;
                let digest = Self::derived(at, parts).0.random() & ((1 << DIGEST_BITS) - 1);
                // Ten bits hold it: it is below 1,000.
                let within = u128::from(at.timestamp_subsec_micros() % 1_000);
                Self(Ulid::from_parts(milliseconds(at), (within << DIGEST_BITS) | digest))
            }

            /// The time that an identifier which was derived in order was made of, to the microsecond.
            pub fn derived_at(self) -> DateTime<Utc> {
                let within = i64::try_from((self.0.random() >> 70) & 0x3ff).unwrap_or(0);
                self.created_at() + chrono::TimeDelta::microseconds(within)
            }

            /// The lowest identifier of what was made in the millisecond of `at`.
            pub fn first_of(at: DateTime<Utc>) -> Self {
                Self(Ulid::from_parts(milliseconds(at), 0))
            }

            /// The highest one.
            pub fn last_of(at: DateTime<Utc>) -> Self {
                Self(Ulid::from_parts(milliseconds(at), u128::MAX))
            }

            /// The identifier of these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }

            /// The 16 bytes behind the prefix.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// When what it identifies was made, to the millisecond.
            pub fn created_at(self) -> DateTime<Utc> {
                let milliseconds = i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX);
                DateTime::from_timestamp_millis(milliseconds).unwrap_or(DateTime::UNIX_EPOCH)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { prefix: $prefix };
                let ulid = text.strip_prefix($prefix).ok_or_else(|| invalid.clone())?;
                let parsed = Ulid::from_string(ulid).map_err(|_| invalid.clone())?;
                // One spelling each: lower case and the look-alike letters are refused.
                if parsed.to_string() == ulid { Ok(Self(parsed)) } else { Err(invalid) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

fn milliseconds(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp_millis()).unwrap_or(0)
}

prefixed_ids! {
    /// A subscription: the tenant.
    SubscriptionId = "sub_";
    /// A user of a subscription.
    UserId = "user_";
    /// An instance: one WhatsApp number.
    InstanceId = "inst_";
    /// An API key. Not the secret, which starts with `wak_`.
    KeyId = "key_";
    /// A message, sent or received.
    MessageId = "msg_";
    /// A file of a message: one that was uploaded, or came in.
    MediaId = "med_";
    /// An event that webhooks and the realtime feed tell of.
    EventId = "evt_";
    /// An event's delivery to a webhook.
    DeliveryId = "dlv_";
    /// An entry of the audit log.
    AuditId = "aud_";
    /// A question to an instance's socket.
    QuestionId = "ask_";
    /// A request, as `X-Request-Id` shows it.
    RequestId = "req_";
}

impl DeliveryId {
    /// The delivery of an event: the same event has the same delivery however often it comes.
    pub const fn of(event: EventId) -> Self {
        Self::from_bytes(event.to_bytes())
    }

    /// The event that is delivered.
    pub const fn event(self) -> EventId {
        EventId::from_bytes(self.to_bytes())
    }
}

impl MessageId {
    /// The id under which WhatsApp knows a message that we send: `3EB0`, as its own web
    /// client begins, and our 16 bytes in upper-case hexadecimal. A job that comes twice
    /// goes out under the same id, which the recipient's apps show once.
    pub fn to_whatsapp(self) -> String {
        format!("3EB0{}", hex::encode_upper(self.to_bytes()))
    }

    /// The message that a WhatsApp id of ours names; `None` for an id that is not ours.
    pub fn from_whatsapp(id: &str) -> Option<Self> {
        let bytes: [u8; 16] = hex::decode(id.strip_prefix("3EB0")?).ok()?.try_into().ok()?;
        Some(Self::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_767_225_600_123).expect("in range")
    }

    #[test]
    fn an_id_is_read_back_from_its_text() {
        let id = InstanceId::new(now());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.created_at(), now());
    }

    #[test]
    fn another_kind_and_another_spelling_are_refused() {
        let id = InstanceId::new(now());
        assert!(id.to_string().parse::<UserId>().is_err());
        assert!(id.to_string().to_lowercase().parse::<InstanceId>().is_err());
        assert!("inst_".parse::<InstanceId>().is_err());
        assert!("".parse::<InstanceId>().is_err());
    }

    #[test]
    fn a_whatsapp_id_leads_back_to_the_message() {
        let id = MessageId::new(now());
        let whatsapp = id.to_whatsapp();
        assert_eq!(whatsapp.len(), 36);
        assert_eq!(MessageId::from_whatsapp(&whatsapp), Some(id));
        assert_eq!(MessageId::from_whatsapp("3EB0C0FFEE"), None);
        assert_eq!(MessageId::from_whatsapp("A5D0"), None);
    }

    #[test]
    fn ids_that_are_derived_in_order_sort_by_the_microsecond() {
        let at = |micros: i64| now() + chrono::TimeDelta::microseconds(micros);
        let id = |micros, part| MessageId::derived_in_order(at(micros), &[part]);
        assert!(id(0, "b") < id(1, "a") && id(1, "a") < id(999, "z") && id(999, "z") < id(1_000, "a"));
        assert_eq!(id(7, "a"), id(7, "a"));
        assert_ne!(id(7, "a"), id(7, "b"));
        assert_eq!(id(999, "a").created_at(), now());
        assert_eq!(id(999, "a").derived_at(), at(999));
    }

    #[test]
    fn a_derived_id_depends_on_each_part_and_its_bounds() {
        let id = |parts: &[&str]| EventId::derived(now(), parts);
        assert_eq!(id(&["a", "b"]), id(&["a", "b"]));
        assert_ne!(id(&["a", "b"]), id(&["ab", ""]));
        assert_ne!(id(&["a", "b"]), id(&["a", "c"]));
    }
}
