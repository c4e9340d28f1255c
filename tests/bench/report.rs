//! What was measured, as tables.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// What is there to be met: the 99th percentile of each route.
pub const GOAL: Duration = Duration::from_millis(100);

/// Routes that take their time by design: a login so that it tells nothing, a request for a
/// new password for the same reason, and a pairing code, for which WhatsApp is asked.
pub const SLOW_ON_PURPOSE: [&str; 4] = [
    "POST /api/auth/login",
    "POST /api/auth/forgot-password",
    "POST /api/instances/{instance}/pairing-code",
    "POST /pair/{token}/code",
];

/// What was measured, by route.
#[derive(Debug, Default)]
pub struct Report {
    routes: Mutex<BTreeMap<&'static str, Route>>,
}

#[derive(Debug, Default)]
struct Route {
    took: Vec<Duration>,
    errors: BTreeMap<String, u32>,
}

impl Report {
    pub fn took(&self, route: &'static str, time: Duration) {
        self.with(route, |route| route.took.push(time));
    }

    pub fn failed(&self, route: &'static str, error: String) {
        self.with(route, |route| *route.errors.entry(error).or_default() += 1);
    }

    fn with(&self, name: &'static str, change: impl FnOnce(&mut Route)) {
        let mut routes = self.routes.lock().expect("no holder panics");
        change(routes.entry(name).or_default());
    }

    /// The routes that answered at least once.
    pub fn routes(&self) -> Vec<&'static str> {
        let routes = self.routes.lock().expect("no holder panics");
        routes.keys().copied().collect()
    }

    /// Prints the table of requests that were due within this long; answers whether each route meets the goal, without
    /// an error.
    pub fn print(&self, lasted: Duration) -> bool {
        let mut routes = self.routes.lock().expect("no holder panics");
        println!(
            "{:<58} {:>6} {:>8} {:>8} {:>8} {:>8}  errors",
            "route", "n", "p50", "p95", "p99", "max"
        );
        let (mut is_met, mut all) = (true, Vec::new());
        for (name, route) in routes.iter_mut() {
            route.took.sort_unstable();
            let errors: Vec<_> = route
                .errors
                .iter()
                .map(|(error, n)| format!("{n} × {error}"))
                .collect();
            println!("{name:<58} {}  {}", line(&route.took), errors.join(", "));
            let is_slow = percentile(&route.took, 99) >= GOAL && !SLOW_ON_PURPOSE.contains(name);
            is_met &= errors.is_empty() && !is_slow;
            all.extend_from_slice(&route.took);
        }
        all.sort_unstable();
        println!("{:<58} {}", "all", line(&all));
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        println!("{:.1} answers a second", f64::from(count) / lasted.as_secs_f64());
        is_met
    }
}

fn line(sorted: &[Duration]) -> String {
    format!(
        "{:>6} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
        sorted.len(),
        ms(sorted, 50),
        ms(sorted, 95),
        ms(sorted, 99),
        ms(sorted, 100)
    )
}

/// The same in milliseconds.
pub fn ms(sorted: &[Duration], percent: usize) -> f64 {
    percentile(sorted, percent).as_secs_f64() * 1_000.0
}

/// How many there are, as a number that can be divided.
pub fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("small"))
}

/// How long something took each time.
pub struct Times {
    sorted: Vec<Duration>,
    /// When the last one was over.
    last: Option<Instant>,
}

impl Times {
    /// The titles of the rows that [`Times::print`] prints.
    pub fn print_head(title: &str) {
        println!(
            "{title:<22} {:>16} {:>9} {:>9} {:>9} {:>9}",
            "n", "a second", "p50 ms", "p99 ms", "max ms"
        );
    }

    /// Those from one moment to another.
    pub fn of(each: impl Iterator<Item = (Instant, Instant)>) -> Self {
        let (mut sorted, mut last) = (Vec::new(), None);
        for (from, to) in each {
            sorted.push(to.saturating_duration_since(from));
            last = last.max(Some(to));
        }
        sorted.sort_unstable();
        Self { sorted, last }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// A percentile, in milliseconds.
    pub fn at(&self, percent: usize) -> f64 {
        ms(&self.sorted, percent)
    }

    /// Prints them as a row. `wanted` is how many there ought to be, and `began` when they began all together.
    pub fn print(&self, name: &str, wanted: usize, began: Instant) {
        let lasted = self.last.map_or(Duration::ZERO, |last| last - began);
        println!(
            "{name:<22} {:>16} {:>9.0} {:>9.1} {:>9.1} {:>9.1}",
            format!("{} of {wanted}", self.count()),
            count(self.count()) / lasted.as_secs_f64(),
            self.at(50),
            self.at(99),
            self.at(100)
        );
    }
}

/// The smallest value that `percent` of all do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}
