//! Of which devices of a user there is nothing.
//!
//! Where the library learns the LID of a user with whom it has a session, it looks for a session and an identity of each device that
//! the user might have: some four hundred reads, of which all but two find nothing. So once two devices of a user were
//! looked for in vain, those that are stored are listed, and no other one is read.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// The users who are remembered: the library looks at few at a time.
const USERS: usize = 32;

/// What is known of the devices of some users, by the beginning of the names of their entries.
#[derive(Debug, Default)]
pub struct Devices(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    users: HashMap<String, Looked>,
    /// The users in the order in which they were met.
    order: VecDeque<String>,
    /// How many writes have begun.
    writes: u64,
    /// How many of them have not ended.
    under_way: u64,
    /// Whether a write has failed or was given up. It may take effect at any time.
    is_unsure: bool,
}

#[derive(Debug)]
enum Looked {
    /// One device was looked for in vain.
    OneIsMissing,
    /// These entries are there, and no others.
    All(HashSet<String>),
}

impl Devices {
    /// Whether it is known that this entry is not there.
    pub fn is_missing(&self, entry: &str) -> bool {
        let known = self.known();
        match user(entry).and_then(|user| known.users.get(user)) {
            Some(Looked::All(entries)) => !entries.contains(entry),
            _ => false,
        }
    }

    /// This entry was not there. Where its user's entries should be listed, answers what their names begin with, and the
    /// number of writes that [`Devices::listed`] is to be given.
    pub fn missed<'a>(&self, entry: &'a str) -> Option<(&'a str, u64)> {
        let user = user(entry)?;
        let mut known = self.known();
        if known.is_unsure {
            return None;
        }
        if known.users.contains_key(user) {
            return Some((user, known.writes));
        }
        if known.order.len() == USERS
            && let Some(first) = known.order.pop_front()
        {
            known.users.remove(&first);
        }
        known.users.insert(user.to_owned(), Looked::OneIsMissing);
        known.order.push_back(user.to_owned());
        None
    }

    /// These are all entries of a user, if nothing has been written since `writes` was told.
    pub fn listed(&self, user: &str, writes: u64, entries: HashSet<String>) {
        let mut known = self.known();
        if known.writes == writes
            && known.under_way == 0
            && !known.is_unsure
            && let Some(looked) = known.users.get_mut(user)
        {
            *looked = Looked::All(entries);
        }
    }

    /// These entries are about to be written.
    pub fn write(&self, entries: &[String]) -> Write<'_> {
        let mut known = self.known();
        known.writes += 1;
        known.under_way += 1;
        for entry in entries {
            if let Some(user) = user(entry)
                && let Some(Looked::All(there)) = known.users.get_mut(user)
            {
                there.insert(entry.clone());
            }
        }
        Write {
            devices: self,
            is_done: false,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no holder panics")
    }
}

/// A write that is under way. One that fails, or is given up, may take effect later: then no list is right any more.
pub struct Write<'a> {
    devices: &'a Devices,
    is_done: bool,
}

impl Write<'_> {
    /// It has taken effect.
    pub fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let mut known = self.devices.known();
        known.under_way -= 1;
        if !self.is_done {
            known.is_unsure = true;
            known.users.clear();
            known.order.clear();
        }
    }
}

/// What the names of the entries of a user's devices begin with, but for that of the first one: `<kind>#<user>:`. `None` for the
/// first device and for all that is no device's.
fn user(entry: &str) -> Option<&str> {
    let end = entry.find(':')?;
    (!entry[..end].contains('@')).then(|| &entry[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[&str]) -> HashSet<String> {
        entries.iter().map(|&entry| entry.to_owned()).collect()
    }

    #[test]
    fn what_is_not_in_the_list_is_missing_until_it_is_written() {
        let devices = Devices::default();
        assert_eq!(devices.missed("s#1:5@c.us.0"), None);
        assert!(!devices.is_missing("s#1:5@c.us.0"));
        let (user, writes) = devices.missed("s#1:6@c.us.0").expect("the second one");
        assert_eq!(user, "s#1:");
        devices.listed(user, writes, names(&["s#1:7@c.us.0"]));
        assert!(devices.is_missing("s#1:5@c.us.0") && devices.is_missing("s#1:5@hosted.0"));
        assert!(!devices.is_missing("s#1:7@c.us.0"));
        assert!(!devices.is_missing("id#1:5@c.us.0"), "another kind");
        assert!(!devices.is_missing("s#1@c.us.0"), "the first device");
        devices.write(&["s#1:5@c.us.0".to_owned()]).done();
        assert!(!devices.is_missing("s#1:5@c.us.0") && devices.is_missing("s#1:6@c.us.0"));
    }

    #[test]
    fn a_list_that_a_write_may_have_passed_counts_for_nothing() {
        let devices = Devices::default();
        devices.missed("s#1:5@c.us.0");
        let (user, writes) = devices.missed("s#1:6@c.us.0").expect("the second one");
        let write = ["s#1:7@c.us.0".to_owned()];
        let under_way = devices.write(&write);
        devices.listed(user, writes, names(&[]));
        assert!(!devices.is_missing("s#1:5@c.us.0"), "the write came between");
        let (user, writes) = devices.missed("s#1:6@c.us.0").expect("anew");
        devices.listed(user, writes, names(&[]));
        assert!(!devices.is_missing("s#1:5@c.us.0"), "the write has not ended");
        under_way.done();
        devices.listed(user, writes, names(&[]));
        assert!(devices.is_missing("s#1:5@c.us.0"));
        let given_up = devices.write(&write);
        assert!(!devices.is_missing(&write[0]));
        drop(given_up);
        assert!(!devices.is_missing("s#1:5@c.us.0"));
        assert_eq!(devices.missed("s#1:5@c.us.0"), None);
        assert_eq!(devices.missed("s#1:5@c.us.0"), None, "nothing is sure any more");
    }

    #[test]
    fn few_users_are_remembered() {
        let devices = Devices::default();
        for user in 0..=USERS {
            assert_eq!(devices.missed(&format!("s#{user}:5@c.us.0")), None);
        }
        assert_eq!(devices.missed("s#0:5@c.us.0"), None, "forgotten");
        assert!(devices.missed(&format!("s#{USERS}:5@c.us.0")).is_some());
        assert_eq!(devices.known().users.len(), USERS);
    }
}
