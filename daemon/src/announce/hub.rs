//! The realtime way out: the last events of this process, for whoever follows along.
//!
//! It is ephemeral, and nobody waits for it. A ring of [`KEPT`] events stands in memory; where it is full the oldest goes,
//! and is counted. Who resumes from an event that has gone is told so, and starts afresh. What messages say is left out:
//! it would rest here in the clear, and without a bound in bytes. Nothing follows it yet.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use shared::ids::EventId;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::announcement::Announcement;

/// How many events the hub of a process keeps, of some hundred bytes each.
pub const KEPT: usize = 4_096;

/// The events that were asked for next have gone, or were never here: start afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the events behind this one are not kept any more")]
pub struct Gone;

/// The last events of a process, oldest first.
#[derive(Debug)]
pub struct Hub {
    ring: Mutex<Ring>,
    came: Notify,
    kept: usize,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Announcement>>,
    ids: HashSet<EventId>,
    dropped: u64,
}

impl Default for Hub {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

impl Hub {
    /// A hub that keeps the last `kept` events.
    pub fn keeping(kept: usize) -> Self {
        Self {
            ring: Mutex::default(),
            came: Notify::new(),
            kept: kept.max(1),
        }
    }

    /// Shows an event. One that is there already is not shown again: it was told again.
    pub fn show(&self, announcement: Announcement) {
        let announcement = announcement.without_content();
        let mut ring = self.ring();
        if !ring.ids.insert(announcement.id) {
            return;
        }
        if ring.events.len() >= self.kept
            && let Some(oldest) = ring.events.pop_front()
        {
            ring.ids.remove(&oldest.id);
            ring.dropped += 1;
        }
        ring.events.push_back(Arc::new(announcement));
        drop(ring);
        self.came.notify_waiters();
    }

    /// The events behind this one, or all that are kept.
    pub fn after(&self, event: Option<EventId>) -> Result<Vec<Arc<Announcement>>, Gone> {
        let ring = self.ring();
        let from = match event {
            None => 0,
            Some(id) if ring.ids.contains(&id) => {
                let at = ring.events.iter().position(|event| event.id == id);
                at.ok_or(Gone)? + 1
            }
            Some(_) => return Err(Gone),
        };
        Ok(ring.events.range(from..).cloned().collect())
    }

    /// Ends with the next event from now on, whenever it is waited for: asked for before a look at [`Self::after`], it
    /// misses none.
    pub fn came(&self) -> Notified<'_> {
        self.came.notified()
    }

    /// How many events had to go for later ones.
    pub fn dropped(&self) -> u64 {
        self.ring().dropped
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::super::announcement::tests::{received, session};
    use super::*;

    fn ids(events: &[Arc<Announcement>]) -> Vec<EventId> {
        events.iter().map(|event| event.id).collect()
    }

    #[test]
    fn the_ring_is_bounded_and_says_what_has_gone() {
        let hub = Hub::keeping(3);
        let told: Vec<_> = (0..5).map(session).collect();
        for announcement in &told {
            hub.show(announcement.clone());
        }
        let wanted: Vec<_> = told[2..].iter().map(|announcement| announcement.id).collect();
        assert_eq!(ids(&hub.after(None).expect("all")), wanted);
        assert_eq!(ids(&hub.after(Some(wanted[0])).expect("behind it")), wanted[1..]);
        assert_eq!(hub.after(Some(wanted[2])), Ok(Vec::new()));
        assert_eq!(hub.after(Some(told[1].id)), Err(Gone));
        assert_eq!(hub.dropped(), 2);
    }

    #[test]
    fn what_is_told_again_is_there_once() {
        let hub = Hub::keeping(3);
        for n in [0, 1, 0, 1, 0] {
            hub.show(session(n));
        }
        assert_eq!(
            ids(&hub.after(None).expect("all")),
            [session(0).id, session(1).id]
        );
        assert_eq!(hub.dropped(), 0);
    }

    #[tokio::test]
    async fn whoever_asks_before_it_looks_misses_nothing() {
        let hub = Hub::default();
        let came = hub.came();
        hub.show(session(0));
        came.await;
        assert_eq!(ids(&hub.after(None).expect("all")), [session(0).id]);
    }

    #[test]
    fn what_a_message_says_is_not_kept() {
        let hub = Hub::default();
        hub.show(received("see you at eight"));
        let events = hub.after(None).expect("all");
        let json = serde_json::to_string(&events[0].data).expect("plain data");
        assert!(
            !json.contains("eight") && json.contains("\"kind\":\"text\""),
            "{json}"
        );
    }
}
