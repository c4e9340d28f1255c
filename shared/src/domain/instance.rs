//! An instance: one WhatsApp number, what is wanted of its connection, and how it is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, Serializer};

use super::event::{Untold, Wants};
use super::network::Network;
use super::passkey::{PasskeyAnswer, PasskeyRequest};
use super::person::Person;
use super::phone::PhoneNumber;
use super::reason::Reason;
use super::shard::Shard;
use super::text_enum;
use crate::ids::{InstanceId, SubscriptionId};

/// How many QR codes one attempt to pair shows before it gives up.
pub const MAX_QR_ATTEMPTS: u8 = 3;

/// The highest number of messages a minute that an instance can be slowed down to.
pub const MAX_MESSAGES_PER_MINUTE: u16 = 600;

/// For how many days an instance keeps the content of its messages at most.
pub const MAX_CONTENT_DAYS: u8 = 14;

/// How long a request for a pairing code is followed. After that its caller has gone, and a code would only reach a
/// phone that did not ask for it.
pub const PAIRING_REQUEST_TERM: TimeDelta = TimeDelta::minutes(1);

/// By how much the clocks of two daemons may differ. A time that is further ahead does not count.
const MAX_SKEW: TimeDelta = TimeDelta::minutes(5);

/// How long it is tried to unlink an instance that its owner logs out or deletes from its phone. WhatsApp itself
/// drops a companion device that was not used for 14 days.
pub const UNLINK_TERM: TimeDelta = TimeDelta::days(14);

text_enum! {
    /// How an instance's connection is.
    Status {
        /// Not connected, and nobody asks for it.
        Disconnected = "DISCONNECTED",
        /// A connection is being made.
        Connecting = "CONNECTING",
        /// A QR code waits to be scanned.
        AwaitingQr = "AWAITING_QR",
        /// A pairing code waits to be entered.
        AwaitingPairingCode = "AWAITING_PAIRING_CODE",
        /// WhatsApp asks the phone's owner for a passkey.
        AwaitingPasskey = "AWAITING_PASSKEY",
        /// Connected: a round trip to WhatsApp lies within the last keep-alive window.
        Connected = "CONNECTED",
        /// The connection was lost and is being made again.
        Reconnecting = "RECONNECTING",
        /// The phone unlinked the instance: it must be paired again.
        LoggedOut = "LOGGED_OUT",
        /// No code was scanned or entered in an attempt, or WhatsApp refuses it: nothing
        /// happens until someone asks again.
        ForceDisconnected = "FORCE_DISCONNECTED",
        /// WhatsApp has banned the number.
        Banned = "BANNED",
    }
    else
        /// One that a newer version has stored.
        Unknown = "UNKNOWN"
}

text_enum! {
    /// What is wanted of an instance's connection.
    Wanted {
        /// It is to be connected.
        Connected = "CONNECTED",
        /// It is to be left alone.
        Disconnected = "DISCONNECTED",
        /// It is to be unlinked from its phone, and paired anew before it can be connected.
        LoggedOut = "LOGGED_OUT",
        /// It is deleted: nothing is to be left of it. What is wanted stays so.
        Deleted = "DELETED",
    }
    else
        /// Something that a newer version knows: nothing is done about it here.
        Unknown = "UNKNOWN"
}

/// An instance's name: unique within its subscription, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceName(String);

/// Why a text is no instance name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to 63 letters, digits, `-` or `_`, begin with a letter or digit, and not look like an instance id"
)]
pub struct InvalidInstanceName;

impl InstanceName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceName {
    type Err = InvalidInstanceName;

    fn from_str(text: &str) -> Result<Self, InvalidInstanceName> {
        let name = text.to_ascii_lowercase();
        let first_is_fine = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let rest_is_fine = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        if first_is_fine && rest_is_fine && name.len() <= 63 && !name.starts_with(InstanceId::PREFIX) {
            Ok(Self(name))
        } else {
            Err(InvalidInstanceName)
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for InstanceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What is wanted, and by which request: a request is answered by one attempt, so an
/// attempt that ended in [`Status::ForceDisconnected`] is not made again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// What is wanted.
    pub wanted: Wanted,
    /// Rises with each request.
    pub generation: u64,
    /// The generation of the last request to begin anew: a connection of an earlier one is
    /// ended first. Zero where nobody asked for that.
    pub restart: u64,
    /// The code by which an unpaired instance is to be paired; `None` for QR codes.
    pub pairing: Option<PairingRequest>,
    /// What the account's owner has answered to a [`PasskeyRequest`]. Of no use once that is over.
    pub passkey: Option<PasskeyAnswer>,
    /// When it was asked to be unlinked, by a logout or because it is deleted.
    pub unlink_asked_at: Option<DateTime<Utc>>,
}

/// Nobody has asked for anything.
impl Default for Desired {
    fn default() -> Self {
        Self {
            wanted: Wanted::Disconnected,
            generation: 0,
            restart: 0,
            pairing: None,
            passkey: None,
            unlink_asked_at: None,
        }
    }
}

/// A wish to be paired by a code that is entered on the phone with this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingRequest {
    /// The number.
    pub phone: PhoneNumber,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
}

/// A QR code that waits to be scanned. Its text is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCode {
    /// The text, sealed for the purpose of content.
    pub sealed: Vec<u8>,
    /// Which of the attempt's codes this is, from 1.
    pub attempt: u8,
    /// Until when it can be scanned.
    pub expires_at: DateTime<Utc>,
}

