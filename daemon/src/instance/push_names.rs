//! What people call themselves. WhatsApp tells no change of that: each message brings its sender's name, and one that differs
//! from the last is a change. Names are remembered in memory alone, so a change between two processes is not noticed.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use shared::domain::event::{ContactChanges, ContactUpdated, Data, EventType, MAX_CONTACT_WORDS, Words};
use shared::recent::Recent;

use crate::connection::InboundMessage;
use crate::notice::{Notice, NoticeSink};

/// Of how many people of an instance the name is remembered at least.
const REMEMBERED: usize = 512;

/// The names that people showed last. They fill while somebody wants to know of changes.
#[derive(Debug, Default)]
pub struct PushNames(Mutex<Option<Recent<String, Shown>>>);

#[derive(Debug)]
struct Shown {
    /// A digest: what people call themselves is content, and may be long.
    name: u64,
    at: DateTime<Utc>,
}

impl PushNames {
    /// Notes a message's sender, and tells of a name that is new. Of messages that come out of their order only those count
    /// that were sent later than the last.
    pub fn note(&self, message: &InboundMessage, notices: &dyn NoticeSink) {
        let Some(name) = message.push_name.as_deref().filter(|_| !message.from_me) else {
            return;
        };
        let Some(person) = message.from.names().last() else {
            return;
        };
        let mut known = self.0.lock().expect("no holder panics");
        if !notices.is_wanted(EventType::ContactUpdated) {
            *known = None;
            return;
        }
        let known = known.get_or_insert_with(|| Recent::new(REMEMBERED));
        let shown = Shown {
            name: digest(name),
            at: message.at,
        };
        let key = person.to_jid();
        let is_new = match known.get(&key) {
            None => false,
            Some(last) if last.at > shown.at => return,
            Some(last) => last.name != shown.name,
        };
        known.insert(key, shown);
        if !is_new {
            return;
        }
        let (push_name, is_whole) = Words::within(name, MAX_CONTACT_WORDS);
        notices.tell(Notice {
            chat: person,
            by: message.sender.clone(),
            key: format!("name/{}", message.whatsapp_id),
            at: message.at,
            data: Data::ContactUpdated(Box::new(ContactUpdated {
                contact: message.from.clone(),
                changes: ContactChanges {
                    push_name: Some(push_name),
                    ..ContactChanges::default()
                },
                truncated: !is_whole,
            })),
        });
    }
}

fn digest(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
