//! `/admin/phones`: making, listing and removing phones, and turning them on and off.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::error::{ApiResult, Body};
use crate::companions;
use crate::directory::{self, Account, Address};
use crate::error::{Error, Result};
use crate::groups::participants;
use crate::network::Network;
use crate::people::business::{self, Business};
use crate::people::{presence, profile};
use crate::phone::{identity, key_share};
use crate::pictures::{self, Owner};
use crate::server::refusals::{self, Refusal};
use crate::store::Unit;
use crate::switches;

/// A phone and its companions.
#[derive(Debug, Serialize)]
pub(super) struct PhoneView {
    phone: String,
    lid: String,
    name: String,
    online: bool,
    /// Whether the person shows as being there, on the phone or a companion.
    available: bool,
    companions: Vec<CompanionView>,
    /// Behaviours switched on or off for this account.
    switches: BTreeMap<String, bool>,
    /// Why its companions may not log in; null where they may.
    refused: Option<Refusal>,
}

/// A linked device.
#[derive(Debug, Serialize)]
struct CompanionView {
    device: u16,
    connected: bool,
    /// What it says it is, as `chrome`.
    platform: String,
    /// On which system it says that it runs.
    name: String,
}

fn view(unit: &Unit<'_>, account: Account, connected: impl Fn(&Address) -> bool) -> Result<PhoneView> {
    let companions = companions::all(unit, &account.phone)?
        .into_iter()
        .map(|companion| CompanionView {
            device: companion.device,
            connected: connected(&Address::new(&account.phone, companion.device)),
            platform: companion.platform,
            name: companion.name,
        })
        .collect();
    let available = presence::is_available(unit, &account.phone)?;
    let switches = switches::all(unit, &account.phone)?;
    let refused = refusals::standing(unit, &account.phone)?;
    let Account {
        phone,
        lid,
        name,
        online,
    } = account;
    Ok(PhoneView {
        phone,
        lid,
        name,
        online,
        available,
        companions,
        switches,
        refused,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRequest {
    phone: Option<String>,
    name: Option<String>,
    /// Makes it a business account.
    business: Option<Business>,
    /// Whether its devices address people by LID, as migrated accounts do.
    #[serde(default, rename = "lidMigrated")]
    lid_migrated: bool,
}

/// `POST /admin/phones`
pub(super) async fn create(
    State(network): State<Arc<Network>>,
    Body(request): Body<CreateRequest>,
) -> ApiResult<(StatusCode, Json<PhoneView>)> {
    let work = move |unit: &mut Unit<'_>| {
        let account = identity::create(unit, request.phone, request.name)?;
        if let Some(business) = &request.business {
            business::set(unit, &account.phone, business)?;
        }
        if request.lid_migrated {
            profile::migrate(unit, &account.phone)?;
        }
        view(unit, account, |_| false)
    };
    Ok((StatusCode::CREATED, Json(network.store.run(work).await?)))
}

/// `GET /admin/phones`, oldest first.
pub(super) async fn list(State(network): State<Arc<Network>>) -> ApiResult<Json<Vec<PhoneView>>> {
    let registry = Arc::clone(&network.registry);
    let work = move |unit: &mut Unit<'_>| {
        let accounts = directory::all(unit)?;
        let views = accounts
            .into_iter()
            .map(|account| view(unit, account, |a| registry.client(a).is_some()));
        views.collect::<Result<Vec<_>>>()
    };
    Ok(Json(network.store.run(work).await?))
}

/// `DELETE /admin/phones/{phone}`: the account ends, and with it its companions.
pub(super) async fn remove(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        unlink_all(unit, &phone, None)?;
        let account = directory::require(unit, &phone)?;
        participants::leave_all(unit, &account)?;
        // The number may come again as somebody else's: others' sessions with it end here.
        unit.execute("DELETE FROM sessions WHERE peer = ?1", [&phone])?;
        pictures::remove_with_owner(unit, &Owner::Person(account))?;
        unit.execute("DELETE FROM phones WHERE phone = ?1", [&phone])?;
        Ok(())
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/phones/{phone}/offline`: what comes for it waits.
pub(super) async fn offline(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
) -> ApiResult<StatusCode> {
    set_online(&network, phone, false).await
}

/// `POST /admin/phones/{phone}/online`: it takes what waits.
pub(super) async fn online(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
) -> ApiResult<StatusCode> {
    set_online(&network, phone, true).await
}

async fn set_online(network: &Network, phone: String, online: bool) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        let account = directory::require(unit, &phone)?;
        identity::set_online(unit, &phone, online)?;
        if online {
            key_share::share_due(unit, &Account { online, ..account })?;
            unit.wake(&Address::primary(phone));
        } else {
            // Who has no phone at hand does not look at it either.
            presence::set_phone(unit, &phone, false)?;
        }
        Ok(())
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnlinkRequest {
    device: Option<u16>,
}

/// `POST /admin/phones/{phone}/unlink`: the person removes one linked device, or all.
pub(super) async fn unlink(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<UnlinkRequest>,
) -> ApiResult<StatusCode> {
    network
        .store
        .run(move |unit| unlink_all(unit, &phone, request.device))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn unlink_all(unit: &mut Unit<'_>, phone: &str, only: Option<u16>) -> Result<()> {
    directory::require(unit, phone)?;
    let mut devices = directory::devices(unit, phone)?;
    devices.retain(|device| *device != 0 && only.is_none_or(|only| only == *device));
    if only.is_some() && devices.is_empty() {
        return Err(Error::NotFound("the phone has no such companion".into()));
    }
    for device in devices {
        companions::unlink(unit, &Address::new(phone, device))?;
    }
    Ok(())
}
