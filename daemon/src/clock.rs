//! The time of day by the table, where the machine's clock is wrong.
//!
//! The table's service dates each answer, and its clock is right: AWS refuses requests that are signed by a clock far from it. A daemon
//! asks for the date now and then. Where the machine's clock is wrong by more than five seconds, the daemon goes by the last date and the
//! time that has passed since. So it does not matter what is done to the machine's clock meanwhile.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use shared::storage::Table;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// By how much the machine's clock must be wrong before it is corrected. A measurement is never as wrong as that. And it is less than what
/// does harm: a daemon that is behind by nine seconds is shown as dead, and one that is behind by twenty shows no QR code.
const LEAST: TimeDelta = TimeDelta::seconds(5);

/// The machine's clock counts as right again where it is wrong by no more than that.
const RIGHT: TimeDelta = TimeDelta::seconds(3);

/// A clock that seems wrong by more than that is not corrected: the table's may be the wrong one.
const MOST: TimeDelta = TimeDelta::days(1);

/// Two measurements agree where they differ by no more than that. Each may be wrong by half a second and half of its way.
const CLOSE: TimeDelta = TimeDelta::seconds(3);

/// How many measurements in a row must agree before the time that this clock tells makes a leap.
const AGREEING: u32 = 3;

/// How much time must pass from the first of them to the last. It is more than [`CLOSE`], so that dates which stand still do not agree.
const SPAN: Duration = Duration::from_secs(4);

/// How long an answer may take for its date to count: a slow one may have waited before it was read.
const LONGEST_WAY: Duration = Duration::from_secs(2);

/// How long the table may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The longest pause between two measurements, and the one after a measurement that differs from the time that this clock tells.
const PERIOD: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(2);

/// How long a daemon that begins waits until the time is sure.
const LONGEST_BEGIN: Duration = Duration::from_secs(20);

/// A clock that tells the right time where the machine's does not.
#[derive(Debug)]
pub struct TableClock {
    machine: Arc<dyn Clock>,
    known: RwLock<Known>,
}

/// What measurements have told.
#[derive(Debug, Default)]
struct Known {
    /// The last measurement, where the machine's clock is wrong.
    right: Option<Measured>,
    /// A leap that later measurements may confirm.
    leap: Option<Leap>,
}

/// Measurements in a row that agree with each other, and not with the time that this clock tells.
#[derive(Debug, Clone, Copy)]
struct Leap {
    first: Measured,
    /// How many there are.
    count: u32,
    /// Whether the log says already that they differ by too much.
    is_told: bool,
}

/// One measurement: what time it was at an instant.
#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Instant,
    time: DateTime<Utc>,
    /// By how much the machine's clock was behind.
    behind: TimeDelta,
}

impl Measured {
    /// What time it is at this later instant.
    fn now(&self, at: Instant) -> DateTime<Utc> {
        self.time + passed(self.at, at)
    }

    /// Whether a later one is where this one would be by then.
    fn agrees_with(&self, later: &Self) -> bool {
        (later.time - self.now(later.at)).abs() <= CLOSE
    }
}

/// What a measurement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The time that this clock tells agrees with it.
    Agrees,
    /// It does not, and more measurements have to confirm that.
    Differs,
    /// The machine's clock is wrong, and is corrected from now on.
    Corrected,
    /// The machine's clock is right again.
    IsRight,
    /// The machine's clock is wrong by more than is corrected.
    TooWrong {
        /// Whether that was not so before.
        is_news: bool,
    },
    /// The table has not answered in time.
    Late,
    /// The table does not date its answers.
    Undated,
}

impl Known {
    /// What time it is at this instant: by the last measurement where the machine's clock is wrong, else by that clock.
    fn now(&self, at: Instant, machine: DateTime<Utc>) -> DateTime<Utc> {
        self.right.map_or(machine, |right| right.now(at))
    }

