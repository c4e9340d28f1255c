//! Whether a login holds, by what the table says of its user: for a request, and for a socket while it is open.

use crate::auth::session::Session;
use crate::domain::account::{Subscription, User};

/// A user whose login holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: User,
    /// The user's subscription.
    pub subscription: Subscription,
    /// The session that the login began.
    pub session: Session,
}

/// Why a login of a user who exists does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLogin {
    /// The session has ended: by a logout, a changed password, or because its time is over.
    SessionOver,
    /// The user is switched off.
    UserInactive,
}

impl Login {
    /// The login of this user by this session, `None` where that is gone. All three are as the table says now.
    ///
    /// A subscription that is switched off is left to the caller: see [`Subscription::serves`].
    pub fn of(user: User, subscription: Subscription, session: Option<Session>) -> Result<Self, NoLogin> {
        let session = session.filter(|session| session.credentials == user.credentials);
        let session = session.filter(|session| session.user == user.id);
        let session = session.ok_or(NoLogin::SessionOver)?;
        if !user.active {
            return Err(NoLogin::UserInactive);
        }
        Ok(Self {
            user,
            subscription,
            session,
        })
    }

    /// Whether the subscription serves the user.
    pub fn is_served(&self) -> bool {
        self.subscription.serves(&self.user)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::domain::account::{Role, Tier};
    use crate::ids::{SubscriptionId, UserId};

    fn parts() -> (User, Subscription, Session) {
        let now = DateTime::UNIX_EPOCH;
        let (id, subscription) = (UserId::new(now), SubscriptionId::new(now));
        let user = User {
            id,
            subscription,
            email: "ada@example.com".parse().expect("an address"),
            name: "Ada".parse().expect("a name"),
            role: Role::User,
            active: true,
            email_verified_at: None,
            credentials: 3,
            created_at: now,
        };
        let of = Subscription {
            id: subscription,
            owner: id,
            tier: Tier::Basic,
            active: true,
            created_at: now,
        };
        let session = Session {
            name: "a session".to_owned(),
            user: id,
            subscription,
            credentials: 3,
            created_at: now,
            expires_at: now + TimeDelta::days(1),
        };
        (user, of, session)
    }

    #[test]
    fn a_login_holds_for_the_session_of_the_present_credentials_alone() {
        let (user, subscription, session) = parts();
        let login = |session| Login::of(user.clone(), subscription.clone(), session);
        assert!(login(Some(session.clone())).is_ok());
        assert_eq!(login(None), Err(NoLogin::SessionOver));
        let earlier = Session {
            credentials: 2,
            ..session.clone()
        };
        assert_eq!(login(Some(earlier)), Err(NoLogin::SessionOver));
        let anothers = Session {
            user: UserId::from_bytes([7; 16]),
            ..session
        };
        assert_eq!(login(Some(anothers)), Err(NoLogin::SessionOver));
    }

    #[test]
    fn who_is_switched_off_has_no_login_and_a_subscription_that_is_serves_administrators_alone() {
        let (user, subscription, session) = parts();
        let off = User {
            active: false,
            ..user.clone()
        };
        let refused = Login::of(off, subscription.clone(), Some(session.clone()));
        assert_eq!(refused, Err(NoLogin::UserInactive));
        let inactive = Subscription {
            active: false,
            ..subscription
        };
        let login = Login::of(user.clone(), inactive.clone(), Some(session.clone())).expect("a login");
        assert!(!login.is_served());
        let administrator = User {
            role: Role::Administrator,
            ..user
        };
        assert!(
            Login::of(administrator, inactive, Some(session))
                .expect("a login")
                .is_served()
        );
    }
}
