//! What was measured, as tables.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

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
    let ms = |percent| format!("{:.1}", percentile(sorted, percent).as_secs_f64() * 1_000.0);
    format!(
        "{:>6} {:>8} {:>8} {:>8} {:>8}",
        sorted.len(),
        ms(50),
        ms(95),
        ms(99),
        ms(100)
    )
}

/// The smallest value that `percent` of all do not exceed.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}
