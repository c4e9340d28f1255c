//! The spans of a message, where tracing is on. Each time its job is worked on there is one, within the trace that the job carries. Below
//! it each attempt has one, from the socket to the acknowledgement.

use shared::domain::job::SendJob;
use shared::domain::message::{Change, FailureCode, State};
use shared::queue::consumer::Done;
use shared::trace::{self, Kind, Span, queues};

use super::attempt::Attempt;
use super::journey::Journey;
use super::lanes::Job;
use super::send::Sender;
use crate::connection::SendError;

/// How a message's sending ended, as its span says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameTo {
    state: State,
    code: Option<FailureCode>,
}

impl CameTo {
    /// What this change says.
    pub fn of(change: &Change) -> Self {
        let failure = change.failure.as_ref();
        Self {
            state: change.state,
            code: failure.and_then(|failure| failure.code.parse().ok()),
        }
    }

    /// It failed with this code.
    pub const fn failed(code: FailureCode) -> Self {
        Self {
            state: State::Failed,
            code: Some(code),
        }
    }
}

impl Sender<'_> {
    /// Begins the span of working on a job.
    pub fn span_of(&self, job: &Job, send: &SendJob) -> Span {
        if !trace::is_on() {
            return Span::default();
        }
        let queue = self.deps.names.sends(self.hold.shard.0);
        let mut span = queues::working(&queue, send.trace);
        span.show("waxwing.message.id", &send.message);
        span.show("waxwing.message.kind", &send.kind);
        span.say("waxwing.receives", job.received.receive_count);
        span
    }
}

/// Says how it ended.
pub fn ended(mut span: Span, past: &Journey, done: Done) {
    span.say("waxwing.attempts", past.attempts);
    let outcome = match (&past.came_to, done) {
        (_, Done::LeaveFor(_)) => "waits",
        (Some(came_to), Done::Delete) => came_to.state.as_str(),
        // It waits elsewhere, or somebody else has done it.
        (None, Done::Delete) => "over",
    };
    span.say("waxwing.outcome", outcome);
    if let Some(CameTo { code: Some(code), .. }) = &past.came_to {
        span.fail(code.as_str());
    }
}

/// Begins the span of an attempt, within that of its job.
pub fn attempt(number: u32) -> Span {
    let mut span = trace::begin(Kind::Client, || "whatsapp send".to_owned());
    span.say("waxwing.attempt", number);
    span
}

/// Says what came of it.
pub fn attempted(mut span: Span, attempt: &Attempt) {
    match attempt {
        Attempt::Acknowledged => {}
        Attempt::Refused(error) => {
            span.say("waxwing.whatsapp.error", *error);
            span.fail("refused");
        }
        Attempt::Unanswered => span.fail("unanswered"),
        Attempt::CutShort { .. } => span.fail("connection_ended"),
        Attempt::Failed(SendError::Throttled { .. }) => span.fail("throttled"),
        Attempt::Failed(SendError::Refused(code)) => span.fail(code.as_str()),
        Attempt::Failed(_) => span.fail("not_sent"),
    }
}
