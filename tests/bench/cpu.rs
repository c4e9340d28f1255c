//! The processors' time of other processes.

use std::time::Duration;

/// The time on processors that processes have had, from `/proc` (Linux): user and system time in hundredths of a second.
pub fn cpu(processes: &[u32]) -> Duration {
    let ticks = processes.iter().map(|process| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        // The name in parentheses may have spaces.
        let fields = stat.rsplit(')').next().expect("a line").split_whitespace();
        fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>()
    });
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
