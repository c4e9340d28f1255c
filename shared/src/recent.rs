//! A map that holds the entries used last, in bounded memory and without a search for the one to drop.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

/// Two generations of entries. An entry that is used belongs to the younger one. When that holds `capacity` entries
/// it becomes the older one, and entries of the former older one that were not used since are dropped. So an entry is
/// dropped only after `capacity` others were used, and at most twice as many are held.
pub struct Recent<K, V> {
    capacity: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// A map that keeps at least the `capacity` entries used last.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// An entry, which counts as used.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.make_room();
            self.young.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// Puts an entry; answers the one that it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let was_old = self.old.remove(&key);
        if !self.young.contains_key(&key) {
            self.make_room();
        }
        self.young.insert(key, value).or(was_old)
    }

    /// Takes an entry out.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// Entries may be secrets or numbers: only how many there are shows.
impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent")
            .field("capacity", &self.capacity)
            .field("held", &(self.young.len() + self.old.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_outlives_what_is_not_and_memory_is_bounded() {
        let mut recent = Recent::new(10);
        recent.insert(0, "used");
        recent.insert(1, "unused");
        for n in 2..1_000 {
            recent.insert(n, "passes by");
            assert_eq!(recent.get(&0), Some(&mut "used"), "after {n}");
            assert!(recent.len() <= 20);
        }
        assert_eq!(recent.get(&1), None);
    }

    #[test]
    fn an_entry_stands_once() {
        let mut recent = Recent::new(1);
        assert_eq!(recent.insert("a", 1), None);
        assert_eq!(recent.insert("b", 2), None);
        assert_eq!(recent.insert("a", 3), Some(1), "of the older generation");
        assert_eq!(recent.len(), 2);
        assert_eq!(recent.remove("a"), Some(3));
        assert_eq!(recent.get("a"), None);
    }
}
