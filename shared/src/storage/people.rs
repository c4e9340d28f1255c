//! Each instance's directory of the people whom it has met: both names of each, the name under which it was first met, and
//! whether it is on WhatsApp.
//!
//! A person has an item under each name, so one read of half a unit finds the person by either. The daemon writes the
//! items as it learns, under its lease's fence; functions read them. An item is believed until something newer is
//! learnt. Nothing depends on its being there: a stranger is its own canonical chat.
//!
//! - **The canonical chat does not change** while it names the person. So two processes agree on the chat of the
//!   first name, though one of them has not heard of the second yet.
//! - **A number that WhatsApp gives to somebody else** takes no canonical chat along: a person whose canonical name
//!   is gone is known by the other one.
//! - **A number that is written in another way** than WhatsApp spells it (Brazil's ninth digit) has an item as well, which
//!   says the same. A chat that was begun under it goes on under it.
//! - **Two items are two writes**, not a transaction. Where the second fails, both still lead to the same chat, and
//!   the next lesson completes it.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, s, seconds, texts, time};
use super::keys;
use super::outcome::condition_failed;
use super::table::Table;
use crate::domain::person::{Acquaintance, Belief, LookedUp, Person};
use crate::domain::recipient::Recipient;
use crate::ids::InstanceId;

/// How long a person of whom nothing is heard is remembered: twice as long as a message's record.
const TERM: TimeDelta = TimeDelta::days(180);

/// An item with less of its term left than this is written anew when the person is met.
const RENEWED_WITHIN: TimeDelta = TimeDelta::days(90);

/// Most other spellings of a number that are remembered.
const SPELLINGS: usize = 4;

/// How often a lesson is tried where somebody else has written meanwhile.
const ATTEMPTS: u32 = 3;

/// What was learnt of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The name under which the person was met.
    pub met: Recipient,
    /// How WhatsApp spells `met`, where it is a number and that differs.
    pub spelt: Option<Recipient>,
    /// The other name, where it is known now.
    pub other: Option<Recipient>,
    /// What a look-up found, where there was one.
    pub on_whatsapp: Option<Belief>,
    /// What WhatsApp said of the person, where the look-up found them.
    pub looked_up: Option<LookedUp>,
}

/// What came of a lesson.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learnt {
    /// This is known now.
    Known(Acquaintance),
    /// A newer owner of the shard has written: this one must stop.
    Fenced,
}

/// The directories of the table.
#[derive(Debug, Clone)]
pub struct People {
    table: Table,
}

/// A person's item, and what a write of it is conditional on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    acquaintance: Acquaintance,
    met_at: DateTime<Utc>,
    forgotten_at: DateTime<Utc>,
    revision: u64,
}

impl People {
    /// The directories of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// What the instance knew of a person a moment ago. Half a read unit.
    pub async fn get(
        &self,
        instance: InstanceId,
        name: &Recipient,
        now: DateTime<Utc>,
    ) -> Result<Option<Acquaintance>, StorageError> {
        let found = self.table.get_recent(&keys::person(instance, name)).await?;
        let stored = found.as_ref().map(from_item).transpose()?;
        let stored = stored.filter(|stored| now < stored.forgotten_at);
        Ok(stored.map(|stored| stored.acquaintance))
    }

    /// Stores what was learnt, as the owner with lease `token`. One read unit for each name, and for each item that
    /// changes one write unit. May be broken off and done again.
    pub async fn learn(
        &self,
        instance: InstanceId,
        token: u64,
        lesson: &Lesson,
        now: DateTime<Utc>,
    ) -> Result<Learnt, StorageError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.try_to_learn(instance, token, lesson, now).await? {
                Some(learnt) => return Ok(learnt),
                None if attempt < ATTEMPTS => {}
                None => return Err(StorageError::Conflict("others write of the same person".into())),
            }
        }
    }

    async fn try_to_learn(
        &self,
        instance: InstanceId,
        token: u64,
        lesson: &Lesson,
        now: DateTime<Utc>,
    ) -> Result<Option<Learnt>, StorageError> {
        let mut known: Vec<(Recipient, Option<Stored>)> = Vec::new();
        let mut asked: Vec<Recipient> = Vec::new();
        asked.extend(lesson.other.clone());
        asked.extend(lesson.spelt.clone());
        asked.push(lesson.met.clone());
        while let Some(name) = asked.pop() {
            if known.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let found = self.table.get(&keys::person(instance, &name)).await?;
            let stored = found.as_ref().map(from_item).transpose()?;
            if let Some(stored) = &stored {
                asked.extend(stored.acquaintance.names());
            }
            known.push((name, stored));
        }
        let (acquaintance, writes) = merge(lesson, &known, now);
        for (name, stored) in writes {
            match self.write(instance, token, &name, &stored).await? {
                Write::Done => {}
                Write::Overtaken => return Ok(None),
                Write::Fenced => return Ok(Some(Learnt::Fenced)),
            }
        }
        Ok(Some(Learnt::Known(acquaintance)))
    }

    async fn write(
        &self,
        instance: InstanceId,
        token: u64,
        name: &Recipient,
        stored: &Stored,
    ) -> Result<Write, StorageError> {
        let mut item = keys::person(instance, name).attributes();
        item.extend(to_attributes(stored));
        item.insert("fence".to_owned(), n(token));
        let mut request = self.table.put(item);
        // A late write that comes behind a later attempt finds another revision.
        request = match stored.revision.checked_sub(1) {
            None | Some(0) => request.condition_expression("attribute_not_exists(pk)"),
            Some(before) => request
                .condition_expression("revision = :before AND fence <= :token")
                .expression_attribute_values(":before", n(before))
                .expression_attribute_values(":token", n(token)),
        };
        let sent = request
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Write::Done),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(classify(error));
        };
        let found = failed.item.clone().unwrap_or_default();
        let fence = Reader::new("person", &found).opt_number::<u64>("fence")?;
        Ok(if fence.is_some_and(|fence| fence > token) {
            Write::Fenced
        } else {
            Write::Overtaken
        })
    }
}

