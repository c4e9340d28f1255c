//! One task for each instance that is to be connected, its actor. It connects, shows codes to pair by, connects again
//! after a loss, and writes the status.

pub mod backoff;
mod book;
mod group_receipts;
pub mod inbound;
pub mod keeping;
pub mod link;
pub mod notices;
mod pairing;
mod passkey;
mod pausing;
mod pending;
mod push_names;
pub mod receipts;
mod session;
mod sorter;
pub mod starts;
mod status;
pub mod tally;
mod targets;
mod telling;
mod throttle;
mod unlinking;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use shared::domain::instance::{Instance, PairingRequest, Status};
use shared::domain::passkey::PasskeyAnswer;
use shared::domain::reason::Reason;
use shared::ids::{InstanceId, SubscriptionId};
use shared::session_state::Fence;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::backoff::{Backoff, Next};
use self::link::Links;
use self::notices::Notices;
use self::push_names::PushNames;
use self::receipts::Receipts;
use self::session::{Ended, Outcome, run_session};
use self::starts::{LONGEST_START, Start};
use self::status::Observer;
use crate::deps::Deps;
use crate::stop::{Answer, Course, Stop};

/// Keeps one instance connected, until it is told to stop or cannot go on.
#[derive(Debug)]
pub struct Actor {
    deps: Arc<Deps>,
    id: InstanceId,
    subscription: SubscriptionId,
    fence: Fence,
    links: Arc<Links>,
    receipts: Receipts,
    notices: Notices,
    push_names: Arc<PushNames>,
    stop: CancellationToken,
    unlink: CancellationToken,
    wake: Arc<Notify>,
    /// What the account's owner answers to a request for a passkey.
    passkey_answers: watch::Receiver<Option<PasskeyAnswer>>,
    observer: Observer,
    /// By which code the instance is to be paired; `None` for QR codes.
    pairing: Option<PairingRequest>,
    /// Whether a pairing code was shown for this request, which gets only one.
    code_shown: bool,
    /// Whether no attempt has answered its request yet.
    asked_anew: bool,
    /// Whether somebody waits for what comes of the next attempt.
    is_awaited: bool,
    /// Until when it is of use to unlink the instance.
    unlink_until: Option<DateTime<Utc>>,
}

/// A running actor.
#[derive(Debug)]
pub struct ActorHandle {
    /// The latest request that it was told of, which it answers.
    generation: Arc<AtomicU64>,
    /// Asks it to disconnect in order and end.
    pub stop: CancellationToken,
    /// If this is cancelled, a session that is logged in unlinks the instance from its phone as it ends.
    pub unlink: CancellationToken,
    /// Whether it was started only to unlink the instance.
    pub only_unlinks: bool,
    /// Whether it pairs by a code and not by QR, if it has to pair.
    pub pairs_by_code: bool,
    /// Ends the pause before its next attempt.
    pub wake: Arc<Notify>,
    passkey_answers: watch::Sender<Option<PasskeyAnswer>>,
    /// Cancelled when it has ended.
    pub ended: CancellationToken,
    /// Its task.
    pub task: tokio::task::JoinHandle<()>,
}

impl Actor {
    /// Starts the actor of an instance under a shard's lease.
    pub fn start(deps: Arc<Deps>, instance: &Instance, fence: Fence, links: Arc<Links>) -> ActorHandle {
        Self::start_for(deps, instance, fence, links, false)
    }

    /// Starts an actor that makes sessions only to unlink the instance from its phone, and ends when that is done.
    pub fn start_to_unlink(
        deps: Arc<Deps>,
        instance: &Instance,
        fence: Fence,
        links: Arc<Links>,
    ) -> ActorHandle {
        Self::start_for(deps, instance, fence, links, true)
    }

    fn start_for(
        deps: Arc<Deps>,
        instance: &Instance,
        fence: Fence,
        links: Arc<Links>,
        only_unlinks: bool,
    ) -> ActorHandle {
        let unlink = CancellationToken::new();
        if only_unlinks {
            unlink.cancel();
        }
        let stop = CancellationToken::new();
        let wake = Arc::new(Notify::new());
        let (passkey_answers, answered) = watch::channel(None);
        let generation = Arc::new(AtomicU64::new(instance.desired.generation));
        let pairing = instance.desired.pairing.clone().filter(|_| !only_unlinks);
        let pairs_by_code = pairing.is_some();
        let (receipts, storing) = receipts::start(deps.clone(), instance.id, links.clone(), fence.clone());
        let (notices, telling) = notices::start(deps.clone(), instance.id, links.clone(), fence.clone());
        let mut actor = Self {
            observer: Observer::new(deps.clone(), instance, fence.clone(), generation.clone()),
            deps,
            id: instance.id,
            subscription: instance.subscription,
            fence,
            links,
            receipts,
            notices,
            push_names: Arc::default(),
            stop: stop.clone(),
            unlink: unlink.clone(),
            wake: wake.clone(),
            passkey_answers: answered,
            pairing,
            asked_anew: instance.observed.generation < instance.desired.generation,
            // The shard's last owner may have shown it.
            code_shown: instance.observed.status == Status::AwaitingPairingCode
                && instance.observed.generation == instance.desired.generation,
            is_awaited: instance.account.is_none()
                || instance.observed.generation < instance.desired.generation,
            unlink_until: instance.unlink_until(),
        };
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let session = actor.deps.meter.sessions.count(1);
        let task = tokio::spawn(async move {
            let _guard = guard;
            let _session = session;
            if only_unlinks {
                actor.run_to_unlink().await;
            } else {
                actor.run().await;
            }
            drop(actor);
            // What was acknowledged to WhatsApp is stored before the shard is given up.
            tokio::join!(storing.finish(), telling.finish());
        });
        ActorHandle {
            generation,
            stop,
            unlink,
            only_unlinks,
            pairs_by_code,
            wake,
            passkey_answers,
            ended,
            task,
        }
    }

