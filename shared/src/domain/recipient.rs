//! Whom a message goes to, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A chat that one can send to. Holds digits alone, so what parses is well-formed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// A person by phone number: 7 to 15 digits of E.164 (ITU-T E.164, 6.1), without `+`.
    Phone(String),
    /// A person by LID.
    Lid(String),
    /// A group by the part of its JID before `@g.us`.
    Group(String),
    /// Those whom the account shows its status updates. Nobody names them: see [`Self::of_jid`].
    Status,
    /// A chat that only a newer version knows, by its JID. It is read from records and never sent to: see
    /// [`Self::of_stored_jid`].
    Unknown(String),
}

/// The JID under which WhatsApp has status updates.
const STATUS: &str = "status@broadcast";

/// Why a text names no chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a phone number in E.164 (7 to 15 digits, an optional + before them), `lid:` and digits, or a WhatsApp JID (`…@s.whatsapp.net`, `…@lid`, or a group's id `…@g.us`)"
)]
pub struct InvalidRecipient;

impl Recipient {
    /// The chat's JID, without a device: the one form that keys, lanes and locks use.
    pub fn to_jid(&self) -> String {
        match self {
            Self::Phone(digits) => format!("{digits}@s.whatsapp.net"),
            Self::Lid(digits) => format!("{digits}@lid"),
            Self::Group(id) => format!("{id}@g.us"),
            Self::Status => STATUS.to_owned(),
            Self::Unknown(jid) => jid.clone(),
        }
    }

    /// A chat by its JID, as it is stored. That of status updates is one here, and none where callers name a chat.
    pub fn of_jid(text: &str) -> Result<Self, InvalidRecipient> {
        if text == STATUS {
            return Ok(Self::Status);
        }
        text.parse()
    }

    /// The same of a JID that a newer version may have stored.
    pub fn of_stored_jid(text: &str) -> Self {
        Self::of_jid(text).unwrap_or_else(|InvalidRecipient| Self::Unknown(text.to_owned()))
    }

    /// Whether several people have what is sent there, as far as is known.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Group(_) | Self::Status | Self::Unknown(_))
    }

    /// The phone number's digits, where that is how the chat is named.
    pub fn phone(&self) -> Option<&str> {
        if let Self::Phone(digits) = self {
            Some(digits)
        } else {
            None
        }
    }

    /// The LID's digits, where that is how the chat is named.
    pub fn lid(&self) -> Option<&str> {
        if let Self::Lid(digits) = self {
            Some(digits)
        } else {
            None
        }
    }

    /// The group's id, where the chat is a group.
    pub fn group(&self) -> Option<&str> {
        if let Self::Group(id) = self {
            Some(id)
        } else {
            None
        }
    }
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Result<String, InvalidRecipient> {
    if length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(InvalidRecipient)
    }
}

/// E.164 numbers begin with a country code, and no country code begins with 0.
fn phone(text: &str) -> Result<String, InvalidRecipient> {
    if text.starts_with('0') {
        Err(InvalidRecipient)
    } else {
        digits(text, 7..=15)
    }
}

/// New group ids are up to 25 digits; old ones are the creator's number, `-` and a time.
fn group(text: &str) -> Result<String, InvalidRecipient> {
    let parts_are_digits = match text.split_once('-') {
        Some((creator, time)) => digits(creator, 5..=15).is_ok() && digits(time, 5..=15).is_ok(),
        None => digits(text, 10..=25).is_ok(),
    };
    if parts_are_digits {
        Ok(text.to_owned())
    } else {
        Err(InvalidRecipient)
    }
}

impl FromStr for Recipient {
    type Err = InvalidRecipient;

    fn from_str(text: &str) -> Result<Self, InvalidRecipient> {
        if let Some(lid) = text.strip_prefix("lid:") {
            return digits(lid, 5..=20).map(Self::Lid);
        }
        match text.split_once('@') {
            None => phone(text.strip_prefix('+').unwrap_or(text)).map(Self::Phone),
            Some((user, "s.whatsapp.net" | "c.us")) => phone(user).map(Self::Phone),
            Some((user, "lid")) => digits(user, 5..=20).map(Self::Lid),
            Some((user, "g.us")) => group(user).map(Self::Group),
            Some(_) => Err(InvalidRecipient),
        }
    }
}

/// Numbers stay out of logs, so only the kind of chat shows.
impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "Phone(…)",
            Self::Lid(_) => "Lid(…)",
            Self::Group(_) => "Group(…)",
            Self::Status => "Status",
            Self::Unknown(_) => "Unknown(…)",
        })
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_jid())
    }
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of_jid(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_names_one_chat() {
        let phone = Recipient::Phone("15550100001".into());
        for text in [
            "15550100001",
            "+15550100001",
            "15550100001@s.whatsapp.net",
            "15550100001@c.us",
        ] {
            assert_eq!(text.parse(), Ok(phone.clone()), "{text}");
        }
        assert_eq!(
            "lid:100000012345678".parse(),
            Ok(Recipient::Lid("100000012345678".into()))
        );
        assert_eq!(
            "100000012345678@lid".parse(),
            Ok(Recipient::Lid("100000012345678".into()))
        );
        assert_eq!(
            "120363021033254949@g.us".parse(),
            Ok(Recipient::Group("120363021033254949".into()))
        );
        assert_eq!(
            "15550100001-1500000000@g.us".parse(),
            Ok(Recipient::Group("15550100001-1500000000".into()))
        );
    }

    #[test]
    fn that_of_statuses_is_read_where_it_is_stored() {
        let json = serde_json::to_string(&Recipient::Status).expect("plain data");
        assert_eq!(json, r#""status@broadcast""#);
        let read: Recipient = serde_json::from_str(&json).expect("ours");
        assert_eq!(read, Recipient::Status);
        assert!(read.is_shared() && read.group().is_none());
    }

    #[test]
    fn a_chat_that_only_a_newer_build_knows_is_read_from_records_alone() {
        let newer = "120363021033254949@newsletter";
        let read = Recipient::of_stored_jid(newer);
        assert_eq!(read, Recipient::Unknown(newer.to_owned()));
        assert_eq!(read.to_jid(), newer);
        assert_eq!((read.phone(), read.lid(), read.group()), (None, None, None));
        assert_eq!(format!("{read:?}"), "Unknown(…)");
        assert_eq!(Recipient::of_stored_jid(STATUS), Recipient::Status);
        // Nobody sends there, and no job goes there.
        assert!(newer.parse::<Recipient>().is_err());
        assert!(serde_json::from_str::<Recipient>(&format!("\"{newer}\"")).is_err());
    }

    #[test]
    fn what_is_no_chat_is_refused() {
        for text in [
            "",
            "+",
            "123456",
            "1234567890123456",
            "0155501000",
            "1555 0100001",
            "１５５５０１０００",
            "a@s.whatsapp.net",
            "15550100001:3@s.whatsapp.net",
            "status@broadcast",
            "lid:",
            "lid:x",
            "1@g.us",
            "15550100001@example.com",
        ] {
            assert_eq!(text.parse::<Recipient>(), Err(InvalidRecipient), "{text}");
        }
    }
}
