//! What functions ask of the daemon, through a shard's queues.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::content;
use super::message::{Direction, Kind, MessageRecord, State};
use super::news::{Done, News};
use super::payload::{self, Payload, newest};
use super::person::Person;
use super::question::{Ask, Question, SealedAsk};
use super::recipient::Recipient;
use crate::bucket::ObjectName;
use crate::ids::{InstanceId, MessageId, RequestId};
use crate::trace::{self, TraceContext};

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendJob {
    /// The message's id: also its deduplication id, and what its WhatsApp id derives from.
    pub message: MessageId,
    /// The instance that sends.
    pub instance: InstanceId,
    /// Whom to, as the caller named it; a number as WhatsApp spells it, where that was known.
    pub to: Recipient,
    /// The canonical chat, where that is not `to`: see [`super::person::Acquaintance`]. Lanes and locks go by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Recipient>,
    /// The recipient's names, as far as they were known when the message was accepted.
    #[serde(default, skip_serializing_if = "Person::is_nobody")]
    pub person: Person,
    /// The account that it was accepted for: the one that the instance was paired with. It goes
    /// out from no other. Jobs of older functions name none, and go out from any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Person>,
    /// What it is.
    pub kind: Kind,
    /// The caller's own string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When it was due, where that was later: it has waited in the queue since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<DateTime<Utc>>,
    /// Until when it is worth sending.
    pub expires_at: DateTime<Utc>,
    /// What it was put off for, by a daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_off: Option<PutOff>,
    /// For how many milliseconds the recipient sees that somebody types before it goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typing_ms: Option<u32>,
    /// Its file in the bucket, where it has one there. It is deleted once the message needs it no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ObjectName>,
    /// The request that has counted it, where another one may come under its idempotency key: see
    /// [`MessageRecord::counted_by`]. A record that is made of the job says it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_by: Option<RequestId>,
    /// The version that a reader must know for members of the content, and for what stands beside it: see
    /// [`Said::needs`](content::Said::needs).
    #[serde(default = "payload::first", skip_serializing_if = "payload::is_first")]
    pub needs: u32,
    /// The span that queued it, where tracing is on. Nothing but traces depends on it.
    #[serde(
        default,
        deserialize_with = "trace::context::lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub trace: Option<TraceContext>,
    /// What it [says](content::Said), [sealed](crate::sealed) as that of the message.
    pub content: String,
}

impl SendJob {
    /// The canonical chat.
    pub fn chat(&self) -> &Recipient {
        self.chat.as_ref().unwrap_or(&self.to)
    }

    /// Since when it waits to be sent.
    pub fn waits_since(&self) -> DateTime<Utc> {
        self.scheduled_at.unwrap_or(self.accepted_at)
    }

    /// The message's record as it is when the message is accepted.
    pub fn record(&self) -> MessageRecord {
        let person = if self.person.is_nobody() {
            Person::of(&self.to)
        } else {
            self.person.clone()
        };
        let (id, instance, chat) = (self.message, self.instance, self.chat().clone());
        let direction = Direction::Outgoing;
        let new = MessageRecord::new(id, instance, direction, self.kind, chat, person, self.accepted_at);
        MessageRecord {
            state: match self.scheduled_at {
                Some(_) => State::Scheduled,
                None => new.state,
            },
            scheduled_at: self.scheduled_at,
            reference: self.reference.clone(),
            expires_at: Some(self.expires_at),
            counted_by: self.counted_by,
            ..new
        }
    }
}

/// Why a job waits in the due index once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutOff {
    /// A [`FailureCode`](super::message::FailureCode), for a message whose time runs out meanwhile.
    pub code: String,
    /// Until when, as far as WhatsApp says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Whether the message may be out all the same, from an attempt before.
    #[serde(default)]
    pub may_be_out: bool,
    /// How often it was put off so far for something that failed: the pauses grow with that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(times: &u32) -> bool {
    *times == 0
}

/// A job in a shard's queue of sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Job {
    /// Send a message.
    Send(SendJob),
}

