//! The time of day by the table, where the machine's clock is wrong.
//!
//! The table's service dates each answer, and its clock is right: whoever signs requests to AWS by another is refused. A daemon
//! asks for it now and then. Where the machine's clock is wrong by more than half a minute, the daemon goes by the table's time and
//! by the time that has passed since, so that it does not matter what is done to the machine's clock meanwhile.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use shared::storage::Table;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// By how much the machine's clock must be wrong before it is corrected. A date is exact to a second, and old by half of its way.
const LEAST: TimeDelta = TimeDelta::seconds(30);

/// By how much a corrected clock may still be wrong when it counts as right again.
const RIGHT: TimeDelta = TimeDelta::seconds(15);

/// What is wrong by more than that is not corrected: it may be the table's clock.
const MOST: TimeDelta = TimeDelta::days(1);

/// Measurements that lie no further apart agree.
const CLOSE: TimeDelta = TimeDelta::seconds(5);

/// How many measurements in a row must agree before what is told makes a leap.
const AGREEING: u32 = 3;

/// How long an answer may take whose date counts: it may have waited before it was read.
const LONGEST_WAY: Duration = Duration::from_secs(2);

/// How long the table may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The pause between two measurements, and the one where they do not agree with what is told.
const PERIOD: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(1);

/// A clock that is right though the machine's is not.
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
    /// The last of some measurements in a row that agree with each other and not with what is told, and how many they are.
    leap: Option<(Measured, u32)>,
}

/// What time it was.
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
}

/// What a measurement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// What is told agrees with it.
    Agrees,
    /// It does not, and it takes more to be sure.
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
}

impl Known {
    /// What time it is at this instant, by the machine's clock or without it.
    fn now(&self, at: Instant, machine: DateTime<Utc>) -> DateTime<Utc> {
        self.right.map_or(machine, |right| right.now(at))
    }

