//! Hosts that were not reached a moment ago: nobody tries them again before a pause is over, and then one does.
//!
//! A host that takes no connections costs each of its messages the time that connecting may take. What one message finds
//! out holds for all. Only a connection that did not come about counts: what a host answers, or does not, is about the
//! file that was asked for, which is one caller's.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::CONNECT_DEADLINE;

/// The pauses after each failure in a row, in seconds; the last one repeats.
const PAUSES: [u64; 5] = [5, 15, 30, 60, 120];

/// How long a host is remembered that nobody asks for.
const REMEMBERED: Duration = Duration::from_mins(15);

/// How many hosts are remembered. What is beyond is tried each time.
const MOST: usize = 4_096;

/// The hosts that were not reached.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<HashMap<String, Unreached>>);

#[derive(Debug, Clone, Copy)]
struct Unreached {
    failures: usize,
    since: Instant,
    until: Instant,
}

impl Hosts {
    /// Whether this URL's host may be tried. Where it was not reached before, whoever is let through tries it for all.
    pub fn may_try(&self, url: &Url, now: Instant) -> bool {
        let mut hosts = self.0.lock().expect("no holder panics");
        match hosts.get_mut(&name(url)) {
            None => true,
            Some(host) if now < host.until => false,
            Some(host) => {
                host.until = now + CONNECT_DEADLINE;
                true
            }
        }
    }

    /// Notes that it was reached.
    pub fn reached(&self, url: &Url) {
        self.0.lock().expect("no holder panics").remove(&name(url));
    }

    /// Notes that it was not.
    pub fn unreached(&self, url: &Url, now: Instant) {
        let mut hosts = self.0.lock().expect("no holder panics");
        let name = name(url);
        if !hosts.contains_key(&name) {
            hosts.retain(|_, host| now - host.since < REMEMBERED);
            if hosts.len() >= MOST {
                return;
            }
        }
        let host = hosts.entry(name).or_insert(Unreached {
            failures: 0,
            since: now,
            until: now,
        });
        let pause = PAUSES[host.failures.min(PAUSES.len() - 1)];
        host.failures += 1;
        host.since = now;
        host.until = now + Duration::from_secs(pause);
    }
}

/// Where a URL connects to.
fn name(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn one_tries_for_all_after_pauses_that_grow() {
        let (hosts, gone) = (Hosts::default(), url("https://gone.example/a.png"));
        let mut now = Instant::now();
        assert!(
            hosts.may_try(&gone, now) && hosts.may_try(&gone, now),
            "nothing is known"
        );
        hosts.unreached(&gone, now);
        assert!(!hosts.may_try(&url("https://gone.example:443/b.png"), now));
        assert!(
            hosts.may_try(&url("https://gone.example:8443/a.png"), now),
            "another port"
        );
        for pause in [5, 15, 30, 60, 120, 120] {
            now += Duration::from_secs(pause);
            assert!(!hosts.may_try(&gone, now - MOMENT), "{pause}");
            assert!(hosts.may_try(&gone, now), "{pause}");
            assert!(!hosts.may_try(&gone, now), "one tries it");
            hosts.unreached(&gone, now);
        }
        hosts.reached(&gone);
        assert!(hosts.may_try(&gone, now) && hosts.may_try(&gone, now));
    }

    #[test]
    fn whoever_tries_and_does_not_say_what_came_of_it_is_followed_by_another() {
        let (hosts, gone) = (Hosts::default(), url("http://gone.example/"));
        let now = Instant::now();
        hosts.unreached(&gone, now);
        let now = now + Duration::from_secs(5);
        assert!(hosts.may_try(&gone, now));
        assert!(!hosts.may_try(&gone, now + CONNECT_DEADLINE - MOMENT));
        assert!(hosts.may_try(&gone, now + CONNECT_DEADLINE));
    }

    #[test]
    fn no_more_hosts_are_remembered_than_there_is_room_for() {
        let (hosts, now) = (Hosts::default(), Instant::now());
        for n in 0..=MOST {
            hosts.unreached(&url(&format!("http://{n}.example/")), now);
        }
        assert_eq!(hosts.0.lock().expect("whole").len(), MOST);
        hosts.unreached(&url("http://late.example/"), now + REMEMBERED);
        assert_eq!(hosts.0.lock().expect("whole").len(), 1);
    }
}