    async fn run(&mut self) {
        self.heed_request();
        if self.wait_out_pause().await.is_break() {
            return;
        }
        let mut backoff = Backoff::default();
        loop {
            let is_awaited = self.is_awaited || !self.observer.is_paired();
            let Some(start) = self.begin(is_awaited).await else {
                return;
            };
            if !self.observer.set(self.connecting(), None).await {
                // A task that waits for the table keeps no place.
                start.over();
                if self.settle(self.connecting(), None).await.is_break() {
                    return;
                }
                continue;
            }
            self.is_awaited = false;
            let (outcome, is_news) = self.session(start).await;
            let lasted = outcome.connected_at.map(|at| at.elapsed());
            let pausing = match self.answer(outcome.ended) {
                Answered::Over => {
                    // What writes the next status goes by the item.
                    if is_news || self.observer.owes_account() {
                        self.settle_noted().await;
                    }
                    return;
                }
                Answered::End(status, reason) => {
                    info!(instance.id = %self.id, status = %status, %reason, "the session has ended for good");
                    self.deps.meter.ended.add(status);
                    match self.settle_end(status, reason).await {
                        ControlFlow::Break(()) => return,
                        ControlFlow::Continue(()) => {
                            self.is_awaited = true;
                            continue;
                        }
                    }
                }
                // The look that follows its end sees to the rest.
                Answered::Lost | Answered::Pause if self.unlink.is_cancelled() => {
                    self.settle_noted().await;
                    return;
                }
                Answered::Lost => {
                    let pause = backoff.after_loss(lasted, rand::random());
                    self.pause(&mut backoff, pause).await
                }
                Answered::Pause => self.wait_out_pause().await,
            };
            if pausing.is_break() {
                return;
            }
        }
    }

    /// Waits until a session may begin; `None` where this actor is to end before.
    async fn begin(&self, is_awaited: bool) -> Option<Start> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = self.fence.revoked() => None,
            start = self.deps.starts.begin(is_awaited) => Some(start),
        }
    }

    /// Runs a session to its end. The place in which it began is freed when it is connected, shows a code, or has
    /// taken too long. Also answers whether it had a later round trip than was known.
    async fn session(&mut self, start: Start) -> (Outcome, bool) {
        self.observer.begins(start.clone());
        let outcome = {
            let mut session = std::pin::pin!(run_session(self));
            tokio::select! {
                outcome = &mut session => outcome,
                () = tokio::time::sleep(LONGEST_START) => {
                    start.over();
                    session.await
                }
            }
        };
        start.over();
        self.links.set(self.id, None);
        let round_trip = self.deps.round_trips.forget(self.id);
        let is_news = round_trip.is_some_and(|at| self.observer.note_round_trip(at));
        (outcome, is_news)
    }

    /// What follows the end of a session. Notes what the next status is to tell of it.
    fn answer(&mut self, ended: Ended) -> Answered {
        let stop = match ended {
            Ended::Stopped | Ended::Lost => return Answered::Over,
            Ended::For(status, reason) => return Answered::End(status, reason),
            Ended::Dropped(said) => Stop {
                answer: Answer::Return(Course::Lost),
                said,
                blames_wire: false,
            },
            Ended::Told(stop) => stop,
        };
        warn!(instance.id = %self.id, why = stop.said, "the connection is lost");
        self.observer.note_error(stop.said);
        let course = match stop.answer {
            Answer::End(status, reason) => return Answered::End(status, reason),
            Answer::Return(course) => course,
        };
        let (last, now) = (self.observer.pause(), self.deps.clock.now());
        let answered = match backoff::after_stop(course, last, now, rand::random()) {
            None => Answered::Lost,
            Some(Next::End(status, reason)) => return Answered::End(status, reason),
            Some(Next::Pause(pause)) => {
                self.observer.note_pause(pause);
                Answered::Pause
            }
        };
        self.deps.meter.reconnects.add(course);
        answered
    }

    /// The status of an instance that is being connected.
    fn connecting(&self) -> Status {
        if self.observer.is_paired() {
            Status::Reconnecting
        } else {
            Status::Connecting
        }
    }
}

impl ActorHandle {
    /// The request that it answers.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Hands it what the account's owner has answered to a request for a passkey, once.
    pub fn tell_answer(&self, answer: Option<&PasskeyAnswer>) {
        self.passkey_answers.send_if_modified(|last| {
            let is_new = last.as_ref() != answer;
            if is_new {
                *last = answer.cloned();
            }
            is_new
        });
    }

    /// Tells it of a later request. The present attempt answers that one too; a pause before the next attempt is cut
    /// short.
    pub fn tell(&self, generation: u64) {
        self.generation.fetch_max(generation, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

/// What follows the end of a session.
enum Answered {
    /// This owner is done with the instance.
    Over,
    /// Nothing happens until someone asks again.
    End(Status, Reason),
    /// Another session, soon.
    Lost,
    /// Another session, after the pause that was noted.
    Pause,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lean::{MOST, size_of_future};

    #[test]
    fn an_actor_that_waits_takes_little_memory() {
        // What a session waits for is within.
        let most = MOST + MOST / 2;
        let connecting = size_of_future(Actor::run);
        assert!(connecting <= most, "{connecting} bytes");
        let unlinking = size_of_future(Actor::run_to_unlink);
        assert!(unlinking <= most, "{unlinking} bytes");
        let actor = size_of::<Actor>();
        assert!(actor <= MOST / 2, "{actor} bytes");
    }
}
