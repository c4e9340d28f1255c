//! Asks the socket of the caller's instance: through its shard's second queue, and for the answer in the table.
//!
//! | what happened | is answered |
//! | --- | --- |
//! | the instance is not connected | `INSTANCE_NOT_CONNECTED`, at once |
//! | the daemon has answered | the answer, or the refusal in HTTP's words |
//! | no daemon began in time, and none can any more ([`Answers::give_up`](shared::storage::answers::Answers::give_up)) | `UPSTREAM_TIMEOUT`, `not_started` |
//! | somebody has begun, and nobody knows what came of it | `UPSTREAM_TIMEOUT`, `unknown` |
//!
//! An idempotency key stands for one question. The same request under it waits for that question's answer. If it is proven
//! that nothing was done, the request counts as the first again.

mod refused;
mod socket;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use shared::auth::api_key::Grant;
use shared::domain::account::Subscription;
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::question::{AnotherAnswer, Answer, Asks, Outcome, Question};
use shared::ids::QuestionId;
use shared::queue::{OutgoingMessage, QueueError, QueueName};
use shared::sealed::{self, OpenError};
use shared::storage::answers::Progress;
use shared::storage::idempotency::{self, Asked, Claim};
use shared::storage::keys;
use tokio::time::{Instant, timeout_at};

use self::refused::{Failed, not_connected, refused, too_late};
pub use self::socket::{OnceSocket, Socket};
use crate::http::{ApiError, Replayable, Reply, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::other_request;

/// The number of the form in which an ask stands for what a request asks.
const FORM: u32 = 1;

/// The pause before the first look for an answer, and by how much the next ones grow: 15, 25, 40, 60, 85 … ms.
const FIRST_LOOK: Duration = Duration::from_millis(15);
const GROWTH: Duration = Duration::from_millis(5);

/// The longest pause between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// How long an answer is kept if its request had no idempotency key.
const KEPT: TimeDelta = TimeDelta::minutes(10);

/// How often a question is sent to the queue that is not answered, and the pause between two sends.
const SENDS: u32 = 3;
const SEND_AGAIN: Duration = Duration::from_millis(100);

/// How long one send may take.
const SEND_DEADLINE: Duration = Duration::from_secs(2);

/// The least time in which an answer may come: with less, the caller is asked to come again.
const LEAST: Duration = Duration::from_secs(1);

/// An answer from the socket.
pub struct Told<A> {
    /// What it says.
    pub answer: A,
    /// Whether it was given to an earlier request with the same idempotency key.
    pub is_replay: bool,
}

impl<A> Told<A> {
    /// The answer as a response.
    pub fn reply<T: Serialize>(self, response: impl FnOnce(A) -> T) -> Replayable<T> {
        Replayable {
            reply: Reply::ok(response(self.answer)),
            is_replay: self.is_replay,
        }
    }

    /// The answer as the response to a request that made something.
    pub fn created<T: Serialize>(self, response: impl FnOnce(A) -> T) -> Replayable<T> {
        Replayable {
            reply: Reply::created(response(self.answer)),
            is_replay: self.is_replay,
        }
    }
}

/// Asks the instance that `grant` is for.
async fn ask<A: Asks>(
    state: &MessagingState,
    grant: &Grant,
    subscription: &Subscription,
    ask: A,
    idempotency_key: Option<&str>,
) -> Result<Told<A::Answer>, ApiError> {
    let deadline = Instant::now() + state.daemon_answer;
    let now = state.clock.now();
    let instance = find_instance(state, subscription, grant).await?;
    let question = Question {
        id: QuestionId::new(now),
        instance: instance.id,
        answer_by: now,
        keep_until: now
            + if idempotency_key.is_some() {
                idempotency::TERM
            } else {
                KEPT
            },
        ask: ask.into(),
    };
    let asking = Asking {
        state,
        instance: &instance,
        settles: A::CHANGES || idempotency_key.is_some(),
        deadline,
    };
    let (answer, is_replay) = asking.answer(question, idempotency_key, now).await?;
    let answer = answer
        .try_into()
        .map_err(|_| ApiError::internal().caused_by(AnotherAnswer))?;
    Ok(Told { answer, is_replay })
}

/// The instance as it was a moment ago; as it is now, where that would refuse the question.
async fn find_instance(
    state: &MessagingState,
    subscription: &Subscription,
    grant: &Grant,
) -> Result<Instance, ApiError> {
    let recent = state
        .instances
        .get_recent(subscription.id, grant.instance)
        .await?;
    if let Some(instance) = recent.filter(is_connected) {
        return Ok(instance);
    }
    let found = state.instances.get(subscription.id, grant.instance).await?;
    found.ok_or_else(|| ApiError::not_found("instance"))
}

fn is_connected(instance: &Instance) -> bool {
    instance.observed.status == Status::Connected && instance.wanted() == Wanted::Connected
}

/// A question on its way.
struct Asking<'a> {
    state: &'a MessagingState,
    instance: &'a Instance,
    /// Whether it is settled in the end that nobody begins any more.
    settles: bool,
    /// Until when the caller waits.
    deadline: Instant,
}