impl QrCode {
    /// The associated data under which an instance's QR text is sealed.
    pub fn aad(instance: InstanceId) -> Vec<u8> {
        format!("{instance}|qr").into_bytes()
    }
}

/// A pairing code that waits to be entered on a phone. It is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// The code, sealed for the purpose of content.
    pub sealed: Vec<u8>,
    /// Until when it can be entered.
    pub expires_at: DateTime<Utc>,
}

impl PairingCode {
    /// The associated data under which an instance's pairing code is sealed.
    pub fn aad(instance: InstanceId) -> Vec<u8> {
        format!("{instance}|pairing-code").into_bytes()
    }
}

/// How the connection is, as the daemon that holds the shard last wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// How it is.
    pub status: Status,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, where there is a reason to tell: the text of a [`Reason`], or of one
    /// that only a newer build knows.
    pub reason: Option<String>,
    /// The last error of the connection, for people.
    pub last_error: Option<String>,
    /// The last known round trip to WhatsApp.
    pub last_round_trip_at: Option<DateTime<Utc>>,
    /// The QR code to scan, in [`Status::AwaitingQr`].
    pub qr: Option<QrCode>,
    /// The code to enter, in [`Status::AwaitingPairingCode`].
    pub pairing_code: Option<PairingCode>,
    /// What waits for the account's owner, in [`Status::AwaitingPasskey`].
    pub passkey: Option<PasskeyRequest>,
    /// The generation of the request that this answers.
    pub generation: u64,
    /// The last pause between two sessions that is kept; it may be over.
    pub pause: Option<Pause>,
    /// What happened and is, for all that the table knows, not told yet. Only what somebody wants waits here.
    pub untold: Untold,
}

impl Observed {
    /// How a connection is of which nothing more is known.
    pub fn new(status: Status, since: DateTime<Utc>) -> Self {
        Self {
            status,
            since,
            reason: None,
            last_error: None,
            last_round_trip_at: None,
            qr: None,
            pairing_code: None,
            passkey: None,
            generation: 0,
            pause: None,
            untold: Untold::default(),
        }
    }

    /// The same at rest: nothing waits to be scanned or entered. `generation` is that of the answered request. What
    /// is remembered of the connection stays.
    #[must_use]
    pub fn at_rest(&self, status: Status, reason: Reason, now: DateTime<Utc>, generation: u64) -> Self {
        Self {
            status,
            since: self.next_since(now),
            reason: Some(reason.to_string()),
            qr: None,
            pairing_code: None,
            passkey: None,
            generation,
            ..self.clone()
        }
    }

    /// The time of a change at `now`. The clock that told the last change's time may be a little ahead of this one,
    /// and the times of an instance do not run backwards.
    pub fn next_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.since - now < MAX_SKEW {
            now.max(self.since)
        } else {
            now
        }
    }
}

/// A time in which nothing of an instance knocks at WhatsApp, whoever holds its shard. It stays on the item when it
/// is over, so that the next pause is longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Why: the text of a [`Reason`].
    pub reason: String,
    /// When it began.
    pub since: DateTime<Utc>,
    /// When it is over.
    pub not_before: DateTime<Utc>,
    /// Its number among the pauses of its kind in a row, from 1.
    pub strikes: u32,
}

/// An instance as the table keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The subscription it belongs to.
    pub subscription: SubscriptionId,
    /// Its name within the subscription.
    pub name: InstanceName,
    /// The network it is on.
    pub network: Network,
    /// The shard that it keeps.
    pub shard: Shard,
    /// The owner's own strings.
    pub metadata: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// What is wanted of its connection.
    pub desired: Desired,
    /// Whether it rests, whatever is wanted, because its subscription is switched off.
    pub suspended: bool,
    /// How the connection is.
    pub observed: Observed,
    /// The token of the lease under which a daemon last wrote the status; `None` where none has.
    pub fence: Option<u64>,
    /// The WhatsApp account it is paired with; `None` where it is not.
    pub account: Option<Account>,
    /// Which events of it somebody wants.
    pub wants: Wants,
    /// How many messages it sends in a minute at most, where its owner has said so.
    pub messages_per_minute: Option<u16>,
    /// For how many days the content of its messages is kept once they were sent or came: [`MAX_CONTENT_DAYS`] at most, 0 for
    /// not at all.
    pub content_days: u8,
    /// Whether the realtime feed says what its messages say.
    pub content_in_realtime: bool,
}