/// The canonical chat of a job of a newer version, if it tells that in the way of this version.
pub fn chat_of(body: &str) -> Option<Recipient> {
    #[derive(Deserialize)]
    struct Addressed {
        to: Recipient,
        #[serde(default)]
        chat: Option<Recipient>,
    }
    let addressed: Addressed = serde_json::from_str(body).ok()?;
    Some(addressed.chat.unwrap_or(addressed.to))
}

/// A message in a shard's queue of queries and nudges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Query {
    /// Look at this instance: what is wanted of it has changed.
    Nudge {
        /// The instance.
        instance: InstanceId,
    },
    /// Ask this instance's socket, and store the answer.
    Question(Question),
    /// The same, where the ask holds content and rests sealed.
    SealedQuestion(Question<SealedAsk>),
    /// A message of the shard is due at this time: look then.
    Due {
        /// When.
        at: DateTime<Utc>,
    },
    /// Tell this in the realtime feed.
    Tell {
        /// What.
        news: News,
    },
}

/// The version that a reader of [`Query::Due`] must know.
const DUE: u32 = 3;

/// The version that a reader of [`Query::Tell`] must know.
const TELL: u32 = 30;

/// The version that a reader of [`Done::Tried`] must know.
const TRIED: u32 = 31;

impl Payload for Job {
    const READS: u32 = content::NEWEST;

    fn needs(&self) -> u32 {
        match self {
            Self::Send(send) => {
                // A daemon that knows contexts knows this.
                let typing = send.typing_ms.map_or(1, |_| content::Context::VERSION);
                // Whatever goes there, a reader that knows statuses reads whom to.
                let to = match send.to {
                    Recipient::Status => Kind::Status.needs(),
                    _ => 1,
                };
                newest(&[send.kind.needs(), send.needs, typing, to])
            }
        }
    }
}

impl Payload for Query {
    const READS: u32 = newest(&[Ask::NEWEST, DUE, TELL, TRIED]);