impl Asking<'_> {
    /// The answer, and whether it was given to an earlier request.
    async fn answer(
        &self,
        question: Question,
        idempotency_key: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(Answer, bool), ApiError> {
        let Some(key) = idempotency_key else {
            let answer = self.anew(question).await.map_err(Failed::error)?;
            return Ok((answer, false));
        };
        if let Some(answer) = self.earlier(&question, key, now).await? {
            return Ok((answer, true));
        }
        let id = question.id;
        match self.anew(question).await {
            Ok(answer) => Ok((answer, false)),
            Err(Failed::Undone(error)) => {
                self.release(key, id).await;
                Err(error)
            }
            Err(Failed::InDoubt(error)) => Err(error),
        }
    }

    /// Asks a new question.
    async fn anew(&self, question: Question) -> Result<Answer, Failed> {
        if !is_connected(self.instance) {
            return Err(Failed::Undone(not_connected(Some(self.instance.observed.status))));
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left < LEAST.min(self.state.daemon_answer / 2) {
            return Err(Failed::Undone(ApiError::unavailable(1)));
        }
        // Time has passed where an earlier request was waited for. A tenth of what is left is the answer's, on its way back.
        let answer_by = self.state.clock.now() + TimeDelta::from_std(left * 9 / 10).unwrap_or_default();
        let question = Question {
            answer_by,
            ..question
        };
        let names = self.state.queue_names(self.instance.network);
        let names = names.map_err(|error| Failed::Undone(error.into()))?;
        let queue = names.queries(self.instance.shard.0);
        let id = question.id;
        let query = sealed::question::to_query(&self.state.sealer, question).await;
        let query = query.map_err(|error| Failed::Undone(error.into()))?;
        if let Err(error) = self.send(&queue, &query).await {
            match self.last_word(id).await {
                // Nobody begins it any more, also where it is in the queue.
                Err(Failed::Undone(_)) => return Err(Failed::Undone(error.into())),
                Err(Failed::InDoubt(_)) => {}
                Ok(answer) => return Ok(answer),
            }
        }
        self.wait(id, self.deadline).await
    }

    /// The answer to the question that an earlier request with this key has asked. `None` where this is the first, or
    /// nothing came of the others.
    async fn earlier(
        &self,
        question: &Question,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Answer>, ApiError> {
        let meaning =
            serde_json::to_vec(&question.ask).map_err(|error| ApiError::internal().caused_by(error))?;
        let asked = Asked {
            bytes: &meaning,
            meaning: &meaning,
            form: FORM,
        };
        for _ in 0..2 {
            let keys = &self.state.idempotency;
            let first = match keys.claim(self.instance.id, key, asked, question.id, now).await? {
                Claim::New => return Ok(None),
                Claim::OtherRequest => return Err(other_request()),
                Claim::Known { first, .. } => first,
            };
            // It waits no longer than whoever asked first.
            let age = (now - first.created_at()).to_std().unwrap_or_default();
            let left = self.state.daemon_answer.saturating_sub(age);
            let until = self.deadline.min(Instant::now() + left);
            match self.wait(first, until).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(Failed::InDoubt(error)) => return Err(error),
                Err(Failed::Undone(_)) => self.release(key, first).await,
            }
        }
        Err(ApiError::unavailable(1))
    }

    /// A request that came to nothing leaves its key to the next one.
    async fn release(&self, key: &str, question: QuestionId) {
        let released = self
            .state
            .idempotency
            .release(self.instance.id, key, question)
            .await;
        if let Err(error) = released {
            log::went_wrong(&error.into(), "an idempotency key stands for nothing");
        }
    }

    /// Sends a question, and again where it is not known whether it is in the queue: one that is there twice is done once.
    async fn send(&self, queue: &QueueName, query: &Query) -> Result<(), QueueError> {
        let message = OutgoingMessage::standard(payload::encode(query));
        let mut sends = 0;
        loop {
            sends += 1;
            let until = self.deadline.min(Instant::now() + SEND_DEADLINE);
            let error = match timeout_at(until, self.state.queue.send(queue, message.clone())).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => QueueError::Timeout { operation: "send" },
            };
            if sends == SENDS || error.nature().is_permanent() {
                return Err(error);
            }
            tokio::time::sleep(SEND_AGAIN).await;
        }
    }

    /// Looks for the answer until it is there, or the time is over.
    async fn wait(&self, id: QuestionId, until: Instant) -> Result<Answer, Failed> {
        let (mut pause, mut growth) = (FIRST_LOOK, 2 * GROWTH);
        while Instant::now() + pause < until {
            tokio::time::sleep(pause).await;
            (pause, growth) = ((pause + growth).min(LONGEST_LOOK), growth + GROWTH);
            let found = self
                .state
                .answers
                .get(self.instance.id, id, self.state.clock.now())
                .await;
            match found {
                Ok(None | Some(Progress::Begun)) => {}
                Ok(Some(progress)) => match self.open(id, progress).await {
                    Ok(read) => return read,
                    Err(error) if error.nature().is_permanent() => return Err(Failed::InDoubt(error.into())),
                    // It is there, and may open in a moment.
                    Err(_) => {}
                },
                Err(error) if error.nature().is_permanent() => return Err(Failed::InDoubt(error.into())),
                // The next look may find it.
                Err(_) => {}
            }
        }
        self.last_word(id).await
    }

    /// Nobody waits any longer: says whether somebody has begun.
    async fn last_word(&self, id: QuestionId) -> Result<Answer, Failed> {
        if !self.settles {
            return Err(Failed::Undone(too_late("unknown")));
        }
        let now = self.state.clock.now();
        let given_up = self
            .state
            .answers
            .give_up(self.instance.id, id, now + idempotency::TERM, now)
            .await;
        match given_up {
            Ok(progress) => self.read(id, progress).await,
            Err(error) => {
                log::went_wrong(&error.into(), "a question that was not answered is in doubt");
                Err(Failed::InDoubt(too_late("unknown")))
            }
        }
    }

    async fn read(&self, id: QuestionId, progress: Progress) -> Result<Answer, Failed> {
        match self.open(id, progress).await {
            Ok(read) => read,
            Err(error) if self.settles => {
                log::went_wrong(&error.into(), "the answer to a change cannot be opened");
                Err(Failed::InDoubt(too_late("unknown")))
            }
            Err(error) => Err(Failed::InDoubt(error.into())),
        }
    }

    /// What became of a question. An error where its answer cannot be opened.
    async fn open(&self, id: QuestionId, progress: Progress) -> Result<Result<Answer, Failed>, OpenError> {
        let sealed = match progress {
            Progress::Answered(sealed) => sealed,
            Progress::Begun => return Ok(Err(Failed::InDoubt(too_late("unknown")))),
            Progress::GivenUp => return Ok(Err(Failed::Undone(too_late("not_started")))),
        };
        let of = keys::answer(self.instance.id, id).path();
        let outcome = sealed::open::<Outcome>(&self.state.sealer, self.instance.id, &of, &sealed).await?;
        Ok(outcome.map_err(refused))
    }
}
