//! A request that comes again under its idempotency key has the first one's answer.
//!
//! The answer rests sealed beside the answers of questions, as long as the key. Where the first request was broken off, or
//! its answer is lost, it is done again: none of these requests does harm when it is done twice.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use shared::ids::QuestionId;
use shared::sealed;
use shared::storage::answers::Progress;
use shared::storage::idempotency::{Asked, TERM};
use shared::storage::keys;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::side::{Asker, Remembers, Side};
use crate::http::{ApiError, Replayable, Reply, log};
use crate::messaging::idempotency;

/// The number of the form in which a request's bytes stand for what it asks.
const FORM: u32 = 1;

/// What is answered: now, or as it was answered before.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Again<T> {
    /// Now.
    Fresh(T),
    /// Before.
    Known(Value),
}

impl<T: ToSchema> PartialSchema for Again<T> {
    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl<T: ToSchema> ToSchema for Again<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// Does a request, or answers what the first one with its key was answered. `said` is all that it says beside its route.
/// `reply` makes a reply of an answer.
pub async fn once<S: Side, T: Serialize>(
    state: &S,
    asker: &Asker,
    key: Option<&str>,
    (route, said): (&str, &impl Serialize),
    reply: fn(Again<T>) -> Reply<Again<T>>,
    doing: impl Future<Output = Result<T, ApiError>>,
) -> Result<Replayable<Again<T>>, ApiError> {
    let (Some(key), Some(remembers)) = (key, state.remembers()) else {
        return Ok(fresh(reply(Again::Fresh(doing.await?))));
    };
    let (instance, now) = (asker.instance.id, state.base().clock.now());
    let meaning =
        serde_json::to_vec(&(route, said)).map_err(|error| ApiError::internal().caused_by(error))?;
    let question = Asked {
        bytes: &meaning,
        meaning: &meaning,
        form: FORM,
        by_meaning: true,
    };
    let offered = QuestionId::new(now);
    let claimed = idempotency::claim(remembers.keys, instance, key, question, offered, now).await?;
    let (id, is_first) = (claimed.id, claimed.is_first());
    if !is_first && let Some(known) = known(state, remembers, asker, id).await? {
        return Ok(Replayable {
            reply: reply(Again::Known(known)),
            is_replay: true,
        });
    }
    let answer = match doing.await {
        Ok(answer) => answer,
        Err(error) => {
            if is_first && let Err(error) = remembers.keys.release(instance, key, id).await {
                log::went_wrong(&error.into(), "an idempotency key stands for nothing");
            }
            return Err(error);
        }
    };
    if let Err(error) = remember(state, remembers, asker, id, &answer).await {
        log::went_wrong(&error, "an answer is not remembered for its idempotency key");
    }
    Ok(fresh(reply(Again::Fresh(answer))))
}

const fn fresh<T>(reply: Reply<Again<T>>) -> Replayable<Again<T>> {
    Replayable {
        reply,
        is_replay: false,
    }
}

async fn known<S: Side>(
    state: &S,
    remembers: Remembers<'_>,
    asker: &Asker,
    id: QuestionId,
) -> Result<Option<Value>, ApiError> {
    let (instance, now) = (asker.instance.id, state.base().clock.now());
    let Some(Progress::Answered(sealed)) = remembers.answers.get(instance, id, now).await? else {
        return Ok(None);
    };
    let of = keys::answer(instance, id).path();
    Ok(Some(
        sealed::open(&state.hooks().sealer, instance, &of, &sealed).await?,
    ))
}

async fn remember<S: Side>(
    state: &S,
    remembers: Remembers<'_>,
    asker: &Asker,
    id: QuestionId,
    answer: &impl Serialize,
) -> Result<(), ApiError> {
    let (instance, now) = (asker.instance.id, state.base().clock.now());
    let of = keys::answer(instance, id).path();
    let sealed = sealed::seal(&state.hooks().sealer, instance, &of, answer).await?;
    let stored = remembers.answers.answer(instance, id, None, &sealed, now + TERM);
    stored.await?;
    Ok(())
}
