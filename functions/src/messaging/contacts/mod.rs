//! `/api/contacts`.

mod block;
mod blocked;
mod check;
pub mod contact;
mod list;
mod picture;
mod show;
mod unblock;

use crate::endpoint::Endpoint;
use crate::messaging::MessagingState;

/// Every endpoint here.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    vec![
        check::endpoint(),
        list::endpoint(),
        blocked::endpoint(),
        show::endpoint(),
        picture::endpoint(),
        block::endpoint(),
        unblock::endpoint(),
    ]
}
