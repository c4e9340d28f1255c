//! Measurements of a machine's clock, one after the other.

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

    fn wait(&mut self, seconds: u32) {
        self.at += Duration::from_secs(seconds.into());
        self.time += TimeDelta::seconds(seconds.into());
    }

    /// Two seconds later.
    fn measured(&mut self, behind: i64) -> Look {
        self.wait(2);
        self.told(self.time, behind)
    }

    /// What the table tells now.
    fn told(&mut self, time: DateTime<Utc>, behind: i64) -> Look {
        let by = self.time - TimeDelta::seconds(behind);
        self.known.note(Measured {
            at: self.at,
            time,
            behind: time - by,
        })
    }

    /// By how many seconds what it tells is wrong, while it is behind by so many.
    fn is_wrong_by(&self, behind: i64) -> i64 {
        let machine = self.time - TimeDelta::seconds(behind);
        (self.time - self.known.now(self.at, machine)).num_seconds()
    }
}

#[test]
fn a_clock_that_is_wrong_is_right_after_three_measurements() {
    for behind in [3_600, -3_600, 9, -18] {
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
    for behind in [0, 1, -4, 4, 5] {
        assert_eq!(machine.measured(behind), Look::Agrees);
        assert_eq!(machine.is_wrong_by(behind), behind);
    }
}

#[test]
fn measurements_that_do_not_agree_change_nothing() {
    let mut machine = Machine::new();
    for wrong in [3_600, 60, 3_600, 3_600, 0, 3_600, 3_600, 100] {
        machine.wait(2);
        let look = machine.told(machine.time + TimeDelta::seconds(wrong), 0);
        assert!(matches!(look, Look::Differs | Look::Agrees), "{look:?}");
        assert_eq!(machine.is_wrong_by(0), 0);
    }
}

#[test]
fn measurements_at_once_are_not_enough() {
    let mut machine = Machine::new();
    for _ in 0..5 {
        assert_eq!(machine.told(machine.time, 3_600), Look::Differs);
    }
}

/// As a cache in between makes it.
#[test]
fn dates_that_stand_still_do_not_hold_the_clock_up() {
    for behind in [0, 3_600] {
        let mut machine = Machine::new();
        for _ in 0..AGREEING {
            machine.measured(behind);
        }
        let dated = machine.time - TimeDelta::hours(1);
        for _ in 0..40 {
            assert_eq!(machine.told(dated, behind), Look::Differs);
            assert_eq!(machine.is_wrong_by(behind), 0);
            machine.wait(2);
        }
        let dated = machine.time;
        for _ in 0..40 {
            let look = machine.told(dated, behind);
            assert!(matches!(look, Look::Differs | Look::Agrees), "{look:?}");
            assert_eq!(machine.is_wrong_by(behind), 0);
            machine.wait(if look == Look::Agrees { 15 } else { 1 });
        }
    }
}

#[test]
fn a_clock_that_stood_still_with_its_machine_is_right_again_after_three_measurements() {
    let mut machine = Machine::new();
    for _ in 0..AGREEING {
        machine.measured(3_600);
    }
    // No instant tells of the time that a machine has slept.
    machine.time += TimeDelta::seconds(20);
    assert_eq!(machine.measured(3_600), Look::Differs);
    assert_eq!(machine.measured(3_600), Look::Differs);
    assert_eq!(machine.measured(3_600), Look::Corrected);
    assert_eq!(machine.is_wrong_by(3_600), 0);
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
