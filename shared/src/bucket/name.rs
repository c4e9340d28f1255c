//! What objects are called: what for, whose, and which one.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{InstanceId, MessageId};

/// How long a file is kept that is to be sent soon.
const A_DAY: TimeDelta = TimeDelta::days(1);

/// What an object is for. It decides how long it may stay, and how it rests.
///
/// | area | begins with | stays | rests |
/// | --- | --- | --- | --- |
/// | [`Upload`](Self::Upload) | `outgoing/upload/` | a day | under the bucket's encryption |
/// | [`Outgoing`](Self::Outgoing) | `outgoing/own/` | a day | sealed |
/// | [`Taken`](Self::Taken) | `outgoing/taken/` | a day | under the bucket's encryption |
/// | [`Later`](Self::Later) | `later/own/` | 34 days | sealed |
/// | [`TakenLater`](Self::TakenLater) | `later/taken/` | 34 days | under the bucket's encryption |
/// | [`Incoming`](Self::Incoming) | `incoming/` | 7 days | under the bucket's encryption |
/// | [`Event`](Self::Event) | `events/` | 14 days | sealed |
///
/// What callers put or get by a URL of S3 cannot be sealed by us. In a folder, which has no encryption of its own, all
/// of them are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// A file that a caller uploads, to send it.
    Upload,
    /// A file that we store ourselves, to send it with a message whose time is over within a day.
    Outgoing,
    /// A file that a caller uploaded, and that is such a message's now.
    Taken,
    /// A file that we store ourselves, to send it with a message whose time is over later than that.
    Later,
    /// A file that a caller uploaded, and that is such a message's now.
    TakenLater,
    /// A file of a message that came in.
    Incoming,
    /// An event that could not be delivered.
    Event,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Upload,
        Self::Outgoing,
        Self::Taken,
        Self::Later,
        Self::TakenLater,
        Self::Incoming,
        Self::Event,
    ];

    /// What names of objects begin with, without the slash that follows.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Upload => "outgoing/upload",
            Self::Outgoing => "outgoing/own",
            Self::Taken => "outgoing/taken",
            Self::Later => "later/own",
            Self::TakenLater => "later/taken",
            Self::Incoming => "incoming",
            Self::Event => "events",
        }
    }

    /// How long an object may stay. `template.yaml` says the same to S3, in whole days.
    pub const fn term(self) -> TimeDelta {
        match self {
            Self::Upload | Self::Outgoing | Self::Taken => A_DAY,
            // 30 until a message is due, 3 until its time is over, and one more.
            Self::Later | Self::TakenLater => TimeDelta::days(34),
            Self::Incoming => TimeDelta::days(7),
            Self::Event => TimeDelta::days(14),
        }
    }

    /// Whether we seal it wherever it rests: nobody but us puts or gets it.
    pub const fn is_ours(self) -> bool {
        match self {
            Self::Outgoing | Self::Later | Self::Event => true,
            Self::Upload | Self::Taken | Self::TakenLater | Self::Incoming => false,
        }
    }
}

impl ObjectName {
    /// What the file of a message to send is called: one that we store ourselves, or one that its caller has uploaded. By its
    /// times, so that it stays until the message's time is over.
    pub fn of_message(
        (instance, message): (InstanceId, MessageId),
        (accepted_at, expires_at): (DateTime<Utc>, DateTime<Utc>),
        is_upload: bool,
    ) -> Self {
        let area = match (expires_at - accepted_at <= A_DAY, is_upload) {
            (true, false) => Area::Outgoing,
            (true, true) => Area::Taken,
            (false, false) => Area::Later,
            (false, true) => Area::TakenLater,
        };
        Self::new(area, instance, message)
    }
}

/// The name of an object. As a text it is its path, such as `incoming/inst_…/med_…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    area: Area,
    instance: InstanceId,
    id: String,
}

/// A text that names no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must name an object, by its area, its instance and its id")]
pub struct InvalidName;

impl ObjectName {
    /// The object of an instance's thing with this id: one of our prefixed ids.
    pub fn new(area: Area, instance: InstanceId, id: impl fmt::Display) -> Self {
        let id = id.to_string();
        debug_assert!(is_plain(&id), "an object is named by an id of ours");
        Self { area, instance, id }
    }

    /// What it is for.
    pub const fn area(&self) -> Area {
        self.area
    }

    /// Whose it is.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The id of what it is of.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What an object is sealed as, where it is sealed: it opens as nothing else. Uploads go from name to name within their
    /// instance, and each opens under all of these.
    pub(super) fn sealed_as(&self) -> String {
        match self.area {
            Area::Upload | Area::Taken | Area::TakenLater => {
                format!("{}/{}", Area::Upload.prefix(), self.instance)
            }
            Area::Outgoing | Area::Later | Area::Incoming | Area::Event => self.to_string(),
        }
    }

    pub(super) fn path(&self) -> Path {
        Path::from(self.to_string())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.area.prefix(), self.instance, self.id)
    }
}

impl FromStr for ObjectName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let named = Area::ALL.into_iter().find_map(|area| {
            let rest = text.strip_prefix(area.prefix())?.strip_prefix('/')?;
            let (instance, id) = rest.split_once('/')?;
            let instance = instance.parse().ok()?;
            is_plain(id).then(|| Self::new(area, instance, id))
        });
        named.ok_or(InvalidName)
    }
}

impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a text may be the last part of a path: an id has letters, digits and an underscore.
fn is_plain(id: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=64).contains(&id.len()) && id.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_from_its_text() {
        let instance = InstanceId::from_bytes([7; 16]);
        for area in Area::ALL {
            let name = ObjectName::new(area, instance, "med_01JD");
            assert_eq!(name.to_string().parse(), Ok(name.clone()), "{name}");
        }
    }

    #[test]
    fn the_file_of_a_message_outlasts_the_messages_time() {
        let (instance, now) = (InstanceId::from_bytes([7; 16]), DateTime::UNIX_EPOCH);
        let message = MessageId::from_bytes([9; 16]);
        for (hours, is_upload, area) in [
            (1, false, Area::Outgoing),
            (24, true, Area::Taken),
            (25, false, Area::Later),
            (33 * 24, true, Area::TakenLater),
        ] {
            let time = TimeDelta::hours(hours);
            let name = ObjectName::of_message((instance, message), (now, now + time), is_upload);
            assert_eq!(name.area(), area, "{hours} hours");
            assert!(area.term() >= time && area.is_ours() != is_upload);
            assert_eq!((name.instance(), name.id()), (instance, &*message.to_string()));
        }
    }

    #[test]
    fn what_could_lead_elsewhere_names_nothing() {
        let instance = InstanceId::from_bytes([7; 16]);
        for text in [
            String::new(),
            "incoming".to_owned(),
            format!("incoming/{instance}"),
            format!("incoming/{instance}/"),
            format!("incoming/{instance}/.."),
            format!("incoming/{instance}/a/b"),
            format!("incoming/{instance}/a#1"),
            format!("incoming/../{instance}/a"),
            format!("outgoing/{instance}/a"),
            format!("/incoming/{instance}/a"),
            "incoming/inst_x/a".to_owned(),
        ] {
            assert_eq!(text.parse::<ObjectName>(), Err(InvalidName), "{text}");
        }
    }
}
