//! Status updates: what a person shows for a day to those they choose.
//!
//! The sender names the recipients; the server keeps no list of them.

use std::collections::BTreeMap;

use wacore_binary::Node;

use super::group::{entries, own_ciphertexts};
use super::{Chat, Outcome, Sent, queue_for};
use crate::directory::{self, Address, Family};
use crate::error::Result;
use crate::store::Unit;
use crate::wire;

/// A status lives that long.
const LIFETIME_SECS: i64 = 24 * 60 * 60;

/// The real server's code for a stanza with what does not belong in it.
const MALFORMED: u16 = 479;

/// Relays a status to all devices of the people it names, and to the sender's own.
pub(super) fn relay(unit: &mut Unit<'_>, sent: &Sent<'_>) -> Result<Outcome> {
    if wire::attr(sent.node, "addressing_mode").is_some() {
        return Ok(Outcome::Refused(MALFORMED));
    }
    let entries = entries(sent);
    let own = own_ciphertexts(unit, &entries)?;
    // A status that is sent again is for the devices that asked for it; the others have it.
    let repeated = !remember(unit, sent)?;
    let mut audience = BTreeMap::new();
    for (jid, _) in &entries {
        if let (Some(account), Some(family)) = (directory::resolve(unit, jid)?, Family::of(jid)) {
            audience.insert(account.phone, family);
        }
    }
    if !repeated {
        audience.entry(sent.sender.phone.clone()).or_insert(Family::Lid);
    }
    let common = sent.ciphertexts_and_shared();
    let sending = Address::new(&sent.sender.phone, sent.device);
    for (phone, family) in audience {
        let envelope = sent.envelope(Chat::Status, family);
        for device in directory::devices(unit, &phone)? {
            let device = Address::new(&phone, device);
            let ciphertexts = own.iter().find(|(address, _)| *address == device);
            if device == sending || (repeated && ciphertexts.is_none()) {
                continue;
            }
            let mut children: Vec<Node> =
                ciphertexts.map_or_else(Vec::new, |(_, ciphertexts)| ciphertexts.clone());
            children.extend(common.iter().cloned());
            if children.iter().any(|child| child.tag == "enc") {
                queue_for(unit, &envelope, &device, children)?;
            }
        }
    }
    Ok(Outcome::Relayed { phash: None })
}

/// Takes a status down as sent. `false` if it was before.
fn remember(unit: &Unit<'_>, sent: &Sent<'_>) -> Result<bool> {
    unit.execute(
        "DELETE FROM statuses WHERE sent_at < ?1",
        [unit.now_secs() - LIFETIME_SECS],
    )?;
    let new = unit.execute(
        "INSERT OR IGNORE INTO statuses (phone, id, sent_at) VALUES (?1, ?2, ?3)",
        (&sent.sender.phone, sent.id.as_ref(), unit.now_secs()),
    )?;
    Ok(new == 1)
}

#[cfg(test)]
mod tests {
    use wacore_binary::Jid;
    use wacore_binary::builder::NodeBuilder;

    use super::*;
    use crate::directory::Account;
    use crate::people::blocks;
    use crate::phone::identity;
    use crate::relay;
    use crate::store::queue;
    use crate::store::testing::Bench;

    fn status(people: &[(&Account, bool)], common: bool) -> Node {
        let enc = |kind: &'static str| {
            NodeBuilder::new("enc")
                .attr("v", "2")
                .attr("type", kind)
                .bytes(vec![1])
                .build()
        };
        let to = people.iter().map(|(person, own)| {
            let to = NodeBuilder::new("to").attr("jid", person.jid(Family::Lid, 0));
            if *own {
                to.children([enc("pkmsg")]).build()
            } else {
                to.build()
            }
        });
        let participants = NodeBuilder::new("participants").children(to).build();
        let children = [participants].into_iter().chain(common.then(|| enc("skmsg")));
        NodeBuilder::new("message")
            .attr("to", Jid::status_broadcast())
            .attr("id", "3EB0")
            .attr("type", "text")
            .children(children)
            .build()
    }

    #[test]
    fn a_status_that_is_sent_again_is_for_who_asked() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let [a, b, c] = [
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
            ];
            let from = Address::new(&a.phone, 1);
            let waiting = |unit: &Unit<'_>| -> Result<Vec<u32>> {
                [&a, &b, &c]
                    .into_iter()
                    .map(|one| Ok(queue::backlog(unit, &Address::primary(&one.phone))?.messages))
                    .collect()
            };
            relay::message(unit, &from, &status(&[(&b, true), (&c, false)], true))?;
            assert_eq!(waiting(unit)?, [1, 1, 1], "the author's phone has it too");
            relay::message(unit, &from, &status(&[(&b, true), (&c, false)], true))?;
            assert_eq!(waiting(unit)?, [1, 2, 1]);
            // Who has blocked the author sees nothing.
            blocks::set(unit, &b, &a, true, (None, None))?;
            relay::message(unit, &from, &status(&[(&b, true), (&c, true)], true))?;
            assert_eq!(waiting(unit)?, [1, 2, 2]);
            Ok(())
        });
    }
}
