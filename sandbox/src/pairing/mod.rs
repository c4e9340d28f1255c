//! Linking a companion: by the QR code that it shows, or by the code of eight characters that its person types.
//!
//! Either way the phone gets to share a secret with the client and to know its identity key. The phone signs that
//! key, the client checks the signature and countersigns, and the device is stored. Then the server ends the stream
//! with 515, and the client comes back to log in. Only the way of the secret differs: [`qr`] shows it, [`code`]
//! agrees on it, and so does [`passkey`] in the place of either.

pub(crate) mod code;
pub(crate) mod passkey;
mod qr;

use std::time::Duration;

use buffa::Message as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::companions;
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::people::profile;
use crate::phone::{self, adv, identity};
use crate::server::refusals::{self, StreamEnd};
use crate::server::registry::Pairing;
use crate::store::Unit;
use crate::{switches, wire};

pub(crate) use qr::{offer, rotation, scan};

/// How long a client may take to check the phone's signature.
const SIGN_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest push name that chooses a phone, in bytes.
const MAX_NAME: usize = 100;

/// A companion just linked.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) account: Account,
    pub(crate) device: u16,
}

/// Keeps a client from being linked twice at a time. Free again when it is dropped.
struct Claim<'a>(&'a Pairing);

impl<'a> Claim<'a> {
    fn of(pairing: &'a Pairing) -> Result<Self> {
        if pairing.client.claim() {
            Ok(Self(pairing))
        } else {
            Err(Error::Conflict("this client is being linked already".into()))
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.client.release();
    }
}

/// The phone that links a client: the named one, made if need be; else the one whose name is the push name with
/// which the client registers; else the next that has no companion.
fn choose(unit: &Unit<'_>, phone: Option<String>, push_name: Option<&str>) -> Result<Account> {
    let push_name = push_name.filter(|name| !name.is_empty() && name.len() <= MAX_NAME);
    let account = match (phone, push_name) {
        (Some(phone), _) => {
            directory::check_number(&phone)?;
            match directory::by_phone(unit, &phone)? {
                Some(account) => account,
                None => identity::create(unit, Some(phone), None)?,
            }
        }
        (None, Some(name)) => match directory::by_name(unit, name)? {
            Some(account) => account,
            None => identity::create(unit, None, Some(name.to_owned()))?,
        },
        (None, None) => identity::next_free(unit)?,
    };
    if let Some(name) = push_name {
        switches::adopt(unit, &account.phone, name)?;
    }
    Ok(account)
}

/// A phone that is to link a client, and the account's passkey, where it wants one first.
type Chosen = (Account, Option<phone::passkey::Passkey>);

/// Chooses the phone that links a client.
///
/// # Errors
/// As [`can_link`].
fn chosen(unit: &Unit<'_>, number: Option<String>, pairing: &Pairing) -> Result<Chosen> {
    let account = choose(unit, number, pairing.push_name.as_deref())?;
    can_link(unit, &account, pairing)?;
    let passkey = phone::passkey::of(unit, &account.phone)?;
    Ok((account, passkey))
}

/// The phone signs with this secret, unless its passkey brings another.
async fn signed(
    network: &Network,
    pairing: &Pairing,
    (account, passkey): Chosen,
    secret: [u8; 32],
) -> Result<Prepared> {
    let secret = match passkey {
        Some(passkey) => passkey::agree(network, pairing, &account.phone, passkey).await?,
        None => secret,
    };
    let shown = pairing.clone();
    let prepare = move |unit: &mut Unit<'_>| {
        let account = directory::require(unit, &account.phone)?;
        prepare(unit, account, &shown, &secret)
    };
    network.store.run(prepare).await
}

/// What the phone hands to a client that it links.
struct Prepared {
    account: Account,
    device: u16,
    signed: Vec<u8>,
    /// How the account's devices address people.
    family: Family,
}

/// The phone signs the client's identity.
///
/// # Errors
/// [`Error::Conflict`] for a phone that is off, banned, or has as many companions as it may have.
fn prepare(unit: &Unit<'_>, account: Account, pairing: &Pairing, adv_secret: &[u8; 32]) -> Result<Prepared> {
    can_link(unit, &account, pairing)?;
    let device = companions::next_device(unit, &account.phone)?;
    let signed = adv::device_identity(
        unit,
        &account.phone,
        &pairing.registration.identity,
        adv_secret,
        u32::from(device),
    )?;
    let family = profile::family(unit, &account.phone)?;
    Ok(Prepared {
        account,
        device,
        signed,
        family,
    })
}

fn can_link(unit: &Unit<'_>, account: &Account, pairing: &Pairing) -> Result<()> {
    if !account.online {
        return Err(Error::Conflict(
            "this phone is offline: it cannot link a device".into(),
        ));
    }
    let refusal = refusals::standing(unit, &account.phone)?;
    if refusal.is_some_and(|refusal| matches!(refusal.reason, 402 | 403)) {
        return Err(Error::Conflict(
            "this phone's account is banned or locked: it cannot link a device".into(),
        ));
    }
    companions::check_room(unit, &account.phone, &pairing.noise_key)
}

/// Lets the client check and countersign, stores it as a device and sends it off to log in.
async fn finish(network: &Network, pairing: &Pairing, prepared: Prepared) -> Result<Linked> {
    let Prepared {
        account,
        device,
        signed,
        family,
    } = prepared;
    let success = pair_success(&account, device, signed, family);
    let answer = pairing.client.request(success, SIGN_TIMEOUT).await?;
    let countersigned = answer
        .get_optional_child("pair-device-sign")
        .and_then(|sign| wire::child_bytes(sign, "device-identity"))
        .ok_or_else(|| Error::Conflict("the client refused the phone's signature".into()))?
        .into_owned();
    let address = Address::new(&account.phone, device);
    let (noise_key, keys) = (pairing.noise_key, pairing.registration.clone());
    network
        .store
        .run(move |unit| companions::link(unit, &address, &noise_key, &keys, &countersigned))
        .await?;
    refusals::end(&pairing.client, StreamEnd::Restart);
    Ok(Linked { account, device })
}

fn pair_success(account: &Account, device: u16, signed: Vec<u8>, family: Family) -> Node {
    let props = wa::ClientPairingProps {
        is_chat_db_lid_migrated: Some(family == Family::Lid),
        ..Default::default()
    };
    let device = NodeBuilder::new("device")
        .attr("jid", account.jid(Family::Pn, device))
        .attr("lid", account.jid(Family::Lid, device))
        .build();
    NodeBuilder::new("pair-success")
        .children([
            wire::bytes_node("device-identity", signed),
            device,
            // The client takes its first push name from here.
            NodeBuilder::new("biz")
                .attr("name", account.name.as_str())
                .build(),
            NodeBuilder::new("platform").attr("name", "sandbox").build(),
            wire::bytes_node("client-props", props.encode_to_vec()),
        ])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Bench;

    #[test]
    fn a_push_name_chooses_the_phone() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let ada = choose(unit, None, Some("Ada"))?;
            assert_eq!(
                (ada.name.as_str(), choose(unit, None, Some("Ada"))?.phone),
                ("Ada", ada.phone.clone())
            );
            assert_ne!(choose(unit, None, Some("Bob"))?.phone, ada.phone);
            // A number overrules a name, and without a name the next free phone is chosen.
            let named = choose(unit, Some("155501000777".into()), Some("Ada"))?;
            assert_eq!(named.phone, "155501000777");
            assert_eq!(
                choose(unit, None, Some(""))?.phone,
                ada.phone,
                "the oldest without companions"
            );
            Ok(())
        });
    }
}