enum Write {
    Done,
    Overtaken,
    Fenced,
}

/// What is known after a lesson under each of its names, and the items that it changes.
fn merge(
    lesson: &Lesson,
    known: &[(Recipient, Option<Stored>)],
    now: DateTime<Utc>,
) -> (Acquaintance, Vec<(Recipient, Stored)>) {
    let at = |name: &Recipient| {
        let entry = known.iter().find(|(other, _)| other == name);
        let stored = entry.and_then(|(_, stored)| stored.as_ref());
        stored.filter(|stored| now < stored.forgotten_at)
    };
    // A spelling is believed until a look-up finds somebody by that very number.
    let remembered = at(&lesson.met).map(|stored| stored.acquaintance.as_spelt(&lesson.met));
    let remembered = remembered.filter(|name| *name != lesson.met && lesson.looked_up.is_none());
    let spelt = lesson.spelt.clone().or(remembered);
    // What was stored of the spelling alone is the person's.
    let respelt = |person: &Person| {
        let mut person = person.clone();
        if let Some(spelt) = spelt.as_ref().filter(|_| person.is_named(&lesson.met)) {
            person.phone = spelt.phone().map(str::to_owned);
        }
        person
    };
    let mut person = respelt(&Person::of(&lesson.met));
    let other = lesson.other.as_ref().map(Person::of);
    // What the lesson does not say stays, where both items of the old pair agree on it.
    let before = [spelt.as_ref(), Some(&lesson.met)].into_iter().flatten();
    let before = before.filter_map(|name| Some(respelt(&at(name)?.acquaintance.person)));
    let before: Vec<Person> = before.filter(|before| agrees(before, &person)).collect();
    for source in other.into_iter().chain(before) {
        person.phone = person.phone.or(source.phone);
        person.lid = person.lid.or(source.lid);
    }
    // An item that tells of a pair which is no more does not count.
    let own_among = |names: &[Recipient]| -> Vec<&Stored> {
        let stored = names.iter().filter_map(at);
        let is_own = |stored: &&Stored| agrees(&respelt(&stored.acquaintance.person), &person);
        stored.filter(is_own).collect()
    };
    let mut names: Vec<Recipient> = person.names().collect();
    let spelt_otherwise = names.len();
    names.extend(spelt.is_some().then(|| lesson.met.clone()));
    for stored in own_among(&names) {
        for spelling in stored.acquaintance.spellings.iter().cloned() {
            let spelling = Recipient::Phone(spelling);
            if !names.contains(&spelling) && names.len() < spelt_otherwise + SPELLINGS {
                names.push(spelling);
            }
        }
    }
    let spellings = names[spelt_otherwise..].iter().filter_map(Recipient::phone);
    let own = own_among(&names);
    let first = own
        .iter()
        .filter(|stored| names.contains(&stored.acquaintance.chat))
        .min_by_key(|stored| stored.met_at);
    let believed = own.iter().filter_map(|stored| stored.acquaintance.on_whatsapp);
    let said = own
        .iter()
        .filter_map(|stored| stored.acquaintance.looked_up.clone());
    // Who is not there has nothing to be known as.
    let is_gone = lesson.on_whatsapp.is_some_and(|belief| !belief.is_there);
    let acquaintance = Acquaintance {
        looked_up: lesson
            .looked_up
            .clone()
            .or_else(|| said.max_by_key(|said| said.until))
            .filter(|_| !is_gone),
        chat: first.map_or_else(|| lesson.met.clone(), |stored| stored.acquaintance.chat.clone()),
        on_whatsapp: lesson
            .on_whatsapp
            .or_else(|| believed.max_by_key(|belief| belief.until)),
        spellings: spellings.map(str::to_owned).collect(),
        person,
    };
    let known_now = Stored {
        met_at: first.map_or(now, |stored| stored.met_at),
        forgotten_at: now + TERM,
        revision: 0,
        acquaintance,
    };
    let writes = changed(known, &known_now, now);
    (known_now.acquaintance, writes)
}

