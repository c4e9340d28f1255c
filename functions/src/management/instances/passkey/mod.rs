//! `/api/instances/{instance}/passkey`: what WhatsApp wants of an account's owner before it links a device, and the owner's
//! answer. Functions hand both on; they make and check no assertion.

pub mod answer;
pub mod confirm;
pub mod show;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use shared::domain::audit::Action;
use shared::domain::instance::{Instance, Status};
use shared::domain::network::Network;
use shared::domain::passkey::{Credential, PasskeyAnswer, PasskeyRequest, PasskeyStage};
use shared::seal::Purpose;
use shared::storage::instances::PasskeyAnswered;
use utoipa::ToSchema;

use super::behalf::Behalf;
use super::qr::open;
use crate::connection::Owners;
use crate::http::caller::require_verified;
use crate::http::{ApiError, Code, Fields, RequestContext, Timestamp, Trail, rate_limit};
use crate::management::ManagementState;
use crate::nudge::{PATIENT, nudge};

/// The origin of WhatsApp's own web client, to which its passkeys are bound.
const WHATSAPP: &str = "https://web.whatsapp.com";

/// The host of the sandbox's passkeys.
const LOCAL: &str = "http://localhost";

/// What is wanted of the account's owner. Members that the stage does not have are `null`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Passkey)]
pub struct View {
    stage: PasskeyStage,
    /// Of an assertion: `PublicKeyCredentialRequestOptions` in JSON, as WhatsApp gave them.
    #[schema(value_type = Option<Object>, example = json!({"challenge": "AAEC", "rpId": "web.whatsapp.com"}))]
    options: Option<Value>,
    /// Of an assertion: the origin of the page that can make it.
    #[schema(example = "https://web.whatsapp.com")]
    origin: Option<String>,
    /// Of a confirmation: the code that the phone has to show too.
    #[schema(example = "ABCD-1234")]
    code: Option<String>,
    expires_at: Timestamp,
}

/// What waits for the account's owner now. It leads nowhere if its daemon has lost the shard or lives no more.
pub fn shown<'a>(instance: &'a Instance, owners: &Owners, now: DateTime<Utc>) -> Option<&'a PasskeyRequest> {
    let observed = &instance.observed;
    let waits = observed.status == Status::AwaitingPasskey && owners.is_vouched_for(instance);
    observed
        .passkey
        .as_ref()
        .filter(|one| waits && now < one.expires_at)
}

/// The same, where a caller asks for it.
fn wanted<'a>(
    state: &ManagementState,
    instance: &'a Instance,
    owners: &Owners,
) -> Result<&'a PasskeyRequest, ApiError> {
    shown(instance, owners, state.clock.now()).ok_or_else(|| none(owners.connection(instance).status))
}

/// The refusal where WhatsApp asks for nothing, or not for this.
fn none(status: Status) -> ApiError {
    let message = format!("WhatsApp does not wait for this: the instance is {status}");
    ApiError::new(Code::Conflict, message).with_details(json!({"status": status}))
}

/// What waits, as it is answered.
pub async fn view(
    state: &ManagementState,
    instance: &Instance,
    request: &PasskeyRequest,
) -> Result<View, ApiError> {
    let text = opened(state, instance, request).await?;
    let mut view = View {
        stage: request.stage,
        options: None,
        origin: None,
        code: None,
        expires_at: request.expires_at.into(),
    };
    match request.stage {
        PasskeyStage::Assertion => {
            view.options = Some(options(&text)?);
            view.origin = Some(origin(instance.network)?);
        }
        PasskeyStage::Confirmation => view.code = Some(text),
        // A newer daemon's, which this version cannot answer.
        PasskeyStage::Unknown => {}
    }
    Ok(view)
}

async fn opened(
    state: &ManagementState,
    instance: &Instance,
    request: &PasskeyRequest,
) -> Result<String, ApiError> {
    let aad = PasskeyRequest::aad(instance.id, &request.mark);
    open(state, instance.id, &aad, &request.sealed).await
}

fn options(text: &str) -> Result<Value, ApiError> {
    serde_json::from_str(text).map_err(|error| ApiError::internal().caused_by(error))
}

