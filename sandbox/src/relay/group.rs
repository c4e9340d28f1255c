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

/// Whether the sender names members otherwise than the group does.
fn is_stale(group: &Group, sent: &Sent<'_>, entries: &[(Jid, &Node)]) -> bool {
    let mode = wire::attr(sent.node, "addressing_mode");
    mode.is_some_and(|mode| mode != group.addressing_mode())
        || entries
            .iter()
            .any(|(jid, _)| Family::of(jid).is_some_and(|family| family != group.addressing))
}

/// The hash over all devices of the group, if the sender's is another. The sender has then missed somebody, or named
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

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;

    use super::*;
    use crate::directory::Account;
    use crate::groups::create::{Draft, create};
    use crate::groups::participants;
    use crate::phone::identity;
    use crate::relay;
    use crate::store::queue;
    use crate::store::testing::Bench;

    fn enc(kind: &'static str) -> Node {
        NodeBuilder::new("enc")
            .attr("v", "2")
            .attr("type", kind)
            .bytes(vec![1])
            .build()
    }

    fn message(to: Jid) -> NodeBuilder {
        NodeBuilder::new("message")
            .attr("to", to)
            .attr("id", "3EB0")
            .attr("type", "text")
    }

    /// Three people, the first two in a group.
    fn world(unit: &mut Unit<'_>) -> Result<([Account; 3], Group)> {
        let people = [
            identity::create(unit, None, None)?,
            identity::create(unit, None, None)?,
            identity::create(unit, None, None)?,
        ];
        let draft = Draft {
            subject: "Crew".into(),
            participants: vec![people[1].jid(Family::Pn, 0)],
            description: None,
            settings: groups::Settings::default(),
        };
        let (group, _) = create(unit, &people[0], draft)?;
        Ok((people, group))
    }

    fn error(ack: &Node) -> Option<String> {
        wire::attr(ack, "error").map(std::borrow::Cow::into_owned)
    }

    fn waiting(unit: &Unit<'_>, account: &Account) -> Result<u32> {
        Ok(queue::backlog(unit, &Address::primary(&account.phone))?.messages)
    }

    #[test]
    fn strangers_and_stale_names_are_refused() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let ([a, b, c], group) = world(unit)?;
            let [one, other, stranger] = [&a, &b, &c].map(|account| Address::primary(&account.phone));
            let send = |unit: &mut Unit<'_>, from: &Address, message: NodeBuilder| {
                relay::message(unit, from, &message.children([enc("skmsg")]).build())
            };
            let refused = send(unit, &one, message(Jid::group("120363999999999999")))?;
            assert_eq!(error(&refused).as_deref(), Some("404"));
            let refused = send(unit, &stranger, message(group.jid()))?;
            assert_eq!(error(&refused).as_deref(), Some("403"));
            let refused = send(unit, &one, message(group.jid()).attr("addressing_mode", "pn"))?;
            assert_eq!(error(&refused).as_deref(), Some("421"));
            assert_eq!(waiting(unit, &b)?, 0);

            let ack = send(unit, &other, message(group.jid()).attr("addressing_mode", "lid"))?;
            assert_eq!((error(&ack), wire::attr(&ack, "phash")), (None, None));
            assert_eq!((waiting(unit, &a)?, waiting(unit, &c)?), (1, 0));
            Ok(())
        });
    }

    #[test]
    fn a_sender_that_missed_somebody_is_told_by_the_hash() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let ([a, b, c], group) = world(unit)?;
            let one = Address::primary(&a.phone);
            let hash = participant_hash(&[a.jid(Family::Lid, 0), b.jid(Family::Lid, 0)])?;
            let send = |unit: &mut Unit<'_>| {
                let message = message(group.jid()).attr("phash", hash.as_str());
                relay::message(unit, &one, &message.children([enc("skmsg")]).build())
            };
            assert_eq!(wire::attr(&send(unit)?, "phash"), None);
            participants::add(unit, &a, &group.jid(), &[c.jid(Family::Lid, 0)])?;
            let ack = send(unit)?;
            assert_ne!(wire::attr(&ack, "phash").expect("another hash"), hash);
            // All get it all the same; who lacks the key asks for it.
            assert_eq!((waiting(unit, &b)?, waiting(unit, &c)?), (2, 1));
            Ok(())
        });
    }

    #[test]
    fn a_ciphertext_of_ones_own_stands_before_the_common_one_and_repetitions_reach_one_device() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let ([a, b, c], group) = world(unit)?;
            let one = Address::primary(&a.phone);
            participants::add(unit, &a, &group.jid(), &[c.jid(Family::Lid, 0)])?;
            let to = NodeBuilder::new("to")
                .attr("jid", b.jid(Family::Lid, 0))
                .children([enc("pkmsg")])
                .build();
            let participants = NodeBuilder::new("participants").children([to]).build();
            let node = message(group.jid())
                .children([participants, enc("skmsg")])
                .build();
            relay::message(unit, &one, &node)?;
            let kinds = |unit: &Unit<'_>, account: &Account| -> Result<Vec<String>> {
                let own = Address::primary(&account.phone);
                let row = queue::after(unit, &own, 0, 100)?.pop().expect("a message");
                let node = wire::decode(&row.payload)?;
                assert_eq!(wire::attr_jid(&node, "participant"), Some(a.jid(Family::Lid, 0)));
                assert_eq!(
                    wire::attr_jid(&node, "participant_pn"),
                    Some(a.jid(Family::Pn, 0))
                );
                assert!(node.get_optional_child("participants").is_none());
                let kinds = node
                    .get_children_by_tag("enc")
                    .filter_map(|enc| wire::attr(enc, "type"));
                Ok(kinds.map(std::borrow::Cow::into_owned).collect())
            };
            assert_eq!(kinds(unit, &b)?, ["pkmsg", "skmsg"]);
            assert_eq!(kinds(unit, &c)?, ["skmsg"]);

            let again = message(group.jid())
                .attr("participant", c.jid(Family::Lid, 0))
                .children([enc("msg")])
                .build();
            relay::message(unit, &one, &again)?;
            assert_eq!((waiting(unit, &b)?, waiting(unit, &c)?), (1, 2));
            assert_eq!(kinds(unit, &c)?, ["msg"]);
            Ok(())
        });
    }
}
