//! The table of what is done about each way in which WhatsApp, or the library, ends a session.
//!
//! The library tells some of these ends by events of their own, and some not at all: a stream error with 429 or 503
//! only shows in the stanza. After some it would go on by itself; here it never does (`session.rs`), so that each end
//! has its row. Where the library would stop for good, so do we.

use std::fmt;

use shared::domain::instance::Status::{Banned, ForceDisconnected, LoggedOut};
use shared::domain::reason::Reason;
use wacore::net::DisconnectReason;
use wacore::types::events::ConnectFailureReason as Failure;
use wacore_binary::NodeRef;

use crate::stop::Answer::{self, End, Return};
use crate::stop::Course::{Lost, RateLimited, Refused, Replaced};
use crate::stop::Stop;

/// A way in which a session ends.
#[derive(Debug, Clone)]
pub enum Signal {
    /// A login was answered with `<failure>`, or the library tells by one of its codes why it logs the session out.
    Failure(Failure),
    /// The server's `<stream:error>`.
    Stream(StreamError),
    /// `<xmlstreamend>`: the server ends a stream without an error.
    StreamEnd,
    /// The transport ended.
    Transport(DisconnectReason),
    /// The server answered the request for a WebSocket with this HTTP status.
    Upgrade(u16),
    /// No connection could be made.
    Unreachable,
    /// The library's loop ended and said nothing: no connection could be made, its keep-alive was
    /// not answered, or it closed the connection itself.
    Silent,
}

/// What a `<stream:error>` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// `<conflict type="replaced">`: the device has connected from elsewhere.
    ConflictReplaced,
    /// `<conflict type="device_removed">`: the device was unlinked.
    DeviceRemoved,
    /// `<conflict>` of any other type.
    ConflictOther,
    /// `<xml-not-well-formed>`: the server could not read what it was sent.
    BadXml,
    /// `<ack>`: the server misses the acknowledgement of a stanza.
    Ack,
    /// A code and none of the above.
    Code(u32),
    /// Nothing of all this.
    Other,
}

impl StreamError {
    /// Reads what the library reads, in its order: a conflict, a known code, the children.
    fn of(node: &NodeRef<'_>) -> Self {
        let conflict = node
            .get_optional_child("conflict")
            .and_then(|conflict| conflict.get_attr("type").map(|kind| kind.as_str().into_owned()));
        match conflict.as_deref() {
            None | Some("") => {}
            Some("replaced") => return Self::ConflictReplaced,
            Some("device_removed") => return Self::DeviceRemoved,
            Some(_) => return Self::ConflictOther,
        }
        // A code that is no number counts as an unknown one.
        let code = node
            .get_attr("code")
            .map(|code| code.as_str().parse().unwrap_or(0));
        match code {
            Some(code @ (401 | 409 | 429 | 503 | 515 | 516)) => Self::Code(code),
            _ if node.get_optional_child("xml-not-well-formed").is_some() => Self::BadXml,
            _ if node.get_optional_child("ack").is_some() => Self::Ack,
            Some(code) => Self::Code(code),
            None => Self::Other,
        }
    }
}

/// A row of the table: what is done, and what people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What is done.
    pub answer: Answer,
    /// Whether we end the connection, since the library would wait for the server to do it.
    pub hangs_up: bool,
    /// What people are told.
    said: &'static str,
}

const fn row(answer: Answer, said: &'static str) -> Row {
    Row {
        answer,
        hangs_up: false,
        said,
    }
}

const fn hanging_up(answer: Answer, said: &'static str) -> Row {
    Row {
        hangs_up: true,
        ..row(answer, said)
    }
}

impl Signal {
    /// What a stanza says of the stream's end; `None` where it is about something else.
    pub fn of_stanza(node: &NodeRef<'_>) -> Option<Self> {
        match node.tag.as_ref() {
            "stream:error" => Some(Self::Stream(StreamError::of(node))),
            "xmlstreamend" => Some(Self::StreamEnd),
            _ => None,
        }
    }

