//! Tells of what a session notices: groups, contacts, presence, calls.
//!
//! One task an instance tells them, in the order in which they came. It outlives sessions: a queue that is away costs time and
//! no notice, as long as the shard is held and there is room. Presence alone is dropped then, since it is of the moment.
//! What is dropped is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use shared::domain::event::{ChatNames, Data, EventType};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::InstanceId;
use shared::session_state::Fence;
use shared::telemetry::chain;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::link::Links;
use super::throttle::Throttle;
use crate::announce::announcement::Announcement;
use crate::announce::{AnnounceError, Handed};
use crate::deps::Deps;
use crate::notice::{Notice, NoticeSink};

/// How many notices of an instance wait at most. Few have more than some hundred bytes.
const WAITING: usize = 1_024;

/// How many of them may be of presence, which must not take the place of others.
const PRESENCES_WAITING: usize = 64;

/// How many notices go to the queue together.
const BATCH: usize = 10;

/// The pause after a failure of the queue; it doubles each time, to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long telling what is left may take when the instance's task ends.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// Of how many people of a notice the other name is looked up.
const LOOKED_UP: usize = 16;

/// Where an instance's notices go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deps: Arc<Deps>,
    instance: InstanceId,
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    notices: VecDeque<Notice>,
    presences: usize,
    throttle: Throttle,
}

/// The task that tells an instance's notices.
#[derive(Debug)]
pub struct Telling {
    notices: Notices,
    end: CancellationToken,
    task: JoinHandle<()>,
}

/// Starts telling an instance's notices, for as long as `fence` holds.
pub fn start(deps: Arc<Deps>, instance: InstanceId, links: Arc<Links>, fence: Fence) -> (Notices, Telling) {
    let notices = Notices(Arc::new(Inner {
        deps,
        instance,
        waiting: Mutex::default(),
        came: Notify::new(),
    }));
    let end = CancellationToken::new();
    let teller = Teller {
        inner: Arc::clone(&notices.0),
        links,
        fence,
        end: end.clone(),
    };
    let telling = Telling {
        notices: notices.clone(),
        end,
        task: tokio::spawn(async move { teller.run().await }),
    };
    (notices, telling)
}

impl NoticeSink for Notices {
    fn tell(&self, notice: Notice) {
        let meter = &self.0.deps.meter;
        let mut waiting = self.0.waiting();
        if let Data::PresenceUpdated(presence) = &notice.data {
            let has_room = waiting.presences < PRESENCES_WAITING;
            if !has_room || !waiting.throttle.admits(presence, Instant::now()) {
                meter.presences_dropped.add(1);
                return;
            }
            waiting.presences += 1;
        }
        if waiting.notices.len() >= WAITING {
            drop(waiting);
            meter.notices_given_up.add(1);
            warn!(instance.id = %self.0.instance, "too much is not told of an instance yet: a notice is left out");
            return;
        }
        waiting.notices.push_back(notice);
        drop(waiting);
        self.0.came.notify_one();
    }

    fn is_wanted(&self, kind: EventType) -> bool {
        self.0.deps.announcer.is_known_to_be_heard(self.0.instance, kind)
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder panics")
    }

    fn take(&self) -> Vec<Notice> {
        self.waiting().take()
    }

    fn put_back(&self, notices: Vec<Notice>) {
        self.waiting().put_back(notices);
    }
}

impl Waiting {
    /// The next batch.
    fn take(&mut self) -> Vec<Notice> {
        let count = self.notices.len().min(BATCH);
        let taken: Vec<_> = self.notices.drain(..count).collect();
        let presences = taken.iter().filter(|notice| is_presence(notice)).count();
        self.presences = self.presences.saturating_sub(presences);
        taken
    }

    /// Puts back what is to be told again. What came meanwhile may have taken its room: it keeps its place all the same.
    fn put_back(&mut self, notices: Vec<Notice>) {
        for notice in notices.into_iter().rev() {
            self.presences += usize::from(is_presence(&notice));
            self.notices.push_front(notice);
        }
    }
}

fn is_presence(notice: &Notice) -> bool {
    matches!(notice.data, Data::PresenceUpdated(_))
}

