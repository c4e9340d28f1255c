//! Spans of messages in queues, as OpenTelemetry's conventions for messaging have them.

use super::{Kind, Span, TraceContext, begin, tracer};
use crate::queue::QueueName;

/// A message is put into a queue, within the current span. The message is to carry the new span's context.
pub fn sending(queue: &QueueName) -> Span {
    let mut span = begin(Kind::Producer, || format!("send {queue}"));
    span.say("messaging.operation.type", "send");
    span.show("messaging.destination.name", queue);
    span
}

/// A message of a queue is worked on. `carried` is the context that the message carries.
pub fn working(queue: &QueueName, carried: Option<TraceContext>) -> Span {
    let mut span = tracer().begin(Kind::Consumer, carried, || format!("process {queue}"));
    span.say("messaging.operation.type", "process");
    span.show("messaging.destination.name", queue);
    span
}