/// The WhatsApp account behind a paired instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Number and LID.
    pub person: Person,
    /// The name that the account shows others.
    pub display_name: Option<String>,
}

impl Instance {
    /// An instance that was just made: it is paired with nobody, and nobody has asked for anything.
    pub fn new(
        id: InstanceId,
        subscription: SubscriptionId,
        name: InstanceName,
        network: Network,
        shard: Shard,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            subscription,
            name,
            network,
            shard,
            metadata: BTreeMap::new(),
            created_at: now,
            desired: Desired::default(),
            suspended: false,
            observed: Observed::new(Status::Disconnected, now),
            fence: None,
            account: None,
            wants: Wants::default(),
            messages_per_minute: None,
            content_days: 0,
            content_in_realtime: false,
        }
    }

    /// What the reconciler is to bring about: a suspended instance is to be disconnected, whatever is wanted.
    pub fn wanted(&self) -> Wanted {
        match self.desired.wanted {
            Wanted::Connected if self.suspended => Wanted::Disconnected,
            wanted => wanted,
        }
    }

    /// Whom it is paired with; nobody where it is not.
    pub fn person(&self) -> Person {
        let account = self.account.as_ref();
        account.map(|account| account.person.clone()).unwrap_or_default()
    }

    /// Whether the content of a message that was sent or came at `at` is kept at `now`.
    pub fn keeps_since(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now < at + TimeDelta::days(self.content_days.into())
    }

    /// Until when it is tried to unlink the instance; `None` where there is no end.
    pub fn unlink_until(&self) -> Option<DateTime<Utc>> {
        self.desired.unlink_asked_at.map(|at| at + UNLINK_TERM)
    }

    /// Whether the instance's phone is still to be told that it is unlinked. Not if WhatsApp has closed the account,
    /// and not for ever.
    pub fn is_to_be_unlinked(&self, now: DateTime<Utc>) -> bool {
        matches!(self.desired.wanted, Wanted::LoggedOut | Wanted::Deleted)
            && self.account.is_some()
            && self.observed.status != Status::Banned
            && self.unlink_until().is_none_or(|until| now < until)
    }

    /// Whether a send has nothing to wait for: the instance was never paired, or has a status that only its owner can
    /// end.
    pub fn refuses_sends(&self) -> bool {
        let stopped = matches!(
            self.observed.status,
            Status::LoggedOut | Status::ForceDisconnected | Status::Banned
        );
        let is_to_be = matches!(self.desired.wanted, Wanted::Connected | Wanted::Unknown);
        self.account.is_none() || stopped || !is_to_be
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_an_instance_do_not_run_backwards() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut observed = Observed {
            last_error: Some("lost".to_owned()),
            last_round_trip_at: Some(now),
            generation: 1,
            ..Observed::new(Status::Connected, now + TimeDelta::seconds(3))
        };
        let rested = observed.at_rest(Status::Disconnected, Reason::DisconnectRequested, now, 2);
        assert_eq!(rested.since, observed.since, "the other's clock was ahead");
        assert_eq!(
            (rested.reason.as_deref(), rested.generation),
            (Some("DISCONNECT_REQUESTED"), 2)
        );
        assert_eq!(rested.last_error, observed.last_error);
        assert_eq!(rested.last_round_trip_at, observed.last_round_trip_at);
        observed.since = now + TimeDelta::days(1);
        assert_eq!(
            observed.next_since(now),
            now,
            "a clock that was wrong is not followed"
        );
        observed.since = now - TimeDelta::days(1);
        assert_eq!(observed.next_since(now), now);
    }

    #[test]
    fn names_are_lower_cased_and_bounded() {
        assert_eq!(
            "Customer-Service".parse::<InstanceName>().expect("fine").as_str(),
            "customer-service"
        );
        for text in ["", "-a", "_a", "a b", "ä", "inst_01JD", &"a".repeat(64)] {
            assert_eq!(text.parse::<InstanceName>(), Err(InvalidInstanceName), "{text}");
        }
        assert!("a".repeat(63).parse::<InstanceName>().is_ok());
    }
}
