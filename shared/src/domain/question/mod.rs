//! What a function asks of an instance's socket, and what the daemon answers.
//!
//! The question goes through the shard's second queue; the answer comes as an item of the table, sealed, which the function
//! waits for. An ask that *changes* something is done once at most, whatever becomes of the queue, the daemon or the
//! function: see [`crate::storage::answers`].
//!
//! Each ask is a type with an answer of its own, in the file of its family; `table.rs` has a row for each.

mod chats;
mod contacts;
mod groups;
mod media;
mod table;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::chats::{ChangeChat, ChatRead, Done, ReadChat, SetPresence, ShowActivity};
pub use self::contacts::{
    Block, BlockList, Blocked, BlockedPerson, Business, FindPicture, Found, FoundPicture, ListBlocked,
    LookUp, Looked, Picture, Show, Shown,
};
pub use self::groups::{
    ChangeGroup, ChangeParticipants, ChangePicture, CreateGroup, Group, GroupChanged, GroupCreated,
    GroupInvite, GroupJoined, GroupLeft, GroupRole, GroupSetting, GroupShown, GroupsListed, JoinGroup,
    JoinRequest, LeaveGroup, ListGroups, ListRequests, MAX_MEMBERS, Member, ParticipantChange,
    ParticipantsChanged, Participated, PictureChanged, RequestsListed, ResetInvite, ShowGroup, ShowInvite,
    Verdict,
};
pub use self::media::{FetchMedia, MediaFetched, MediaPlace};
pub use self::table::{AnotherAnswer, Answer, Ask, Asks};
use crate::ids::{InstanceId, QuestionId};

/// A question to an instance's socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question<A = Ask> {
    /// Its id, by which its answer is found.
    pub id: QuestionId,
    /// Whose socket is asked.
    pub instance: InstanceId,
    /// Until when it may be begun: after that nobody waits for the answer.
    pub answer_by: DateTime<Utc>,
    /// Until when the answer is kept.
    pub keep_until: DateTime<Utc>,
    /// What is asked.
    pub ask: A,
}

impl<A> Question<A> {
    /// The same question with its ask in another form.
    pub fn with<B>(self, ask: B) -> Question<B> {
        Question {
            id: self.id,
            instance: self.instance,
            answer_by: self.answer_by,
            keep_until: self.keep_until,
            ask,
        }
    }
}

/// An [`Ask`] that holds content, as it rests in the queue: see [`crate::sealed::question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedAsk {
    /// What [`Ask::needs`] gives.
    pub needs: u32,
    /// The ask, sealed.
    pub text: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Refusal {
    /// The instance has no connection. Nothing was done.
    NotConnected,
    /// Too much is asked of the instance at once. Nothing was done.
    Busy,
    /// WhatsApp asks the account for fewer requests. Nothing was done.
    Throttled {
        /// The seconds that it asks for, where it says so.
        #[serde(default)]
        seconds: Option<u32>,
    },
    /// The person whom it is about is not on WhatsApp. Nothing was done.
    NotOnWhatsapp,
    /// There is no such group. Nothing was done.
    NoGroup,
    /// The account is not in the group. Nothing was done.
    NotAMember,
    /// The group's admins alone may do it, and the account is none. Nothing was done.
    NotAnAdmin,
    /// The link leads to no group, or not any more. Nothing was done.
    NoInvite,
    /// It was so already. Nothing was done.
    Already,
    /// What was given is no picture that we can read. Nothing was done.
    NotAnImage,
    /// WhatsApp said no. Nothing was done.
    Refused {
        /// Its code, where it gave one.
        #[serde(default)]
        code: Option<u16>,
    },
    /// It could not be done now; nothing was done.
    Unavailable,
    /// It was begun, and nobody knows what came of it.
    InDoubt,
    /// For a reason that only a newer build knows.
    #[serde(other)]
    Unknown,
}

