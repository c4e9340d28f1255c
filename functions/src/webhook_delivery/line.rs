//! The order of groups: what is behind a message that stays, stays with it.

use std::collections::HashMap;
use std::time::Duration;

use shared::queue::Received;
use shared::queue::consumer::Done;

use super::dispatch::Source;
use super::state::WebhooksState;

/// The messages by their groups, each in its order. One without a group stands for itself.
pub(super) fn grouped(messages: impl IntoIterator<Item = Received>) -> Vec<Vec<Received>> {
    let mut groups: Vec<Vec<Received>> = Vec::new();
    let mut places = HashMap::new();
    for message in messages {
        match &message.group {
            None => groups.push(vec![message]),
            Some(group) => {
                let place = *places.entry(group.clone()).or_insert(groups.len());
                if place == groups.len() {
                    groups.push(Vec::new());
                }
                groups[place].push(message);
            }
        }
    }
    groups
}

/// Handles the messages of a group, one after the other.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    /// For how long what is left of the group stays, once something of it does.
    stays: Option<Duration>,
}

impl InOrder {
    /// Handles the next one, unless one before it stays.
    pub(super) async fn handle(
        &mut self,
        state: &WebhooksState,
        source: &Source,
        message: &Received,
    ) -> Done {
        let done = match self.stays {
            Some(pause) => Done::LeaveFor(pause),
            None => state.handle(source, message).await,
        };
        if let Done::LeaveFor(pause) = done {
            self.stays = Some(pause);
        }
        done
    }

    /// Handles nothing more: what is left stays for so long, or for as long as it does already.
    pub(super) fn stop(&mut self, pause: Duration) {
        self.stays.get_or_insert(pause);
    }
}
