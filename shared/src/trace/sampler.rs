//! Which traces are recorded: the samplers of OpenTelemetry that `OTEL_TRACES_SAMPLER` names.

use super::TraceContext;

/// Says whether a trace is recorded. The share goes by the trace's id, so all processes with the same share agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// A trace is recorded where its number, of 63 bits, is below this.
    below: u64,
    follows_parent: bool,
}

impl Sampler {
    /// Records this share of traces, from 0 to 1. One that `follows_parent` does so with traces that begin here alone; a span with a
    /// parent is recorded where its parent is.
    pub fn new(share: f64, follows_parent: bool) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 0 to 2^63"
        )]
        let below = (share.clamp(0.0, 1.0) * 2f64.powi(63)) as u64;
        Self {
            below,
            follows_parent,
        }
    }

    /// Whether it records a span of this trace, which is a child of `parent` where there is one.
    pub fn takes(self, parent: Option<&TraceContext>, trace: &[u8; 16]) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.is_sampled(),
            _ => number(trace) < self.below,
        }
    }
}

impl Default for Sampler {
    /// `parentbased_always_on`, as OpenTelemetry has it.
    fn default() -> Self {
        Self::new(1.0, true)
    }
}

/// A trace's number: the end of its id, where it is random.
fn number(trace: &[u8; 16]) -> u64 {
    let mut end = [0; 8];
    end.copy_from_slice(&trace[8..]);
    u64::from_be_bytes(end) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(is_sampled: bool) -> TraceContext {
        TraceContext::under(None, |_| is_sampled)
    }

    #[test]
    fn a_share_goes_by_the_traces_id() {
        let low = [0; 16];
        let high = [0xff; 16];
        let half = |trace: &[u8; 16]| Sampler::new(0.5, false).takes(None, trace);
        assert!(half(&low) && !half(&high));
        assert!(!Sampler::new(0.0, true).takes(None, &low));
        assert!(Sampler::new(1.0, true).takes(None, &high));
    }

    #[test]
    fn a_parent_counts_where_it_is_followed() {
        let trace = [0xff; 16];
        for is_sampled in [true, false] {
            let parent = context(is_sampled);
            assert_eq!(Sampler::new(0.0, true).takes(Some(&parent), &trace), is_sampled);
            assert!(!Sampler::new(0.0, false).takes(Some(&parent), &trace));
            assert!(Sampler::new(1.0, false).takes(Some(&parent), &trace));
        }
    }
}
