//! Polls.

use serde::{Deserialize, Serialize};

use super::{Body, cut};

/// The longest question that one can send, in Unicode scalar values.
pub const MAX_QUESTION: usize = 255;

/// The longest option that one can send, in Unicode scalar values.
pub const MAX_OPTION: usize = 100;

/// The fewest options of a poll.
pub const MIN_OPTIONS: usize = 2;

/// The most options that one can send.
pub const MAX_OPTIONS: usize = 12;

/// The longest question that is told, in Unicode scalar values.
const MAX_QUESTION_TOLD: usize = 1_000;

/// The longest option that is told, in Unicode scalar values.
const MAX_OPTION_TOLD: usize = 255;

/// The most options that are told: people may add some to a poll.
const MAX_OPTIONS_TOLD: usize = 100;

/// A poll.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// What is asked.
    pub poll: Ballot,
}

/// A question, and what can be answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// The question.
    pub question: String,
    /// What can be chosen. WhatsApp knows an option by a hash of its text, so no two are alike to the letter.
    pub options: Vec<String>,
    /// How many may be chosen; 0 for any number.
    pub selectable: u32,
}

impl Body for Poll {
    fn shorten(&mut self) -> bool {
        let Ballot {
            question, options, ..
        } = &mut self.poll;
        let mut is_cut = options.len() > MAX_OPTIONS_TOLD;
        options.truncate(MAX_OPTIONS_TOLD);
        is_cut |= cut(question, MAX_QUESTION_TOLD);
        for option in options {
            is_cut |= cut(option, MAX_OPTION_TOLD);
        }
        is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::{Content, Kind};

    fn lunch() -> Poll {
        Poll {
            poll: Ballot {
                question: "Lunch?".to_owned(),
                options: vec!["Soup".to_owned(), "Salad".to_owned()],
                selectable: 1,
            },
        }
    }

    #[test]
    fn a_poll_reads_as_an_event_tells_it() {
        let content = Content::Poll(lunch());
        let json = serde_json::to_string(&content).expect("plain data");
        let told = concat!(
            r#"{"kind":"poll","poll":{"question":"Lunch?","options":["Soup","Salad"],"#,
            r#""selectable":1}}"#,
        );
        assert_eq!(json, told);
        assert!(serde_json::from_str::<Content>(&json).expect("ours") == content);
        assert_eq!(content.kind(), Kind::Poll);
        assert_eq!(format!("{content:?}"), "Poll(…)");
    }

    #[test]
    fn what_no_app_makes_is_cut_to_what_is_told() {
        let mut poll = lunch();
        assert!(!poll.shorten());
        poll.poll.question = "x".repeat(MAX_QUESTION_TOLD + 1);
        poll.poll.options = vec!["x".repeat(MAX_OPTION_TOLD + 1); MAX_OPTIONS_TOLD + 1];
        assert!(poll.shorten());
        assert_eq!(poll.poll.question.len(), MAX_QUESTION_TOLD);
        assert_eq!(
            poll.poll.options,
            vec!["x".repeat(MAX_OPTION_TOLD); MAX_OPTIONS_TOLD]
        );
    }
}
