//! What events of each type could tell: documents show it, and whoever tries a receiver gets it.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

use super::{
    CallReceived, ChatNames, ContactChanges, ContactUpdated, Data, EventType, GroupChanges,
    GroupParticipants, GroupUpdated, JoinReason, MessageReaction, MessageReceived, MessageRevoked,
    MessageStatus, OptionVotes, ParticipantsAction, PollVote, PresenceState, PresenceUpdated, SessionChange,
    Words,
};
use crate::domain::content::{Content, Context, Excerpt};
use crate::domain::instance::Status;
use crate::domain::message::State;
use crate::domain::person::Person;
use crate::ids::MessageId;

/// A group of nobody.
const GROUP: &str = "120363021033254949@g.us";

/// The number of nobody.
const PHONE: &str = "15550100001";

/// How long a message is on its way.
const ON_ITS_WAY: TimeDelta = TimeDelta::milliseconds(412);

impl Data {
    /// What an event of this type could tell at this time. One about a message is about this one, which need not be there.
    pub fn sample(kind: EventType, message_id: MessageId, at: DateTime<Utc>) -> Self {
        match kind {
            EventType::MessageReceived => Self::MessageReceived(message(message_id, "See you at eight", at)),
            EventType::MessageEdited => Self::MessageEdited(message(message_id, "See you at nine", at)),
            EventType::MessageRevoked => Self::MessageRevoked(Box::new(MessageRevoked {
                message_id,
                chat: chat(),
                from: person(),
            })),
            EventType::MessageReaction => Self::MessageReaction(Box::new(MessageReaction {
                message_id,
                from: person(),
                emoji: Some("👍".to_owned()),
            })),
            EventType::PollVote => Self::PollVote(Box::new(PollVote {
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
            EventType::MessageStatus => Self::MessageStatus(Box::new(MessageStatus {
                id: message_id,
                status: State::Delivered,
                to: chat(),
                reference: Some("order 7".to_owned()),
                error: None,
                receipts: None,
                at,
            })),
            EventType::SessionConnected => session(kind, Status::Connected, None, at),
            EventType::SessionDisconnected => {
                session(kind, Status::Disconnected, Some("DISCONNECT_REQUESTED"), at)
            }
            EventType::SessionQr => session(kind, Status::AwaitingQr, None, at),
            EventType::SessionLoggedOut => session(kind, Status::LoggedOut, Some("LOGGED_OUT"), at),
            EventType::SessionBanned => session(kind, Status::Banned, Some("BANNED"), at),
            EventType::GroupUpdated => Self::GroupUpdated(Box::new(GroupUpdated {
                group: GROUP.to_owned(),
                by: Some(person()),
                changes: GroupChanges {
                    subject: Some(Words(Some("Engines".to_owned()))),
                    ..GroupChanges::default()
                },
                truncated: false,
            })),
            EventType::GroupParticipants => Self::GroupParticipants(Box::new(GroupParticipants {
                group: GROUP.to_owned(),
                action: ParticipantsAction::Joined,
                reason: Some(JoinReason::InviteLink),
                by: Some(person()),
                participants: vec![person()],
                truncated: false,
            })),
            EventType::ContactUpdated => Self::ContactUpdated(Box::new(ContactUpdated {
                contact: person(),
                changes: ContactChanges {
                    about: Some(Words(Some("Gone fishing".to_owned()))),
                    ..ContactChanges::default()
                },
                truncated: false,
            })),
            EventType::PresenceUpdated => Self::PresenceUpdated(Box::new(PresenceUpdated {
                chat: chat(),
                from: person(),
                state: PresenceState::Unavailable,
                last_seen: Some(at),
            })),
            EventType::WebhookTest => Self::WebhookTest(Box::default()),
            EventType::CallReceived => Self::CallReceived(Box::new(CallReceived {
                id: "5C3F0A9D8E7B4C21A0F6D1E2B3C4D5E6".to_owned(),
                from: person(),
                push_name: Some("Ada".to_owned()),
                group: None,
                is_group: false,
                is_video: true,
                missed: false,
                timestamp: at.trunc_subsecs(0),
            })),
        }
    }
}

fn person() -> Person {
    Person {
        phone: Some(PHONE.to_owned()),
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

fn message(id: MessageId, text: &str, at: DateTime<Utc>) -> Box<MessageReceived> {
    Box::new(MessageReceived {
        id,
        chat: PHONE.parse().expect("a number"),
        from: person(),
        from_me: false,
        push_name: Some("Ada".to_owned()),
        content: Excerpt::Content(Content::text(text)),
        context: Context::default(),
        // WhatsApp tells whole seconds.
        timestamp: (at - ON_ITS_WAY).trunc_subsecs(0),
        received_at: Some(at),
        truncated: false,
        truncation_reason: None,
    })
}

fn session(kind: EventType, status: Status, reason: Option<&str>, at: DateTime<Utc>) -> Data {
    let is_code = kind == EventType::SessionQr;
    Data::Session(
        kind,
        Box::new(SessionChange {
            status,
            reason: reason.map(str::to_owned),
            account: if is_code { Person::default() } else { person() },
            attempt: is_code.then_some(1),
            expires_at: is_code.then(|| at + TimeDelta::seconds(60)),
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_a_sample_that_is_read_back() {
        for kind in EventType::ALL {
            let sample = Data::sample(*kind, MessageId::from_bytes([1; 16]), DateTime::UNIX_EPOCH);
            assert_eq!(sample.kind(), *kind);
            let rests = serde_json::to_value(&sample).expect("plain data");
            assert!(Data::read(*kind, rests).expect("ours") == sample, "{kind}");
        }
    }
}
