//! What was sent to the account's own number.
//!
//! When a device of the account takes a message that another of them sent, it says so with a receipt of the type
//! `sender`, whoever the message is for. The library does not tell the chat. Only in the chat with oneself does such
//! a receipt mean that the message was delivered.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

/// How many messages wait for such a receipt; the oldest is forgotten and stays `sent`.
const WAITING: usize = 256;

/// The WhatsApp ids of what this session has sent to its own number.
#[derive(Debug, Default)]
pub struct OwnChat(Mutex<VecDeque<String>>);

impl OwnChat {
    /// Notes a message to the own number.
    pub fn note(&self, whatsapp_id: String) {
        let mut ids = self.ids();
        if ids.contains(&whatsapp_id) {
            return;
        }
        if ids.len() == WAITING {
            ids.pop_front();
        }
        ids.push_back(whatsapp_id);
    }

    /// Those of `whatsapp_ids` that went to the own number.
    pub fn of(&self, whatsapp_ids: &[String]) -> Vec<String> {
        let ids = self.ids();
        let went = whatsapp_ids.iter().filter(|id| ids.contains(id));
        went.cloned().collect()
    }

    fn ids(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_went_there_is_told_and_not_for_ever() {
        let own = OwnChat::default();
        own.note("0".into());
        own.note("0".into());
        assert_eq!(own.of(&["0".into(), "other".into()]), ["0"]);
        for id in 1..=WAITING {
            own.note(id.to_string());
        }
        assert_eq!(own.of(&["0".into(), "1".into()]), ["1"]);
    }
}
