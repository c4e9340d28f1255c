//! Whom an account follows: whose presence it is told.
//!
//! WhatsApp tells of somebody's presence to those who have asked for it on this very connection, and who are there
//! themselves. So a session follows the people with whom the account writes, while somebody wants to know, and only while
//! the account's owner lets it be available. It follows nobody else: to ask for somebody's presence is noticed by WhatsApp.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use shared::domain::event::EventType;
use tracing::debug;
use wacore::runtime::Runtime as _;
use wacore_binary::{Jid, Server};
use whatsapp_rust::Client;

use super::people;
use super::runtime::SessionRuntime;
use crate::notice::NoticeSink;

/// How many people of a session are followed at most: those with whom the account wrote last.
const MOST: usize = 128;

/// How long asking for one person's presence may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The people of one session.
#[derive(Debug)]
pub struct Following {
    sink: Arc<dyn NoticeSink>,
    people: Mutex<VecDeque<Met>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Met {
    jid: Jid,
    is_followed: bool,
}

impl Following {
    /// Of a session whose notices go there.
    pub fn new(sink: Arc<dyn NoticeSink>) -> Self {
        Self {
            sink,
            people: Mutex::default(),
        }
    }

    /// The account writes with whoever has this JID.
    pub fn meet(&self, client: &Client, jid: &Jid) {
        let is_person = matches!(jid.server, Server::Pn | Server::Lid);
        if is_person && !people::is_own(client, jid) {
            self.note(&jid.to_non_ad());
        }
    }

    fn note(&self, jid: &Jid) {
        let mut people = self.people();
        let met = match people.iter().position(|met| met.jid == *jid) {
            Some(place) => people.remove(place),
            None => None,
        };
        let met = met.unwrap_or_else(|| Met {
            jid: jid.clone(),
            is_followed: false,
        });
        if people.len() == MOST {
            people.pop_front();
        }
        people.push_back(met);
    }

    /// Follows those who are not followed yet, if somebody wants to know of their presence. The account is available.
    pub fn follow(self: &Arc<Self>, client: &Arc<Client>, runtime: &SessionRuntime) {
        if !self.sink.is_wanted(EventType::PresenceUpdated) {
            return;
        }
        let new = self.take_new();
        if new.is_empty() {
            return;
        }
        let client = Arc::clone(client);
        let asking = async move {
            for jid in new {
                let presence = client.presence();
                let asked = presence.subscribe(&jid);
                if let Ok(Err(error)) = tokio::time::timeout(DEADLINE, asked).await {
                    debug!(%error, "somebody's presence is not followed");
                }
            }
        };
        runtime.spawn(Box::pin(asking)).detach();
    }

    /// The account is not available any more: whoever it follows is asked for anew when it is.
    pub fn forget(&self) {
        for met in self.people().iter_mut() {
            met.is_followed = false;
        }
    }

    /// Those who are not followed yet; they are now.
    fn take_new(&self) -> Vec<Jid> {
        let mut people = self.people();
        let new = people.iter_mut().filter(|met| !met.is_followed);
        new.map(|met| {
            met.is_followed = true;
            met.jid.clone()
        })
        .collect()
    }

    fn people(&self) -> MutexGuard<'_, VecDeque<Met>> {
        self.people.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::event::EventType;

    use super::*;
    use crate::notice::Notice;

    #[derive(Debug)]
    struct Nobody;

    impl NoticeSink for Nobody {
        fn tell(&self, _: Notice) {}

        fn is_wanted(&self, _: EventType) -> bool {
            true
        }
    }

    #[test]
    fn the_people_met_last_are_followed_once() {
        let following = Following::new(Arc::new(Nobody));
        let jid = |number: usize| Jid::pn(format!("1555010{number:04}").as_str());
        for number in 0..=MOST {
            following.note(&jid(number));
        }
        let new = following.take_new();
        assert_eq!(
            (new.len(), new.first()),
            (MOST, Some(&jid(1))),
            "the first has gone"
        );
        following.note(&jid(1));
        assert!(following.take_new().is_empty(), "they are followed already");
        following.note(&jid(0));
        assert_eq!(following.take_new(), [jid(0)]);
        following.note(&jid(1));
        assert!(following.take_new().is_empty(), "the one met last stayed");
    }
}
