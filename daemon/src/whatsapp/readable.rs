//! Whether anybody can read a message to a person, before the message is on the wire.
//!
//! The library writes a message for those devices whose keys it has. Where it gets the keys of none of the recipient's devices,
//! it writes the message for the account's own alone: the server acknowledges that, and the message is delivered to nobody. So
//! what the library does for that is done before, in its order, which it finds done; and without a session with any device of
//! the recipient nothing goes out.
//!
//! The library's list of devices may miss one that nobody told of. Where the devices of the list have no keys, the server is
//! asked for the list, and the message is written by the one that has a device with keys.

use shared::domain::recipient::Recipient;
use wacore::adv;
use wacore::iq::prekeys::{PreKeyFetchReason, PreKeyFetchSpec};
use wacore::iq::usync::DeviceListSpec;
use wacore::store::traits::DeviceInfo;
use wacore::usync::UserDeviceList;
use wacore_binary::{Jid, JidExt as _};
use whatsapp_rust::{Client, ErrorChainExt as _, Freshness, IqError, SignalError};

use super::{failure, people};
use crate::connection::SendError;

/// The server's answer to a request for the keys of devices that are gone. The library looks for that person's devices anew
/// then, the next time.
const GONE: u16 = 406;

/// No device of a recipient has keys.
#[derive(Debug, thiserror::Error)]
#[error("no device of the recipient has keys")]
struct Unreadable;

/// Keys of a recipient's devices could not be had just now.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error("WhatsApp answered a request for a device's keys with {0}")]
    Refused(u16),
    #[error("keys of the recipient's devices came late")]
    Late,
}

/// By which list of this person's devices a message is to be written; an error where nobody could read it.
pub async fn require(client: &Client, to: &Recipient) -> Result<Freshness, SendError> {
    let list = look(client, to).await?;
    list.ok_or_else(|| SendError::Failed(Box::new(Unreadable)))
}

/// Whether there is a session with a device of this person, or one was agreed upon just now.
pub async fn is_readable(client: &Client, to: &Recipient) -> Result<bool, SendError> {
    Ok(look(client, to).await?.is_some())
}

/// The list of devices that has one with a session: the library's, or the server's. `None` where neither has, and the server
/// does not say that this may pass.
async fn look(client: &Client, to: &Recipient) -> Result<Option<Freshness>, SendError> {
    let known = known(client, to).await?;
    if has_keys(client, to, &known).await? {
        return Ok(Some(Freshness::CachePreferred));
    }
    let listed = listed(client, to).await?;
    if listed.is_empty() {
        passes(client, to, known).await?;
        return Ok(None);
    }
    if has_keys(client, to, &listed).await? {
        return Ok(Some(Freshness::Refresh));
    }
    passes(client, to, listed).await?;
    Ok(None)
}

/// The devices for which the library writes a message: not the hosted ones, and where it knows of none at all, the phone. The
/// answer that names a person's devices names their LID as well, under which sessions stand.
async fn known(client: &Client, to: &Recipient) -> Result<Vec<Jid>, SendError> {
    let person = people::jid(to);
    let devices = client
        .signal()
        .get_user_devices(std::slice::from_ref(&person))
        .await;
    let mut devices = devices.map_err(|error| failure::of_keys(error, to))?;
    if devices.is_empty() {
        return Ok(vec![person]);
    }
    devices.retain(|device| !device.is_hosted());
    Ok(devices)
}

/// The devices that the server lists, without the hosted ones.
async fn listed(client: &Client, to: &Recipient) -> Result<Vec<Jid>, SendError> {
    let person = people::jid(to);
    let asked = DeviceListSpec::new(vec![person.clone()], client.generate_message_id());
    let answer = client.execute(asked).await;
    let answer = answer.map_err(|error| failure::of_send(error.into(), to))?;
    let devices = answer.device_lists.iter().flat_map(kept);
    let jids = devices.filter_map(|device| {
        let number = u16::try_from(device.device_id).ok()?;
        Some(person.with_device_hosting(number, device.is_hosted))
    });
    Ok(jids.filter(|device| !device.is_hosted()).collect())
}

/// Those of a list that the library keeps: the account's signed index has them.
fn kept(list: &UserDeviceList) -> Vec<DeviceInfo> {
    let devices = list.devices.iter();
    let devices = devices.map(|device| {
        DeviceInfo::new(u32::from(device.device), device.key_index).with_hosting(device.is_hosted)
    });
    let mut devices: Vec<DeviceInfo> = devices.collect();
    let index = list.key_index_bytes.as_deref();
    if let Some(index) = index.and_then(adv::decode_key_index_list) {
        adv::retain_devices_by_key_index(&mut devices, &index);
    }
    devices
}

/// Whether there is a session with one of these devices, or one was agreed upon just now.
async fn has_keys(client: &Client, to: &Recipient, devices: &[Jid]) -> Result<bool, SendError> {
    if has_session(client, devices).await? {
        return Ok(true);
    }
    match client.signal().assert_sessions(devices).await {
        Ok(()) => has_session(client, devices).await,
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(failure::of_keys(error, to)),
    }
}

async fn has_session(client: &Client, devices: &[Jid]) -> Result<bool, SendError> {
    for device in devices {
        let found = client.signal().validate_session(device).await;
        if found.map_err(|error| SendError::State(Box::new(error)))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An error where it may pass that these devices have no keys. The library does not tell what the server says of each device, so
/// the server is asked once more.
async fn passes(client: &Client, to: &Recipient, devices: Vec<Jid>) -> Result<(), SendError> {
    if devices.is_empty() {
        return Ok(());
    }
    let asked = PreKeyFetchSpec::with_reason(devices, PreKeyFetchReason::Identity);
    let answer = match client.execute(asked).await {
        Ok(answer) => answer,
        Err(IqError::ServerError { code: GONE, .. }) => return Ok(()),
        Err(error) => return Err(failure::of_send(error.into(), to)),
    };
    if !answer.bundles.is_empty() {
        return Err(SendError::Failed(Box::new(NotNow::Late)));
    }
    match answer
        .rejected
        .iter()
        .map(|device| device.code)
        .find(|code| may_pass(*code))
    {
        Some(429) => Err(SendError::Throttled {
            after: None,
            source: Box::new(NotNow::Refused(429)),
        }),
        // Of this person's devices: the server can do it for others.
        Some(code) => Err(SendError::Failed(Box::new(NotNow::Refused(code)))),
        None => Ok(()),
    }
}

fn may_pass(code: u16) -> bool {
    matches!(code, 408 | 429 | 500..=599)
}

fn is_gone(error: &SignalError) -> bool {
    error.server_rejection().is_some_and(|said| said.code == GONE)
}
