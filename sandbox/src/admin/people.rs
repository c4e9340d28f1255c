//! `/admin/phones/{phone}/…`: what a person says of themselves, whom they let see and reach them, and that they are
//! there or writing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, ApiResult, Body};
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::people::chatstates::{self, Seen, State as ChatState};
use crate::people::privacy::{self, Category, Exceptions, Value};
use crate::people::{blocks, calls, presence, profile};
use crate::phone::app_state::actions::{self, Action};
use crate::store::Unit;

/// The longest that a person writes before they pause by themselves.
const MAX_TYPING: Duration = Duration::from_mins(5);

/// The longest id of a call, in bytes.
const MAX_CALL_ID: usize = 128;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypingRequest {
    to: String,
    #[serde(default)]
    state: ChatState,
    /// After how many milliseconds the person pauses; without it they do not.
    ms: Option<u64>,
}

/// `POST …/typing`: the person begins to write or record, or pauses.
pub(super) async fn type_to(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<TypingRequest>,
) -> ApiResult<StatusCode> {
    let TypingRequest { to, state, ms } = request;
    let pause = ms.map(Duration::from_millis);
    if pause.is_some_and(|pause| pause > MAX_TYPING) {
        let most = MAX_TYPING.as_millis();
        return Err(ApiError::invalid(format!("`ms` is at most {most}")));
    }
    type_once(&network, &phone, &to, state).await?;
    if let Some(pause) = pause.filter(|_| state != ChatState::Paused) {
        let paused = Arc::clone(&network);
        network.tasks.spawn(async move {
            tokio::select! {
                () = paused.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            // By now the person may be gone, or offline: then nobody sees the pause either.
            if let Err(error) = type_once(&paused, &phone, &to, ChatState::Paused).await {
                tracing::debug!(cause = %error.for_log(), "a person does not pause");
            }
        });
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn type_once(network: &Network, phone: &str, to: &str, state: ChatState) -> Result<()> {
    let (phone, chat, ttl) = (
        phone.to_owned(),
        chatstates::chat(to)?,
        network.config.chatstate_ttl,
    );
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        if Family::of(&chat).is_some() && directory::resolve(unit, &chat)?.is_none() {
            return Err(Error::NotFound("`to` is not on this network".into()));
        }
        chatstates::send(unit, ttl, (&account, 0), &chat, state)
    };
    network.store.run(work).await
}

/// `GET …/typing`: what the phone saw last of everybody who wrote to it, latest first.
pub(super) async fn typing(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
) -> ApiResult<Json<Vec<Seen>>> {
    let work = move |unit: &mut Unit<'_>| {
        directory::require(unit, &phone)?;
        chatstates::seen(unit, &phone)
    };
    Ok(Json(network.store.run(work).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallRequest {
    to: String,
    #[serde(default)]
    video: bool,
    /// The id of a call that ends, instead of a new one.
    end: Option<String>,
}

/// A call of the person's.
#[derive(Debug, Serialize)]
pub(super) struct Called {
    id: String,
    to: String,
}

/// `POST …/call`: the person calls somebody, or hangs up.
pub(super) async fn call(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<CallRequest>,
) -> ApiResult<(StatusCode, Json<Called>)> {
    let status = match request.end {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        let person = person(unit, "to", &request.to)?;
        let id = match request.end {
            None => calls::place(unit, &account, &person, request.video)?,
            Some(id) if id.is_empty() || id.len() > MAX_CALL_ID => {
                return Err(Error::Invalid(format!("`end` has 1 to {MAX_CALL_ID} bytes")));
            }
            Some(id) => {
                calls::hang_up(unit, &account, &person, &id)?;
                id
            }
        };
        Ok(Called { id, to: person.phone })
    };
    Ok((status, Json(network.store.run(work).await?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PresenceRequest {
    available: bool,
}

/// `POST …/presence`: the person looks at their phone, or puts it away.
pub(super) async fn set_presence(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<PresenceRequest>,
) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        online(unit, &phone)?;
        presence::set_phone(unit, &phone, request.available)
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockRequest {
    who: String,
    #[serde(default = "yes")]
    blocked: bool,
}

fn yes() -> bool {
    true
}

/// `POST …/block`: the person blocks somebody, or no longer.
pub(super) async fn block(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<BlockRequest>,
) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        let person = person(unit, "who", &request.who)?;
        blocks::set(unit, &account, &person, request.blocked, (None, None))
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AboutRequest {
    text: String,
}

/// `POST …/about`: the person changes their about text.
pub(super) async fn about(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<AboutRequest>,
) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        profile::set_about(unit, &account, &request.text, None)
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameRequest {
    name: String,
}

/// `POST …/name`: the person takes another name.
pub(super) async fn name(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<NameRequest>,
) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        profile::set_push_name(unit, &account.phone, &request.name)?;
        actions::act(unit, &account, Action::PushName { name: request.name })
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A privacy setting: a value, or "my contacts except".
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Setting {
    Value(String),
    Except {
        /// Numbers.
        except: Vec<String>,
    },
}

/// `POST …/privacy`: `{"last": "contacts", "status": {"except": ["155501000002"]}}`. Answers all settings.
pub(super) async fn set_privacy(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<BTreeMap<String, Setting>>,
) -> ApiResult<Json<BTreeMap<&'static str, Setting>>> {
    let work = move |unit: &mut Unit<'_>| {
        let account = online(unit, &phone)?;
        for (name, setting) in request {
            change(unit, &account, Category::parse(&name)?, setting)?;
        }
        settings(unit, &phone)
    };
    Ok(Json(network.store.run(work).await?))
}

/// `GET …/privacy`
pub(super) async fn get_privacy(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
) -> ApiResult<Json<BTreeMap<&'static str, Setting>>> {
    let work = move |unit: &mut Unit<'_>| {
        directory::require(unit, &phone)?;
        settings(unit, &phone)
    };
    Ok(Json(network.store.run(work).await?))
}

fn change(unit: &mut Unit<'_>, account: &Account, category: Category, setting: Setting) -> Result<()> {
    let (value, people) = match setting {
        Setting::Value(value) => (Value::parse(category, &value)?, Vec::new()),
        Setting::Except { except } => {
            let except = except.iter().map(|who| person(unit, "except", who));
            (Value::Except, except.collect::<Result<Vec<_>>>()?)
        }
    };
    let change = Exceptions {
        remove: privacy::exceptions(unit, &account.phone, category)?,
        add: people,
        believed: None,
    };
    privacy::set(unit, account, (category, value), &change, None)
}

fn settings(unit: &Unit<'_>, phone: &str) -> Result<BTreeMap<&'static str, Setting>> {
    let settings = Category::ALL.into_iter().map(|category| {
        let setting = match privacy::get(unit, phone, category)? {
            Value::Except => {
                let people = privacy::exceptions(unit, phone, category)?;
                Setting::Except {
                    except: people.into_iter().map(|person| person.phone).collect(),
                }
            }
            value => Setting::Value(value.as_str().into()),
        };
        Ok((category.as_str(), setting))
    });
    settings.collect()
}

/// Somebody whom the member `member` names by number, `lid:…` or JID.
fn person(unit: &Unit<'_>, member: &str, who: &str) -> Result<Account> {
    let invalid = |_| Error::Invalid(format!("`{member}` is no number and no JID"));
    let jid = chatstates::chat(who).map_err(invalid)?;
    directory::resolve(unit, &jid)?
        .ok_or_else(|| Error::NotFound(format!("`{member}` is not on this network")))
}

fn online(unit: &Unit<'_>, phone: &str) -> Result<Account> {
    let account = directory::require(unit, phone)?;
    if account.online {
        Ok(account)
    } else {
        Err(Error::Conflict("this phone is offline".into()))
    }
}
