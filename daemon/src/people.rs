//! The daemon's side of the directory of people: it learns who is who from passing messages, and answers who somebody
//! is.
//!
//! Learning never blocks a message and never fails one. What this process knows already costs nothing. What may be
//! new is stored by a task of its own, under the lease's fence. Only a few such tasks run at once; beyond them a
//! lesson is left for the next time that the person is met.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use shared::domain::person::{Acquaintance, Belief, LookedUp, Person};
use shared::domain::question::Found;
use shared::domain::recipient::Recipient;
use shared::ids::InstanceId;
use shared::recent::Recent;
use shared::session_state::Fence;
use shared::storage::Table;
use shared::storage::people::{Learnt, Lesson, People};
use shared::telemetry::chain;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::connection::Connection;

/// How many people a process remembers at least.
const REMEMBERED: usize = 20_000;

/// How long it remembers them. A person who is met later is looked up again, which keeps their place in the
/// directory.
const TERM: TimeDelta = TimeDelta::hours(12);

/// A session is asked again for a name that it did not know after this long.
const ASKED_AGAIN: TimeDelta = TimeDelta::minutes(10);

/// How long it is believed that somebody is not on WhatsApp: they may join any moment.
const ABSENT_FOR: TimeDelta = TimeDelta::minutes(15);

/// How long it is believed what WhatsApp says of somebody who is there.
const KNOWN_FOR: TimeDelta = TimeDelta::days(1);

/// How many lessons are stored at once.
const AT_ONCE: usize = 16;

/// How long a message waits until it is known who sent it, and a lesson until it is stored.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who is who, to every instance that this process serves.
#[derive(Debug)]
pub struct Directory {
    people: People,
    clock: Arc<dyn Clock>,
    known: Mutex<Recent<(InstanceId, Recipient), Known>>,
    at_work: Arc<Semaphore>,
    tasks: TaskTracker,
}

#[derive(Debug, Clone)]
struct Known {
    acquaintance: Acquaintance,
    at: DateTime<Utc>,
    /// When a session was last asked for the other name.
    asked_at: DateTime<Utc>,
    /// Whether it is stored like this, and not still on its way.
    is_stored: bool,
}

impl Directory {
    /// The directories of this table. Lessons are stored by `tasks`.
    pub fn new(table: Table, clock: Arc<dyn Clock>, tasks: TaskTracker) -> Self {
        Self {
            people: People::new(table),
            clock,
            known: Mutex::new(Recent::new(REMEMBERED)),
            at_work: Arc::new(Semaphore::new(AT_ONCE)),
            tasks,
        }
    }

    /// Who this is, as far as this process knows.
    pub fn known(&self, instance: InstanceId, name: &Recipient) -> Option<Acquaintance> {
        let now = self.clock.now();
        let mut known = self.lock();
        let known = known.get(&(instance, name.clone()))?;
        // A lesson that is on its way to the table may come out differently there.
        (known.is_stored && now - known.at < TERM).then(|| known.acquaintance.clone())
    }