/// The sandbox's passkeys are bound to `localhost`, where the pairing page of a local stack is, at the port that is called.
fn origin(network: Network) -> Result<String, ApiError> {
    match network {
        Network::Live => Ok(WHATSAPP.to_owned()),
        Network::Sandbox => {
            let context = RequestContext::current().ok_or_else(ApiError::internal)?;
            let base = context.docs().at("");
            let port = base.rsplit_once(':').map(|(_, port)| port);
            let port = port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
            Ok(port.map_or_else(|| LOCAL.to_owned(), |port| format!("{LOCAL}:{port}")))
        }
    }
}

/// What the account's owner answers.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// An assertion.
    Assertion(&'a Credential),
    /// The phone shows the same code: this one, where the caller says which.
    SameCode(Option<&'a str>),
}

/// Stores what the owner answers, and nudges the shard. Answers who holds it.
pub async fn answered(
    state: &ManagementState,
    behalf: Behalf<'_>,
    trail: &Trail,
    instance: &Instance,
    given: Given<'_>,
) -> Result<Owners, ApiError> {
    if instance.network == Network::Live {
        require_verified(state, behalf.user())?;
    }
    let owners = Owners::of(state, [instance]).await?;
    let request = wanted(state, instance, &owners)?;
    // A network that is not served any more has no shard to nudge.
    state.queue_names(instance.network)?;
    let sealed = match (request.stage, given) {
        (PasskeyStage::Assertion, Given::Assertion(credential)) => {
            checked(state, instance, request, credential).await?;
            Some(sealed(state, instance, request, credential).await?)
        }
        (PasskeyStage::Confirmation, Given::SameCode(code)) => {
            if let Some(code) = code {
                compared(state, instance, request, code).await?;
            }
            None
        }
        (PasskeyStage::Assertion | PasskeyStage::Confirmation | PasskeyStage::Unknown, _) => {
            return Err(none(owners.connection(instance).status));
        }
    };
    if let Some((scope, limit)) = behalf.link_limit(instance.id) {
        let now = state.clock.now();
        rate_limit::refuse_beyond(state.rates.count(scope, limit, now).await?, now)?;
    }
    let answer = PasskeyAnswer {
        mark: request.mark.clone(),
        sealed,
    };
    match state.instances.answer_passkey(instance.id, &answer).await? {
        PasskeyAnswered::Stored => {}
        PasskeyAnswered::Over => {
            return Err(ApiError::new(
                Code::Conflict,
                "WhatsApp does not wait for this any more: look at what it wants now",
            ));
        }
        PasskeyAnswered::Gone => return Err(ApiError::not_found("instance")),
    }
    let record = behalf.record(Action::PasskeyAnswered).on(instance.id);
    trail.record(state, record.detail("stage", request.stage)).await;
    nudge(state, instance.network, instance.shard, instance.id, PATIENT).await;
    Ok(owners)
}

/// Checks that a credential answers what is asked now: WhatsApp takes one answer.
async fn checked(
    state: &ManagementState,
    instance: &Instance,
    request: &PasskeyRequest,
    credential: &Credential,
) -> Result<(), ApiError> {
    let options = options(&opened(state, instance, request).await?)?;
    let challenge = options["challenge"].as_str().unwrap_or_default();
    let mut fields = Fields::default();
    fields.check("credential", credential.check(challenge));
    fields.finish()
}

/// Checks that the code which a person has compared is the one that waits. Another attempt may have brought another code
/// since that person saw it.
async fn compared(
    state: &ManagementState,
    instance: &Instance,
    request: &PasskeyRequest,
    code: &str,
) -> Result<(), ApiError> {
    if opened(state, instance, request).await? == code {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Conflict,
        "Another code waits by now: look at it, and compare it with the phone's",
    ))
}

async fn sealed(
    state: &ManagementState,
    instance: &Instance,
    request: &PasskeyRequest,
    credential: &Credential,
) -> Result<Vec<u8>, ApiError> {
    let json = serde_json::to_vec(credential).map_err(|error| ApiError::internal().caused_by(error))?;
    let aad = PasskeyAnswer::aad(instance.id, &request.mark);
    let sealing = state.sealer.seal(instance.id, Purpose::Content, &aad, &json);
    Ok(sealing.await?)
}
