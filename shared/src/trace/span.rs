//! A span while it lasts, and its record.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::TraceContext;
use super::export::Queue;

/// What a span is to the one that began it (OpenTelemetry's `SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request is answered.
    Server,
    /// A request is made.
    Client,
    /// A message is put into a queue.
    Producer,
    /// A message of a queue is worked on.
    Consumer,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The span.
    pub context: TraceContext,
    /// The id of its parent, where it has one.
    pub parent: Option<[u8; 8]>,
    /// What it is to its parent.
    pub kind: Kind,
    /// Its name. There are few names: no ids are in them.
    pub name: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// Its attributes.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, where it has.
    pub failure: Option<Cow<'static, str>>,
}

/// A span, until it is dropped. One that is not recorded costs nothing more than its context.
#[derive(Debug, Default)]
pub struct Span {
    context: Option<TraceContext>,
    live: Option<Box<Live>>,
}

#[derive(Debug)]
struct Live {
    record: Record,
    began: Instant,
    queue: Queue,
}

impl Span {
    /// One that is not recorded, and neither is what comes of it.
    pub(super) fn unrecorded(context: TraceContext) -> Self {
        Self {
            context: Some(context),
            live: None,
        }
    }

    /// One that is recorded, into this queue.
    pub(super) fn begun(
        context: TraceContext,
        parent: Option<&TraceContext>,
        kind: Kind,
        name: String,
        began_at: DateTime<Utc>,
        queue: Queue,
    ) -> Self {
        let record = Record {
            context,
            parent: parent.map(|parent| *parent.span()),
            kind,
            name,
            began_at,
            took: Duration::ZERO,
            attributes: Vec::new(),
            failure: None,
        };
        Self {
            context: Some(context),
            live: Some(Box::new(Live {
                record,
                began: Instant::now(),
                queue,
            })),
        }
    }

    /// What names it, for whoever goes on with its trace; `None` where tracing is off.
    pub fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Whether it is recorded. One that is not needs no attributes.
    pub fn is_recorded(&self) -> bool {
        self.live.is_some()
    }

    /// Gives it an attribute. Nothing of people goes in: no names, numbers, words, keys or URLs.
    pub fn say(&mut self, what: &'static str, value: impl Into<Value>) {
        if let Some(live) = &mut self.live {
            live.record.attributes.push((what, value.into()));
        }
    }

    /// The same with the text of a value.
    pub fn show(&mut self, what: &'static str, shown: &impl fmt::Display) {
        if let Some(live) = &mut self.live {
            let value = Value::from(shown.to_string());
            live.record.attributes.push((what, value));
        }
    }

    /// It has failed. `why` is a code, one of few.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(live) = &mut self.live {
            let why = why.into();
            live.record
                .attributes
                .push(("error.type", Value::Text(why.clone())));
            live.record.failure = Some(why);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            let Live {
                mut record,
                began,
                queue,
            } = *live;
            record.took = began.elapsed();
            queue.put(record);
        }
    }
}