    /// Notes that a message has reached this name, and asks the session for the other one.
    pub fn reach(
        self: &Arc<Self>,
        instance: InstanceId,
        fence: &Fence,
        connection: &Arc<dyn Connection>,
        name: &Recipient,
    ) {
        let known = self.known(instance, name);
        let name = &known.map_or_else(|| name.clone(), |known| known.as_spelt(name));
        if !self.is_to_be_asked_for(instance, name) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.at_work).try_acquire_owned() else {
            return;
        };
        let (directory, fence) = (Arc::clone(self), fence.clone());
        let (connection, name) = (Arc::clone(connection), name.clone());
        self.tasks.spawn(async move {
            let other = connection.other_name(&name).await;
            drop(permit);
            directory.meet(instance, &fence, &name, other);
        });
    }

    /// Whether to ask a session for the person's other name: now and then, while that is not known.
    fn is_to_be_asked_for(&self, instance: InstanceId, name: &Recipient) -> bool {
        if name.is_shared() {
            return false;
        }
        let now = self.clock.now();
        let mut known = self.lock();
        let Some(known) = known.get(&(instance, name.clone())) else {
            return true;
        };
        let asked = now - known.asked_at;
        let person = &known.acquaintance.person;
        let was_absent = known
            .acquaintance
            .on_whatsapp
            .is_some_and(|belief| !belief.is_there);
        let is_half = person.phone.is_none() || person.lid.is_none();
        let is_due = was_absent || now - known.at >= TERM || (is_half && asked >= ASKED_AGAIN);
        if is_due {
            known.asked_at = now;
        }
        is_due
    }

    /// Who this is. Half a read unit where this process has not met the person. If the table does not answer, the
    /// person counts as a stranger.
    pub async fn who_is(&self, instance: InstanceId, name: &Recipient) -> Acquaintance {
        if name.is_shared() {
            return Acquaintance::stranger(name);
        }
        if let Some(known) = self.known(instance, name) {
            return known;
        }
        let now = self.clock.now();
        let finding = self.people.get(instance, name, now);
        match tokio::time::timeout(PATIENCE, finding).await {
            Ok(Ok(Some(found))) => {
                self.remember(instance, &found, now, true);
                found
            }
            Ok(Err(error)) => {
                warn!(instance.id = %instance, error = %chain(&error), "the directory of people could not be read");
                Acquaintance::stranger(name)
            }
            Ok(Ok(None)) | Err(_) => Acquaintance::stranger(name),
        }
    }

    /// Notes that a person was met under this name, and their other name where it is known.
    pub fn meet(
        self: &Arc<Self>,
        instance: InstanceId,
        fence: &Fence,
        met: &Recipient,
        other: Option<Recipient>,
    ) {
        let lesson = Lesson {
            met: met.clone(),
            spelt: None,
            other,
            on_whatsapp: None,
            looked_up: None,
        };
        self.learn(instance, fence, lesson);
    }

    /// Notes what WhatsApp says of those whom it was asked for, each by the name that comes with it. They are stored one
    /// after the other, so that many of them leave room for what is learnt of others. A number that WhatsApp spells otherwise
    /// is remembered both ways.
    pub fn find(self: &Arc<Self>, instance: InstanceId, fence: &Fence, told: &[(Recipient, Found)]) {
        let lessons: Vec<_> = told
            .iter()
            .filter_map(|(asked, found)| self.lesson(asked, found))
            .collect();
        let (directory, fence) = (Arc::clone(self), fence.clone());
        self.tasks.spawn(async move {
            for lesson in lessons {
                let Some((lesson, now)) = directory.new_lesson(instance, &fence, lesson) else {
                    continue;
                };
                let Ok(_permit) = directory.at_work.acquire().await else {
                    return;
                };
                directory.remember(instance, &expected(&lesson), now, false);
                directory.store(instance, &fence, &lesson, now).await;
            }
        });
    }

    /// What an answer of WhatsApp's teaches of the person whom it was asked for.
    fn lesson(&self, asked: &Recipient, found: &Found) -> Option<Lesson> {
        let (person, business_name) = match found {
            Found::There {
                person,
                business_name,
            } => (person, business_name.clone()),
            Found::Absent => return Some(self.absence(asked)),
            Found::Unsaid => return None,
        };
        let names: Vec<Recipient> = person.names().collect();
        let number = person.phone.clone().map(Recipient::Phone);
        // A number that WhatsApp spells otherwise is one more name of the person.
        let spelt = number.filter(|number| asked.phone().is_some() && number != asked);
        let is_name = spelt.is_some() || names.contains(asked);
        let met = if is_name { asked } else { names.first()? };
        let until = self.clock.now() + KNOWN_FOR;
        Some(Lesson {
            met: met.clone(),
            other: names
                .iter()
                .find(|name| *name != met && Some(*name) != spelt.as_ref())
                .cloned(),
            spelt,
            on_whatsapp: Some(Belief {
                is_there: true,
                until,
            }),
            looked_up: Some(LookedUp { business_name, until }),
        })
    }

    /// Notes that WhatsApp did not know this name.
    pub fn miss(self: &Arc<Self>, instance: InstanceId, fence: &Fence, name: &Recipient) {
        self.learn(instance, fence, self.absence(name));
    }

    fn absence(&self, name: &Recipient) -> Lesson {
        Lesson {
            met: name.clone(),
            spelt: None,
            other: None,
            on_whatsapp: Some(Belief {
                is_there: false,
                until: self.clock.now() + ABSENT_FOR,
            }),
            looked_up: None,
        }
    }

    /// Notes that this name is on WhatsApp, since it was reached or wrote.
    fn is_there(&self, now: DateTime<Utc>, instance: InstanceId, name: &Recipient) -> Option<Belief> {
        let mut known = self.lock();
        let known = known.get(&(instance, name.clone()))?;
        let was_absent = known
            .acquaintance
            .on_whatsapp
            .is_some_and(|belief| !belief.is_there);
        was_absent.then_some(Belief {
            is_there: true,
            until: now + TimeDelta::days(1),
        })
    }

    /// A lesson as it is stored, and when it was learnt. `None` for what is known already, and where another has the shard.
    fn new_lesson(
        &self,
        instance: InstanceId,
        fence: &Fence,
        lesson: Lesson,
    ) -> Option<(Lesson, DateTime<Utc>)> {
        let is_person = |name: &Recipient| !name.is_shared();
        if !is_person(&lesson.met) || fence.is_revoked() {
            return None;
        }
        let now = self.clock.now();
        let lesson = Lesson {
            other: lesson
                .other
                .filter(|other| is_person(other) && *other != lesson.met),
            on_whatsapp: lesson
                .on_whatsapp
                .or_else(|| self.is_there(now, instance, &lesson.met)),
            ..lesson
        };
        self.is_new(instance, &lesson, now).then_some((lesson, now))
    }

    fn learn(self: &Arc<Self>, instance: InstanceId, fence: &Fence, lesson: Lesson) {
        let Some((lesson, now)) = self.new_lesson(instance, fence, lesson) else {
            return;
        };
        let Ok(permit) = Arc::clone(&self.at_work).try_acquire_owned() else {
            debug!(instance.id = %instance, "too much is learnt at once; a lesson is left for the next time");
            return;
        };
        // A message that meets the same person meanwhile has nothing new.
        self.remember(instance, &expected(&lesson), now, false);
        let (directory, fence) = (Arc::clone(self), fence.clone());
        self.tasks.spawn(async move {
            let _permit = permit;
            directory.store(instance, &fence, &lesson, now).await;
        });
    }

    async fn store(&self, instance: InstanceId, fence: &Fence, lesson: &Lesson, now: DateTime<Utc>) {
        let learning = self.people.learn(instance, fence.token(), lesson, now);
        let learnt = tokio::select! {
            learnt = tokio::time::timeout(4 * PATIENCE, learning) => learnt,
            () = fence.revoked() => return,
        };
        match learnt {
            Ok(Ok(Learnt::Known(acquaintance))) => {
                self.remember(instance, &acquaintance, now, true);
                return;
            }
            Ok(Ok(Learnt::Fenced)) => {
                fence.revoke();
                return;
            }
            Ok(Err(error)) => {
                debug!(instance.id = %instance, error = %chain(&error), "what was learnt of a person was not stored");
            }
            Err(_) => debug!(instance.id = %instance, "what was learnt of a person was not stored in time"),
        }
        // It is learnt again when the person is met again.
        let mut known = self.lock();
        let names = [Some(&lesson.met), lesson.spelt.as_ref(), lesson.other.as_ref()];
        for name in names.into_iter().flatten() {
            known.remove(&(instance, name.clone()));
        }
    }

    fn is_new(&self, instance: InstanceId, lesson: &Lesson, now: DateTime<Utc>) -> bool {
        let mut known = self.lock();
        let Some(known) = known.get(&(instance, lesson.met.clone())) else {
            return true;
        };
        let acquaintance = &known.acquaintance;
        let is_named = |name: &Recipient| acquaintance.person.is_named(name);
        let believes = |belief: Belief| {
            acquaintance.on_whatsapp.is_some_and(|before| {
                // An absence that was noted a moment ago is not noted again for each message.
                before.is_there == belief.is_there && belief.until - before.until < ABSENT_FOR / 3
            })
        };
        let has_said = |said: &LookedUp| {
            acquaintance.looked_up.as_ref().is_some_and(|before| {
                before.business_name == said.business_name && said.until - before.until < KNOWN_FOR / 2
            })
        };
        // A look-up says how the number is spelt, also where that is as it was asked for.
        let is_spelt_so = match (&lesson.spelt, &lesson.looked_up) {
            (Some(spelt), _) => is_named(spelt) && acquaintance.is_named(&lesson.met),
            (None, Some(_)) => is_named(&lesson.met),
            (None, None) => true,
        };
        now - known.at >= TERM
            || !is_spelt_so
            || !lesson.other.as_ref().is_none_or(is_named)
            || !lesson.on_whatsapp.is_none_or(believes)
            || !lesson.looked_up.as_ref().is_none_or(has_said)
    }

    fn remember(
        &self,
        instance: InstanceId,
        acquaintance: &Acquaintance,
        at: DateTime<Utc>,
        is_stored: bool,
    ) {
        let mut known = self.lock();
        for name in acquaintance.names() {
            let mut entry = known.get(&(instance, name.clone()));
            // What is only expected does not replace what is stored: the table decides the canonical chat.
            if let Some(entry) = entry.as_mut().filter(|entry| !is_stored && entry.is_stored) {
                let (person, new) = (&mut entry.acquaintance.person, &acquaintance.person);
                person.phone = new.phone.clone().or(person.phone.take());
                person.lid = new.lid.clone().or(person.lid.take());
                entry.acquaintance.spellings.clone_from(&acquaintance.spellings);
                entry.acquaintance.on_whatsapp = acquaintance.on_whatsapp.or(entry.acquaintance.on_whatsapp);
                let said = entry.acquaintance.looked_up.take();
                entry.acquaintance.looked_up = acquaintance.looked_up.clone().or(said);
                entry.at = at;
                continue;
            }
            let new = Known {
                acquaintance: acquaintance.clone(),
                at,
                asked_at: entry.map_or(at, |entry| entry.asked_at),
                is_stored,
            };
            known.insert((instance, name), new);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recent<(InstanceId, Recipient), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of a lesson, if nothing else is known.
fn expected(lesson: &Lesson) -> Acquaintance {
    let mut acquaintance = Acquaintance::stranger(&lesson.met);
    acquaintance.on_whatsapp = lesson.on_whatsapp;
    acquaintance.looked_up.clone_from(&lesson.looked_up);
    if let (Some(spelt), Some(digits)) = (&lesson.spelt, lesson.met.phone()) {
        acquaintance.person = Person::of(spelt);
        acquaintance.spellings = vec![digits.to_owned()];
    }
    match &lesson.other {
        Some(Recipient::Phone(digits)) => acquaintance.person.phone = Some(digits.clone()),
        Some(Recipient::Lid(digits)) => acquaintance.person.lid = Some(digits.clone()),
        Some(Recipient::Group(_) | Recipient::Status | Recipient::Unknown(_)) | None => {}
    }
    acquaintance
}
