//! What a function asks of an instance's socket, and what the daemon answers.
//!
//! The question goes through the shard's second queue; the answer comes as an item of the table, sealed, which the function
//! waits for. An ask that *changes* something is done once at most, whatever becomes of the queue, the daemon or the
//! function: see [`crate::storage::answers`].

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::person::Person;
use super::recipient::Recipient;
use crate::ids::{InstanceId, QuestionId};

/// A question to an instance's socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Its id, by which its answer is found.
    pub id: QuestionId,
    /// Whose socket is asked.
    pub instance: InstanceId,
    /// Until when it may be begun: after that nobody waits for the answer.
    pub answer_by: DateTime<Utc>,
    /// Until when the answer is kept.
    pub keep_until: DateTime<Utc>,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked. An ask names people as a send's job does, in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Ask {
    /// Who of these people is on WhatsApp? Answered by [`Answer::Looked`].
    LookUp {
        /// By number or LID, none twice.
        contacts: Vec<Recipient>,
    },
    /// What does this person show of themselves? Answered by [`Answer::Shown`].
    Show {
        /// By number or LID.
        contact: Recipient,
    },
    /// Block this person, or let them reach the account again. Answered by [`Answer::Blocked`].
    Block {
        /// By number or LID.
        contact: Recipient,
        /// Whether they are to be blocked.
        blocked: bool,
    },
}

impl Ask {
    /// Whether it changes something: then it is done once at most.
    pub const fn changes(&self) -> bool {
        match self {
            Self::LookUp { .. } | Self::Show { .. } => false,
            Self::Block { .. } => true,
        }
    }

    /// The version of the newest ask: the highest that [`Self::needs`] gives.
    pub const NEWEST: u32 = 2;

    /// The version of [`Query`](super::job::Query) that a daemon must know to answer it. A new ask takes the one after
    /// [`Self::NEWEST`].
    pub const fn needs(&self) -> u32 {
        match self {
            Self::LookUp { .. } | Self::Show { .. } | Self::Block { .. } => 2,
        }
    }
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// Who is on WhatsApp, in the order asked.
    Looked {
        /// One for each contact.
        found: Vec<Found>,
    },
    /// What a person shows of themselves.
    Shown(Shown),
    /// It is so, by these names of the person as far as they are known.
    Blocked {
        /// Whom it is about.
        person: Person,
    },
}

/// Names stay out of logs.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Looked { .. } => "Looked(…)",
            Self::Shown(_) => "Shown(…)",
            Self::Blocked { .. } => "Blocked(…)",
        })
    }
}

/// What a person shows the account of themselves.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The number as WhatsApp spells it, and the LID.
    pub person: Person,
    /// The name that WhatsApp has verified, of a business.
    #[serde(default)]
    pub business_name: Option<String>,
    /// What the person says about themselves, where they let the account see it.
    #[serde(default)]
    pub about: Option<String>,
    /// The profile of a business.
    #[serde(default)]
    pub business: Option<Business>,
}

/// Content stays out of logs.
impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

/// The profile of a business. What it does not say is not there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Business {
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// Its e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Its web sites.
    #[serde(default)]
    pub websites: Vec<String>,
    /// Its categories, by their names.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Where it is.
    #[serde(default)]
    pub address: Option<String>,
}

/// Content stays out of logs.
impl std::fmt::Debug for Business {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Business").finish_non_exhaustive()
    }
}

/// What WhatsApp says of a contact that was looked up.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Found {
    /// On WhatsApp.
    There {
        /// The number as WhatsApp spells it, and the LID.
        #[serde(flatten)]
        person: Person,
        /// The name that WhatsApp has verified, of a business.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        business_name: Option<String>,
    },
    /// Not on WhatsApp.
    Absent,
    /// WhatsApp does not say.
    #[serde(other)]
    Unsaid,
}

/// Names stay out of logs.
impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::There { .. } => "There(…)",
            Self::Absent => "Absent",
            Self::Unsaid => "Unsaid",
        })
    }
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
    use super::*;
    use crate::domain::job::Query;
    use crate::domain::payload::{PayloadError, decode, encode};

    #[test]
    fn each_question_is_read_back_and_that_of_a_newer_build_is_left_to_it() {
        let contact: Recipient = "15550100001".parse().expect("a number");
        let asks = [
            Ask::LookUp {
                contacts: vec![contact.clone()],
            },
            Ask::Show {
                contact: contact.clone(),
            },
            Ask::Block {
                contact,
                blocked: true,
            },
        ];
        let newest = asks.iter().map(Ask::needs).max();
        assert_eq!(newest, Some(Ask::NEWEST));
        for ask in asks {
            let question = Query::Question(Question {
                id: "ask_01JD0000000000000000000000".parse().expect("well-formed"),
                instance: "inst_01JD0000000000000000000000".parse().expect("well-formed"),
                answer_by: DateTime::UNIX_EPOCH,
                keep_until: DateTime::UNIX_EPOCH,
                ask,
            });
            let body = encode(&question);
            assert_eq!(decode::<Query>(&body).expect("ours"), question);
            let newer = body.replace(r#""v":2"#, &format!(r#""v":{}"#, Ask::NEWEST + 1));
            assert!(matches!(decode::<Query>(&newer), Err(PayloadError::Newer(_))));
        }
    }

    #[test]
    fn an_outcome_is_read_back_also_where_a_newer_daemon_wrote_it() {
        let found = Found::There {
            person: Person {
                phone: Some("15550100001".to_owned()),
                lid: None,
            },
            business_name: None,
        };
        let outcomes: [Outcome; 4] = [
            Ok(Answer::Looked {
                found: vec![found, Found::Absent, Found::Unsaid],
            }),
            Ok(Answer::Blocked {
                person: Person::default(),
            }),
            Err(Refusal::Throttled { seconds: Some(7) }),
            Err(Refusal::InDoubt),
        ];
        for outcome in outcomes {
            let text = serde_json::to_string(&outcome).expect("plain data");
            assert_eq!(serde_json::from_str::<Outcome>(&text).expect("ours"), outcome);
        }
        let newer = r#"{"Err": {"why": "asleep", "until": "noon"}}"#;
        assert_eq!(
            serde_json::from_str::<Outcome>(newer).expect("known as unknown"),
            Err(Refusal::Unknown)
        );
    }
}
