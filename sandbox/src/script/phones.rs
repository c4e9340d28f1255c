//! Phones as such: making, listing and removing them, turning them on and off, linking and unlinking devices.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Phone;
use crate::companions;
use crate::directory::{self, Account, Address};
use crate::error::{Error, Result};
use crate::groups::participants;
use crate::network::Network;
use crate::pairing;
use crate::people::business::{self, Business};
use crate::people::{presence, profile};
use crate::phone::passkey::{self, PasskeyInfo};
use crate::phone::{identity, key_share};
use crate::pictures::{self, Owner};
use crate::server::refusals::{self, Refusal};
use crate::server::registry::Registry;
use crate::store::{Known, Unit};
use crate::switches;

/// A phone and its companions.
#[derive(Debug, Clone, Serialize)]
pub struct PhoneInfo {
    /// E.164 digits.
    pub phone: String,
    /// The LID's digits.
    pub lid: String,
    /// The push name.
    pub name: String,
    /// Whether it is on.
    pub online: bool,
    /// Whether the person shows as being there, on the phone or a companion.
    pub available: bool,
    /// Its linked devices.
    pub companions: Vec<Companion>,
    /// Behaviours switched on or off for this account.
    pub switches: BTreeMap<String, bool>,
    /// Why its companions may not log in; null where they may.
    pub refused: Option<Refusal>,
    /// The passkey that the network wants before it links a device; null where it wants none.
    pub passkey: Option<PasskeyInfo>,
    /// The code that the phone shows while a client is linked with a passkey, to be compared with the client's.
    #[serde(rename = "linkingCode")]
    pub linking_code: Option<String>,
}

/// A linked device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Companion {
    /// Its number, from 1.
    pub device: u16,
    /// Whether it is connected now.
    pub connected: bool,
    /// The number of its connection, which a fault may be aimed at; null where it has none. A later one has a higher number.
    pub client: Option<u64>,
    /// What it says it is, as `chrome`.
    pub platform: String,
    /// On which system it says that it runs.
    pub name: String,
}

/// A phone to make.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPhone {
    /// E.164 digits; without it the next of a range that nobody has.
    pub phone: Option<String>,
    /// The push name; without it the end of the number.
    pub name: Option<String>,
    /// Makes it a business account.
    pub business: Option<Business>,
    /// Whether its devices address people by LID, as migrated accounts do.
    #[serde(default)]
    pub lid_migrated: bool,
    /// Whether the network wants a passkey before it links a device.
    #[serde(default)]
    pub passkey: bool,
}

/// A device that was linked, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// E.164 digits.
    pub phone: String,
    /// The LID's digits.
    pub lid: String,
    /// The push name.
    pub name: String,
    /// The new device.
    pub device: u16,
}

pub(crate) async fn create(network: &Arc<Network>, new: NewPhone) -> Result<PhoneInfo> {
    let work = move |unit: &mut Unit<'_>| {
        let account = identity::create(unit, new.phone, new.name)?;
        if let Some(business) = &new.business {
            business::set(unit, &account.phone, business)?;
        }
        if new.lid_migrated {
            profile::migrate(unit, &account.phone)?;
        }
        if new.passkey {
            passkey::create(unit, &account.phone)?;
        }
        info(unit, account, None)
    };
    network.store.run(work).await
}

pub(crate) async fn list(network: &Arc<Network>) -> Result<Vec<PhoneInfo>> {
    let registry = Arc::clone(&network.registry);
    let work = move |unit: &mut Unit<'_>| {
        let accounts = directory::all(unit)?;
        let infos = accounts
            .into_iter()
            .map(|account| info(unit, account, Some(&registry)));
        infos.collect::<Result<Vec<_>>>()
    };
    network.store.run(work).await
}

pub(crate) async fn scan(network: &Arc<Network>, qr: String, phone: Option<String>) -> Result<Linked> {
    // A caller that goes away must not leave a device half linked.
    let (tasks, network) = (network.tasks.clone(), Arc::clone(network));
    let scan = tasks.spawn(async move { pairing::scan(&network, &qr, phone).await });
    Ok(scan.await.map_err(|_| Error::Stopped)??.into())
}

impl From<pairing::Linked> for Linked {
    fn from(linked: pairing::Linked) -> Self {
        let Account { phone, lid, name, .. } = linked.account;
        Self {
            phone,
            lid,
            name,
            device: linked.device,
        }
    }
}

impl Phone {
    /// The phone and its companions.
    pub async fn info(&self) -> Result<PhoneInfo> {
        let registry = Arc::clone(&self.network.registry);
        self.work(move |unit, account| info(unit, account.clone(), Some(&registry)))
            .await
    }

