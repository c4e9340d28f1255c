//! What names a span, for whoever goes on with its trace: W3C Trace Context, <https://www.w3.org/TR/trace-context/>. It goes in the
//! header `traceparent`, and in payloads of queues in the same form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The header that carries it.
pub const HEADER: &str = "traceparent";

/// Names a span, and says whether its trace is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    is_sampled: bool,
}

/// A text that names no span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be a `traceparent` as W3C Trace Context has it")]
pub struct NoContext;

impl TraceContext {
    /// A new span: within the trace of `parent`, or the first of a new trace. `takes` says whether a trace is recorded.
    pub fn under(parent: Option<&Self>, takes: impl FnOnce(&[u8; 16]) -> bool) -> Self {
        let trace = parent.map_or_else(random, |parent| parent.trace);
        Self {
            trace,
            span: random(),
            is_sampled: takes(&trace),
        }
    }

    /// The trace's id.
    pub const fn trace(&self) -> &[u8; 16] {
        &self.trace
    }

    /// The span's id.
    pub const fn span(&self) -> &[u8; 8] {
        &self.span
    }

    /// Whether the trace is recorded.
    pub const fn is_sampled(&self) -> bool {
        self.is_sampled
    }
}

/// Random bytes that are not all zero, which ids must not be.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    while bytes.iter().all(|byte| *byte == 0) {
        bytes = std::array::from_fn(|_| rand::random());
    }
    bytes
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(
            f,
            "00-{}-{}-{flags:02x}",
            hex::encode(self.trace),
            hex::encode(self.span)
        )
    }
}

impl FromStr for TraceContext {
    type Err = NoContext;

    fn from_str(text: &str) -> Result<Self, NoContext> {
        let mut parts = text.trim().split('-');
        let mut part = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length);
            part.filter(|part| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
                .ok_or(NoContext)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A later version may have more parts, and `ff` is no version.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(NoContext);
        }
        let mut context = Self {
            trace: [0; 16],
            span: [0; 8],
            is_sampled: u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1),
        };
        hex::decode_to_slice(trace, &mut context.trace).map_err(|_| NoContext)?;
        hex::decode_to_slice(span, &mut context.span).map_err(|_| NoContext)?;
        if context.trace == [0; 16] || context.span == [0; 8] {
            return Err(NoContext);
        }
        Ok(context)
    }
}

impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads one out of a payload. What cannot be read counts as none: no message is to fail for a trace.
pub fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TraceContext>, D::Error> {
    let carried = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(carried.and_then(|carried| carried.as_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_and_written_as_the_standard_has_it() {
        let context: TraceContext = EXAMPLE.parse().expect("the standard's own");
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), EXAMPLE);
        let quiet = EXAMPLE.replace("-01", "-00");
        assert!(!quiet.parse::<TraceContext>().expect("well-formed").is_sampled());
        let later = format!("{}-more", EXAMPLE.replacen("00", "01", 1));
        let later: TraceContext = later.parse().expect("a later version may have more");
        assert_eq!(later, context);
    }

    #[test]
    fn what_is_no_context_is_refused() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(NoContext), "{text}");
        }
    }

    #[test]
    fn a_child_is_of_its_parents_trace() {
        let parent: TraceContext = EXAMPLE.parse().expect("well-formed");
        let child = TraceContext::under(Some(&parent), |_| false);
        assert_eq!(child.trace(), parent.trace());
        assert_ne!(child.span(), parent.span());
        assert!(!child.is_sampled());
        let other = TraceContext::under(None, |_| true);
        assert_ne!(other.trace(), parent.trace());
    }
}
