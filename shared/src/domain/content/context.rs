//! What stands beside the content of a message, whatever its kind.

use serde::{Deserialize, Serialize};

use super::{Content, Kind, cut};
use crate::domain::person::Person;
use crate::ids::MessageId;

/// The most people whom a message mentions, sent or told of: as many as a group has members.
pub const MAX_MENTIONS: usize = 1_024;

/// The longest text that a quote shows, sent or told of, in Unicode scalar values.
pub const MAX_QUOTED: usize = 4_096;

/// What a message says: its content, and what stands beside that. It rests only sealed, and stays out of logs.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The content.
    #[serde(flatten)]
    pub content: Content,
    /// What stands beside it.
    #[serde(flatten)]
    pub context: Context,
}

impl Said {
    /// A text that says this, and nothing beside it.
    pub fn text(text: impl Into<String>) -> Self {
        Content::text(text).into()
    }

    /// The version that a reader of this must know, beside that of its [kind](Kind::needs).
    pub fn needs(&self) -> u32 {
        self.content.needs().max(self.context.needs())
    }
}

/// With nothing beside it.
impl From<Content> for Said {
    fn from(content: Content) -> Self {
        Self {
            content,
            context: Context::default(),
        }
    }
}

/// The kind alone.
impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.content.fmt(f)
    }
}

/// What stands beside the content. What is not there leaves no trace where this is written, so a message without any of
/// it reads as it did before there was a context.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Box<Quoted>>,
    /// Whom it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Person>,
    /// Whether it is shown as forwarded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// How often it was forwarded by then, where that is told: apps mark what has gone through many hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding_score: Option<u32>,
    /// After how many seconds it disappears, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_seconds: Option<u32>,
}

impl Context {
    /// The version that a reader must know to know a context. It counts with those of
    /// [kinds](Kind::needs).
    pub const VERSION: u32 = 13;

    /// The version that a reader must know to know how often a message was forwarded.
    pub const SCORED: u32 = 27;

    /// The version that a reader of this very context must know.
    pub fn needs(&self) -> u32 {
        if self.forwarding_score.is_some() {
            Self::SCORED
        } else if *self == Self::default() {
            1
        } else {
            Self::VERSION
        }
    }

    /// Leaves out what is more than an event tells. Answers whether there was any. That a quote is cut does not count: it
    /// is an excerpt as it stands.
    pub fn shorten(&mut self) -> bool {
        if let Some(text) = self.quoted.as_mut().and_then(|quoted| quoted.text.as_mut()) {
            cut(text, MAX_QUOTED);
        }
        let is_cut = self.mentions.len() > MAX_MENTIONS;
        self.mentions.truncate(MAX_MENTIONS);
        is_cut
    }
}

/// Numbers and texts stay out of logs.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("forwarded", &self.forwarded)
            .finish_non_exhaustive()
    }
}

/// A message that another one answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quoted {
    /// Its id; `None` where no message of that name is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// WhatsApp's id.
    pub whatsapp_id: String,
    /// Who wrote it, by the names that are known.
    pub from: Person,
    /// Whether the account itself wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_me: bool,
    /// What it is.
    pub kind: Kind,
    /// What the quote shows of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Said {
        let quoted = Quoted {
            id: Some("msg_01JD0000000000000000000000".parse().expect("an id")),
            whatsapp_id: "3EB0".to_owned(),
            from: Person {
                phone: Some("15550100001".to_owned()),
                lid: None,
            },
            from_me: false,
            kind: Kind::Text,
            text: Some("a question".to_owned()),
        };
        Said {
            content: Content::text("an answer"),
            context: Context {
                quoted: Some(Box::new(quoted)),
                ..Context::default()
            },
        }
    }

    #[test]
    fn without_a_context_a_message_reads_as_before() {
        let said = Said::text("hello");
        let json = serde_json::to_string(&said).expect("plain data");
        assert_eq!(json, r#"{"kind":"text","text":"hello"}"#);
        assert_eq!(serde_json::from_str::<Said>(&json).expect("ours"), said);
        assert_eq!(said.context.needs(), 1);
        let hologram: Said = serde_json::from_str(r#"{"kind":"hologram","depth":3}"#).expect("something");
        assert_eq!(hologram, Content::Unknown.into());
    }

    #[test]
    fn a_context_stands_beside_the_content_and_needs_its_reader() {
        let said = reply();
        let json = serde_json::to_string(&said).expect("plain data");
        let told = concat!(
            r#"{"kind":"text","text":"an answer","quoted":{"id":"msg_01JD0000000000000000000000","#,
            r#""whatsappId":"3EB0","from":{"phone":"15550100001","lid":null},"kind":"text","text":"a question"}}"#,
        );
        assert_eq!(json, told);
        assert!(serde_json::from_str::<Said>(&json).expect("ours") == said);
        assert_eq!(said.context.needs(), Context::VERSION);
        assert_eq!(format!("{said:?}"), "Text(…)");
        assert!(!format!("{:?}", said.context).contains("1555"));
    }

    #[test]
    fn a_context_is_cut_to_what_is_told() {
        let mut context = reply().context;
        assert!(!context.shorten());
        let quoted = context.quoted.as_mut().expect("a quote");
        quoted.text = Some("x".repeat(MAX_QUOTED + 1));
        assert!(!context.shorten(), "a quote is an excerpt");
        let text = context.quoted.as_ref().and_then(|quoted| quoted.text.as_ref());
        assert_eq!(text.map(String::len), Some(MAX_QUOTED));
        context.mentions = vec![Person::default(); MAX_MENTIONS + 1];
        assert!(context.shorten());
        assert_eq!(context.mentions.len(), MAX_MENTIONS);
    }
}
