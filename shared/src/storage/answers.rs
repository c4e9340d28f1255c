//! The answers to questions: an item each, which the daemon writes, the function waits for, and time takes away.
//!
//! | the item | says |
//! | --- | --- |
//! | is not there | nobody has begun, or somebody reads at this moment |
//! | `begun` | a daemon has begun to change something: no other will |
//! | `answered` | what came of it, sealed |
//! | `givenUp` | whoever asked has stopped waiting before anybody began: nobody will |
//!
//! Each step is conditional on the one before, so no clock has to be believed: of a daemon that begins and a function that
//! gives up, one is first, and the other is told. A daemon that comes late, twice, or after another one, finds that out.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use chrono::{DateTime, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, s, seconds, text};
use super::keys;
use super::outcome::{condition_failed, held};
use super::table::Table;
use crate::ids::{InstanceId, QuestionId};

/// How far a question is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A daemon has begun to change something.
    Begun,
    /// It is answered: the outcome, [sealed](crate::sealed) as that of the item's key.
    Answered(String),
    /// It was given up before it was begun.
    GivenUp,
}

/// A daemon's claim to a question, by which its answer is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim(String);

/// The answers of the table.
#[derive(Debug, Clone)]
pub struct Answers {
    table: Table,
}

impl Answers {
    /// The answers of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// How far a question was a moment ago; `None` where nobody has written of it. Half a read unit for each 4 KiB.
    pub async fn get(
        &self,
        instance: InstanceId,
        question: QuestionId,
        now: DateTime<Utc>,
    ) -> Result<Option<Progress>, StorageError> {
        let found = self.table.get_recent(&keys::answer(instance, question)).await?;
        let found = found.as_ref().map(|item| from_item(item, now)).transpose()?;
        Ok(found.flatten())
    }

    /// Begins a question that changes something; `None` where somebody else has, or it was given up. Kept until then. One
    /// write unit.
    pub async fn begin(
        &self,
        instance: InstanceId,
        question: QuestionId,
        keep_until: DateTime<Utc>,
    ) -> Result<Option<Claim>, StorageError> {
        let claim = Claim(format!("{:032x}", rand::random::<u128>()));
        let mut item = item(instance, question, "begun", keep_until);
        item.insert("claim".to_owned(), s(&claim.0));
        // Where the answer to a first attempt was lost, its repetition finds its own claim.
        let put = self
            .table
            .put(item)
            .condition_expression("attribute_not_exists(pk) OR claim = :claim");
        let sent = put
            .expression_attribute_values(":claim", s(&claim.0))
            .send()
            .await;
        Ok(held(sent)?.then_some(claim))
    }

    /// Stores the sealed outcome of a question: of one that changes something under its claim, of another where nobody has
    /// written of it. `false` where it came late or twice, and is of no account. One write unit for each KiB.
    pub async fn answer(
        &self,
        instance: InstanceId,
        question: QuestionId,
        claim: Option<&Claim>,
        sealed: &str,
        keep_until: DateTime<Utc>,
    ) -> Result<bool, StorageError> {
        let mut item = item(instance, question, "answered", keep_until);
        item.insert("sealed".to_owned(), s(sealed));
        let put = match claim {
            Some(claim) => {
                item.insert("claim".to_owned(), s(&claim.0));
                self.table
                    .put(item)
                    .condition_expression("claim = :claim")
                    .expression_attribute_values(":claim", s(&claim.0))
            }
            None => self
                .table
                .put(item)
                .condition_expression("attribute_not_exists(pk)"),
        };
        held(put.send().await)
    }

    /// Gives a question up, where nobody has begun or answered it: then nobody will, and that is what it says. Otherwise how
    /// far it is. One write unit.
    pub async fn give_up(
        &self,
        instance: InstanceId,
        question: QuestionId,
        keep_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Progress, StorageError> {
        let sent = self
            .table
            .put(item(instance, question, "givenUp", keep_until))
            .condition_expression("attribute_not_exists(pk) OR progress = :own")
            .expression_attribute_values(":own", s("givenUp"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Progress::GivenUp),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(classify(error));
        };
        let found = failed.item.clone().unwrap_or_default();
        let progress = from_item(&found, now)?;
        progress.ok_or_else(|| Reader::new("answer", &found).corrupt("exp"))
    }
}

fn item(instance: InstanceId, question: QuestionId, progress: &str, keep_until: DateTime<Utc>) -> Item {
    let mut item = keys::answer(instance, question).attributes();
    item.insert("progress".to_owned(), text(progress));
    item.insert("exp".to_owned(), seconds(keep_until));
    item
}

/// `None` of what has run out and is not removed yet.
fn from_item(item: &Item, now: DateTime<Utc>) -> Result<Option<Progress>, StorageError> {
    let read = Reader::new("answer", item);
    if read.number::<i64>("exp")? <= now.timestamp() {
        return Ok(None);
    }
    Ok(Some(match read.str("progress")? {
        "answered" => Progress::Answered(read.str("sealed")?.to_owned()),
        "givenUp" => Progress::GivenUp,
        // `begun`, or something that only a newer daemon knows: it has begun in any case.
        _ => Progress::Begun,
    }))
}
