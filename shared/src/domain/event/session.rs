//! `session.*`: how an instance's connection is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::EventType;
use crate::domain::instance::{Observed, Status};
use crate::domain::person::Person;

/// How many news of an instance wait to be told at most; beyond that the oldest is given up.
const MOST: usize = 16;

/// The data of the events `session.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionChange {
    /// How the connection is.
    pub status: Status,
    /// Why, where there is a reason to tell: see [`Observed::reason`].
    pub reason: Option<String>,
    /// The account, by number and LID; one that was just unlinked too.
    #[serde(flatten)]
    pub account: Person,
    /// Which of the attempt's QR codes waits, from 1. The code itself is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u8>,
    /// Until when it can be scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A change of an instance's connection that is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionNews {
    /// What it is told as.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What is told.
    pub data: SessionChange,
}

impl SessionNews {
    /// What is told where an instance's status, which was `from`, is now `to`; `None` where that is nothing new.
    ///
    /// A connection that is lost, and each end of an attempt, is told as `session.disconnected`, unless it has a type of
    /// its own. A QR code is told of whenever there is another one.
    pub fn of(from: Status, to: &Observed, account: &Person) -> Option<Self> {
        let is_new = from != to.status;
        let kind = match to.status {
            Status::Connected if is_new => EventType::SessionConnected,
            Status::LoggedOut if is_new => EventType::SessionLoggedOut,
            Status::Banned if is_new => EventType::SessionBanned,
            Status::Disconnected | Status::ForceDisconnected if is_new => EventType::SessionDisconnected,
            Status::AwaitingQr => EventType::SessionQr,
            Status::Connecting
            | Status::Reconnecting
            | Status::AwaitingPairingCode
            | Status::AwaitingPasskey
                if from == Status::Connected =>
            {
                EventType::SessionDisconnected
            }
            _ => return None,
        };
        let qr = to.qr.as_ref();
        Some(Self {
            kind,
            at: to.since,
            data: SessionChange {
                status: to.status,
                reason: to.reason.clone(),
                account: account.clone(),
                attempt: qr.map(|qr| qr.attempt),
                expires_at: qr.map(|qr| qr.expires_at),
            },
        })
    }
}

/// The news of an instance that are stored and, as far as the table knows, not told yet, oldest first.
///
/// What only a newer version can read stays in its place for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Untold(Vec<String>);

impl Untold {
    /// What an instance's item holds.
    pub fn from_texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self(texts.into_iter().map(Into::into).collect())
    }

    /// The same as an item holds it.
    pub fn texts(&self) -> &[String] {
        &self.0
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds news. Answers whether older ones had to go.
    pub fn push(&mut self, news: &SessionNews) -> bool {
        self.0
            .push(serde_json::to_string(news).expect("news are plain data"));
        let is_full = self.0.len() > MOST;
        if is_full {
            self.0.remove(0);
        }
        is_full
    }

    /// The news that this version can read, oldest first.
    pub fn news(&self) -> Vec<SessionNews> {
        self.0.iter().filter_map(|text| read(text)).collect()
    }

    /// What is left when all of [`Self::news`] are told.
    #[must_use]
    pub fn unread(&self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|text| read(text).is_none())
                .cloned()
                .collect(),
        )
    }
}

fn read(text: &str) -> Option<SessionNews> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::instance::QrCode;

    fn observed(status: Status) -> Observed {
        let since = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        Observed {
            qr: (status == Status::AwaitingQr).then(|| QrCode {
                sealed: b"secret".to_vec(),
                attempt: 2,
                expires_at: since + TimeDelta::minutes(1),
            }),
            generation: 1,
            ..Observed::new(status, since)
        }
    }

    fn told(from: Status, to: Status) -> Option<EventType> {
        SessionNews::of(from, &observed(to), &Person::default()).map(|news| news.kind)
    }

    #[test]
    fn each_change_is_told_as_what_it_is() {
        use EventType::{SessionBanned, SessionConnected, SessionDisconnected, SessionLoggedOut, SessionQr};
        use Status::{
            AwaitingQr, Banned, Connected, Connecting, Disconnected, ForceDisconnected, LoggedOut,
            Reconnecting,
        };
        for (from, to, kind) in [
            (Connecting, Connected, Some(SessionConnected)),
            (Connected, Connected, None),
            (Connected, Reconnecting, Some(SessionDisconnected)),
            (Reconnecting, Reconnecting, None),
            (Reconnecting, Connecting, None),
            (Reconnecting, ForceDisconnected, Some(SessionDisconnected)),
            (Connected, Disconnected, Some(SessionDisconnected)),
            (Connected, LoggedOut, Some(SessionLoggedOut)),
            (Reconnecting, Banned, Some(SessionBanned)),
            (Banned, Banned, None),
            (Connecting, AwaitingQr, Some(SessionQr)),
            (AwaitingQr, AwaitingQr, Some(SessionQr)),
            (AwaitingQr, Connecting, None),
        ] {
            assert_eq!(told(from, to), kind, "{from} to {to}");
        }
    }

    #[test]
    fn a_code_is_told_of_and_never_told() {
        let account = Person::default();
        let news = SessionNews::of(Status::Connecting, &observed(Status::AwaitingQr), &account);
        let data = serde_json::to_value(news.expect("told").data).expect("plain data");
        assert_eq!(
            data,
            serde_json::json!({
                "status": "AWAITING_QR",
                "reason": null,
                "phone": null,
                "lid": null,
                "attempt": 2,
                "expiresAt": "2024-10-04T00:01:00Z",
            })
        );
    }

    #[test]
    fn what_waits_is_read_back_and_what_is_newer_stays() {
        let news = SessionNews::of(
            Status::Connecting,
            &observed(Status::Connected),
            &Person::default(),
        );
        let news = news.expect("told");
        let mut untold = Untold::from_texts(["{\"type\":\"session.levitating\"}"]);
        assert!(!untold.push(&news));
        assert_eq!(untold.news(), std::slice::from_ref(&news));
        assert_eq!(untold.unread().texts().len(), 1);
        for _ in 0..MOST - 2 {
            assert!(!untold.push(&news));
        }
        assert!(untold.push(&news), "the oldest goes");
        assert_eq!(untold.texts().len(), MOST);
    }
}
