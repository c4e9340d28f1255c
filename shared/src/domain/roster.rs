//! Who was in a group when a message was sent, and how many of them it has reached.
//!
//! A message keeps two bits a member. A group of 1,024 is 256 bytes, so a receipt stays one write unit however large
//! the group is. The roster, which all messages to the same members share, says which bit is whose.

use sha2::{Digest as _, Sha256};

use super::person::Person;
use super::recipient::Recipient;
use crate::ids::InstanceId;

/// How many bytes stand for a name. Among 2,048 names two have the same once in a hundred million groups.
const NAME: usize = 6;

/// A name and its member's number, big-endian.
const ENTRY: usize = NAME + 2;

/// The most members that are told apart; WhatsApp allows 1,024, and some thousands where only
/// admins write.
const MAX_MEMBERS: usize = 16_384;

/// The members of a group at one time, the account itself left out.
#[derive(Clone, PartialEq, Eq)]
pub struct Roster {
    /// Entries in their order: a member has one for each name that is known.
    entries: Vec<u8>,
    members: u16,
}

/// What is told of a group's members stays out of logs.
impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster")
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

impl Roster {
    /// The roster of these members of a group of `instance`.
    pub fn new(instance: InstanceId, members: &[Person]) -> Self {
        let mut names: Vec<Vec<[u8; NAME]>> = members.iter().map(|member| names(instance, member)).collect();
        // The same members have the same numbers, in whatever order they are told.
        names.retain(|names| !names.is_empty());
        names.sort_unstable();
        names.dedup();
        names.truncate(MAX_MEMBERS);
        let mut entries: Vec<[u8; ENTRY]> = Vec::with_capacity(2 * names.len());
        for (number, names) in (0_u16..).zip(&names) {
            for name in names {
                let mut entry = [0; ENTRY];
                entry[..NAME].copy_from_slice(name);
                entry[NAME..].copy_from_slice(&number.to_be_bytes());
                entries.push(entry);
            }
        }
        entries.sort_unstable();
        Self {
            entries: entries.concat(),
            members: u16::try_from(names.len()).unwrap_or(u16::MAX),
        }
    }

    /// What [`Roster::to_bytes`] made; `None` for anything else.
    pub fn from_bytes(bytes: &[u8], members: u16) -> Option<Self> {
        bytes.len().is_multiple_of(ENTRY).then(|| Self {
            entries: bytes.to_vec(),
            members,
        })
    }

    /// The roster as it is stored, beside [`Roster::len`].
    pub fn to_bytes(&self) -> &[u8] {
        &self.entries
    }

    /// How many members there are.
    pub fn len(&self) -> u16 {
        self.members
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Its own name: the same for the same members.
    pub fn digest(&self) -> String {
        hex::encode(&Sha256::digest(&self.entries)[..16])
    }

    /// A member's number; `None` for somebody who is no member.
    pub fn number(&self, instance: InstanceId, person: &Person) -> Option<u16> {
        names(instance, person).iter().find_map(|name| {
            let (entries, _) = self.entries.as_chunks::<ENTRY>();
            let at = entries.binary_search_by(|entry| entry[..NAME].cmp(name)).ok()?;
            let number = entries.get(at)?.last_chunk::<2>()?;
            Some(u16::from_be_bytes(*number))
        })
    }
}

fn names(instance: InstanceId, person: &Person) -> Vec<[u8; NAME]> {
    let jids = [
        person.lid.clone().map(Recipient::Lid),
        person.phone.clone().map(Recipient::Phone),
    ];
    let name = |jid: Recipient| {
        let digest = Sha256::digest(format!("{instance}#{}", jid.to_jid()));
        let mut name = [0; NAME];
        name.copy_from_slice(&digest[..NAME]);
        name
    };
    jids.into_iter().flatten().map(name).collect()
}

/// A set of a roster's members, a bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached(Vec<u8>);

impl Reached {
    /// The set as it is stored.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The same the other way.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a member; answers whether it is new.
    pub fn add(&mut self, number: u16) -> bool {
        let (byte, bit) = (usize::from(number / 8), 1 << (number % 8));
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        let was_there = self.0[byte] & bit != 0;
        self.0[byte] |= bit;
        !was_there
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: InstanceId = InstanceId::from_bytes([1; 16]);

    fn person(phone: Option<&str>, lid: Option<&str>) -> Person {
        Person {
            phone: phone.map(str::to_owned),
            lid: lid.map(str::to_owned),
        }
    }

    #[test]
    fn a_member_is_found_by_either_name_and_nobody_else_is() {
        let both = person(Some("15550100001"), Some("100000000000001"));
        let one = person(None, Some("100000000000002"));
        let roster = Roster::new(INSTANCE, &[both.clone(), one.clone(), Person::default()]);
        assert_eq!(roster.len(), 2);
        let number = |phone, lid| roster.number(INSTANCE, &person(phone, lid));
        let first = roster.number(INSTANCE, &both).expect("a member");
        assert_eq!(number(Some("15550100001"), None), Some(first));
        assert_eq!(number(None, Some("100000000000001")), Some(first));
        assert_eq!(roster.number(INSTANCE, &one), Some(1 - first));
        assert_eq!(number(Some("15550100003"), None), None);
        assert_eq!(number(None, None), None);
    }

    #[test]
    fn the_same_members_are_one_roster_in_whatever_order() {
        let members: Vec<Person> = (0..1_024)
            .map(|n| person(Some(&format!("1555{n:07}")), Some(&format!("1000000{n:08}"))))
            .collect();
        let roster = Roster::new(INSTANCE, &members);
        let turned: Vec<Person> = members.iter().rev().cloned().collect();
        assert_eq!(roster, Roster::new(INSTANCE, &turned));
        assert_eq!(roster.digest(), Roster::new(INSTANCE, &turned).digest());
        assert_eq!(roster.len(), 1_024);
        let mut reached = Reached::default();
        for member in &members {
            assert!(reached.add(roster.number(INSTANCE, member).expect("a member")));
        }
        assert_eq!(reached.count(), 1_024);
        assert_eq!(reached.as_bytes().len(), 128);
        let read = Roster::from_bytes(roster.to_bytes(), roster.len());
        assert_eq!(read, Some(roster));
    }

    #[test]
    fn a_member_counts_once() {
        let mut reached = Reached::default();
        assert!(reached.add(9));
        assert!(!reached.add(9));
        assert!(reached.add(0));
        assert_eq!(Reached::from_bytes(reached.as_bytes()).count(), 2);
    }
}
