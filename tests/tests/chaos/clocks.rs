//! Daemons whose clocks are wrong.

use std::collections::VecDeque;

use crate::plan::Offset;
use crate::strike::Log;
use crate::world::World;

/// The clocks of the daemons, by their places.
pub struct Clocks {
    /// Of those that run.
    now: Vec<Offset>,
    /// Of those that are still to come, as the plan has them.
    to_come: Vec<VecDeque<Offset>>,
}

impl Clocks {
    /// All that run have the right time.
    pub fn of(planned: &[Vec<Offset>]) -> Self {
        let to_come = planned.iter().map(|clocks| clocks.iter().copied().collect());
        Self {
            now: vec![Offset::NONE; planned.len()],
            to_come: to_come.collect(),
        }
    }

    /// The clock of the next daemon in this place. One of which the plan knows nothing, since the one before has ended by itself, has
    /// the right time.
    pub fn next(&mut self, place: usize) -> Offset {
        let next = self.to_come[place].pop_front().unwrap_or_default();
        self.now[place] = next;
        next
    }
}

impl World {
    /// Exchanges the daemons, one after the other, for the first whose clocks the plan has. Instances are paired before that: the end of
    /// a QR code is told by the daemon's clock, and judged by the function's.
    pub async fn set_clocks_wrong(&mut self) {
        for place in 0..self.daemons.len() {
            let clock = self.clocks.next(place);
            if clock != Offset::NONE {
                self.exchange(place, clock).await;
            }
        }
        self.stores.until_shared_out(self.daemons.len()).await;
    }

    /// Exchanges the daemons whose clocks are wrong for others that have the right time. What waits for its time goes out then, and the
    /// API does not take a daemon for dead whose beats seem to be of an hour ago.
    pub async fn set_clocks_right(&mut self, log: Log) {
        for place in 0..self.daemons.len() {
            if std::mem::take(&mut self.clocks.now[place]) != Offset::NONE {
                self.exchange(place, Offset::NONE).await;
                log.say(&format!("the clock of daemon {place} is set right"));
            }
        }
    }

    /// Stops the daemon of this place in order, and starts another.
    async fn exchange(&mut self, place: usize, clock: Offset) {
        if let Some(daemon) = self.daemons[place].take() {
            daemon.stop().await;
        }
        self.daemons[place] = Some(self.starter.start_wrong_by(clock.time()).await);
    }
}
