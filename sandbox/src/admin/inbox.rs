//! `/admin/phones/{phone}/inbox`, `send` and `read`: what a person sees and does in chats.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use waproto::whatsapp as wa;

use super::attachment::FileRequest;
use super::error::{ApiError, ApiResult, Body, Params};
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::phone::inbox::{self, Entry};
use crate::phone::media::{self, Form};
use crate::phone::send as sending;
use crate::receipts::{self, Receipt};
use crate::store::Unit;

/// The longest text of a message, as in the apps.
const MAX_TEXT: usize = 65_536;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    after: Option<String>,
}

/// `GET …/inbox?after=`
pub(super) async fn list(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Params(params): Params<ListParams>,
) -> ApiResult<Json<Vec<Entry>>> {
    let work = move |unit: &mut Unit<'_>| {
        directory::require(unit, &phone)?;
        inbox::list(unit, &phone, params.after.as_deref())
    };
    Ok(Json(network.store.run(work).await?))
}

/// What a phone sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum SendRequest {
    Text { to: String, text: String },
    Image(FileRequest),
    Video(FileRequest),
    Audio(FileRequest),
    Voice(FileRequest),
    Document(FileRequest),
    Sticker(FileRequest),
}

/// The message that went out.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    id: String,
    to: String,
}

/// `POST …/send`: `to` is a number, a LID or a JID of either.
pub(super) async fn send(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<SendRequest>,
) -> ApiResult<(StatusCode, Json<Sent>)> {
    let (form, request) = match request {
        SendRequest::Text { to, text } => {
            if text.is_empty() || text.len() > MAX_TEXT {
                return Err(ApiError::invalid(format!("`text` has 1 to {MAX_TEXT} bytes")));
            }
            let message = wa::Message {
                conversation: Some(text),
                ..Default::default()
            };
            return dispatch(&network, phone, to, message).await;
        }
        SendRequest::Image(request) => (Form::Image, request),
        SendRequest::Video(request) => (Form::Video, request),
        SendRequest::Audio(request) => (Form::Audio, request),
        SendRequest::Voice(request) => (Form::Voice, request),
        SendRequest::Document(request) => (Form::Document, request),
        SendRequest::Sticker(request) => (Form::Sticker, request),
    };
    let to = request.to.clone();
    let message = media::attach(&network, request.into_attachment(form)?).await?;
    dispatch(&network, phone, to, message).await
}

async fn dispatch(
    network: &Network,
    phone: String,
    to: String,
    message: wa::Message,
) -> ApiResult<(StatusCode, Json<Sent>)> {
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        let to = addressee(unit, &to)?;
        let id = sending::message(unit, &account, &to, message.into())?;
        Ok(Sent { id, to: to.phone })
    };
    Ok((StatusCode::CREATED, Json(network.store.run(work).await?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadRequest {
    ids: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
}

/// How many messages were not read before.
#[derive(Debug, Serialize)]
pub(super) struct ReadResponse {
    read: usize,
}

/// `POST …/read`: `{"ids": […]}` or `{"all": true}`.
pub(super) async fn read(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<ReadRequest>,
) -> ApiResult<Json<ReadResponse>> {
    if request.ids.is_some() == request.all {
        return Err(ApiError::invalid("exactly one of `ids` and `all` is wanted"));
    }
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        let unread = inbox::mark_read(unit, &phone, request.ids.as_deref())?;
        let read = unread.len();
        let mut by_sender: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
        for entry in unread {
            by_sender
                .entry((entry.sender, entry.family == Family::Lid))
                .or_default()
                .push(entry.id);
        }
        for ((sender, lid), ids) in by_sender {
            let family = if lid { Family::Lid } else { Family::Pn };
            let receipt = Receipt {
                reader: &account,
                device: 0,
                family,
                kind: "read",
                ids: &ids,
                only: None,
                extra: Vec::new(),
            };
            if let Some(sender) = directory::by_phone(unit, &sender)? {
                receipts::fan_out(unit, &receipt, &sender)?;
                // One's own companions learn it too.
                let chat = sender.jid(family, 0);
                receipts::fan_out_for(
                    unit,
                    &Receipt {
                        kind: "read-self",
                        ..receipt
                    },
                    &account,
                    Some(&chat),
                )?;
            }
        }
        Ok(ReadResponse { read })
    };
    Ok(Json(network.store.run(work).await?))
}

fn online(unit: &Unit<'_>, phone: &str) -> Result<Account> {
    let account = directory::require(unit, phone)?;
    if account.online {
        Ok(account)
    } else {
        Err(Error::Conflict("this phone is offline".into()))
    }
}

fn addressee(unit: &Unit<'_>, to: &str) -> Result<Account> {
    let to = to.strip_prefix('+').unwrap_or(to);
    let found = match to.strip_prefix("lid:") {
        Some(lid) => directory::resolve(unit, &wacore_binary::Jid::lid(lid))?,
        None if to.contains('@') => {
            let jid = to
                .parse()
                .map_err(|_| Error::Invalid("`to` is no number and no JID".into()))?;
            directory::resolve(unit, &jid)?
        }
        None => directory::by_phone(unit, to)?,
    };
    found.ok_or_else(|| Error::NotFound("`to` is not on this network".into()))
}
