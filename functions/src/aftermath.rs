//! What follows for a subscription when a user leaves it: by a removal, a move, or an invitation into another.

use shared::domain::account::User;
use shared::domain::audit::Action;
use shared::ids::SubscriptionId;
use shared::storage::accounts::Aftermath;

use crate::http::{Record, Trail};
use crate::state::Base;

/// Records what became of a subscription that somebody left.
pub async fn record(
    state: &Base,
    trail: &Trail,
    actor: &User,
    subscription: SubscriptionId,
    aftermath: Aftermath,
) {
    let record = match aftermath {
        Aftermath::Stays => return,
        Aftermath::PassedTo(heir) => Record::by(actor, Action::SubscriptionUpdated).detail("owner", heir),
        Aftermath::Deleted => Record::by(actor, Action::SubscriptionDeleted),
    };
    trail
        .record(state, record.of(subscription).on(subscription))
        .await;
}