impl Telling {
    /// Ends it, telling what is left within a deadline.
    pub async fn finish(mut self) {
        self.end.cancel();
        if tokio::time::timeout(END_DEADLINE, &mut self.task).await.is_err() {
            self.task.abort();
            let _ = (&mut self.task).await;
        }
        let left = std::mem::take(&mut *self.notices.0.waiting()).notices;
        let (presences, others): (Vec<_>, Vec<_>) = left.iter().partition(|notice| is_presence(notice));
        let meter = &self.notices.0.deps.meter;
        meter.presences_dropped.add(presences.len());
        meter.notices_given_up.add(others.len());
        if !others.is_empty() {
            warn!(instance.id = %self.notices.0.instance, given_up = others.len(), "notices were not told before the end");
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Teller {
    inner: Arc<Inner>,
    links: Arc<Links>,
    fence: Fence,
    end: CancellationToken,
}

/// What came of a batch.
enum Went {
    Well,
    /// The queue, or what stands before it, was in the way: these are to be told again.
    Not(Vec<Notice>),
}

impl Teller {
    async fn run(&self) {
        let mut pause = PAUSE;
        loop {
            tokio::select! {
                biased;
                () = self.fence.revoked() => return,
                () = self.end.cancelled() => break,
                () = self.inner.came.notified() => {}
            }
            loop {
                let batch = self.inner.take();
                if batch.is_empty() {
                    break;
                }
                // Boxed, since an instance waits for notices most of the time.
                match Box::pin(self.tell_all(batch)).await {
                    Went::Well => pause = PAUSE,
                    Went::Not(left) => {
                        self.inner.put_back(left);
                        tokio::select! {
                            () = self.fence.revoked() => return,
                            () = self.end.cancelled() => break,
                            () = tokio::time::sleep(pause) => {}
                        }
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
        // What is left, pauses or not.
        loop {
            let batch = self.inner.take();
            if batch.is_empty() || self.fence.is_revoked() {
                self.inner.put_back(batch);
                return;
            }
            if let Went::Not(left) = Box::pin(self.tell_all(batch)).await {
                self.inner.put_back(left);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Tells a batch. Those behind one that is to be told again wait for it, so that their order holds.
    async fn tell_all(&self, batch: Vec<Notice>) -> Went {
        let mut handed = Vec::new();
        let mut left = Vec::new();
        let mut batch = batch.into_iter();
        for notice in batch.by_ref() {
            match self.hand_on(&notice).await {
                Ok(Some(on_its_way)) => handed.push((notice, on_its_way)),
                Ok(None) => {}
                Err(error) => {
                    self.came_of(notice, &error, &mut left);
                    break;
                }
            }
        }
        let mut again = Vec::new();
        for (notice, on_its_way) in handed {
            let told = self.inner.deps.announcer.told(on_its_way).await;
            match told {
                Ok(()) => {}
                Err(error) if error.refused().is_some() => self.tell_bare(notice, &mut again).await,
                Err(error) => self.came_of(notice, &error, &mut again),
            }
        }
        again.extend(left);
        let failed = !again.is_empty();
        again.extend(batch);
        match (failed, again.is_empty()) {
            (true, _) => Went::Not(again),
            (false, true) => Went::Well,
            // The one that failed was given up: the rest goes on at once.
            (false, false) => {
                self.inner.put_back(again);
                Went::Well
            }
        }
    }

    /// Hands a notice on; `None` where the queue refuses it for good, even without content.
    async fn hand_on(&self, notice: &Notice) -> Result<Option<Handed>, AnnounceError> {
        let announcement = self.announcement(notice).await?;
        let announcer = &self.inner.deps.announcer;
        match announcer.hand_on(announcement.clone()).await {
            Err(error) if error.refused().is_some() => {
                match announcer.hand_on(announcement.without_content()).await {
                    Err(error) if error.refused().is_some() => {
                        self.give_up(&error);
                        Ok(None)
                    }
                    handed => handed.map(Some),
                }
            }
            handed => handed.map(Some),
        }
    }

    /// Tells a notice without content, since the queue refuses it for good with it.
    async fn tell_bare(&self, notice: Notice, again: &mut Vec<Notice>) {
        let announced = match self.announcement(&notice).await {
            Ok(announcement) => {
                let bare = announcement.without_content();
                self.inner.deps.announcer.announce(bare).await
            }
            Err(error) => Err(error),
        };
        match announced {
            Err(error) if error.refused().is_some() => self.give_up(&error),
            Err(error) => self.came_of(notice, &error, again),
            Ok(()) => {}
        }
    }

    /// What becomes of a notice that could not be told now.
    fn came_of(&self, notice: Notice, error: &AnnounceError, again: &mut Vec<Notice>) {
        if is_presence(&notice) {
            self.inner.deps.meter.presences_dropped.add(1);
        } else if error.nature().is_permanent() {
            self.give_up(error);
        } else {
            debug!(instance.id = %self.inner.instance, error = %chain(error), "table or queue are in the way of notices");
            again.push(notice);
        }
    }

    fn give_up(&self, error: &AnnounceError) {
        self.inner.deps.meter.notices_given_up.add(1);
        warn!(instance.id = %self.inner.instance, error = %chain(error), "a notice cannot be told");
    }

    /// What is to be told of a notice. Where somebody wants it, its people have both names, as far as they are known, and its
    /// chat is the canonical one: half a read unit for a person whom this process has not met.
    async fn announcement(&self, notice: &Notice) -> Result<Announcement, AnnounceError> {
        let Inner { deps, instance, .. } = &*self.inner;
        let instance = *instance;
        if !deps.announcer.is_heard(instance, notice.data.kind()).await? {
            return Ok(Announcement::notice(instance, &notice.chat, notice));
        }
        let known = deps.people.who_is(instance, &notice.chat).await;
        let mut completed = notice.clone();
        let mut people = people_of(&mut completed.data);
        people.truncate(LOOKED_UP);
        for person in people {
            self.complete(person, &known.person).await;
        }
        if let Data::PresenceUpdated(presence) = &mut completed.data
            && presence.chat.group.is_none()
        {
            presence.chat = ChatNames::of(&notice.chat, &presence.from);
        }
        Ok(Announcement::notice(instance, &known.chat, &completed))
    }

    /// Adds a person's other name, where this session or the directory knows it.
    async fn complete(&self, person: &mut Person, met: &Person) {
        let names: Vec<Recipient> = person.names().collect();
        let [name] = &names[..] else { return };
        let other = if met.is_named(name) {
            met.names().find(|other| other != name)
        } else {
            None
        };
        let other = match (other, self.links.now(self.inner.instance)) {
            (None, Some(link)) => link.connection.other_name(name).await,
            (other, _) => other,
        };
        match other {
            Some(Recipient::Phone(digits)) => person.phone = Some(digits),
            Some(Recipient::Lid(digits)) => person.lid = Some(digits),
            Some(Recipient::Group(_) | Recipient::Status | Recipient::Unknown(_)) | None => {}
        }
    }
}

/// Everybody whom a notice names.
fn people_of(data: &mut Data) -> Vec<&mut Person> {
    match data {
        Data::GroupUpdated(data) => data.by.iter_mut().collect(),
        Data::GroupParticipants(data) => data.by.iter_mut().chain(&mut data.participants).collect(),
        Data::ContactUpdated(data) => vec![&mut data.contact],
        Data::PresenceUpdated(data) => vec![&mut data.from],
        Data::CallReceived(data) => vec![&mut data.from],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::domain::event::{PresenceState, PresenceUpdated};

    use super::*;
    use crate::lean::{MOST, size_of_future};

    #[test]
    fn a_task_that_waits_for_notices_takes_little_memory() {
        let size = size_of::<Teller>() + size_of_future(Teller::run);
        assert!(size <= MOST, "{size} bytes");
    }

    fn presence(number: usize) -> Notice {
        let from = Person {
            phone: None,
            lid: Some(number.to_string()),
        };
        let chat = Recipient::Lid(number.to_string());
        Notice {
            by: String::new(),
            key: number.to_string(),
            at: DateTime::UNIX_EPOCH,
            data: Data::PresenceUpdated(Box::new(PresenceUpdated {
                chat: ChatNames::of(&chat, &from),
                from,
                state: PresenceState::Available,
                last_seen: None,
            })),
            chat,
        }
    }

    /// Else more and more of them would find room while the queue is away.
    #[test]
    fn presence_that_is_put_back_has_its_room_again() {
        let mut waiting = Waiting::default();
        waiting.notices.extend((0..3).map(presence));
        waiting.presences = 3;
        let taken = waiting.take();
        assert_eq!((taken.len(), waiting.presences), (3, 0));
        waiting.put_back(taken);
        assert_eq!((waiting.notices.len(), waiting.presences), (3, 3));
        let keys: Vec<_> = waiting.notices.iter().map(|notice| &*notice.key).collect();
        assert_eq!(keys, ["0", "1", "2"], "in their order");
    }
}
