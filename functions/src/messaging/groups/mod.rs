//! `/api/groups`.

mod create;
mod demote;
mod group;
mod invite_link;
mod join;
mod leave;
mod list;
mod participants;
mod people;
mod picture;
mod place;
mod promote;
mod requests;
mod show;
mod update;
mod view;

use crate::endpoint::Endpoint;
use crate::messaging::MessagingState;

/// Every endpoint of groups.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    vec![
        create::endpoint(),
        list::endpoint(),
        show::endpoint(),
        update::endpoint(),
        participants::add::endpoint(),
        participants::remove::endpoint(),
        promote::endpoint(),
        demote::endpoint(),
        picture::change::endpoint(),
        picture::remove::endpoint(),
        invite_link::show::endpoint(),
        invite_link::reset::endpoint(),
        join::endpoint(),
        leave::endpoint(),
        requests::list::endpoint(),
        requests::decide::endpoint(),
    ]
}
