//! Events: which types there are, which of them are wanted, and what is shown of one.

use std::fmt::Write as _;
use std::str::FromStr;

use chrono::{DateTime, Local};
use serde_json::Value;
use serde_json::value::RawValue;

/// The types of events that a webhook can name. The flows hold the list to the deployment's own.
pub const TYPES: [&str; 17] = [
    "message.received",
    "message.status",
    "message.edited",
    "message.revoked",
    "message.reaction",
    "poll.vote",
    "session.connected",
    "session.disconnected",
    "session.qr",
    "session.logged_out",
    "session.banned",
    "group.updated",
    "group.participants",
    "contact.updated",
    "presence.updated",
    "call.received",
    "webhook.test",
];

/// What the realtime feed carries besides: no webhook gets these.
const OF_THE_FEED_ALONE: [&str; 3] = ["message.stats", "instance.created", "subscription.changed"];

/// The name that stands for all types, those of later versions too.
const EVERYTHING: &str = "*";

/// The longest id and type that is believed, in bytes.
const LONGEST_NAME: usize = 64;

/// The types, one a line.
pub fn list_of_types() -> String {
    let mut list = String::new();
    for kind in TYPES {
        let _ = write!(list, "{}  {kind}", if list.is_empty() { "" } else { "\n" });
    }
    list
}

/// Which events are wanted, by the rule of a webhook's `events`: names of types, or `*` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted(Option<Vec<String>>);

impl Wanted {
    /// All.
    pub const fn everything() -> Self {
        Self(None)
    }

    /// Whether an event of this type is wanted.
    pub fn wants(&self, kind: &str) -> bool {
        let is_of_webhooks = !OF_THE_FEED_ALONE.contains(&kind);
        is_of_webhooks
            && self
                .0
                .as_ref()
                .is_none_or(|names| names.iter().any(|name| name == kind))
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<_> = text.split(',').map(str::trim).collect();
        if names == [EVERYTHING] {
            return Ok(Self::everything());
        }
        if names.contains(&EVERYTHING) {
            return Err("it must be `*` alone where it is `*`".to_owned());
        }
        if let Some(unknown) = names.iter().find(|name| !TYPES.contains(name)) {
            return Err(format!(
                "`{unknown}` is no type of event. There are:\n{}",
                list_of_types()
            ));
        }
        Ok(Self(Some(names.into_iter().map(str::to_owned).collect())))
    }
}

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its bytes, which are what a webhook's body is.
    pub body: String,
    /// What is shown of it.
    pub summary: String,
}

impl Event {
    /// Reads an event. `None` of something that is none.
    pub fn read(raw: &RawValue) -> Option<Self> {
        let value: Value = serde_json::from_str(raw.get()).ok()?;
        let (id, kind) = (name(&value["id"])?, name(&value["type"])?);
        Some(Self {
            summary: summary(id, kind, &value),
            id: id.to_owned(),
            kind: kind.to_owned(),
            body: raw.get().to_owned(),
        })
    }

    /// Its JSON in one line, such that no character of it can steer a terminal.
    pub fn printable(&self) -> String {
        let mut line = String::with_capacity(self.body.len());
        for character in self.body.chars() {
            match character {
                // Within texts JSON escapes these by itself; elsewhere they say nothing.
                '\0'..='\x1f' => {}
                '\x7f'..='\u{9f}' => {
                    let _ = write!(line, "\\u{:04x}", u32::from(character));
                }
                character => line.push(character),
            }
        }
        line
    }
}

/// A text that can be a header and part of a line.
fn name(value: &Value) -> Option<&str> {
    let is_plain = |text: &&str| {
        !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    value.as_str().filter(is_plain)
}

/// Time, type, id and what it is about: nothing that somebody said, and nobody's number.
fn summary(id: &str, kind: &str, value: &Value) -> String {
    let at = value["timestamp"].as_str().unwrap_or_default();
    let at = DateTime::parse_from_rfc3339(at).map_or_else(
        |_| "--:--:--".to_owned(),
        |at| at.with_timezone(&Local).format("%H:%M:%S").to_string(),
    );
    let mut summary = format!("{at}  {kind:<18} {id}");
    let data = &value["data"];
    let facts = [
        &value["instance"]["name"],
        &data["kind"],
        &data["status"],
        &data["action"],
        &data["state"],
    ];
    for fact in facts.into_iter().filter_map(name) {
        let _ = write!(summary, "  {fact}");
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn wanted_are_all_or_those_that_are_named() {
        let wanted: Wanted = "message.received, session.qr".parse().expect("types");
        assert!(wanted.wants("message.received") && wanted.wants("session.qr"));
        assert!(!wanted.wants("message.status"));
        let all: Wanted = "*".parse().expect("all");
        assert!(all.wants("message.levitated"), "those of later versions too");
        assert!(!all.wants("message.stats"), "no webhook gets it");
        assert!("*,message.received".parse::<Wanted>().is_err());
        let error = "message.levitated".parse::<Wanted>().expect_err("unknown");
        assert!(error.contains("message.levitated") && error.contains("\n  poll.vote"));
        assert!("".parse::<Wanted>().is_err());
    }

    #[test]
    fn an_event_keeps_its_bytes_and_shows_no_content() {
        let json = concat!(
            r#"{"type": "message.received","id":"evt_1","timestamp":"2026-01-01T00:00:00Z","#,
            r#""instance":{"name":"sales"},"data":{"kind":"text","text":"see you","from":{"phone":"15550100001"}}}"#,
        );
        let event = Event::read(&raw(json)).expect("an event");
        assert_eq!(event.body, json);
        assert_eq!((&*event.id, &*event.kind), ("evt_1", "message.received"));
        assert!(event.summary.contains("message.received   evt_1  sales  text"));
        assert!(!event.summary.contains("see") && !event.summary.contains("15550100001"));
    }

    #[test]
    fn what_is_no_event_is_none() {
        for json in [
            "{}",
            "[]",
            "null",
            r#"{"id":"evt_1"}"#,
            r#"{"id":"evt_1\n","type":"message.received"}"#,
            r#"{"id":"","type":"message.received"}"#,
        ] {
            assert_eq!(Event::read(&raw(json)), None, "{json}");
        }
    }

    #[test]
    fn what_is_printed_steers_no_terminal() {
        let json =
            "{\"id\":\"evt_1\",\n\"type\":\"message.received\",\"data\":{\"text\":\"\u{9b}31m\u{7f}é\"}}";
        let event = Event::read(&raw(json)).expect("an event");
        let line = event.printable();
        assert!(!line.contains(char::is_control), "{line:?}");
        let same: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(same, serde_json::from_str::<Value>(json).expect("JSON"));
    }
}
