//! What is told of votes on polls.

use serde::{Deserialize, Serialize};

use crate::domain::person::Person;
use crate::ids::MessageId;

/// The data of [`EventType::PollVote`](super::EventType::PollVote).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollVote {
    /// The poll.
    pub message_id: MessageId,
    /// Who votes. A person's last vote counts.
    pub from: Person,
    /// What was chosen, in the poll's order; nothing where a vote is taken back. `None` where content is not told.
    pub options: Option<Vec<String>>,
    /// How the poll stands with this vote, in its own order. `None` where content is not told.
    pub tally: Option<Vec<OptionVotes>>,
}

/// How often an option of a poll was chosen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionVotes {
    /// The option.
    pub option: String,
    /// By how many people.
    pub votes: u32,
}