/// What came of a question.
pub type Outcome = Result<Answer, Refusal>;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::job::Query;
    use crate::domain::payload::{Payload, PayloadError, decode, encode};
    use crate::domain::person::Person;
    use crate::domain::recipient::Recipient;

    const ID: &str = "ask_01JD0000000000000000000000";
    const INSTANCE: &str = "inst_01JD0000000000000000000000";

    fn question(ask: Ask) -> Query {
        Query::Question(Question {
            id: ID.parse().expect("well-formed"),
            instance: INSTANCE.parse().expect("well-formed"),
            answer_by: DateTime::UNIX_EPOCH,
            keep_until: DateTime::UNIX_EPOCH,
            ask,
        })
    }

    /// As builds wrote them that knew no other asks.
    #[test]
    fn what_older_builds_have_queued_is_read() {
        let contact: Recipient = "15550100001".parse().expect("a number");
        let jid = "15550100001@s.whatsapp.net";
        let rows: [(Value, Ask, bool); 3] = [
            (
                json!({"type": "lookUp", "contacts": [jid]}),
                LookUp {
                    contacts: vec![contact.clone()],
                }
                .into(),
                false,
            ),
            (
                json!({"type": "show", "contact": jid}),
                Show {
                    contact: contact.clone(),
                }
                .into(),
                false,
            ),
            (
                json!({"type": "block", "contact": jid, "blocked": true}),
                Block {
                    contact,
                    blocked: true,
                }
                .into(),
                true,
            ),
        ];
        for (text, ask, changes) in rows {
            assert_eq!((ask.needs(), ask.changes()), (2, changes), "{ask:?}");
            let body = json!({
                "v": 2, "type": "question", "id": ID, "instance": INSTANCE,
                "answerBy": "1970-01-01T00:00:00Z", "keepUntil": "1970-01-01T00:00:00Z", "ask": text,
            });
            let question = question(ask);
            assert_eq!(decode::<Query>(&body.to_string()).expect("theirs"), question);
            assert_eq!(
                serde_json::from_str::<Value>(&encode(&question)).expect("JSON"),
                body
            );
        }
    }

    #[test]
    fn an_ask_of_a_newer_build_is_left_to_it() {
        let contact = "15550100001".parse().expect("a number");
        let body = encode(&question(Show { contact }.into()));
        let newer = body.replace(r#""v":2"#, &format!(r#""v":{}"#, Query::READS + 1));
        assert!(matches!(decode::<Query>(&newer), Err(PayloadError::Newer(_))));
    }

    /// As builds stored them that knew no other answers.
    #[test]
    fn what_older_builds_have_answered_is_read() {
        let person = Person {
            phone: Some("15550100001".to_owned()),
            lid: None,
        };
        let found = Found::There {
            person: person.clone(),
            business_name: None,
        };
        let rows: [(Value, Outcome); 5] = [
            (
                json!({"Ok": {"type": "looked", "found": [
                    {"is": "there", "phone": "15550100001", "lid": null}, {"is": "absent"}, {"is": "unsaid"},
                ]}}),
                Ok(Looked {
                    found: vec![found, Found::Absent, Found::Unsaid],
                }
                .into()),
            ),
            (
                json!({"Ok": {
                    "type": "shown", "person": {"phone": "15550100001", "lid": null},
                    "businessName": null, "about": "x", "business": null,
                }}),
                Ok(Shown {
                    person: person.clone(),
                    business_name: None,
                    about: Some("x".to_owned()),
                    business: None,
                }
                .into()),
            ),
            (
                json!({"Ok": {"type": "blocked", "person": {"phone": "15550100001", "lid": null}}}),
                Ok(Blocked { person }.into()),
            ),
            (
                json!({"Err": {"why": "throttled", "seconds": 7}}),
                Err(Refusal::Throttled { seconds: Some(7) }),
            ),
            (json!({"Err": {"why": "inDoubt"}}), Err(Refusal::InDoubt)),
        ];
        for (text, outcome) in rows {
            assert_eq!(serde_json::to_value(&outcome).expect("plain data"), text);
            assert_eq!(serde_json::from_value::<Outcome>(text).expect("theirs"), outcome);
        }
        let newer = r#"{"Err": {"why": "asleep", "until": "noon"}}"#;
        assert_eq!(
            serde_json::from_str::<Outcome>(newer).expect("known as unknown"),
            Err(Refusal::Unknown)
        );
    }

    #[test]
    fn an_answer_is_that_of_its_ask_alone() {
        let answer = Answer::from(Looked { found: Vec::new() });
        assert_eq!(Shown::try_from(answer.clone()), Err(AnotherAnswer));
        assert_eq!(Looked::try_from(answer), Ok(Looked { found: Vec::new() }));
    }

    #[test]
    fn neither_names_nor_content_go_to_logs() {
        let contact: Recipient = "15550100001".parse().expect("a number");
        let ask = Ask::from(Show { contact });
        assert_eq!(format!("{ask:?}"), "Show(…)");
    }

    #[test]
    fn who_is_not_there_is_learnt_and_another_answer_teaches_nothing() {
        let contact: Recipient = "15550100001".parse().expect("a number");
        let show = Ask::from(Show {
            contact: contact.clone(),
        });
        let block = Ask::from(Block {
            contact: contact.clone(),
            blocked: true,
        });
        for ask in [&show, &block] {
            let lessons = ask.lessons(&Err(Refusal::NotOnWhatsapp));
            assert_eq!(lessons, [(contact.clone(), Found::Absent)]);
            assert_eq!(ask.lessons(&Err(Refusal::Unavailable)), []);
            assert_eq!(ask.lessons(&Ok(Looked { found: Vec::new() }.into())), []);
        }
        let person = Person::of(&contact);
        assert_eq!(block.lessons(&Ok(Blocked { person }.into())), []);
    }
}