    fn note(&mut self, measured: Measured) -> Look {
        let machine = measured.time - measured.behind;
        let leap = (measured.time - self.now(measured.at, machine)).abs();
        // Stricter for a corrected clock: else dates that stand still would slow it down bit by bit.
        let least = if self.right.is_some() { CLOSE } else { LEAST };
        if leap <= least {
            self.leap = None;
            if self.right.is_none() {
                return Look::Agrees;
            }
            self.right = (measured.behind.abs() > RIGHT).then_some(measured);
            return if self.right.is_some() {
                Look::Agrees
            } else {
                Look::IsRight
            };
        }
        let before = self.leap.filter(|leap| leap.first.agrees_with(&measured));
        let mut leap = before.unwrap_or(Leap {
            first: measured,
            count: 0,
            is_told: false,
        });
        leap.count = leap.count.saturating_add(1);
        let is_sure = leap.count >= AGREEING && measured.at - leap.first.at >= SPAN;
        if is_sure && measured.behind.abs() <= MOST {
            self.leap = None;
            self.right = (measured.behind.abs() > LEAST).then_some(measured);
            return if self.right.is_some() {
                Look::Corrected
            } else {
                Look::IsRight
            };
        }
        let is_news = is_sure && !leap.is_told;
        leap.is_told |= is_sure;
        self.leap = Some(leap);
        if is_sure {
            Look::TooWrong { is_news }
        } else {
            Look::Differs
        }
    }
}

impl TableClock {
    /// A clock that goes by the machine's until it is known to be wrong.
    pub fn new(machine: Arc<dyn Clock>) -> Self {
        Self {
            machine,
            known: RwLock::default(),
        }
    }

    /// Asks the table until the time is sure, for 20 s at most.
    pub async fn begin(&self, table: &Table) {
        let asking = async {
            // The first answer may be late, since a connection is made for it.
            while matches!(self.look(table).await, Look::Differs | Look::Late) {
                tokio::time::sleep(SOON).await;
            }
        };
        if tokio::time::timeout(LONGEST_BEGIN, asking).await.is_err() {
            warn!("the table has not told the time: the daemon begins by the machine's clock");
        }
    }

    /// Asks the table now and then, until it is dropped.
    pub async fn keep(&self, table: &Table) {
        loop {
            let pause = match self.look(table).await {
                Look::Differs => SOON,
                _ => PERIOD,
            };
            // Daemons that begin together do not go in step.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        }
    }

    /// Asks the table what time it is.
    async fn look(&self, table: &Table) -> Look {
        let measured = match self.measure(table).await {
            Ok(measured) => measured,
            Err(missing) => return missing,
        };
        let look = self.known.write().expect("no holder panics").note(measured);
        let seconds = measured.behind.num_seconds();
        match look {
            Look::Corrected => {
                warn!(
                    seconds,
                    "the machine's clock is behind the table's by so much: the daemon goes by the table's"
                );
            }
            Look::IsRight => info!("the machine's clock is right again: the daemon goes by it"),
            Look::TooWrong { is_news: true } => {
                warn!(
                    seconds,
                    "the machine's clock is behind the table's by so much: one of them must be set"
                );
            }
            Look::Agrees | Look::Differs | Look::TooWrong { is_news: false } | Look::Late | Look::Undated => {
            }
        }
        look
    }

    async fn measure(&self, table: &Table) -> Result<Measured, Look> {
        let (began, began_by) = (Instant::now(), self.machine.now());
        let told = tokio::time::timeout(DEADLINE, table.time()).await;
        let (at, by) = (Instant::now(), self.machine.now());
        let told = match told {
            Ok(Ok(told)) => told.ok_or(Look::Undated)?,
            Ok(Err(error)) => {
                debug!(error = %chain(&error), "the table does not tell the time");
                return Err(Look::Late);
            }
            Err(_) => return Err(Look::Late),
        };
        // Where the process stood still, or the machine's clock was set meanwhile, the measurement says nothing.
        let (took, took_by) = (passed(began, at), by - began_by);
        if at - began > LONGEST_WAY || (took_by - took).abs() > TimeDelta::seconds(1) {
            return Err(Look::Late);
        }
        // The date leaves out the parts of the second.
        let time = told + TimeDelta::milliseconds(500) + took / 2;
        Ok(Measured {
            at,
            time,
            behind: time - by,
        })
    }
}

impl Clock for TableClock {
    fn now(&self) -> DateTime<Utc> {
        let right = self.known.read().expect("no holder panics").right;
        right.map_or_else(|| self.machine.now(), |right| right.now(Instant::now()))
    }

    fn behind(&self) -> TimeDelta {
        let known = self.known.read().expect("no holder panics");
        known.right.map_or_else(TimeDelta::zero, |right| right.behind)
    }
}

fn passed(from: Instant, to: Instant) -> TimeDelta {
    TimeDelta::from_std(to.saturating_duration_since(from)).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests;
