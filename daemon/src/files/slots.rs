//! Places that instances share: how many files are in hand at a time, and how many are looked into.
//!
//! Who gets the next free place goes round: subscriptions take turns, and within one its instances do. So a subscription
//! with many slow hosts waits for itself. Where places are held for long, a subscription gets another one only while more
//! are free than it has: alone it gets half of them, two get a third each, and there is always one left for the next.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use shared::ids::{InstanceId, SubscriptionId};
use tokio::sync::oneshot;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its instance.
    pub instance: InstanceId,
}

/// How places are shared.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Places in all.
    pub all: usize,
    /// Of one instance.
    pub of_instance: usize,
    /// Whether a subscription may have only as many as it leaves to others.
    pub leaves_room: bool,
}

/// The places.
#[derive(Debug, Clone)]
pub struct Slots {
    terms: Terms,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    by_subscription: HashMap<SubscriptionId, usize>,
    by_instance: HashMap<InstanceId, usize>,
    /// Who waits, each subscription once, in the order of their turns. Each has an instance that waits.
    turns: VecDeque<(SubscriptionId, VecDeque<Waiting>)>,
}

/// An instance's files that wait, in their order; at least one.
#[derive(Debug)]
struct Waiting {
    instance: InstanceId,
    files: VecDeque<oneshot::Sender<Slot>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    owner: Owner,
    slots: Slots,
}

