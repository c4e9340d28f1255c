//! `GET /pair/{token}/state`: all that the pairing page shows.

use axum::extract::State;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::instance::{Instance, InstanceName, MAX_QR_ATTEMPTS, QrCode, Status};
use shared::domain::network::Network;
use utoipa::ToSchema;

use super::link::{FoundLink, LinkState};
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Reply, Timestamp};
use crate::management::ManagementState;
use crate::management::instances::{pairing_code, passkey, picture, qr};
use crate::openapi::Tag;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pairing)]
pub struct Response {
    link: LinkState,
    link_expires_at: Timestamp,
    /// The instance's name. What follows is there while the link is good.
    instance: Option<InstanceName>,
    network: Option<Network>,
    status: Option<Status>,
    #[schema(example = json!(null))]
    reason: Option<String>,
    /// The QR code to scan.
    qr: Option<Scannable>,
    /// The code to type.
    code: Option<pairing_code::Response>,
    /// What WhatsApp wants of the account's owner.
    passkey: Option<passkey::View>,
}

/// A QR code to scan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PairingQrCode)]
pub struct Scannable {
    #[schema(example = "data:image/svg+xml;base64,PHN2Zz4=")]
    image: String,
    attempt: u8,
    #[schema(example = 3)]
    max_attempts: u8,
    expires_at: Timestamp,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/pair/{token}/state", "getPairing", handler)
        .about(Tag::Pairing, "How pairing is: all that the page shows")
        .details(
            "A link that is `used` or has `ended` tells that alone. One that there is not, or not any more, is a 404. A source \
             address may ask 600 times a minute.",
        )
}

pub async fn handler(
    State(state): State<ManagementState>,
    link: FoundLink,
) -> Result<Reply<Response>, ApiError> {
    let response = match link.state {
        LinkState::Open => {
            let owners = Owners::of(&state, [&link.instance]).await?;
            Response::of(&state, &link.instance, link.expires_at, &owners).await?
        }
        LinkState::Used | LinkState::Ended => Response::over(link.state, link.expires_at),
    };
    Ok(Reply::ok(response))
}

impl Response {
    /// How the pairing of an instance is, whose link is good.
    pub async fn of(
        state: &ManagementState,
        instance: &Instance,
        expires_at: DateTime<Utc>,
        owners: &Owners,
    ) -> Result<Self, ApiError> {
        let now = state.clock.now();
        let connection = owners.connection(instance);
        let qr = match qr::shown(instance, connection.status, now) {
            Some(shown) => Some(scannable(state, instance, shown).await?),
            None => None,
        };
        let code = match pairing_code::shown(instance, owners, now) {
            Some(shown) => Some(pairing_code::show(state, instance, shown).await?),
            None => None,
        };
        let passkey = match passkey::shown(instance, owners, now) {
            Some(shown) => Some(passkey::view(state, instance, shown).await?),
            None => None,
        };
        Ok(Self {
            link: LinkState::Open,
            link_expires_at: expires_at.into(),
            instance: Some(instance.name.clone()),
            network: Some(instance.network),
            status: Some(connection.status),
            reason: connection.reason,
            qr,
            code,
            passkey,
        })
    }

    /// What a link tells that leads nowhere any more.
    fn over(link: LinkState, expires_at: DateTime<Utc>) -> Self {
        Self {
            link,
            link_expires_at: expires_at.into(),
            instance: None,
            network: None,
            status: None,
            reason: None,
            qr: None,
            code: None,
            passkey: None,
        }
    }
}

async fn scannable(
    state: &ManagementState,
    instance: &Instance,
    shown: &QrCode,
) -> Result<Scannable, ApiError> {
    let text = qr::open(state, instance.id, &QrCode::aad(instance.id), &shown.sealed).await?;
    let image = STANDARD.encode(picture::svg(&text)?);
    Ok(Scannable {
        image: format!("data:image/svg+xml;base64,{image}"),
        attempt: shown.attempt,
        max_attempts: MAX_QR_ATTEMPTS,
        expires_at: shown.expires_at.into(),
    })
}
