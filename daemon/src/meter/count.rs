//! Totals and gauges: one number each, or one for each of several names. To count is an atomic addition, or one for each of two
//! names.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names by which a thing is counted apart: few of them, known beforehand, and none of anybody's.
pub trait Named: Copy + PartialEq + 'static {
    /// Each of them.
    const ALL: &'static [Self];

    /// The name's text.
    fn name(self) -> &'static str;
}

/// How often something has happened since the process began.
#[derive(Debug, Clone, Default)]
pub struct Total(Arc<AtomicU64>);

impl Total {
    /// It has happened so many times more.
    pub fn add(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How often.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of a thing there are now.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// Things that a [`Gauge`] counts until this is dropped.
#[derive(Debug)]
pub struct Counted {
    gauge: Gauge,
    count: u64,
}

impl Gauge {
    /// Counts so many more.
    pub fn count(&self, count: usize) -> Counted {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.fetch_add(count, Ordering::Relaxed);
        Counted {
            gauge: self.clone(),
            count,
        }
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counted {
    /// One of them is done with.
    pub fn one_less(&mut self) {
        if self.count > 0 {
            self.count -= 1;
            self.gauge.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// One number for each name.
#[derive(Debug)]
struct Each<K, N> {
    numbers: Vec<N>,
    of: PhantomData<K>,
}

impl<K: Named, N: Default> Default for Each<K, N> {
    fn default() -> Self {
        Self {
            numbers: K::ALL.iter().map(|_| N::default()).collect(),
            of: PhantomData,
        }
    }
}

impl<K: Named, N> Each<K, N> {
    /// The number of this name; `None` of a name that is none of [`Named::ALL`].
    fn of(&self, key: K) -> Option<&N> {
        let place = K::ALL.iter().position(|known| *known == key)?;
        self.numbers.get(place)
    }

    fn all(&self) -> impl Iterator<Item = (K, &N)> {
        K::ALL.iter().copied().zip(&self.numbers)
    }
}

/// How often each of several things has happened since the process began.
#[derive(Debug)]
pub struct Totals<K>(Each<K, Total>);

impl<K: Named> Default for Totals<K> {
    fn default() -> Self {
        Self(Each::default())
    }
}

impl<K: Named> Totals<K> {
    /// This one has happened once more.
    pub fn add(&self, key: K) {
        if let Some(total) = self.0.of(key) {
            total.add(1);
        }
    }

    /// How often this one has happened.
    pub fn get(&self, key: K) -> u64 {
        self.0.of(key).map_or(0, Total::get)
    }

    /// How often each has happened, in the order of [`Named::ALL`].
    pub fn all(&self) -> impl Iterator<Item = (K, u64)> {
        self.0.all().map(|(key, total)| (key, total.get()))
    }
}

/// How many things there are now under each name. A thing has one name at a time.
#[derive(Debug)]
pub struct Gauges<K>(Each<K, Gauge>);

impl<K: Named> Default for Gauges<K> {
    fn default() -> Self {
        Self(Each::default())
    }
}

impl<K: Named> Gauges<K> {
    /// There is one more under this name.
    pub fn enter(&self, key: K) {
        if let Some(gauge) = self.0.of(key) {
            gauge.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One that has entered under this name is gone.
    pub fn leave(&self, key: K) {
        if let Some(gauge) = self.0.of(key) {
            gauge.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many there are under this name.
    pub fn get(&self, key: K) -> u64 {
        self.0.of(key).map_or(0, Gauge::get)
    }

    /// How many there are under each, in the order of [`Named::ALL`].
    pub fn all(&self) -> impl Iterator<Item = (K, u64)> {
        self.0.all().map(|(key, gauge)| (key, gauge.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fruit {
        Apple,
        Pear,
        /// Nobody counts these.
        Quince,
    }

    impl Named for Fruit {
        const ALL: &'static [Self] = &[Self::Apple, Self::Pear];

        fn name(self) -> &'static str {
            match self {
                Self::Apple => "apple",
                Self::Pear => "pear",
                Self::Quince => "quince",
            }
        }
    }

    #[test]
    fn a_gauge_counts_what_is_there_however_it_goes() {
        let gauge = Gauge::default();
        let mut two = gauge.count(2);
        let three = gauge.count(3);
        assert_eq!(gauge.get(), 5);
        two.one_less();
        assert_eq!(gauge.get(), 4);
        drop(two);
        assert_eq!(gauge.get(), 3);
        drop(three);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn each_name_has_a_number_of_its_own() {
        let eaten = Totals::<Fruit>::default();
        for fruit in [Fruit::Pear, Fruit::Apple, Fruit::Pear, Fruit::Quince] {
            eaten.add(fruit);
        }
        let all: Vec<_> = eaten.all().map(|(fruit, count)| (fruit.name(), count)).collect();
        assert_eq!(all, [("apple", 1), ("pear", 2)]);
        assert_eq!(eaten.get(Fruit::Pear), 2);
        assert_eq!(eaten.get(Fruit::Quince), 0);
    }

    #[test]
    fn what_leaves_is_not_there_any_more() {
        let there = Gauges::<Fruit>::default();
        there.enter(Fruit::Pear);
        there.enter(Fruit::Pear);
        there.enter(Fruit::Quince);
        there.leave(Fruit::Pear);
        there.leave(Fruit::Quince);
        let all: Vec<_> = there.all().map(|(fruit, count)| (fruit.name(), count)).collect();
        assert_eq!(all, [("apple", 0), ("pear", 1)]);
        assert_eq!(there.get(Fruit::Pear), 1);
    }
}
