//! Questions whose asks hold content, such as what a group is called: those rest sealed in the queue.

use super::OpenError;
use crate::domain::job::Query;
use crate::domain::question::{Ask, Question, SealedAsk};
use crate::ids::QuestionId;
use crate::seal::{SealError, Sealer};

/// What a question's ask is sealed as. Its answer is sealed as another thing.
fn of(question: QuestionId) -> String {
    format!("{question}#asked")
}

/// The question as the queue carries it.
pub async fn to_query(sealer: &Sealer, question: Question) -> Result<Query, SealError> {
    if !question.ask.is_sealed() {
        return Ok(Query::Question(question));
    }
    let ask = SealedAsk {
        needs: question.ask.needs(),
        text: super::seal(sealer, question.instance, &of(question.id), &question.ask).await?,
    };
    Ok(Query::SealedQuestion(question.with(ask)))
}

/// The question that was sealed.
pub async fn open(sealer: &Sealer, question: Question<SealedAsk>) -> Result<Question, OpenError> {
    let (instance, of) = (question.instance, of(question.id));
    let ask = super::open::<Ask>(sealer, instance, &of, &question.ask.text).await?;
    Ok(question.with(ask))
}
