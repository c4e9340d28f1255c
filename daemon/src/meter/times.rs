//! How long something takes.

use std::time::Duration;

use prometheus::core::Metric as _;
use prometheus::{Histogram, HistogramOpts, proto};

/// The bounds, in seconds, between which times are counted: from a round trip to the day that a message may wait.
const BOUNDS: [f64; 14] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];

/// How long something takes: how many times lie within each bound, and their sum. To note a time is some atomic additions, and
/// waits for nobody.
#[derive(Debug, Clone)]
pub struct Times(Histogram);

impl Default for Times {
    fn default() -> Self {
        // Its name and its meaning are the page's (`crate::web::metrics`).
        let options = HistogramOpts::new("seconds", "Seconds.").buckets(BOUNDS.to_vec());
        Self(Histogram::with_opts(options).expect("the bounds rise"))
    }
}

impl Times {
    /// It took so long.
    pub fn note(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }

    /// How often it was noted.
    pub fn count(&self) -> u64 {
        self.0.get_sample_count()
    }

    /// All that was noted, as Prometheus has it.
    pub fn metric(&self) -> proto::Metric {
        self.0.metric()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_within_each_bound_that_it_keeps() {
        let times = Times::default();
        for millis in [20, 100, 2_000, 200_000_000] {
            times.note(Duration::from_millis(millis));
        }
        let noted = times.metric();
        let within: Vec<_> = noted
            .get_histogram()
            .get_bucket()
            .iter()
            .map(|bucket| (bucket.upper_bound().to_string(), bucket.cumulative_count()))
            .collect();
        assert_eq!(within.len(), BOUNDS.len());
        assert_eq!(within[0], ("0.1".to_owned(), 2));
        assert_eq!(within[3], ("1".to_owned(), 2));
        assert_eq!(within[4], ("2.5".to_owned(), 3));
        assert_eq!(within[13], ("86400".to_owned(), 3), "it waited for longer");
        assert_eq!(times.count(), 4);
    }
}