    fn needs(&self) -> u32 {
        match self {
            Self::Nudge { .. } => 1,
            Self::Question(question) => question.ask.needs(),
            Self::SealedQuestion(question) => question.ask.needs,
            Self::Due { .. } => DUE,
            Self::Tell { news } => match news.done {
                Done::InstanceCreated { .. } | Done::SubscriptionChanged { .. } => TELL,
                Done::Tried { .. } => TRIED,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payload::{PayloadError, decode, encode};

    /// A job as the build before wrote it, which knew texts alone.
    const TEXT: &str = concat!(
        r#"{"v":1,"type":"send","message":"msg_01JD0000000000000000000000","#,
        r#""instance":"inst_01JD0000000000000000000000","to":"15550100001@s.whatsapp.net","#,
        r#""kind":"text","acceptedAt":"2026-01-01T00:00:00Z","expiresAt":"2026-01-02T00:00:00Z","#,
        r#""content":"c2VhbGVk"}"#,
    );

    #[test]
    fn a_text_reads_and_is_written_as_before() {
        let Job::Send(send) = decode(TEXT).expect("a job");
        assert_eq!((send.kind, send.content.as_str()), (Kind::Text, "c2VhbGVk"));
        let body: serde_json::Value = serde_json::from_str(&encode(&Job::Send(send))).expect("JSON");
        let before: serde_json::Value = serde_json::from_str(TEXT).expect("JSON");
        assert_eq!(body["v"], before["v"]);
        assert_eq!(body["kind"], before["kind"]);
        assert_eq!(body["needs"], serde_json::Value::Null);
    }

    #[test]
    fn a_trace_is_carried_and_nobody_needs_to_know_it() {
        const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let Job::Send(send) = decode(TEXT).expect("a job");
        assert_eq!(send.trace, None);
        let trace = Some(TRACE.parse().expect("well-formed"));
        let body = encode(&Job::Send(SendJob {
            trace,
            ..send.clone()
        }));
        assert!(body.starts_with(r#"{"v":1,"#), "{body}");
        let Job::Send(read) = decode(&body).expect("a job");
        assert_eq!(read.trace, trace);
        // What is no trace is no reason to leave a message.
        let quoted = format!("\"{TRACE}\"");
        for odd in ["\"of another day\"", "7", "{\"id\":[]}", "null"] {
            let Job::Send(odd) = decode(&body.replace(&quoted, odd)).expect("a job");
            assert_eq!(odd, send);
        }
    }

    #[test]
    fn a_text_with_a_quote_is_left_to_a_reader_that_knows_quotes() {
        let Job::Send(send) = decode(TEXT).expect("a job");
        let needs = content::Context::VERSION;
        let body = encode(&Job::Send(SendJob { needs, ..send }));
        assert!(body.starts_with(&format!(r#"{{"v":{needs},"#)), "{body}");
        let Job::Send(send) = decode(&body).expect("a job");
        assert_eq!(send.needs, needs);
    }

    #[test]
    fn what_goes_to_statuses_is_left_to_a_reader_that_knows_them() {
        let Job::Send(send) = decode(TEXT).expect("a job");
        let (to, kind) = (Recipient::Status, Kind::Revoke);
        let body = encode(&Job::Send(SendJob { to, kind, ..send }));
        let needs = Kind::Status.needs();
        assert!(body.starts_with(&format!(r#"{{"v":{needs},"#)), "{body}");
        assert_eq!(chat_of(&body), Some(Recipient::Status));
    }

    #[test]
    fn a_job_of_a_kind_that_only_a_newer_build_knows_tells_its_chat() {
        let newer = TEXT
            .replace(r#""v":1"#, &format!(r#""v":{}"#, Job::READS + 1))
            .replace(r#""kind":"text""#, r#""kind":"hologram""#);
        assert!(matches!(decode::<Job>(&newer), Err(PayloadError::Newer(_))));
        let to: Recipient = "15550100001".parse().expect("a number");
        assert_eq!(chat_of(&newer), Some(to));
        let chat = newer.replace(r#""kind""#, r#""chat":"200000000000001@lid","kind""#);
        let lid: Recipient = "lid:200000000000001".parse().expect("a LID");
        assert_eq!(chat_of(&chat), Some(lid));
        assert_eq!(chat_of(r#"{"v":9,"type":"dance"}"#), None);
    }

    #[test]
    fn news_are_read_back_and_left_to_a_daemon_that_knows_them() {
        let at = DateTime::UNIX_EPOCH;
        let news = News {
            id: crate::ids::EventId::from_bytes([1; 16]),
            at,
            subscription: crate::ids::SubscriptionId::from_bytes([2; 16]),
            done: Done::SubscriptionChanged {
                tier: super::super::account::Tier::Pro,
                active: true,
            },
        };
        let tell = Query::Tell { news };
        let body = encode(&tell);
        assert!(
            body.starts_with(&format!(r#"{{"v":{TELL},"type":"tell""#)),
            "{body}"
        );
        assert_eq!(decode::<Query>(&body).expect("ours"), tell);
        let tried = News::tried(
            crate::ids::EventId::from_bytes([1; 16]),
            (
                InstanceId::from_bytes([2; 16]),
                crate::ids::SubscriptionId::from_bytes([3; 16]),
            ),
            crate::domain::event::EventType::PollVote,
            MessageId::from_bytes([4; 16]),
            at,
        );
        let tell = Query::Tell { news: tried };
        let body = encode(&tell);
        assert!(
            body.starts_with(&format!(r#"{{"v":{TRIED},"type":"tell""#)),
            "{body}"
        );
        assert_eq!(decode::<Query>(&body).expect("ours"), tell);
    }

    #[test]
    fn a_nudge_is_read_back() {
        let instance = "inst_01JD0000000000000000000000".parse().expect("well-formed");
        let nudge = Query::Nudge { instance };
        let body = encode(&nudge);
        assert_eq!(
            body,
            r#"{"v":1,"type":"nudge","instance":"inst_01JD0000000000000000000000"}"#
        );
        assert_eq!(decode::<Query>(&body).expect("ours"), nudge);
    }
}
