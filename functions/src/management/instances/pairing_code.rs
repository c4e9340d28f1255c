//! `POST /api/instances/{instance}/pairing-code`: a code that pairs the instance when it is
//! entered on the phone with the given number.
//!
//! Only a daemon can get one. So this stores that a code is wanted, nudges the shard, and reads the instance until
//! the code is there. The wish outlives a crash of either side. The same request, made again, finds the code that
//! came meanwhile; a request for another number replaces it.

use std::time::Duration;

use axum::extract::State;
use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::audit::Action;
use shared::domain::instance::{Instance, PAIRING_REQUEST_TERM, PairingCode, PairingRequest, Status, Wanted};
use shared::domain::network::Network;
use shared::domain::phone::PhoneNumber;
use shared::domain::reason::Reason;
use shared::storage::instances::PairingWanted;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::behalf::Behalf;
use super::find::{InstanceRef, find};
use super::qr::open;
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::{UserCaller, require_verified};
use crate::http::{ApiError, Code, Fields, JsonBody, Path, Reply, Timestamp, Trail, rate_limit};
use crate::management::ManagementState;
use crate::nudge::{PATIENT, nudge};
use crate::openapi::Tag;

/// The pause between two reads of the instance. There are 40 at most, of one read unit each.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = PhoneNumber)]
    phone: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PairingCode)]
pub struct Response {
    #[schema(example = "ABCD1234")]
    code: String,
    expires_at: Timestamp,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/api/instances/{instance}/pairing-code",
        "createPairingCode",
        handler,
    )
    .about(Tag::Instances, "Pairs the instance by a code that is entered on its phone")
    .details(
        "The person enters it under Linked devices, Link with phone number. The same request, made again, answers the \
         code that is still good; one for another number makes another. An instance that is paired, or of which another \
         request has asked something else meanwhile, is a 409.",
    )
    .errors(&[Code::Conflict, Code::UpstreamError, Code::UpstreamTimeout])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let phone = phone(&request.phone)?;
    let instance = find(&state, caller.subscription.id, &which).await?;
    let behalf = Behalf::of(&caller.user);
    get(&state, behalf, &trail, &instance, &phone)
        .await
        .map(Reply::ok)
}

/// The number in a request's `phone`.
pub fn phone(text: &str) -> Result<PhoneNumber, ApiError> {
    let mut fields = Fields::default();
    let phone = fields.parse::<PhoneNumber>("phone", text);
    phone.ok_or_else(|| fields.error())
}

/// A code for an instance that was read: the one that is good still, or another one.
pub async fn get(
    state: &ManagementState,
    behalf: Behalf<'_>,
    trail: &Trail,
    instance: &Instance,
    phone: &PhoneNumber,
) -> Result<Response, ApiError> {
    if instance.network == Network::Live {
        require_verified(state, behalf.user())?;
    }
    if instance.account.is_some() {
        return Err(paired());
    }
    // A network that is not served any more has no shard to nudge.
    state.queue_names(instance.network)?;
    let known = known(state, instance, phone).await?;
    if matches!(known, Known::Nothing) {
        ask(state, behalf, instance, phone).await?;
    }
    let record = behalf.record(Action::PairingCodeRequested).on(instance.id);
    trail.record(state, record).await;
    nudge(state, instance.network, instance.shard, instance.id, PATIENT).await;
    let code = match known {
        Known::Shown(code) => code,
        Known::OnItsWay | Known::Nothing => wait(state, instance, phone).await?,
    };
    show(state, instance, &code).await
}

/// A code as it is answered.
pub async fn show(
    state: &ManagementState,
    instance: &Instance,
    code: &PairingCode,
) -> Result<Response, ApiError> {
    Ok(Response {
        code: open(state, instance.id, &PairingCode::aad(instance.id), &code.sealed).await?,
        expires_at: code.expires_at.into(),
    })
}

/// What is known of a code for a number.
enum Known {
    /// It can be entered.
    Shown(PairingCode),
    /// It was asked for a moment ago.
    OnItsWay,
    /// Nothing.
    Nothing,
}

async fn known(state: &ManagementState, instance: &Instance, phone: &PhoneNumber) -> Result<Known, ApiError> {
    let (desired, observed) = (&instance.desired, &instance.observed);
    let is_wanted =
        |request: &&PairingRequest| desired.wanted == Wanted::Connected && request.phone == *phone;
    let Some(request) = desired.pairing.as_ref().filter(is_wanted) else {
        return Ok(Known::Nothing);
    };
    if let Some(code) = looked_for(state, instance).await? {
        return Ok(Known::Shown(code));
    }
    let is_new = state.clock.now() - request.asked_at < PAIRING_REQUEST_TERM / 2;
    let is_at_work = observed.generation < desired.generation || observed.status == Status::Connecting;
    Ok(if is_new && is_at_work {
        Known::OnItsWay
    } else {
        Known::Nothing
    })
}

