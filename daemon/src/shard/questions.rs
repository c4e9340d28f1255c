//! Questions to an instance's socket: many are answered at once, each instance's within bounds, and none holds up a nudge
//! or another instance.
//!
//! | the question | is answered |
//! | --- | --- |
//! | reads | once it is its turn, as often as it comes; its first answer counts |
//! | changes something | once at most: it is deleted from the queue, then begun in the table ([`Answers::begin`]), then done |
//! | is past its time | not at all: nobody waits for it |
//!
//! A daemon that ends between these steps leaves a question that was not begun, which whoever asks finds out, or one that
//! was, of which nobody knows more.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use shared::domain::question::{Answer, Ask, Outcome, Question, Refusal, SealedAsk};
use shared::fault;
use shared::ids::InstanceId;
use shared::queue::Received;
use shared::queue::consumer::{Consumer, Done};
use shared::sealed;
use shared::storage::answers::{Answers, Claim};
use shared::storage::keys;
use shared::telemetry::chain;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::connection::AskError;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;
use crate::meter::QuestionEnd;
use crate::shard::fetching::Fetching;
use crate::shard::reading::Reader;

/// How many questions of an instance are answered at once. WhatsApp counts what an account asks.
const AT_ONCE: usize = 4;

/// How many more of them wait for their turn. What comes beyond that is refused.
const WAITING: usize = 28;

/// How long a question's deletion from the queue may take before it is begun.
const DELETE_DEADLINE: Duration = Duration::from_secs(2);

/// How long an answer may take to be sealed and stored.
const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// The pause before an answer is stored again that could not be.
const STORE_AGAIN: Duration = Duration::from_millis(100);

/// For how long a question rests in its queue that could not be opened.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// For how long WhatsApp is asked nothing more for an instance after a 429 that names no time.
const PAUSE: Duration = Duration::from_secs(30);

/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The questions of a shard.
#[derive(Debug)]
pub struct Questions {
    deps: Arc<Deps>,
    answers: Answers,
    consumer: Consumer,
    hold: Hold,
    links: Arc<Links>,
    tasks: TaskTracker,
    fetching: Arc<Fetching>,
    open: Mutex<HashMap<InstanceId, Arc<Turns>>>,
    /// Until when WhatsApp wants to be asked nothing for an instance.
    paused: Mutex<HashMap<InstanceId, Instant>>,
}

/// The questions of one instance that are in hand.
#[derive(Debug)]
struct Turns {
    /// Those that are asked now.
    running: Semaphore,
    /// Those and the ones that wait.
    places: Arc<Semaphore>,
}

/// What is to be done with a question that is in hand.
enum Turn<'a> {
    /// It may be begun.
    Come(SemaphorePermit<'a>),
    /// Its time is over.
    Over,
    /// The shard is given up: its next owner answers it.
    GivenUp,
}