impl Slots {
    /// Places that are shared like this.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            state: Arc::default(),
        }
    }

    /// Waits for a place. Whoever gives up waiting loses their turn, and no place.
    pub async fn of(&self, owner: Owner) -> Slot {
        loop {
            let (sender, receiver) = oneshot::channel();
            let given = {
                let mut state = self.lock();
                state.wait(owner, sender);
                self.give(&mut state)
            };
            hand(given);
            if let Ok(slot) = receiver.await {
                return slot;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Gives the free places to those whose turn it is. They are handed out when the lock is free again: one that nobody
    /// waits for any more is given back.
    fn give(&self, state: &mut State) -> Vec<(oneshot::Sender<Slot>, Slot)> {
        let mut given = Vec::new();
        while let Some((owner, sender)) = state.next(self.terms) {
            let slots = self.clone();
            given.push((sender, Slot { owner, slots }));
        }
        given
    }

    #[cfg(test)]
    fn is_idle(&self) -> bool {
        let state = self.lock();
        state.turns.is_empty()
            && state.by_instance.is_empty()
            && state.by_subscription.is_empty()
            && state.taken == 0
    }
}

/// Hands places out. A place that nobody takes is dropped, which gives it back.
fn hand(given: Vec<(oneshot::Sender<Slot>, Slot)>) {
    for (sender, slot) in given {
        drop(sender.send(slot));
    }
}

impl State {
    fn wait(&mut self, owner: Owner, sender: oneshot::Sender<Slot>) {
        let at = self.turns.iter().position(|(id, _)| *id == owner.subscription);
        let at = at.unwrap_or_else(|| {
            self.turns.push_back((owner.subscription, VecDeque::new()));
            self.turns.len() - 1
        });
        let instances = &mut self.turns[at].1;
        match instances
            .iter_mut()
            .find(|waiting| waiting.instance == owner.instance)
        {
            Some(waiting) => waiting.files.push_back(sender),
            None => instances.push_back(Waiting {
                instance: owner.instance,
                files: VecDeque::from([sender]),
            }),
        }
    }

    /// Takes a place for the first in turn who may have one. Who got one goes to the end of the turns.
    fn next(&mut self, terms: Terms) -> Option<(Owner, oneshot::Sender<Slot>)> {
        let free = terms.all - self.taken;
        if free == 0 {
            return None;
        }
        self.forget_who_gave_up();
        for turn in 0..self.turns.len() {
            let (subscription, instances) = &mut self.turns[turn];
            let subscription = *subscription;
            let has = self.by_subscription.get(&subscription).copied().unwrap_or(0);
            if terms.leaves_room && has >= free {
                continue;
            }
            let may = |waiting: &Waiting| {
                self.by_instance.get(&waiting.instance).copied().unwrap_or(0) < terms.of_instance
            };
            let Some(at) = instances.iter().position(may) else {
                continue;
            };
            let mut waiting = instances.remove(at)?;
            let instance = waiting.instance;
            let sender = waiting.files.pop_front()?;
            if !waiting.files.is_empty() {
                instances.push_back(waiting);
            }
            let (_, instances) = self.turns.remove(turn)?;
            if !instances.is_empty() {
                self.turns.push_back((subscription, instances));
            }
            self.taken += 1;
            *self.by_subscription.entry(subscription).or_default() += 1;
            *self.by_instance.entry(instance).or_default() += 1;
            let owner = Owner {
                subscription,
                instance,
            };
            return Some((owner, sender));
        }
        None
    }

    fn forget_who_gave_up(&mut self) {
        for (_, instances) in &mut self.turns {
            instances.retain_mut(|waiting| {
                waiting.files.retain(|sender| !sender.is_closed());
                !waiting.files.is_empty()
            });
        }
        self.turns.retain(|(_, instances)| !instances.is_empty());
    }

    fn give_back(&mut self, owner: Owner) {
        self.taken -= 1;
        if let Some(has) = self.by_subscription.get_mut(&owner.subscription) {
            *has -= 1;
            if *has == 0 {
                self.by_subscription.remove(&owner.subscription);
            }
        }
        if let Some(has) = self.by_instance.get_mut(&owner.instance) {
            *has -= 1;
            if *has == 0 {
                self.by_instance.remove(&owner.instance);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let given = {
            let Ok(mut state) = self.slots.state.lock() else {
                return;
            };
            state.give_back(self.owner);
            self.slots.give(&mut state)
        };
        hand(given);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const FILES: Terms = Terms {
        all: 8,
        of_instance: 2,
        leaves_room: true,
    };

    fn owner(subscription: u8, instance: u8) -> Owner {
        Owner {
            subscription: SubscriptionId::from_bytes([subscription; 16]),
            instance: InstanceId::from_bytes([instance; 16]),
        }
    }

    #[tokio::test]
    async fn an_instance_waits_for_itself_alone() {
        let slots = Slots::new(FILES);
        let (one, other) = (owner(1, 1), owner(1, 2));
        let held = [slots.of(one).await, slots.of(one).await];
        assert!(slots.of(one).now_or_never().is_none(), "it has two in hand");
        drop(slots.of(other).await);
        drop(held);
        drop(slots.of(one).await);
        drop(slots.of(other).await);
        assert!(slots.is_idle(), "idle ones are forgotten");
    }

    #[tokio::test]
    async fn a_subscription_with_many_slow_hosts_leaves_places_to_others() {
        let slots = Slots::new(FILES);
        let mut held = Vec::new();
        for instance in 0..8 {
            held.extend(slots.of(owner(1, instance)).now_or_never());
        }
        assert_eq!(held.len(), 4, "half of them");
        for instance in 10..14 {
            held.extend(slots.of(owner(2, instance)).now_or_never());
        }
        assert_eq!(held.len(), 6, "and half of the rest");
        held.extend(slots.of(owner(3, 20)).now_or_never());
        held.extend(slots.of(owner(4, 30)).now_or_never());
        assert_eq!(held.len(), 8, "one is left for whoever has none");
        drop(held);
        assert!(slots.is_idle());
    }

    #[tokio::test]
    async fn who_waits_is_served_in_turns_and_who_gives_up_takes_no_place() {
        let slots = Slots::new(Terms {
            all: 1,
            of_instance: 1,
            leaves_room: false,
        });
        let held = slots.of(owner(1, 1)).await;
        let mut many: Vec<_> = (0..3).map(|_| Box::pin(slots.of(owner(1, 1)))).collect();
        for waiting in &mut many {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut sibling = Box::pin(slots.of(owner(1, 2)));
        assert!(sibling.as_mut().now_or_never().is_none());
        let mut late = Box::pin(slots.of(owner(2, 9)));
        assert!(late.as_mut().now_or_never().is_none());
        // The first of the many gives up.
        drop(many.remove(0));
        drop(held);
        let first = many[0].as_mut().now_or_never().expect("its turn");
        assert!(late.as_mut().now_or_never().is_none());
        drop(first);
        let second = late.as_mut().now_or_never();
        drop(second.expect("the other subscription's turn"));
        let third = sibling.as_mut().now_or_never();
        drop(third.expect("the other instance's turn"));
        drop(many.remove(1).as_mut().now_or_never().expect("the last"));
        drop(many);
        assert!(slots.is_idle());
    }
}
