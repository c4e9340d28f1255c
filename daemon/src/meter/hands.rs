//! The jobs in hand, for whoever asks how old they are. Only then is whatever has them asked, so no job costs anything for it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use shared::queue::consumer::Oldest;

/// What has jobs in hand.
pub trait Hand: Debug + Send + Sync {
    /// When the queue got the oldest of them.
    fn oldest(&self) -> Oldest;
}

/// All that have jobs in hand.
#[derive(Debug, Default)]
pub struct Hands(Mutex<Vec<Weak<dyn Hand>>>);

impl Hands {
    /// Asks this one too, for as long as it is there.
    pub fn add(&self, hand: Weak<dyn Hand>) {
        let mut hands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hands.retain(|hand| hand.strong_count() > 0);
        hands.push(hand);
    }

    /// When the queue got the oldest of all jobs in hand.
    pub fn oldest(&self) -> Oldest {
        let hands: Vec<Arc<dyn Hand>> = {
            let hands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            hands.iter().filter_map(Weak::upgrade).collect()
        };
        hands
            .iter()
            .fold(Oldest::default(), |oldest, hand| oldest.or_older(hand.oldest()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[derive(Debug)]
    struct Has(Oldest);

    impl Hand for Has {
        fn oldest(&self) -> Oldest {
            self.0
        }
    }

    #[test]
    fn the_oldest_of_all_that_are_there_counts() {
        let at = |second| Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(second));
        let has = |working, waiting| Arc::new(Has(Oldest { working, waiting }));
        let hands = Hands::default();
        assert_eq!(hands.oldest(), Oldest::default());
        let (one, other) = (has(at(5), None), has(at(3), at(9)));
        for hand in [&one, &other] {
            let hand: Weak<Has> = Arc::downgrade(hand);
            hands.add(hand);
        }
        let (working, waiting) = (at(3), at(9));
        assert_eq!(hands.oldest(), Oldest { working, waiting });
        drop(other);
        let working = at(5);
        assert_eq!(
            hands.oldest(),
            Oldest {
                working,
                waiting: None
            }
        );
    }
}