    /// Scans the QR code that a client shows. The phone is made if need be.
    pub async fn scan(&self, qr: &str) -> Result<Linked> {
        scan(&self.network, qr.to_owned(), Some(self.number.clone())).await
    }

    /// Types the pairing code that a client shows, with or without its hyphen.
    pub async fn enter_code(&self, code: &str) -> Result<Linked> {
        let (network, phone, code) = (Arc::clone(&self.network), self.number.clone(), code.to_owned());
        let entering = async move { pairing::code::enter(&network, phone, &code).await };
        let linked = self.network.tasks.spawn(entering);
        Ok(linked.await.map_err(|_| Error::Stopped)??.into())
    }

    /// Uses the account's passkey as its person does in a browser on a page of `origin`, or of the pairing page's host where that is
    /// not said. Answers the credential for the request's `options`.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the account has none, [`Error::Invalid`] for options that it cannot answer.
    pub async fn use_passkey(
        &self,
        options: serde_json::Value,
        origin: Option<String>,
    ) -> Result<serde_json::Value> {
        self.work(move |unit, account| {
            let found = passkey::of(unit, &account.phone)?;
            let found = found.ok_or_else(|| Error::NotFound("this phone has no passkey".into()))?;
            let page = format!("http://{}", passkey::RELYING_PARTY);
            found.assert(&options, origin.as_deref().unwrap_or(&page))
        })
        .await
    }

    /// Turns the phone off: what comes for it waits.
    pub async fn offline(&self) -> Result<()> {
        self.set_online(false).await
    }

    /// Turns the phone on: it takes what waits.
    pub async fn online(&self) -> Result<()> {
        self.set_online(true).await
    }

    async fn set_online(&self, online: bool) -> Result<()> {
        let phone = self.number.clone();
        let work = move |unit: &mut Unit<'_>| {
            let account = directory::require(unit, &phone)?;
            identity::set_online(unit, &phone, online)?;
            if online {
                key_share::share_due(unit, &Account { online, ..account })?;
                unit.wake(&Address::primary(phone.as_str()));
                unit.answers_due();
            } else {
                // Who has no phone at hand does not look at it either.
                presence::set_phone(unit, &phone, false)?;
            }
            Ok(())
        };
        self.network.store.run(work).await
    }

    /// Removes one linked device, or all.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a device that is not there.
    pub async fn unlink(&self, device: Option<u16>) -> Result<()> {
        let phone = self.number.clone();
        self.network
            .store
            .run(move |unit| unlink(unit, &phone, device))
            .await
    }

    /// Its person installs the app anew: with new keys, and without companions.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the phone is gone.
    pub async fn install_anew(&self) -> Result<()> {
        let phone = self.number.clone();
        let work = move |unit: &mut Unit<'_>| {
            unlink(unit, &phone, None)?;
            identity::renew(unit, &phone)
        };
        self.network.store.run(work).await
    }

    /// Ends the account, and with it its companions.
    pub async fn remove(&self) -> Result<()> {
        let phone = self.number.clone();
        let work = move |unit: &mut Unit<'_>| {
            unlink(unit, &phone, None)?;
            let account = directory::require(unit, &phone)?;
            participants::leave_all(unit, &account)?;
            // The number may come again as somebody else's, so others' sessions with it end here.
            Known::store(unit)?;
            unit.execute("DELETE FROM sessions WHERE peer = ?1", [&phone])?;
            pictures::remove_with_owner(unit, &Owner::Person(account))?;
            unit.execute("DELETE FROM phones WHERE phone = ?1", [&phone])?;
            Ok(())
        };
        self.network.store.run(work).await
    }
}

fn info(unit: &Unit<'_>, account: Account, registry: Option<&Registry>) -> Result<PhoneInfo> {
    let client = |device| {
        let client = registry?.client(&Address::new(&account.phone, device))?;
        Some(client.id)
    };
    let companions = companions::all(unit, &account.phone)?
        .into_iter()
        .map(|companion| {
            let client = client(companion.device);
            Companion {
                device: companion.device,
                connected: client.is_some(),
                client,
                platform: companion.platform,
                name: companion.name,
            }
        })
        .collect();
    let available = presence::is_available(unit, &account.phone)?;
    let switches = switches::all(unit, &account.phone)?;
    let refused = refusals::standing(unit, &account.phone)?;
    let passkey = passkey::of(unit, &account.phone)?.map(|passkey| passkey.info());
    let linking_code = registry.and_then(|registry| registry.passkeys.code(&account.phone));
    let Account {
        phone,
        lid,
        name,
        online,
    } = account;
    Ok(PhoneInfo {
        phone,
        lid,
        name,
        online,
        available,
        companions,
        switches,
        refused,
        passkey,
        linking_code,
    })
}

fn unlink(unit: &mut Unit<'_>, phone: &str, only: Option<u16>) -> Result<()> {
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
