//! `POST /api/instances/{instance}/pairing-link`: a link to the pairing page, for whoever holds the phone. An instance has one
//! link at most.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Serialize;
use shared::auth::pairing_link::{LIFETIME, PairingToken};
use shared::domain::audit::Action;
use shared::domain::network::Network;
use shared::storage::instances::{LinkMade, PairingLink};
use shared::storage::rates::{Limit, Scope};
use utoipa::ToSchema;

use super::find::{InstanceRef, find};
use super::pairing_code::paired;
use crate::endpoint::Endpoint;
use crate::http::caller::{UserCaller, require_verified};
use crate::http::{ApiError, Code, Path, Record, Reply, RequestContext, Timestamp, Trail, rate_limit};
use crate::management::ManagementState;
use crate::management::pair::PAGES;
use crate::openapi::Tag;

/// Links that a user may make.
const LIMIT: Limit = Limit::per_hour(20);

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    #[schema(
        example = "https://api.example.com/pair/AY86jnbbAAAAAAAAAAAAAHBhaXJpbmdzIGFyZSBtYWRlIG9mIHVzIQ"
    )]
    url: String,
    expires_at: Timestamp,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/api/instances/{instance}/pairing-link",
        "createPairingLink",
        handler,
    )
    .about(
        Tag::Instances,
        "Makes a link to the pairing page, for whoever holds the phone",
    )
    .details(
        "Who has the link pairs the instance, by QR code, by a code to type and with a passkey, without an account here. It ends \
         after 30 minutes, when the instance is paired or deleted, when another link is made for it, and when its maker may not \
         pair the instance any more or has another password. To open it uses nothing up. An instance that is paired is a 409.",
    )
    .status(StatusCode::CREATED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    // A network that is not served any more has nobody to pair with.
    state.queue_names(instance.network)?;
    if instance.network == Network::Live {
        require_verified(&state, &caller.user)?;
    }
    if instance.account.is_some() {
        return Err(paired());
    }
    let now = state.clock.now();
    let scope = Scope::PairingLinks(caller.user.id);
    rate_limit::refuse_beyond(state.rates.count(scope, LIMIT, now).await?, now)?;
    let token = PairingToken::generate(instance.id);
    let link = PairingLink {
        user: caller.user.id,
        credentials: caller.user.credentials,
        expires_at: now + LIFETIME,
    };
    match state.instances.set_pairing_link(&token, &link).await? {
        LinkMade::Made => {}
        LinkMade::Paired => return Err(paired()),
        LinkMade::Gone => return Err(ApiError::not_found("instance")),
    }
    let record = Record::by(&caller.user, Action::PairingLinkCreated).on(instance.id);
    trail.record(&state, record).await;
    let context = RequestContext::current().ok_or_else(ApiError::internal)?;
    Ok(Reply::created(Response {
        url: context.docs().at(&format!("{PAGES}/{}", token.reveal())),
        expires_at: link.expires_at.into(),
    }))
}
