//! Traces, as OpenTelemetry has them: a tree of spans that leads from a request over the queue to what a daemon does with the
//! message, and from there over the queue of events to the webhook. Off unless a collector is named
//! ([`config::traces`](crate::config::traces())), and then nothing is made, carried or sent.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`context`] | what names a span, and is carried in headers and payloads (W3C Trace Context) |
//! | [`span`] | a span while it lasts, and its record |
//! | [`sampler`] | which traces are recorded |
//! | [`export`] | the bounded queue of records, and the task that sends them |
//! | [`queues`] | the spans of messages in queues |
//! | `otlp` | their form: OTLP as JSON |
//!
//! Nothing waits for a collector but the end of a process or of a Lambda invocation, and that for a moment ([`flush`]). A span says
//! which route, queue, message or event it is of, and what came of it: no names or numbers of people, no words of theirs, no keys,
//! no URLs.
//!
//! These few hundred lines are our own. OpenTelemetry's crates would bring a dozen others, a second encoding (protobuf), and threads of
//! their own, which a function that is frozen between two requests cannot count on.

pub mod context;
pub mod export;
mod otlp;
pub mod queues;
pub mod sampler;
pub mod span;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use self::context::TraceContext;
pub use self::export::Counts;
use self::export::Queue;
pub use self::sampler::Sampler;
pub use self::span::{Kind, Span};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, ConfigError, Traces};

/// How long the collector may take to take the last traces of a process.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Begins spans. One that is off begins none.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<On>>);

#[derive(Debug)]
struct On {
    sampler: Sampler,
    clock: Arc<dyn Clock>,
    queue: Queue,
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable is not what it should be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client for traces cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Starts the tracing of this process, where the environment names a collector. Called once, by `main`, on the runtime that is to send
/// the traces. `service` is the service's name where `OTEL_SERVICE_NAME` says none.
pub fn start(service: &str) -> Result<(), StartError> {
    let Some(settings) = config::traces()? else {
        return Ok(());
    };
    let tracer = Tracer::to(&settings, service, Arc::new(SystemClock))?;
    let host = settings.endpoint.host_str().unwrap_or_default();
    tracing::info!(host, "traces go to a collector");
    // A process has one tracer: a second one is not used.
    let _ = TRACER.set(tracer);
    Ok(())
}

/// The tracer of this process.
pub fn tracer() -> &'static Tracer {
    static OFF: Tracer = Tracer(None);
    TRACER.get().unwrap_or(&OFF)
}

/// Whether anything is traced in this process.
pub fn is_on() -> bool {
    tracer().0.is_some()
}

/// Sends what has ended so far. It takes as long as `patience` at most, and no time where there is nothing to send or the collector
/// was away a moment ago.
pub async fn flush(patience: Duration) {
    tracer().flush(patience).await;
}

/// Sends what has ended at the end of a process: it takes two seconds at most.
pub async fn end() {
    flush(LAST_MOMENTS).await;
}

/// Does something within a span: spans that begin in it are that span's children.
pub fn within<T>(context: Option<TraceContext>, doing: impl Future<Output = T>) -> impl Future<Output = T> {
    CURRENT.scope(context, doing)
}

/// The span within which this is called, if there is one.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok().flatten()
}

/// Begins a span within the current one.
pub fn begin(kind: Kind, name: impl FnOnce() -> String) -> Span {
    tracer().begin(kind, current(), name)
}

impl Tracer {
    /// One that sends to this collector, by a task of the runtime on which this is called.
    pub fn to(settings: &Traces, service: &str, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let queue = Queue::start(settings, service).map_err(StartError::Client)?;
        Ok(Self(Some(Arc::new(On {
            sampler: settings.sampler,
            clock,
            queue,
        }))))
    }

    /// Begins a span: a child of `parent`, where there is one, else the first of a trace. `name` is called only where the span is recorded.
    pub fn begin(&self, kind: Kind, parent: Option<TraceContext>, name: impl FnOnce() -> String) -> Span {
        let Some(on) = &self.0 else {
            return Span::default();
        };
        let context = TraceContext::under(parent.as_ref(), |trace| on.sampler.takes(parent.as_ref(), trace));
        if !context.is_sampled() {
            return Span::unrecorded(context);
        }
        Span::begun(
            context,
            parent.as_ref(),
            kind,
            name(),
            on.clock.now(),
            on.queue.clone(),
        )
    }

    /// See [`flush`].
    pub async fn flush(&self, patience: Duration) {
        if let Some(on) = &self.0 {
            on.queue.flush(patience).await;
        }
    }

    /// What became of spans; `None` where tracing is off.
    pub fn counts(&self) -> Option<Counts> {
        self.0.as_ref().map(|on| on.queue.counts())
    }
}
