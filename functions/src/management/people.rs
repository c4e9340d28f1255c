//! What the routes about users share: invitations, what follows when somebody goes, and the
//! refusals.

use shared::domain::account::User;
use shared::domain::audit::Action;
use shared::ids::SubscriptionId;
use shared::storage::accounts::{Added, Aftermath};

use crate::auth::mails;
use crate::http::{ApiError, Code, Record, Trail};
use crate::state::AppState;

/// Adds a user without a password and sends the code that sets one. Where the mail does not
/// go out, the user is not added.
pub async fn invite(state: &AppState, inviter: &User, user: &User) -> Result<Added, ApiError> {
    mails::count_invitation(state, inviter).await?;
    let added = state.accounts.add(user, None).await?;
    if added == Added::Created
        && let Err(error) = mails::send_invitation(state, user, inviter).await
    {
        state.accounts.remove_user(user.subscription, user.id).await?;
        return Err(error);
    }
    Ok(added)
}

/// Records what became of a subscription that somebody left.
pub async fn record_aftermath(
    state: &AppState,
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

/// Somebody has the address.
pub fn email_taken() -> ApiError {
    ApiError::new(Code::EmailTaken, "Another user has this e-mail address")
}

/// There would be no administrator.
pub fn last_administrator() -> ApiError {
    ApiError::new(
        Code::Conflict,
        "The last active administrator stays one: make another first",
    )
}

/// Moved away, it would leave instances that are nobody's.
pub fn has_instances() -> ApiError {
    ApiError::new(
        Code::Conflict,
        "The last user of a subscription that has instances cannot move to another: delete the instances first",
    )
}
