//! What the routes about users share: invitations and refusals.

use shared::domain::account::{EmailAddress, PersonName, Role, User};
use shared::ids::{SubscriptionId, UserId};
use shared::storage::accounts::{Invitation, Invited};
use shared::storage::mail_codes::Purpose;

use crate::auth::mails;
use crate::http::{ApiError, Code};
use crate::state::Users;

/// Whom an invitation is for.
pub struct Invitee {
    pub email: EmailAddress,
    pub name: PersonName,
    pub role: Role,
    pub subscription: SubscriptionId,
}

/// Stores an invitation and sends its code. If the mail does not go out, there is no invitation.
pub async fn invite(state: &Users, inviter: &User, whom: Invitee) -> Result<Invitation, ApiError> {
    mails::count_invitation(state, inviter).await?;
    let now = state.clock.now();
    let present = state.accounts.get_credentials(&whom.email).await?;
    if present.is_some_and(|(user, _)| user.subscription == whom.subscription) {
        return Err(ApiError::new(
            Code::EmailTaken,
            "A user of the subscription has this e-mail address",
        ));
    }
    let invitation = Invitation {
        id: UserId::new(now),
        subscription: whom.subscription,
        email: whom.email,
        name: whom.name,
        role: whom.role,
        created_at: now,
        expires_at: now + Purpose::AcceptInvitation.lifetime(),
    };
    match state.accounts.invite(&invitation, now).await? {
        Invited::Done => {}
        Invited::Already => {
            return Err(ApiError::new(
                Code::Conflict,
                "The e-mail address is invited already: delete that invitation to send another",
            ));
        }
        Invited::SubscriptionGone => return Err(ApiError::not_found("subscription")),
    }
    if let Err(error) = mails::send_invitation(state, &invitation.user(), inviter).await {
        state.accounts.withdraw(&invitation).await?;
        return Err(error);
    }
    Ok(invitation)
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

/// Moving the user would leave instances that are nobody's.
pub fn has_instances() -> ApiError {
    ApiError::new(
        Code::Conflict,
        "The last user of a subscription that has instances cannot move to another: delete the instances first",
    )
}
