//! `/api/chats` and `/api/presence`.

mod archive;
mod changing;
mod mute;
mod named;
mod paused;
mod pin;
mod presence;
mod read;
mod recording;
mod showing;
mod typing;
mod unarchive;
mod unmute;
mod unpin;

use crate::endpoint::Endpoint;
use crate::messaging::MessagingState;

/// Every endpoint here.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    vec![
        typing::endpoint(),
        recording::endpoint(),
        paused::endpoint(),
        read::endpoint(),
        archive::endpoint(),
        unarchive::endpoint(),
        pin::endpoint(),
        unpin::endpoint(),
        mute::endpoint(),
        unmute::endpoint(),
        presence::endpoint(),
    ]
}
