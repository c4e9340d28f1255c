//! Whoever has a pairing link. Holding one of these extractors proves that the token in the path leads to a link, and that its
//! source address asks for no more than it may.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::auth::pairing_link::PairingToken;
use shared::domain::account::User;
use shared::domain::audit::Actor;
use shared::domain::instance::Instance;
use shared::storage::instances::PairingLink;
use shared::storage::rates::{Limit, Scope};
use utoipa::ToSchema;

use crate::endpoint::{Argument, Gate, gate};
use crate::http::source_address::source_address;
use crate::http::{ApiError, Code, Path, RequestContext, rate_limit};
use crate::management::ManagementState;
use crate::management::instances::behalf::Behalf;
use crate::openapi::Operation;

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// It is good.
    Open,
    /// Its instance is paired.
    Used,
    /// Its time is over, or its maker may not pair the instance any more.
    Ended,
}

/// A link that there is, whatever has become of it.
#[derive(Debug)]
pub struct FoundLink {
    /// The instance that it is for.
    pub instance: Instance,
    /// How it is.
    pub state: LinkState,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    maker: Option<User>,
}

/// A link that is good.
#[derive(Debug)]
pub struct OpenLink {
    /// The instance that it is for.
    pub instance: Instance,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    maker: User,
}

impl OpenLink {
    /// In whose name its holder asks.
    pub fn behalf(&self) -> Behalf<'_> {
        Behalf::of_link(&self.maker)
    }

    /// Counts something that its holder asks of the instance.
    pub async fn count(&self, state: &ManagementState) -> Result<(), ApiError> {
        let now = state.clock.now();
        if let Some((scope, limit)) = self.behalf().link_limit(self.instance.id) {
            rate_limit::refuse_beyond(state.rates.count(scope, limit, now).await?, now)?;
        }
        Ok(())
    }
}

impl FromRequestParts<ManagementState> for FoundLink {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ManagementState) -> Result<Self, ApiError> {
        let now = state.clock.now();
        if let Some(address) = source_address(parts, state.trusted_proxies) {
            let rate = state
                .rates
                .count(Scope::PairingPages(address), Limit::PAIRING_PAGES, now)
                .await?;
            rate_limit::admit(&parts.extensions, rate, now)?;
        }
        let Path(token) = Path::<PairingToken>::from_request_parts(parts, state)
            .await
            .map_err(|_| no_link())?;
        let found = state.instances.get_by_pairing_link(&token).await?;
        let (instance, link) = found.ok_or_else(no_link)?;
        RequestContext::note_caller(instance.subscription, Actor::Anonymous);
        RequestContext::note_instance(instance.id);
        let maker = maker(state, &instance, &link).await?;
        let is_over = link.expires_at <= now || maker.is_none();
        let how = match instance.account {
            Some(_) => LinkState::Used,
            None if is_over => LinkState::Ended,
            None => LinkState::Open,
        };
        Ok(Self {
            instance,
            state: how,
            expires_at: link.expires_at,
            maker,
        })
    }
}

/// Who has made a link, if the right to pair the instance is there still.
async fn maker(
    state: &ManagementState,
    instance: &Instance,
    link: &PairingLink,
) -> Result<Option<User>, ApiError> {
    let (user, subscription) = tokio::try_join!(
        state.accounts.get_user(instance.subscription, link.user),
        state.accounts.get_subscription(instance.subscription),
    )?;
    let (Some(user), Some(subscription)) = (user, subscription) else {
        return Ok(None);
    };
    Ok(link.is_backed_by(&user, &subscription).then_some(user))
}

fn no_link() -> ApiError {
    ApiError::not_found("pairing link")
}

impl FromRequestParts<ManagementState> for OpenLink {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ManagementState) -> Result<Self, ApiError> {
        let link = FoundLink::from_request_parts(parts, state).await?;
        match (link.state, link.maker) {
            (LinkState::Open, Some(maker)) => Ok(Self {
                instance: link.instance,
                expires_at: link.expires_at,
                maker,
            }),
            (LinkState::Used, _) => Err(ApiError::new(
                Code::NotFound,
                "The pairing link is used up: its instance is paired",
            )),
            (LinkState::Open | LinkState::Ended, _) => Err(ApiError::new(
                Code::NotFound,
                "The pairing link has ended: ask for another one",
            )),
        }
    }
}

macro_rules! arguments {
    ($($link:ty),+) => {$(
        impl Argument<ManagementState> for $link {
            fn describe(operation: &mut Operation) {
                operation.path_parameter::<PairingToken>();
                operation.is_counted = true;
                operation.needs_stores = true;
                operation
                    .codes
                    .extend([Code::NotFound, Code::RateLimited, Code::Unavailable]);
            }

            fn gate() -> Option<Gate<ManagementState>> {
                Some(gate::<Self, ManagementState>())
            }
        }
    )+};
}

arguments!(FoundLink, OpenLink);
