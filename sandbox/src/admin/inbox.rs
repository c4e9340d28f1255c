//! `/admin/phones/{phone}/inbox`, `send`, `read` and `auto-reply`: what a person sees and does in chats.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::Message as _;
use serde::{Deserialize, Serialize};

use super::error::{ApiResult, Body, Params};
use crate::script::{
    AutoReply, Entry, InboxPage, InboxQuery, PageQuery, Phone, ReadReport, ReadRequest, SendRequest, Sent,
};

/// What part of an inbox a caller wants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    after: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    sent: bool,
}

/// The entries alone, or a page of them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Listed {
    All(Vec<Entry>),
    Page(InboxPage),
}

/// `GET …/inbox?after=&sent=`: the entries. With `limit` or `cursor` a page of them.
pub(super) async fn list(phone: Phone, Params(wanted): Params<Wanted>) -> ApiResult<Json<Listed>> {
    let Wanted {
        after,
        cursor,
        limit,
        sent,
    } = wanted;
    let listed = if limit.is_none() && cursor.is_none() {
        Listed::All(phone.inbox(InboxQuery { after, sent }).await?)
    } else {
        let query = PageQuery {
            after,
            cursor,
            limit,
            sent,
        };
        Listed::Page(phone.inbox_page(query).await?)
    };
    Ok(Json(listed))
}

/// A message as it was decrypted.
#[derive(Debug, Serialize)]
pub(super) struct Decrypted {
    id: String,
    /// The `Message` in base64.
    protobuf: String,
}

/// `GET …/inbox/{id}`
pub(super) async fn message(
    phone: Phone,
    Path((_, id)): Path<(String, String)>,
) -> ApiResult<Json<Decrypted>> {
    let message = phone.message(&id).await?;
    Ok(Json(Decrypted {
        id,
        protobuf: STANDARD.encode(message.encode_to_vec()),
    }))
}

/// `POST …/send`
pub(super) async fn send(
    phone: Phone,
    Body(request): Body<SendRequest>,
) -> ApiResult<(StatusCode, Json<Sent>)> {
    Ok((StatusCode::CREATED, Json(phone.send(request).await?)))
}

/// `POST …/read`: `{"ids": […]}` or `{"all": true}`, and perhaps `"played": true`.
pub(super) async fn read(phone: Phone, Body(request): Body<ReadRequest>) -> ApiResult<Json<ReadReport>> {
    Ok(Json(phone.read(request).await?))
}

/// `POST …/auto-reply`: the rule, or `null` to end it.
pub(super) async fn set_auto_reply(
    phone: Phone,
    Body(rule): Body<Option<AutoReply>>,
) -> ApiResult<Json<Option<AutoReply>>> {
    phone.set_auto_reply(rule.clone()).await?;
    Ok(Json(rule))
}

/// `GET …/auto-reply`: null where there is no rule.
pub(super) async fn auto_reply(phone: Phone) -> ApiResult<Json<Option<AutoReply>>> {
    Ok(Json(phone.auto_reply().await?))
}

/// `DELETE …/auto-reply`
pub(super) async fn end_auto_reply(phone: Phone) -> ApiResult<StatusCode> {
    phone.set_auto_reply(None).await?;
    Ok(StatusCode::NO_CONTENT)
}
