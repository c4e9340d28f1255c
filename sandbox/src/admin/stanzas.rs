//! `POST /admin/phones/{phone}/stanza`: what the server sends the phone's companions, as it is given.

use axum::http::StatusCode;

use super::error::{ApiResult, Body};
use crate::script::{Phone, StanzaRequest};

/// `POST …/stanza`
pub(super) async fn send(phone: Phone, Body(stanza): Body<StanzaRequest>) -> ApiResult<StatusCode> {
    phone.send_stanza(stanza).await?;
    Ok(StatusCode::NO_CONTENT)
}