    fn note(&mut self, measured: Measured) -> Look {
        let machine = measured.time - measured.behind;
        let leap = (measured.time - self.now(measured.at, machine)).abs();
        if leap <= LEAST {
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
        let agreeing = match self.leap {
            Some((last, agreeing)) if (measured.behind - last.behind).abs() <= CLOSE => agreeing + 1,
            _ => 1,
        };
        self.leap = Some((measured, agreeing));
        if agreeing < AGREEING {
            return Look::Differs;
        }
        if measured.behind.abs() > MOST {
            return Look::TooWrong {
                is_news: agreeing == AGREEING,
            };
        }
        self.leap = None;
        self.right = (measured.behind.abs() > LEAST).then_some(measured);
        if self.right.is_some() {
            Look::Corrected
        } else {
            Look::IsRight
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

    /// Asks the table as often as it takes to be sure.
    pub async fn begin(&self, table: &Table) {
        for _ in 0..AGREEING {
            if self.look(table).await != Some(Look::Differs) {
                return;
            }
        }
    }

    /// Asks the table now and then, until it is dropped.
    pub async fn keep(&self, table: &Table) {
        loop {
            let pause = match self.look(table).await {
                Some(Look::Differs) => SOON,
                _ => PERIOD,
            };
            // Daemons that begin together do not go in step.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        }
    }

    /// Asks the table what time it is; `None` where it does not say, or not in time.
    async fn look(&self, table: &Table) -> Option<Look> {
        let measured = self.measure(table).await?;
        let look = self.known.write().expect("no holder panics").note(measured);
        let seconds = measured.behind.num_seconds();
        match look {
            Look::Agrees | Look::Differs | Look::TooWrong { is_news: false } => {}
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
        }
        Some(look)
    }

    async fn measure(&self, table: &Table) -> Option<Measured> {
        let (began, began_by) = (Instant::now(), self.machine.now());
        let told = tokio::time::timeout(DEADLINE, table.time()).await;
        let (at, by) = (Instant::now(), self.machine.now());
        let told = match told {
            Ok(Ok(told)) => told?,
            Ok(Err(error)) => {
                debug!(error = %chain(&error), "the table does not tell the time");
                return None;
            }
            Err(_) => return None,
        };
        // Where the process stood still, or the machine's clock was set meanwhile, that says nothing.
        let (took, took_by) = (passed(began, at), by - began_by);
        if at - began > LONGEST_WAY || (took_by - took).abs() > TimeDelta::seconds(1) {
            return None;
        }
        // The date leaves out the parts of the second.
        let time = told + TimeDelta::milliseconds(500) + took / 2;
        Some(Measured {
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
mod tests {
    use super::*;

    /// The measurements of a machine that is behind by so many seconds, one after the other.
    struct Machine {
        known: Known,
        at: Instant,
        time: DateTime<Utc>,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                known: Known::default(),
                at: Instant::now(),
                time: DateTime::UNIX_EPOCH + TimeDelta::days(20_000),
            }
        }

        /// A second later.
        fn measured(&mut self, behind: i64) -> Look {
            self.at += Duration::from_secs(1);
            self.time += TimeDelta::seconds(1);
            self.known.note(Measured {
                at: self.at,
                time: self.time,
                behind: TimeDelta::seconds(behind),
            })
        }

        /// By how many seconds what it tells is wrong, while it is behind by so many.
        fn is_wrong_by(&self, behind: i64) -> i64 {
            let machine = self.time - TimeDelta::seconds(behind);
            (self.time - self.known.now(self.at, machine)).num_seconds()
        }
    }

    #[test]
    fn a_clock_that_is_an_hour_wrong_is_right_after_three_measurements() {
        for behind in [3_600, -3_600] {
            let mut machine = Machine::new();
            assert_eq!(machine.measured(behind), Look::Differs);
            assert_eq!(machine.measured(behind + 1), Look::Differs);
            assert_eq!(machine.is_wrong_by(behind), behind);
            assert_eq!(machine.measured(behind), Look::Corrected);
            assert_eq!(machine.is_wrong_by(behind), 0);
            assert_eq!(machine.measured(behind - 1), Look::Agrees);
            assert_eq!(machine.is_wrong_by(behind), 0);
        }
    }

    #[test]
    fn a_clock_that_is_nearly_right_is_left_alone() {
        let mut machine = Machine::new();
        for behind in [0, 1, -29, 29, 30] {
            assert_eq!(machine.measured(behind), Look::Agrees);
            assert_eq!(machine.is_wrong_by(behind), behind);
        }
    }

    #[test]
    fn measurements_that_do_not_agree_change_nothing() {
        let mut machine = Machine::new();
        for behind in [3_600, 60, 3_600, 3_600, 0, 3_600, 3_600, 100] {
            assert!(matches!(machine.measured(behind), Look::Differs | Look::Agrees));
            assert_eq!(machine.is_wrong_by(0), 0);
        }
    }

    #[test]
    fn a_machine_whose_clock_is_set_right_never_tells_a_wrong_time() {
        let mut machine = Machine::new();
        for _ in 0..AGREEING {
            machine.measured(3_600);
        }
        // Set, and not measured yet.
        assert_eq!(machine.is_wrong_by(0), 0);
        assert_eq!(machine.measured(0), Look::IsRight);
        assert_eq!(machine.is_wrong_by(0), 0);
        // It goes by the machine's clock.
        assert_eq!(machine.is_wrong_by(7), 7);
    }

    #[test]
    fn a_clock_that_is_days_wrong_is_not_corrected() {
        let mut machine = Machine::new();
        let behind = 2 * 86_400;
        let looks: Vec<Look> = (0..4).map(|_| machine.measured(behind)).collect();
        let wrong = |is_news| Look::TooWrong { is_news };
        assert_eq!(looks, [Look::Differs, Look::Differs, wrong(true), wrong(false)]);
        assert_eq!(machine.is_wrong_by(behind), behind);
    }
}
