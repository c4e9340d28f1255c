//! The memory of other processes.

/// What a process has in memory, in KiB, from `/proc` (Linux).
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// All that is resident.
    pub resident: f64,
    /// The same, where a page that several processes have is divided among them.
    pub proportional: f64,
    /// The part of what is resident that no file stands behind: the heap and the stacks.
    pub anonymous: f64,
}

impl Memory {
    /// A process's memory at this moment.
    pub fn of(process: u32) -> Self {
        let told = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).expect("it runs");
        let number = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            number.expect("a number of KiB")
        };
        Self {
            resident: number("Rss:"),
            proportional: number("Pss:"),
            anonymous: number("Anonymous:"),
        }
    }

    /// What came since `before`, divided by `count`.
    pub fn each_since(self, before: Self, count: f64) -> Self {
        Self {
            resident: (self.resident - before.resident) / count,
            proportional: (self.proportional - before.proportional) / count,
            anonymous: (self.anonymous - before.anonymous) / count,
        }
    }
}