impl Questions {
    /// The questions of a shard that is held, which `consumer` takes; they are answered in `tasks`.
    pub fn new(
        deps: Arc<Deps>,
        consumer: Consumer,
        hold: Hold,
        links: Arc<Links>,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            answers: Answers::new(deps.table.clone()),
            fetching: Fetching::new(deps.clone(), hold.clone(), links.clone(), tasks.clone()),
            deps,
            consumer,
            hold,
            links,
            tasks,
            open: Mutex::default(),
            paused: Mutex::default(),
        })
    }

    /// The same of a question that holds content. Where it cannot be opened now, it comes again.
    pub fn take_sealed(self: &Arc<Self>, received: Received, question: Question<SealedAsk>) {
        let questions = Arc::clone(self);
        self.tasks.spawn(async move {
            let id = question.id;
            let left = match sealed::question::open(&questions.deps.sealer, question).await {
                Ok(question) => return questions.take(received, question),
                Err(error) if error.nature().is_permanent() => {
                    error!(question.id = %id, error = %chain(&error), "dropped a question that does not open");
                    Done::Delete
                }
                Err(error) => {
                    warn!(question.id = %id, error = %chain(&error), "a question could not be opened");
                    Done::LeaveFor(OPEN_AGAIN)
                }
            };
            questions.consumer.settle(&received.receipt, left).await;
        });
    }

    /// Takes a question that was received, and answers it in a task of its own.
    pub fn take(self: &Arc<Self>, received: Received, question: Question) {
        let turns = self.turns_of(question.instance);
        // A file takes as long as it is large, and WhatsApp counts none. How many are under way is bounded where they are fetched.
        let needs_place = !matches!(question.ask, Ask::FetchMedia(_));
        let place = needs_place.then(|| Arc::clone(&turns.places).try_acquire_owned());
        let questions = Arc::clone(self);
        self.tasks.spawn(async move {
            let answering = async {
                if questions.links.now(question.instance).is_none() {
                    questions
                        .refuse(&received, &question, Refusal::NotConnected)
                        .await;
                } else if matches!(place, Some(Err(_))) {
                    questions.refuse(&received, &question, Refusal::Busy).await;
                } else if question.ask.changes() {
                    Box::pin(questions.change(&turns, &received, &question)).await;
                } else {
                    let reading = Box::pin(questions.read(&turns, &question));
                    questions.consumer.finish(&received, reading).await;
                }
            };
            tokio::select! {
                // Whoever has the shard now writes of it, or nobody.
                () = questions.hold.fence.revoked() => {}
                answered = AssertUnwindSafe(answering).catch_unwind() => if answered.is_err() {
                    // The panic hook has logged what it was. What reads comes again, and what was begun stays in doubt.
                    error!(question.id = %question.id, "answering a question ended in a panic");
                }
            }
            drop(place);
            questions.close(question.instance, turns);
        });
    }

    async fn read(&self, turns: &Turns, question: &Question) -> Done {
        if let Ask::FetchMedia(ask) = &question.ask {
            // It takes no turn either: it was given no place.
            let left = self.time_left(question);
            if left.is_zero() {
                return self.late();
            }
            let outcome = self.fetching.answer(question.instance, ask, left).await;
            self.store(question, None, &outcome).await;
            return Done::Delete;
        }
        let _turn = match self.turn(turns, question).await {
            Turn::Come(turn) => turn,
            Turn::Over => return self.late(),
            Turn::GivenUp => return Done::LeaveFor(Duration::ZERO),
        };
        // Nobody waits any longer for what is only read.
        let asking = tokio::time::timeout(self.time_left(question), self.ask(question));
        let Ok(outcome) = asking.await else {
            return self.late();
        };
        self.store(question, None, &outcome).await;
        Done::Delete
    }

    async fn change(&self, turns: &Turns, received: &Received, question: &Question) {
        let left = match self.turn(turns, question).await {
            Turn::Come(turn) => {
                if let Some(claim) = self.begin(received, question).await {
                    fault::point("after-begin");
                    let outcome = self.ask(question).await;
                    self.store(question, Some(&claim), &outcome).await;
                }
                drop(turn);
                return;
            }
            Turn::Over => self.late(),
            Turn::GivenUp => Done::LeaveFor(Duration::ZERO),
        };
        self.consumer.settle(&received.receipt, left).await;
    }

    /// What becomes of a question whose time is over.
    fn late(&self) -> Done {
        self.deps.meter.questions.add(QuestionEnd::Late);
        Done::Delete
    }

    /// Waits until a question may be begun.
    async fn turn<'a>(&self, turns: &'a Turns, question: &Question) -> Turn<'a> {
        let left = self.time_left(question);
        if left.is_zero() {
            let late = self.deps.clock.now() - question.answer_by;
            info!(question.id = %question.id, late_ms = late.num_milliseconds(), "dropped a question whose time is over");
            return Turn::Over;
        }
        tokio::select! {
            biased;
            () = self.hold.drain.cancelled() => Turn::GivenUp,
            turn = turns.running.acquire() => turn.map_or(Turn::GivenUp, Turn::Come),
            () = tokio::time::sleep(left) => Turn::Over,
        }
    }

    /// Deletes a question that changes something, and begins it. `None` where it is not to be done: it is past its time, was
    /// begun or given up before, or comes again.
    async fn begin(&self, received: &Received, question: &Question) -> Option<Claim> {
        let deleting = self.consumer.delete(&received.receipt);
        match tokio::time::timeout(DELETE_DEADLINE, deleting).await {
            Ok(Ok(())) => fault::point("after-question-delete"),
            Ok(Err(error)) => {
                warn!(question.id = %question.id, error = %chain(&error), "a question was not begun: it could not be deleted");
                return None;
            }
            Err(_) => {
                warn!(question.id = %question.id, "a question was not begun: it was not deleted in time");
                return None;
            }
        }
        if self.time_left(question).is_zero() {
            return None;
        }
        let begun = self
            .answers
            .begin(question.instance, question.id, question.keep_until)
            .await;
        match begun {
            Ok(claim) => claim,
            Err(error) => {
                warn!(question.id = %question.id, error = %chain(&error), "a question could not be begun");
                None
            }
        }
    }

    /// Asks the instance's socket, unless WhatsApp wants to be left alone.
    async fn ask(&self, question: &Question) -> Outcome {
        if let Some(left) = self.pause_left(question.instance) {
            return Err(Refusal::Throttled {
                seconds: Some(whole_seconds(left)),
            });
        }
        let link = self.links.now(question.instance).ok_or(Refusal::NotConnected)?;
        let answer = match &question.ask {
            Ask::ReadChat(asked) => {
                let reader = Reader::new(&self.deps, question.instance, link.connection.as_ref());
                reader.read(asked).await.map(Answer::from)
            }
            ask => link.connection.ask(ask).await,
        };
        let outcome = answer.map_err(|error| {
            info!(
                instance.id = %question.instance,
                question.id = %question.id,
                error = %chain(&error),
                "a question has no answer"
            );
            if let AskError::Throttled { after, .. } = &error {
                self.pause(question.instance, after.unwrap_or(PAUSE));
            }
            refusal(&error, question.ask.changes())
        });
        // What is said of people is remembered.
        let lessons = question.ask.lessons(&outcome);
        if !lessons.is_empty() {
            let people = &self.deps.people;
            people.find(question.instance, &self.hold.fence, &lessons);
        }
        outcome
    }

    /// For how long nothing is asked of WhatsApp for this instance.
    fn pause_left(&self, instance: InstanceId) -> Option<Duration> {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let left = paused.get(&instance)?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn pause(&self, instance: InstanceId, pause: Duration) {
        let now = Instant::now();
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.retain(|_, until| *until > now);
        let until = now + pause.min(LONGEST_PAUSE);
        let longest = paused.entry(instance).or_insert(until);
        *longest = until.max(*longest);
    }

    async fn refuse(&self, received: &Received, question: &Question, refusal: Refusal) {
        let done = if self.time_left(question).is_zero() {
            self.late()
        } else {
            self.store(question, None, &Err(refusal)).await;
            Done::Delete
        };
        self.consumer.settle(&received.receipt, done).await;
    }

    /// Stores an outcome, for as long as somebody may wait for it.
    async fn store(&self, question: &Question, claim: Option<&Claim>, outcome: &Outcome) {
        self.deps.meter.questions.add(QuestionEnd::of(outcome));
        let storing = async {
            loop {
                match self.store_once(question, claim, outcome).await {
                    Ok(true) => return,
                    Ok(false) => {
                        debug!(question.id = %question.id, "an answer came late, or twice");
                        return;
                    }
                    Err(error) => {
                        warn!(question.id = %question.id, error = %chain(error.as_ref()), "an answer could not be stored");
                    }
                }
                tokio::time::sleep(STORE_AGAIN).await;
            }
        };
        if tokio::time::timeout(STORE_DEADLINE, storing).await.is_err() {
            warn!(question.id = %question.id, "an answer was not stored in time");
        }
    }

    async fn store_once(
        &self,
        question: &Question,
        claim: Option<&Claim>,
        outcome: &Outcome,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let (instance, id) = (question.instance, question.id);
        let of = keys::answer(instance, id).path();
        let sealed = sealed::seal(&self.deps.sealer, instance, &of, outcome).await?;
        let stored = self
            .answers
            .answer(instance, id, claim, &sealed, question.keep_until);
        Ok(stored.await?)
    }

    /// For how long somebody waits for the answer.
    fn time_left(&self, question: &Question) -> Duration {
        (question.answer_by - self.deps.clock.now())
            .to_std()
            .unwrap_or_default()
    }

    fn turns_of(&self, instance: InstanceId) -> Arc<Turns> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = open.entry(instance).or_insert_with(|| {
            Arc::new(Turns {
                running: Semaphore::new(AT_ONCE),
                places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            })
        });
        Arc::clone(turns)
    }

    /// Forgets an instance of which no question is in hand any more.
    fn close(&self, instance: InstanceId, turns: Arc<Turns>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turns);
        if open
            .get(&instance)
            .is_some_and(|turns| Arc::strong_count(turns) == 1)
        {
            open.remove(&instance);
        }
    }
}

/// What whoever asked is told of an error. What only reads leaves no doubt: nothing was done.
fn refusal(error: &AskError, changes: bool) -> Refusal {
    match error {
        AskError::NotConnected => Refusal::NotConnected,
        AskError::InDoubt if changes => Refusal::InDoubt,
        AskError::InDoubt | AskError::Unavailable(_) => Refusal::Unavailable,
        AskError::Throttled { after, .. } => Refusal::Throttled {
            seconds: after.map(whole_seconds),
        },
        AskError::NotOnWhatsapp => Refusal::NotOnWhatsapp,
        AskError::NoGroup => Refusal::NoGroup,
        AskError::NotAMember => Refusal::NotAMember,
        AskError::NotAnAdmin => Refusal::NotAnAdmin,
        AskError::NoInvite => Refusal::NoInvite,
        AskError::Already => Refusal::Already,
        AskError::NotAnImage => Refusal::NotAnImage,
        AskError::Refused { code, .. } => Refusal::Refused { code: *code },
    }
}

fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}
