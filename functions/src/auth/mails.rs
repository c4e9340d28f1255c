//! Mails with a code, and mails that tell what was done.

use shared::auth::mail_code::MailCode;
use shared::domain::account::User;
use shared::mail::{Letter, MailError};
use shared::storage::StorageError;
use shared::storage::mail_codes::{Issued, Purpose};
use shared::storage::rates::{Limit, Rate, Scope};

use crate::http::{ApiError, Code, log, rate_limit};
use crate::state::Users;

/// Mails with a code that a user may cause: nobody is to be flooded through us.
const LIMIT: Limit = Limit::per_hour(5);

/// Invitations that a user may send to others.
const INVITATIONS: Limit = Limit::per_hour(50);

/// Counts a mail that a user has asked for.
pub async fn count(state: &Users, user: &User) -> Result<Rate, StorageError> {
    state
        .rates
        .count(Scope::Mail(user.id), LIMIT, state.clock.now())
        .await
}

/// Counts a mail for a new password, apart from other mails. A stranger who has registered the address may use those
/// up, and must not keep the address's owner from the way to the account.
pub async fn count_reset(state: &Users, user: &User) -> Result<Rate, StorageError> {
    state
        .rates
        .count(Scope::Reset(user.id), LIMIT, state.clock.now())
        .await
}

/// Makes a code for a user.
pub async fn issue(state: &Users, user: &User, purpose: Purpose) -> Result<MailCode, StorageError> {
    let code = MailCode::generate();
    let issued = Issued {
        purpose,
        user: user.id,
        subscription: user.subscription,
        credentials: user.credentials,
    };
    state.mail_codes.put(&code, &issued, state.clock.now()).await?;
    Ok(code)
}

/// Sends a letter to a user.
pub async fn send(state: &Users, user: &User, letter: Letter<'_>) -> Result<(), ApiError> {
    let mail = state.letters.write(&user.email, &user.name, letter);
    state.mailer.send(&mail).await.map_err(|error| match error {
        MailError::Off => {
            ApiError::new(Code::Unavailable, "This deployment sends no e-mail").caused_by(error)
        }
        MailError::Unavailable(_) => ApiError::unavailable(30).caused_by(error),
        MailError::Refused(_) => {
            ApiError::new(Code::UpstreamError, "The mail server refused the mail").caused_by(error)
        }
    })
}

/// Sends a letter that nobody waits for. If it does not go out, the log says so.
pub async fn send_beside(state: &Users, user: &User, letter: Letter<'_>) {
    if let Err(error) = send(state, user, letter).await {
        log::went_wrong(&error, "a mail did not go out");
    }
}

/// Sends a code that shows that the address is the user's own.
pub async fn send_verification(state: &Users, user: &User) -> Result<(), ApiError> {
    let code = issue(state, user, Purpose::VerifyEmail).await?;
    let letter = Letter::VerifyEmail { code: code.reveal() };
    send(state, user, letter).await
}

/// Counts an invitation that a user is about to send, whatever its outcome, so that nobody learns by trying who has
/// an account.
pub async fn count_invitation(state: &Users, inviter: &User) -> Result<(), ApiError> {
    let now = state.clock.now();
    let scope = Scope::Invitations(inviter.id);
    let rate = state.rates.count(scope, INVITATIONS, now).await?;
    rate_limit::refuse_beyond(rate, now)
}

/// Sends a code that sets a first password.
pub async fn send_invitation(state: &Users, user: &User, inviter: &User) -> Result<(), ApiError> {
    let code = issue(state, user, Purpose::AcceptInvitation).await?;
    let letter = Letter::Invitation {
        code: code.reveal(),
        inviter: &inviter.name,
    };
    send(state, user, letter).await
}
