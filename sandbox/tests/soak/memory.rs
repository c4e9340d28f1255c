//! The memory of this process.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;

/// Windows of the second half; the first and the last are compared.
const WINDOWS: usize = 4;

/// Pages of Linux on the machines that this runs on.
const PAGE: f64 = 4096.0;

/// The resident memory of this process, in megabytes.
pub fn resident_mb() -> anyhow::Result<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("the process's memory")?;
    let pages: f64 = statm
        .split(' ')
        .nth(1)
        .context("no resident pages")?
        .parse()
        .context("resident pages")?;
    Ok(pages * PAGE / 1e6)
}

/// Memory over time.
pub struct Samples(Vec<f64>);

/// Samples for that long, four times a second.
pub async fn sample(length: Duration) -> anyhow::Result<Samples> {
    let step = Duration::from_millis(250);
    let count = length.as_millis() / step.as_millis();
    let mut samples = Vec::with_capacity(usize::try_from(count)?);
    let mut ticks = tokio::time::interval(step);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..count {
        ticks.tick().await;
        samples.push(resident_mb()?);
    }
    Ok(Samples(samples))
}

impl Samples {
    /// The means of the second half's windows.
    fn windows(&self) -> Vec<f64> {
        let half = &self.0[self.0.len() / 2..];
        half.chunks_exact((half.len() / WINDOWS).max(1))
            .map(mean)
            .collect()
    }

    /// From the first window of the second half to its last, in per cent.
    pub fn growth(&self) -> f64 {
        match self.windows().as_slice() {
            [first, .., last] => (last / first - 1.0) * 100.0,
            _ => 0.0,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are a few hundred samples")]
fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = &self.0[..self.0.len() / 2];
        writeln!(f, "memory, first half: {:.1} MB", mean(first))?;
        for (number, window) in self.windows().iter().enumerate() {
            writeln!(
                f,
                "memory, window {} of the second half: {window:.1} MB",
                number + 1
            )?;
        }
        writeln!(f, "growth in the second half: {:.2} %", self.growth())
    }
}