/// Stores that a code is wanted.
async fn ask(
    state: &ManagementState,
    behalf: Behalf<'_>,
    instance: &Instance,
    phone: &PhoneNumber,
) -> Result<(), ApiError> {
    let now = state.clock.now();
    let (scope, limit) = behalf.pairing_codes(instance.id);
    let rate = state.rates.count(scope, limit, now).await?;
    rate_limit::refuse_beyond(rate, now)?;
    let request = PairingRequest {
        phone: phone.clone(),
        asked_at: now,
    };
    match state.instances.want_pairing(instance.id, &request).await? {
        PairingWanted::Asked(_) => Ok(()),
        PairingWanted::Paired => Err(paired()),
        PairingWanted::Gone => Err(ApiError::not_found("instance")),
    }
}

/// Reads the instance until there is a code or there will be none.
async fn wait(
    state: &ManagementState,
    asked: &Instance,
    phone: &PhoneNumber,
) -> Result<PairingCode, ApiError> {
    let deadline = Instant::now() + state.daemon_answer;
    loop {
        let instance = find(state, asked.subscription, &InstanceRef::Id(asked.id)).await?;
        let (desired, observed) = (&instance.desired, &instance.observed);
        let asked_for = desired.pairing.as_ref().map(|request| &request.phone);
        if desired.wanted != Wanted::Connected || asked_for != Some(phone) {
            return Err(ApiError::new(
                Code::Conflict,
                "Another request has asked something else of the instance meanwhile",
            ));
        }
        let is_taken_up = observed.generation >= desired.generation;
        if is_taken_up {
            if let Some(code) = looked_for(state, &instance).await? {
                return Ok(code);
            }
            if let Some(error) = end(&instance) {
                return Err(error);
            }
        }
        if Instant::now() + LOOK > deadline {
            return Err(too_late(is_taken_up));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The code that can be entered now, where there is one.
async fn looked_for(state: &ManagementState, instance: &Instance) -> Result<Option<PairingCode>, ApiError> {
    let now = state.clock.now();
    if waiting(instance, now).is_none() {
        return Ok(None);
    }
    let owners = Owners::of(state, [instance]).await?;
    Ok(shown(instance, &owners, now).cloned())
}

/// The same where it is known who holds the shard: a code leads nowhere if its daemon has lost the shard or lives no more.
pub fn shown<'a>(instance: &'a Instance, owners: &Owners, now: DateTime<Utc>) -> Option<&'a PairingCode> {
    waiting(instance, now).filter(|_| owners.is_vouched_for(instance))
}

fn waiting(instance: &Instance, now: DateTime<Utc>) -> Option<&PairingCode> {
    let observed = &instance.observed;
    let is_now =
        observed.generation >= instance.desired.generation && observed.status == Status::AwaitingPairingCode;
    let is_good = |code: &&PairingCode| is_now && now + TimeDelta::seconds(1) < code.expires_at;
    observed.pairing_code.as_ref().filter(is_good)
}

/// Why there will be no code, where the attempt is over.
fn end(instance: &Instance) -> Option<ApiError> {
    let (status, reason) = (instance.observed.status, instance.observed.reason.as_deref());
    let known: Option<Reason> = reason.and_then(|reason| reason.parse().ok());
    let (code, message) = match status {
        Status::Connecting | Status::Reconnecting if known == Some(Reason::RateLimited) => (
            Code::UpstreamError,
            "WhatsApp asks for fewer requests: try again later",
        ),
        Status::Connecting
        | Status::Reconnecting
        | Status::AwaitingQr
        | Status::AwaitingPairingCode
        | Status::AwaitingPasskey
        | Status::Unknown => return None,
        Status::Connected => return Some(paired()),
        Status::Disconnected => (Code::Conflict, "The instance was disconnected meanwhile"),
        Status::Banned => (Code::UpstreamError, "WhatsApp has banned the number"),
        Status::LoggedOut | Status::ForceDisconnected => match known {
            Some(Reason::PairingCodeThrottled) => (
                Code::UpstreamError,
                "WhatsApp allows no more pairing codes for now: wait, or scan a QR code",
            ),
            Some(Reason::ClientOutdated) => {
                (Code::UpstreamError, "WhatsApp refuses this version of the client")
            }
            _ => (
                Code::UpstreamError,
                "WhatsApp gave no pairing code for this number: check it, wait a while, or scan a QR code",
            ),
        },
    };
    Some(ApiError::new(code, message).with_details(json!({"status": status, "reason": reason})))
}

/// The refusal of an instance that is paired.
pub fn paired() -> ApiError {
    ApiError::new(
        Code::Conflict,
        "The instance is paired already: log it out before it is paired anew",
    )
}

fn too_late(is_taken_up: bool) -> ApiError {
    let outcome = if is_taken_up { "unknown" } else { "not_started" };
    ApiError::new(
        Code::UpstreamTimeout,
        "There was no pairing code in time; the same request finds one that comes later",
    )
    .with_details(json!({"outcome": outcome}))
}
