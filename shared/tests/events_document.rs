//! `docs/events.md` shows an example of each type of event, as it is written today.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::content::{Content, Context, Excerpt};
use shared::domain::event::{
    CallReceived, ChatNames, ContactChanges, ContactUpdated, Data, EventType, GroupChanges,
    GroupParticipants, GroupUpdated, JoinReason, MessageReaction, MessageReceived, MessageRevoked,
    MessageStatus, OptionVotes, ParticipantsAction, PollVote, PresenceState, PresenceUpdated, SessionChange,
    WebhookTest, Words,
};
use shared::domain::instance::Status;
use shared::domain::message::State;
use shared::domain::person::Person;
use shared::ids::MessageId;

const GROUP: &str = "120363021033254949@g.us";

fn at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_454) + TimeDelta::hours(10)
}

fn person() -> Person {
    Person {
        phone: Some("15550100001".to_owned()),
        lid: Some("100000000000001".to_owned()),
    }
}

fn chat() -> ChatNames {
    let Person { phone, lid } = person();
    ChatNames {
        phone,
        lid,
        group: None,
    }
}

fn message(text: &str) -> Box<MessageReceived> {
    Box::new(MessageReceived {
        id: MessageId::from_bytes([1; 16]),
        chat: "15550100001".parse().expect("a number"),
        from: person(),
        from_me: false,
        push_name: Some("Ada".to_owned()),
        content: Excerpt::Content(Content::text(text)),
        context: Context::default(),
        timestamp: at(),
        received_at: Some(at() + TimeDelta::milliseconds(412)),
        truncated: false,
        truncation_reason: None,
    })
}

fn session(kind: EventType, status: Status, reason: Option<&str>) -> Data {
    let is_code = kind == EventType::SessionQr;
    Data::Session(
        kind,
        Box::new(SessionChange {
            status,
            reason: reason.map(str::to_owned),
            account: if is_code { Person::default() } else { person() },
            attempt: is_code.then_some(1),
            expires_at: is_code.then(|| at() + TimeDelta::seconds(60)),
        }),
    )
}

/// An example of this type.
fn example(kind: EventType) -> Data {
    let message_id = MessageId::from_bytes([1; 16]);
    match kind {
        EventType::MessageReceived => Data::MessageReceived(message("See you at eight")),
        EventType::MessageEdited => Data::MessageEdited(message("See you at nine")),
        EventType::MessageRevoked => Data::MessageRevoked(Box::new(MessageRevoked {
            message_id,
            chat: chat(),
            from: person(),
        })),
        EventType::MessageReaction => Data::MessageReaction(Box::new(MessageReaction {
            message_id,
            from: person(),
            emoji: Some("👍".to_owned()),
        })),
        EventType::PollVote => Data::PollVote(Box::new(PollVote {
            message_id,
            from: person(),
            options: Some(vec!["Soup".to_owned()]),
            tally: Some(vec![
                OptionVotes {
                    option: "Soup".to_owned(),
                    votes: 2,
                },
                OptionVotes {
                    option: "Salad".to_owned(),
                    votes: 0,
                },
            ]),
        })),
        EventType::MessageStatus => Data::MessageStatus(Box::new(MessageStatus {
            id: message_id,
            status: State::Delivered,
            to: chat(),
            reference: Some("order 7".to_owned()),
            error: None,
            receipts: None,
            at: at(),
        })),
        EventType::SessionConnected => session(kind, Status::Connected, None),
        EventType::SessionDisconnected => session(kind, Status::Disconnected, Some("DISCONNECT_REQUESTED")),
        EventType::SessionQr => session(kind, Status::AwaitingQr, None),
        EventType::SessionLoggedOut => session(kind, Status::LoggedOut, Some("LOGGED_OUT")),
        EventType::SessionBanned => session(kind, Status::Banned, Some("BANNED")),
        EventType::GroupUpdated => Data::GroupUpdated(Box::new(GroupUpdated {
            group: GROUP.to_owned(),
            by: Some(person()),
            changes: GroupChanges {
                subject: Some(Words(Some("Engines".to_owned()))),
                ..GroupChanges::default()
            },
            truncated: false,
        })),
        EventType::GroupParticipants => Data::GroupParticipants(Box::new(GroupParticipants {
            group: GROUP.to_owned(),
            action: ParticipantsAction::Joined,
            reason: Some(JoinReason::InviteLink),
            by: Some(person()),
            participants: vec![person()],
            truncated: false,
        })),
        EventType::ContactUpdated => Data::ContactUpdated(Box::new(ContactUpdated {
            contact: person(),
            changes: ContactChanges {
                about: Some(Words(Some("Gone fishing".to_owned()))),
                ..ContactChanges::default()
            },
            truncated: false,
        })),
        EventType::PresenceUpdated => Data::PresenceUpdated(Box::new(PresenceUpdated {
            chat: chat(),
            from: person(),
            state: PresenceState::Unavailable,
            last_seen: Some(at()),
        })),
        EventType::WebhookTest => Data::WebhookTest(Box::default()),
        EventType::CallReceived => Data::CallReceived(Box::new(CallReceived {
            id: "5C3F0A9D8E7B4C21A0F6D1E2B3C4D5E6".to_owned(),
            from: person(),
            push_name: Some("Ada".to_owned()),
            group: None,
            is_group: false,
            is_video: true,
            missed: false,
            timestamp: at(),
        })),
    }
}

/// The document with the example of each type below its heading. What else it says stays.
fn with_examples(document: &str) -> String {
    let mut fresh = String::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        writeln!(fresh, "{line}").expect("memory");
        let named = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`'));
        let Some(kind) = named.and_then(|name| EventType::ALL.iter().find(|kind| kind.as_str() == name))
        else {
            continue;
        };
        for line in lines.by_ref() {
            writeln!(fresh, "{line}").expect("memory");
            if line == "```json" {
                break;
            }
        }
        let data = example(*kind);
        assert_eq!(data.kind(), *kind, "the example of {kind}");
        let json = serde_json::to_string_pretty(&data.told()).expect("plain data");
        writeln!(fresh, "{json}\n```").expect("memory");
        let _ = lines.by_ref().find(|line| *line == "```");
    }
    fresh
}

#[test]
fn the_document_shows_each_type_as_it_is_written() {
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    let document = fs::read_to_string(&checked_in).expect("docs/events.md");
    for kind in EventType::ALL {
        let headings = document
            .lines()
            .filter(|line| *line == format!("### `{kind}`"))
            .count();
        assert_eq!(headings, 1, "docs/events.md has a heading \"### `{kind}`\"");
    }
    let fresh = with_examples(&document);
    if fresh != document {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("events.md");
        fs::write(&path, fresh).expect("written");
        panic!(
            "docs/events.md does not show what is written. Where the change is meant: cp {} docs/events.md",
            path.display()
        );
    }
}
