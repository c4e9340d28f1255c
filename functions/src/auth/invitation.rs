//! Accepting an invitation, with the code that came to the invited address.

use shared::auth::password::NewPassword;
use shared::domain::account::User;
use shared::domain::audit::Action;
use shared::mail::Letter;
use shared::storage::accounts::{Accepted, Aftermath, Invitation};
use shared::storage::lockouts::Network;

use super::{administrator, mails};
use crate::aftermath;
use crate::auth::AuthState;
use crate::http::{ApiError, Code, Record, Trail, log};

/// Makes the invited person a member, with this password. `None` where the invitation has ended meanwhile.
pub async fn accept(
    state: &AuthState,
    trail: &Trail,
    invitation: &Invitation,
    password: NewPassword,
) -> Result<Option<User>, ApiError> {
    let hash = state.passwords.hash(password).await?;
    let now = state.clock.now();
    let (user, left) = match state.accounts.accept(invitation, &hash, now).await? {
        Accepted::Done { user, left } => (user, left),
        Accepted::Gone => return Ok(None),
        Accepted::HasInstances => {
            return Err(ApiError::new(
                Code::Conflict,
                "The account of this address is the last of a subscription that has instances: log in to it and delete them \
                 first, or set a new password by `POST /api/auth/forgot-password` where somebody else has registered it",
            ));
        }
    };
    let network = Network::of(trail.source());
    // From here on only the log tells of failures: the invitation is accepted, and the code is used up.
    if let Err(error) = state.lockouts.succeeded(&user.email, network, now).await {
        log::went_wrong(
            &error.into(),
            "guesses at an account that was joined stay counted",
        );
    }
    let record = Record::by(&user, Action::MemberJoined).on(user.id);
    trail.record(state, record).await;
    if let Some((subscription, aftermath)) = left {
        if aftermath == Aftermath::Deleted
            && let Err(error) = state.counters.forget(subscription).await
        {
            log::went_wrong(&error.into(), "the counts of a deleted subscription stay");
        }
        aftermath::record(state, trail, &user, subscription, aftermath).await;
    }
    let is_new = user.id == invitation.id;
    let user = administrator::promote(state, trail, user).await;
    if !is_new {
        mails::send_beside(state, &user, Letter::PasswordChanged).await;
    }
    Ok(Some(user))
}
