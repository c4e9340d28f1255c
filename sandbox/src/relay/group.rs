//! Messages to a group: one ciphertext for all, under the sender's key, and that key for those who lack it.

use wacore_binary::{Jid, Node};

use super::{Chat, Envelope, Outcome, Sent, participant_hash, queue_for};
use crate::directory::{self, Address, Family};
use crate::error::Result;
use crate::groups::{self, Group, members};
use crate::store::Unit;
use crate::wire;

/// The sender names people otherwise than the group does.
const STALE_ADDRESSING: u16 = 421;

/// Relays a message to the members of a group.
pub(super) fn relay(unit: &mut Unit<'_>, sent: &Sent<'_>) -> Result<Outcome> {
    let Some(group) = groups::find(unit, &sent.to)? else {
        return Ok(Outcome::Refused(404));
    };
    let Some(role) = groups::role(unit, &group.id, &sent.sender.phone)? else {
        return Ok(Outcome::Refused(403));
    };
    if group.settings.announcement && !role.is_admin() {
        return Ok(Outcome::Refused(403));
    }
    let entries = entries(sent);
    if is_stale(&group, sent, &entries) {
        return Ok(Outcome::Refused(STALE_ADDRESSING));
    }
    let envelope = sent.envelope(Chat::Group(&group), group.addressing);
    let devices = members::devices(unit, &group.id)?;
    if let Some(asker) = wire::attr_jid(sent.node, "participant") {
        // A repetition for the device that asked.
        if let Some(address) = address(unit, &asker)?.filter(|address| devices.contains(address)) {
            queue_for(unit, &envelope, &address, sent.ciphertexts_and_shared())?;
        }
        return Ok(Outcome::Relayed { phash: None });
    }
    let common = sent.ciphertexts_and_shared();
    let sending = Address::new(&sent.sender.phone, sent.device);
    let own = own_ciphertexts(unit, &entries)?;
    for device in devices.iter().filter(|device| **device != sending) {
        let mut children: Vec<Node> = own
            .iter()
            .filter(|(address, _)| address == device)
            .flat_map(|(_, ciphertexts)| ciphertexts.iter().cloned())
            .collect();
        children.extend(common.iter().cloned());
        if children.iter().any(|child| child.tag == "enc") {
            queue_for(unit, &envelope, device, children)?;
        }
    }
    let phash = expected_phash(unit, &group, &envelope, &devices, sent)?;
    Ok(Outcome::Relayed { phash })
}

/// Each `<to>` of `<participants>` with its JID.
pub(super) fn entries<'a>(sent: &Sent<'a>) -> Vec<(Jid, &'a Node)> {
    let Some(participants) = sent.node.get_optional_child("participants") else {
        return Vec::new();
    };
    participants
        .get_children_by_tag("to")
        .filter_map(|to| Some((wire::attr_jid(to, "jid")?, to)))
        .collect()
}

/// The ciphertexts that are meant for one device each.
pub(super) fn own_ciphertexts(
    unit: &Unit<'_>,
    entries: &[(Jid, &Node)],
) -> Result<Vec<(Address, Vec<Node>)>> {
    let mut own = Vec::new();
    for (jid, to) in entries {
        let ciphertexts: Vec<Node> = to.get_children_by_tag("enc").cloned().collect();
        if !ciphertexts.is_empty()
            && let Some(address) = address(unit, jid)?
        {
            own.push((address, ciphertexts));
        }
    }
    Ok(own)
}

fn address(unit: &Unit<'_>, jid: &Jid) -> Result<Option<Address>> {
    let account = directory::resolve(unit, jid)?;
    Ok(account.map(|account| Address::new(account.phone, jid.device)))
}

/// Whether the sender takes the group for one that names its members otherwise.
fn is_stale(group: &Group, sent: &Sent<'_>, entries: &[(Jid, &Node)]) -> bool {
    let mode = wire::attr(sent.node, "addressing_mode");
    mode.is_some_and(|mode| mode != group.addressing_mode())
        || entries
            .iter()
            .any(|(jid, _)| Family::of(jid).is_some_and(|family| family != group.addressing))
}

/// The hash over all devices of the group, where the sender's is another: it has missed somebody, or reached for
/// somebody who is gone, and looks them up again.
fn expected_phash(
    unit: &Unit<'_>,
    group: &Group,
    envelope: &Envelope<'_>,
    devices: &[Address],
    sent: &Sent<'_>,
) -> Result<Option<String>> {
    let Some(claimed) = wire::attr(sent.node, "phash") else {
        return Ok(None);
    };
    let mut jids = Vec::with_capacity(devices.len());
    for device in devices {
        let account = directory::require(unit, &device.phone)?;
        jids.push(account.jid(group.addressing, device.device));
    }
    debug_assert!(jids.contains(&envelope.sender.jid(group.addressing, envelope.device)));
    let hash = participant_hash(&jids)?;
    Ok((hash != claimed).then_some(hash))
}
