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
//! that nothing was done, the request counts as the first again. Requests are told apart by what they say, never by what was
//! known of people when they came: a question names a person as the directory does, and that changes.

mod once;
mod refused;
mod socket;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::question::{AnotherAnswer, Answer, Asks, Outcome, Question};
use shared::ids::QuestionId;
use shared::queue::{OutgoingMessage, QueueError, QueueName};
use shared::sealed::{self, OpenError};
use shared::storage::answers::Progress;
use shared::storage::idempotency;
use shared::storage::keys;
use tokio::time::{Instant, timeout_at};

use self::once::Once;
use self::refused::{Failed, not_connected, refused, too_late};
pub use self::socket::{OnceSocket, Socket};
use crate::http::caller::KeyHolder;
use crate::http::{ApiError, Replayable, Reply, log};
use crate::messaging::MessagingState;

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

/// Asks the caller's instance. `ask` is why nothing can be asked, where something is wrong with the request: then it has the
/// answer of an earlier request that said the same, if there is any.
async fn ask<A: Asks>(
    state: &MessagingState,
    caller: &KeyHolder,
    ask: Result<A, ApiError>,
    once: Option<&Once>,
) -> Result<Told<A::Answer>, ApiError> {
    let deadline = Instant::now() + state.daemon_answer;
    let now = state.clock.now();
    let ask = match (ask, once) {
        (Ok(ask), _) => ask,
        (Err(error), None) => return Err(error),
        (Err(error), Some(once)) => {
            let Some(first) = once.look(state, caller.grant.instance, now).await? else {
                return Err(error);
            };
            let instance = find_instance(state, caller, now).await?;
            let asking = Asking {
                state,
                instance: &instance,
                settles: true,
                deadline,
            };
            return match asking.of_first(first, now).await {
                Ok(answer) => told(answer, true),
                Err(Failed::InDoubt(doubt)) => Err(doubt),
                Err(Failed::Undone(_)) => Err(error),
            };
        }
    };
    let instance = find_instance(state, caller, now).await?;
    let question = Question {
        id: QuestionId::new(now),
        instance: instance.id,
        answer_by: now,
        keep_until: now + if once.is_some() { idempotency::TERM } else { KEPT },
        ask: ask.into(),
    };
    let asking = Asking {
        state,
        instance: &instance,
        settles: A::CHANGES || once.is_some(),
        deadline,
    };
    let (answer, is_replay) = asking.answer(question, once, now).await?;
    told(answer, is_replay)
}

fn told<A: TryFrom<Answer>>(answer: Answer, is_replay: bool) -> Result<Told<A>, ApiError> {
    let answer = answer
        .try_into()
        .map_err(|_| ApiError::internal().caused_by(AnotherAnswer))?;
    Ok(Told { answer, is_replay })
}

/// The instance as it was a moment ago; as it is now, where that would refuse the question.
async fn find_instance(
    state: &MessagingState,
    caller: &KeyHolder,
    now: DateTime<Utc>,
) -> Result<Instance, ApiError> {
    let recent = caller.recent_instance(&state.instances, now).await?;
    if let Some(instance) = recent.filter(is_connected) {
        return Ok(instance);
    }
    let (subscription, instance) = (caller.subscription.id, caller.grant.instance);
    let found = state.instances.get(subscription, instance).await?;
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
        once: Option<&Once>,
        now: DateTime<Utc>,
    ) -> Result<(Answer, bool), ApiError> {
        let Some(once) = once else {
            let answer = self.anew(question).await.map_err(Failed::error)?;
            return Ok((answer, false));
        };
        if let Some(answer) = self.earlier(&question, once, now).await? {
            return Ok((answer, true));
        }
        let id = question.id;
        match self.anew(question).await {
            Ok(answer) => Ok((answer, false)),
            Err(Failed::Undone(error)) => {
                once.release(self.state, self.instance.id, id).await;
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
        once: &Once,
        now: DateTime<Utc>,
    ) -> Result<Option<Answer>, ApiError> {
        for _ in 0..2 {
            let ask = Some(&question.ask);
            let claim = once.claim(self.state, self.instance.id, ask, question.id, now);
            let Some(first) = claim.await? else {
                return Ok(None);
            };
            match self.of_first(first, now).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(Failed::InDoubt(error)) => return Err(error),
                Err(Failed::Undone(_)) => once.release(self.state, self.instance.id, first).await,
            }
        }
        Err(ApiError::unavailable(1))
    }

    /// The answer to the question that the first request with a key has asked. It is waited for no longer than by whoever asked.
    async fn of_first(&self, first: QuestionId, now: DateTime<Utc>) -> Result<Answer, Failed> {
        let age = (now - first.created_at()).to_std().unwrap_or_default();
        let left = self.state.daemon_answer.saturating_sub(age);
        self.wait(first, self.deadline.min(Instant::now() + left)).await
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
