//! What goes over the WebSocket: packets of Socket.IO 5 within messages of Engine.IO 4.
//!
//! Each message of the WebSocket is a text. Its first character is Engine.IO's: `0` opens, `1` closes, `2` asks for a sign of life,
//! `3` gives it, and `4` carries a packet of Socket.IO, whose first character says which: `0` joins, `1` ends, `2` is an event,
//! `3` answers one, `4` refuses to join. Behind it stand a namespace where it is not `/` (`/admin,`), the number of the answer that is
//! wanted or given, and JSON. Files have packets of their own, and the feed sends none.
//!
//! The two protocols: <https://socket.io/docs/v4/engine-io-protocol/> and <https://socket.io/docs/v4/socket-io-protocol/>.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The sign of life.
pub const PONG: &str = "3";

/// What comes.
#[derive(Debug)]
pub enum Packet<'a> {
    /// The connection is open.
    Open(Open),
    /// The connection closes.
    Close,
    /// A sign of life is wanted.
    Ping,
    /// The socket is in.
    Joined,
    /// The socket is not let in, for this reason.
    Refused(String),
    /// The server ends the socket.
    Ended,
    /// An event of this name, with what it says.
    Event(String, &'a RawValue),
    /// The answer to the request of this number.
    Answer(u64, &'a RawValue),
    /// Something that is not for this client: of another namespace, or of a later version.
    Other,
}

/// What the server says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// How often the server asks for a sign of life, in milliseconds.
    ping_interval: u64,
    /// How long it waits for one, in milliseconds.
    ping_timeout: u64,
}

impl Open {
    /// After so long without a word from the server it is gone.
    pub const fn patience(self) -> Duration {
        Duration::from_millis(self.ping_interval.saturating_add(self.ping_timeout))
    }
}

/// What came is none of the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is not of Socket.IO's protocol")]
pub struct Malformed;

impl<'a> Packet<'a> {
    /// Reads a message.
    pub fn read(text: &'a str) -> Result<Self, Malformed> {
        let Some((kind, rest)) = split(text) else {
            return Err(Malformed);
        };
        match kind {
            '0' => Ok(Self::Open(json(rest)?)),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping),
            '4' => Self::of_socket(rest),
            // Signs of life, upgrades, and what later versions have.
            _ => Ok(Self::Other),
        }
    }

    fn of_socket(text: &'a str) -> Result<Self, Malformed> {
        let Some((kind, rest)) = split(text) else {
            return Err(Malformed);
        };
        if rest.starts_with('/') {
            return Ok(Self::Other);
        }
        match kind {
            '0' => Ok(Self::Joined),
            '1' => Ok(Self::Ended),
            '2' => {
                let parts: Vec<&RawValue> = json(unnumbered(rest).1)?;
                let name = parts.first().ok_or(Malformed)?;
                Ok(Self::Event(
                    json(name.get())?,
                    parts.get(1).copied().unwrap_or(RawValue::NULL),
                ))
            }
            '3' => {
                let (number, list) = unnumbered(rest);
                let parts: Vec<&RawValue> = json(list)?;
                let answer = parts.first().copied().unwrap_or(RawValue::NULL);
                Ok(Self::Answer(number.ok_or(Malformed)?, answer))
            }
            '4' => {
                let why: Value = json(rest)?;
                let why = why["message"].as_str().unwrap_or("no reason is given");
                Ok(Self::Refused(why.to_owned()))
            }
            _ => Ok(Self::Other),
        }
    }
}

/// Asks to be let in with this token.
pub fn join(token: &str) -> String {
    format!("40{}", json!({ "token": token }))
}

/// Asks something, under a number by which the answer is known.
pub fn ask(number: u64, name: &str, said: &Value) -> String {
    format!("42{number}{}", json!([name, said]))
}

fn split(text: &str) -> Option<(char, &str)> {
    let first = text.chars().next()?;
    Some((first, &text[first.len_utf8()..]))
}

/// The number in front of a packet's JSON, and the JSON.
fn unnumbered(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    (digits.parse().ok(), rest)
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Packet<'_> {
        Packet::read(text).expect("a packet")
    }

    #[test]
    fn an_open_connection_says_how_long_to_wait() {
        let open =
            r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}"#;
        let Packet::Open(open) = read(open) else {
            panic!("it opens");
        };
        assert_eq!(open.patience(), Duration::from_secs(45));
    }

    #[test]
    fn an_event_keeps_its_bytes() {
        let Packet::Event(name, said) = read(r#"42["message:received",{"b": 1, "a":"é\u0041"}]"#) else {
            panic!("an event");
        };
        assert_eq!(name, "message:received");
        assert_eq!(said.get(), r#"{"b": 1, "a":"é\u0041"}"#);
        let Packet::Event(name, said) = read(r#"4217["resync"]"#) else {
            panic!("an event that wants an answer, and says nothing");
        };
        assert_eq!((&*name, said.get()), ("resync", "null"));
    }

    #[test]
    fn answers_and_refusals_are_told_apart() {
        assert!(matches!(read(r#"40{"sid":"x"}"#), Packet::Joined));
        assert!(matches!(read("41"), Packet::Ended));
        assert!(matches!(read("1"), Packet::Close));
        assert!(matches!(read("2"), Packet::Ping));
        let Packet::Answer(7, answer) = read(r#"437[{"success":true}]"#) else {
            panic!("an answer");
        };
        assert_eq!(answer.get(), r#"{"success":true}"#);
        let Packet::Refused(why) = read(r#"44{"message":"UNAUTHENTICATED"}"#) else {
            panic!("a refusal");
        };
        assert_eq!(why, "UNAUTHENTICATED");
    }

    #[test]
    fn what_is_for_others_is_left_out() {
        for text in [r#"42/admin,["x"]"#, "41/admin,", "6", "3", r#"451-["file",{}]"#] {
            assert!(matches!(read(text), Packet::Other), "{text}");
        }
    }

    #[test]
    fn nonsense_is_malformed() {
        for text in [
            "",
            "4",
            "0",
            "0{}",
            "42",
            "42{}",
            "42[]",
            "42[1]",
            "43[1]",
            r#"42["x""#,
            "44",
            "42é",
        ] {
            assert!(Packet::read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_asked_is_written_as_the_protocol_has_it() {
        assert_eq!(join("wak_\"1"), r#"40{"token":"wak_\"1"}"#);
        let asked = ask(3, "subscribe", &json!({"after": "evt_1"}));
        assert_eq!(asked, r#"423["subscribe",{"after":"evt_1"}]"#);
    }
}