    /// The table.
    #[expect(
        clippy::match_same_arms,
        reason = "a row stands beside what the library does about it, whatever others have the same"
    )]
    pub fn row(&self) -> Row {
        match self {
            // The library logs out: 401, 403, 406.
            Self::Failure(Failure::LoggedOut) => row(
                End(LoggedOut, Reason::LoggedOut),
                "the phone has unlinked this device",
            ),
            Self::Failure(Failure::AccountLocked) => row(
                End(Banned, Reason::AccountLocked),
                "WhatsApp has locked the account",
            ),
            Self::Failure(Failure::UnknownLogout) => row(
                End(LoggedOut, Reason::LoggedOut),
                "WhatsApp has logged this device out",
            ),
            // The library stops at all but 500 and 503. A ban's end is in the stanza, if it has one.
            Self::Failure(Failure::TempBanned) => {
                row(End(Banned, Reason::Banned), "WhatsApp has banned the number")
            }
            Self::Failure(Failure::ClientOutdated) => row(
                End(ForceDisconnected, Reason::ClientOutdated),
                "WhatsApp refuses this version of the client",
            ),
            Self::Failure(Failure::BadUserAgent) => row(
                End(ForceDisconnected, Reason::ClientRefused),
                "WhatsApp refuses this kind of client",
            ),
            Self::Failure(Failure::ClientUnknown) => row(
                End(ForceDisconnected, Reason::ClientRefused),
                "WhatsApp does not know this kind of client",
            ),
            Self::Failure(Failure::Generic) => row(
                End(ForceDisconnected, Reason::LoginRefused),
                "WhatsApp refused the login",
            ),
            Self::Failure(Failure::CatExpired) => row(
                End(ForceDisconnected, Reason::LoginRefused),
                "WhatsApp refused the login: its token has run out",
            ),
            Self::Failure(Failure::CatInvalid) => row(
                End(ForceDisconnected, Reason::LoginRefused),
                "WhatsApp refused the login: its token is not valid",
            ),
            Self::Failure(Failure::NotFound) => row(
                End(ForceDisconnected, Reason::LoginRefused),
                "WhatsApp refused the login: it does not find the account",
            ),
            Self::Failure(Failure::Experimental) => row(
                End(ForceDisconnected, Reason::LoginRefused),
                "WhatsApp refused the login: not available for this account",
            ),
            // WhatsApp asks for a pause: it passes.
            Self::Failure(Failure::Unknown(429)) => {
                row(Return(RateLimited), "WhatsApp asks for fewer logins")
            }
            // The library stops. A new kind of pause or failure may pass all the same.
            Self::Failure(Failure::Unknown(_)) => row(
                Return(Refused),
                "WhatsApp refused the login with a code that is not known here",
            ),
            // The library comes back.
            Self::Failure(Failure::InternalServerError) => {
                row(Return(Lost), "WhatsApp could not take the login")
            }
            Self::Failure(Failure::ServiceUnavailable) => row(Return(Lost), "WhatsApp takes no logins now"),

            // The library logs out.
            Self::Stream(StreamError::DeviceRemoved | StreamError::Code(401 | 516)) => row(
                End(LoggedOut, Reason::LoggedOut),
                "the phone has unlinked this device",
            ),
            // The library logs out at these too. An unknown conflict costs nobody their keys: if the device is gone,
            // the next login says so.
            Self::Stream(StreamError::ConflictOther) => row(
                Return(Refused),
                "WhatsApp ended the stream with a conflict that is not known here",
            ),
            // The library stops. The other client may be a daemon whose lease was lost, for a moment.
            Self::Stream(StreamError::ConflictReplaced | StreamError::Code(409)) => {
                row(Return(Replaced), "replaced by another connection")
            }
            // As after pairing: the server wants a new connection.
            Self::Stream(StreamError::Code(515)) => row(Return(Lost), "WhatsApp asked for a new connection"),
            // The library tells nobody, and waits for the server to close the connection.
            Self::Stream(StreamError::Code(429)) => {
                hanging_up(Return(RateLimited), "WhatsApp asks for fewer requests")
            }
            Self::Stream(StreamError::Code(503)) => hanging_up(Return(Lost), "WhatsApp is not available now"),
            Self::Stream(StreamError::Code(500)) => row(Return(Lost), "WhatsApp could not go on"),
            // The library closes the connection, and comes back.
            Self::Stream(StreamError::BadXml) => row(Return(Lost), "WhatsApp could not read a stanza"),
            // The library leaves the connection open, since these need not be its end.
            Self::Stream(StreamError::Ack) => row(Return(Lost), "WhatsApp misses an acknowledgement"),
            Self::Stream(StreamError::Other) => row(Return(Lost), "WhatsApp ended the stream with an error"),
            Self::Stream(StreamError::Code(_)) => row(
                Return(Refused),
                "WhatsApp ended the stream with an error that is not known here",
            ),
            Self::StreamEnd => row(Return(Lost), "WhatsApp has ended the stream"),

            Self::Transport(DisconnectReason::ServerClose { .. }) => {
                row(Return(Lost), "WhatsApp has closed the connection")
            }
            Self::Transport(DisconnectReason::StreamEnded) => row(Return(Lost), "the connection has ended"),
            Self::Transport(DisconnectReason::ReadError(_)) => row(Return(Lost), "the connection is broken"),
            Self::Transport(DisconnectReason::Unknown) => row(Return(Lost), "the connection was lost"),
            // The library comes back, and tells nobody.
            Self::Upgrade(429) => row(Return(RateLimited), "WhatsApp asks for fewer connections"),
            Self::Upgrade(_) => row(Return(Lost), "WhatsApp did not take the connection"),
            Self::Unreachable => row(Return(Lost), "WhatsApp cannot be reached"),
            Self::Silent => row(Return(Lost), "the connection could not be made or was lost"),
        }
    }

    /// What is done about it, and what is told.
    pub fn stop(&self) -> Stop {
        let row = self.row();
        Stop {
            answer: row.answer,
            said: format!("{}{self}", row.said),
            blames_wire: self.blames_wire(),
        }
    }

    /// Whether a message that was on the wire may be the cause. WhatsApp ends the connection of a client that sends
    /// what it cannot read, with an unknown error or without a word. What it says of itself (429, every 5xx, 515), of
    /// the device or of the login has nothing to do with a message.
    fn blames_wire(&self) -> bool {
        match self {
            Self::Stream(StreamError::Code(code)) => !matches!(code, 401 | 409 | 429 | 500..=599),
            Self::Stream(StreamError::BadXml | StreamError::Ack | StreamError::Other)
            | Self::StreamEnd
            | Self::Transport(_) => true,
            Self::Stream(
                StreamError::ConflictReplaced | StreamError::DeviceRemoved | StreamError::ConflictOther,
            )
            | Self::Failure(_)
            | Self::Upgrade(_)
            | Self::Unreachable
            | Self::Silent => false,
        }
    }
}