/// The items that differ from what is known now: those of the person's names, and of whoever had one of them before.
fn changed(
    known: &[(Recipient, Option<Stored>)],
    known_now: &Stored,
    now: DateTime<Utc>,
) -> Vec<(Recipient, Stored)> {
    let acquaintance = &known_now.acquaintance;
    let mut writes = Vec::new();
    for (name, stored) in known {
        let mut new = known_now.clone();
        new.revision = stored.as_ref().map_or(0, |stored| stored.revision) + 1;
        if acquaintance.is_named(name) {
            let is_new = stored.as_ref().is_none_or(|stored| {
                stored.acquaintance != new.acquaintance
                    || stored.met_at != new.met_at
                    || stored.forgotten_at < now + RENEWED_WITHIN
            });
            if is_new {
                writes.push((name.clone(), new));
            }
        } else if let Some(stored) = stored.as_ref().filter(|stored| now < stored.forgotten_at) {
            // A person who had one of the names and lost it.
            let mut left = stored.acquaintance.clone();
            let lost = |name: Option<Recipient>| name.is_some_and(|name| acquaintance.is_named(&name));
            if lost(left.person.phone.clone().map(Recipient::Phone)) {
                left.person.phone = None;
            }
            if lost(left.person.lid.clone().map(Recipient::Lid)) {
                left.person.lid = None;
            }
            left.spellings
                .retain(|spelling| !acquaintance.is_named(&Recipient::Phone(spelling.clone())));
            if (&left.person, &left.spellings)
                == (&stored.acquaintance.person, &stored.acquaintance.spellings)
            {
                continue;
            }
            if !left.is_named(&left.chat) {
                left.chat = left.person.names().next().unwrap_or_else(|| name.clone());
            }
            new.acquaintance = left;
            new.met_at = stored.met_at;
            new.forgotten_at = stored.forgotten_at;
            writes.push((name.clone(), new));
        }
    }
    writes
}

/// Whether an item may be of this person: none of its names contradicts the person's.
fn agrees(stored: &Person, person: &Person) -> bool {
    let agree = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    agree(&stored.phone, &person.phone) && agree(&stored.lid, &person.lid)
}

fn to_attributes(stored: &Stored) -> Item {
    let acquaintance = &stored.acquaintance;
    let mut item = Item::from([
        ("chat".to_owned(), s(acquaintance.chat.to_jid())),
        ("metAt".to_owned(), time(stored.met_at)),
        ("revision".to_owned(), n(stored.revision)),
        ("exp".to_owned(), seconds(stored.forgotten_at)),
    ]);
    let names = [
        ("phone", &acquaintance.person.phone),
        ("lid", &acquaintance.person.lid),
    ];
    for (attribute, name) in names {
        item.extend(name.as_ref().map(|name| (attribute.to_owned(), s(name))));
    }
    if !acquaintance.spellings.is_empty() {
        item.insert("spellings".to_owned(), texts(&acquaintance.spellings));
    }
    if let Some(belief) = acquaintance.on_whatsapp {
        item.insert("onWhatsapp".to_owned(), AttributeValue::Bool(belief.is_there));
        item.insert("believedUntil".to_owned(), time(belief.until));
    }
    if let Some(said) = &acquaintance.looked_up {
        item.insert("lookedUpUntil".to_owned(), time(said.until));
        item.extend(
            said.business_name
                .as_ref()
                .map(|name| ("businessName".to_owned(), s(name))),
        );
    }
    item
}

fn from_item(item: &Item) -> Result<Stored, StorageError> {
    let read = Reader::new("person", item);
    let on_whatsapp = match read.opt_time("believedUntil")? {
        Some(until) => Some(Belief {
            is_there: read.flag("onWhatsapp")?,
            until,
        }),
        None => None,
    };
    let looked_up = match read.opt_time("lookedUpUntil")? {
        Some(until) => Some(LookedUp {
            business_name: read.opt_str("businessName")?.map(str::to_owned),
            until,
        }),
        None => None,
    };
    let forgotten_at = DateTime::from_timestamp(read.number("exp")?, 0);
    Ok(Stored {
        acquaintance: Acquaintance {
            person: Person {
                phone: read.opt_str("phone")?.map(str::to_owned),
                lid: read.opt_str("lid")?.map(str::to_owned),
            },
            chat: read.parse("chat")?,
            on_whatsapp,
            looked_up,
            spellings: read.list("spellings")?.into_iter().map(str::to_owned).collect(),
        },
        met_at: read.time("metAt")?,
        forgotten_at: forgotten_at.ok_or_else(|| read.corrupt("exp"))?,
        revision: read.number("revision")?,
    })
}

#[cfg(test)]
mod tests;