/// What is added to the row's own words: codes, and the server's text where there is one.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // No code came.
            Self::Failure(Failure::Unknown(0)) => Ok(()),
            Self::Failure(failure) => write!(f, " ({})", failure.code()),
            Self::Stream(StreamError::Code(code)) => write!(f, " ({code})"),
            Self::Upgrade(status) => write!(f, " (HTTP {status})"),
            Self::Transport(
                reason @ (DisconnectReason::ServerClose { .. } | DisconnectReason::ReadError(_)),
            ) => write!(f, ": {reason}"),
            Self::Stream(_) | Self::StreamEnd | Self::Transport(_) | Self::Unreachable | Self::Silent => {
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wacore_binary::OwnedNodeRef;
    use wacore_binary::builder::NodeBuilder;

    use super::*;

    fn error(code: Option<&str>, child: Option<NodeBuilder>) -> StreamError {
        let mut node = NodeBuilder::new("stream:error");
        if let Some(code) = code {
            node = node.attr("code", code);
        }
        if let Some(child) = child {
            node = node.children([child.build()]);
        }
        let bytes = wacore_binary::marshal::marshal(&node.build()).expect("marshalled");
        // Behind the flags byte, as it comes off the wire.
        let node = OwnedNodeRef::new(bytes::Bytes::from(bytes).slice(1..)).expect("a node");
        match Signal::of_stanza(node.get()) {
            Some(Signal::Stream(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_message_is_blamed_for_what_whatsapp_says_of_itself() {
        for code in [401, 409, 429, 500, 503, 515, 516, 599] {
            assert!(!Signal::Stream(StreamError::Code(code)).blames_wire(), "{code}");
        }
        assert!(!Signal::Silent.blames_wire() && !Signal::Unreachable.blames_wire());
        assert!(Signal::Stream(StreamError::Code(479)).stop().blames_wire);
        assert!(Signal::Stream(StreamError::BadXml).blames_wire() && Signal::StreamEnd.blames_wire());
    }

    #[test]
    fn stream_errors_are_read_as_the_library_reads_them() {
        let conflict = |kind: &str| Some(NodeBuilder::new("conflict").attr("type", kind));
        let child = |tag: &'static str| Some(NodeBuilder::new(tag));
        for (code, inside, read) in [
            (None, conflict("replaced"), StreamError::ConflictReplaced),
            (
                Some("401"),
                conflict("device_removed"),
                StreamError::DeviceRemoved,
            ),
            (Some("401"), conflict("strange"), StreamError::ConflictOther),
            (Some("429"), conflict(""), StreamError::Code(429)),
            (Some("515"), None, StreamError::Code(515)),
            (Some("503"), child("ack"), StreamError::Code(503)),
            (None, child("ack"), StreamError::Ack),
            (None, child("xml-not-well-formed"), StreamError::BadXml),
            (Some("413"), None, StreamError::Code(413)),
            (Some("strange"), None, StreamError::Code(0)),
            (None, child("strange"), StreamError::Other),
        ] {
            assert_eq!(error(code, inside), read, "{code:?}");
        }
    }

    /// The codes of `<failure>` that the library names, and some that it does not. A reason that it
    /// learns to name does not compile without a row.
    const FAILURES: [(i32, Answer); 22] = [
        (400, End(ForceDisconnected, Reason::LoginRefused)),
        (401, End(LoggedOut, Reason::LoggedOut)),
        (402, End(Banned, Reason::Banned)),
        (403, End(Banned, Reason::AccountLocked)),
        (405, End(ForceDisconnected, Reason::ClientOutdated)),
        (406, End(LoggedOut, Reason::LoggedOut)),
        (409, End(ForceDisconnected, Reason::ClientRefused)),
        (411, Return(Refused)),
        (412, Return(Refused)),
        (413, End(ForceDisconnected, Reason::LoginRefused)),
        (414, End(ForceDisconnected, Reason::LoginRefused)),
        (415, End(ForceDisconnected, Reason::LoginRefused)),
        (416, Return(Refused)),
        (417, Return(Refused)),
        (418, End(ForceDisconnected, Reason::ClientRefused)),
        (429, Return(RateLimited)),
        (499, Return(Refused)),
        (500, Return(Lost)),
        (501, End(ForceDisconnected, Reason::LoginRefused)),
        (503, Return(Lost)),
        (599, Return(Refused)),
        (0, Return(Refused)),
    ];

    #[test]
    fn where_the_library_would_stop_so_do_we() {
        for (code, answer) in FAILURES {
            let failure = Failure::from(code);
            assert_eq!(Signal::Failure(failure).row().answer, answer, "{code}");
            let returns = matches!(answer, Return(Lost));
            assert_eq!(failure.should_reconnect(), returns, "{code}");
            let keeps_account = !matches!(answer, End(LoggedOut, _) | End(Banned, Reason::AccountLocked));
            assert_eq!(failure.is_logged_out(), !keeps_account, "{code}");
        }
    }

    #[test]
    fn streams_end_for_good_or_come_back_after_their_pause() {
        for (error, answer) in [
            (StreamError::DeviceRemoved, End(LoggedOut, Reason::LoggedOut)),
            (StreamError::ConflictOther, Return(Refused)),
            (StreamError::ConflictReplaced, Return(Replaced)),
            (StreamError::Code(401), End(LoggedOut, Reason::LoggedOut)),
            (StreamError::Code(402), Return(Refused)),
            (StreamError::Code(403), Return(Refused)),
            (StreamError::Code(409), Return(Replaced)),
            (StreamError::Code(413), Return(Refused)),
            (StreamError::Code(418), Return(Refused)),
            (StreamError::Code(429), Return(RateLimited)),
            (StreamError::Code(500), Return(Lost)),
            (StreamError::Code(503), Return(Lost)),
            (StreamError::Code(515), Return(Lost)),
            (StreamError::Code(516), End(LoggedOut, Reason::LoggedOut)),
            (StreamError::Code(999), Return(Refused)),
            (StreamError::BadXml, Return(Lost)),
            (StreamError::Ack, Return(Lost)),
            (StreamError::Other, Return(Lost)),
        ] {
            assert_eq!(Signal::Stream(error.clone()).row().answer, answer, "{error:?}");
        }
        assert_eq!(Signal::Upgrade(429).row().answer, Return(RateLimited));
        for end in [
            Signal::Upgrade(403),
            Signal::StreamEnd,
            Signal::Silent,
            Signal::Unreachable,
            Signal::Transport(DisconnectReason::StreamEnded),
        ] {
            assert_eq!(end.row().answer, Return(Lost), "{end:?}");
        }
    }

    /// An end after which sessions go on for ever has slow pauses, or those of a lost connection.
    #[test]
    fn nothing_that_is_unknown_knocks_for_ever() {
        for code in (400..600).filter(|code| ![429, 500, 503].contains(code)) {
            let ends = |answer| match answer {
                End(..) => true,
                Return(course) => course.pauses().is_some_and(|pauses| pauses.most.is_some()),
            };
            let login = Signal::Failure(Failure::from(code)).row().answer;
            assert!(ends(login), "a login with {code}: {login:?}");
            let code = code.unsigned_abs();
            let stream = Signal::Stream(StreamError::Code(code)).row().answer;
            assert!(ends(stream) || code == 515, "a stream with {code}: {stream:?}");
        }
    }

    #[test]
    fn people_are_told_the_code() {
        let said = Signal::Failure(Failure::CatExpired).stop().said;
        assert_eq!(said, "WhatsApp refused the login: its token has run out (413)");
        let closed = DisconnectReason::ServerClose {
            code: Some(1_013),
            reason: "later".to_owned(),
        };
        let said = Signal::Transport(closed).stop().said;
        assert_eq!(
            said,
            "WhatsApp has closed the connection: server close frame (code 1013: later)"
        );
    }

    /// The rows were written by reading this version of the library: what it makes an event of, where it stops and
    /// where it goes on. Read another version before changing this.
    #[test]
    fn the_library_is_the_one_that_was_read() {
        let lock = include_str!("../../../Cargo.lock");
        for library in ["wacore", "whatsapp-rust", "whatsapp-rust-tokio-transport"] {
            let entry = format!("name = \"{library}\"\nversion = \"0.7.0\"\n");
            assert!(lock.contains(&entry), "{library}");
        }
    }
}
