//! Calls: who rings, and how it ends. Only signals pass here; there is nothing to talk over.
//!
//! An offer goes to the devices of the called person, and the answer back. When one device takes or refuses a call,
//! the person's other devices are told, so that they stop ringing. A person who has blocked the caller, or takes
//! calls only from contacts, hears nothing, and the caller does not learn why.

use rand::RngExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent};

use super::privacy::{self, Category};
use super::{blocks, profile};
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::wire;

/// The signals that wait for a device that is not connected; all others are for the moment only.
const LASTING: [&str; 4] = ["offer", "accept", "reject", "terminate"];

/// Takes a client's `<call>` and answers its `<ack>`.
pub(crate) fn take(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let to =
        wire::attr_jid(node, "to").ok_or_else(|| Error::Invalid("a call without an addressee".into()))?;
    let signal = wire::children(node)
        .first()
        .ok_or_else(|| Error::Invalid("a call without a signal".into()))?;
    let id = wire::attr(node, "id").unwrap_or_default();
    let ack = NodeBuilder::new("ack")
        .attr("class", "call")
        .attr("id", id.as_ref())
        .attr("from", to.clone())
        .attr("type", signal.tag.as_ref());
    let Some(family) = Family::of(&to) else {
        return Ok(ack.attr("error", 400).build());
    };
    let Some(person) = directory::resolve(unit, &to)? else {
        return Ok(ack.attr("error", 404).build());
    };
    let sender = directory::require(unit, &from.phone)?;
    let call = Call {
        sender: &sender,
        device: from.device,
        person: &person,
        family,
        id: &id,
    };
    call.relay(unit, to.device, signal)?;
    Ok(ack.build())
}

/// The person of a phone calls `person`. Answers the call's id.
pub(crate) fn place(unit: &mut Unit<'_>, account: &Account, person: &Account, video: bool) -> Result<String> {
    let id = new_id();
    from_phone(unit, account, person, ((&id, "offer", media(video)), None))?;
    Ok(id)
}

fn new_id() -> String {
    hex::encode_upper(rand::rng().random::<[u8; 16]>())
}

fn media(video: bool) -> Vec<Node> {
    let audio = NodeBuilder::new("audio").attr("enc", "opus").attr("rate", 16_000);
    let mut media = vec![audio.build()];
    if video {
        media.push(NodeBuilder::new("video").build());
    }
    media
}

/// The person of a phone calls all others of a group. Answers the call's id.
pub(crate) fn place_in_group(
    unit: &mut Unit<'_>,
    account: &Account,
    (group, members): (&Jid, &[Account]),
    video: bool,
) -> Result<String> {
    let id = new_id();
    for member in members.iter().filter(|member| member.phone != account.phone) {
        let offer = (&*id, "offer", media(video));
        from_phone(unit, account, member, (offer, Some(group)))?;
    }
    Ok(id)
}

/// The person of a phone hangs up.
pub(crate) fn hang_up(unit: &mut Unit<'_>, account: &Account, person: &Account, id: &str) -> Result<()> {
    from_phone(unit, account, person, ((id, "terminate", Vec::new()), None))
}

fn from_phone(
    unit: &mut Unit<'_>,
    account: &Account,
    person: &Account,
    ((id, signal, media), group): ((&str, &'static str, Vec<Node>), Option<&Jid>),
) -> Result<()> {
    if account.phone == person.phone {
        return Err(Error::Invalid("nobody can call themselves".into()));
    }
    let family = profile::family(unit, &account.phone)?;
    let mut signal = NodeBuilder::new(signal)
        .attr("call-id", id)
        .attr("call-creator", account.jid(family, 0));
    if let Some(group) = group {
        signal = signal.attr("group-jid", group.clone());
    }
    let signal = signal.children(media).build();
    let call = Call {
        sender: account,
        device: 0,
        person,
        family,
        id: &hex::encode(rand::rng().random::<[u8; 8]>()),
    };
    call.relay(unit, 0, &signal)
}

/// A `<call>` on its way from one device to a person.
struct Call<'a> {
    sender: &'a Account,
    device: u16,
    person: &'a Account,
    family: Family,
    id: &'a str,
}

impl Call<'_> {
    /// Passes a signal on: to the one device named, else to all of the person's.
    fn relay(&self, unit: &mut Unit<'_>, device: u16, signal: &Node) -> Result<()> {
        let (sender, person) = (&self.sender.phone, &self.person.phone);
        let rings = signal.tag == "offer";
        if blocks::blocks(unit, person, sender)?
            || (rings && !privacy::permits(unit, person, sender, Category::CallAdd)?)
        {
            return Ok(());
        }
        for addressee in directory::devices(unit, person)? {
            if device == 0 || device == addressee {
                let from = self.sender.jid(self.family, self.device);
                let signal = self.for_device(unit, addressee, signal)?;
                self.send(unit, &Address::new(person, addressee), (from, signal))?;
            }
        }
        let reason = match signal.tag.as_ref() {
            "accept" => "accepted_elsewhere",
            "reject" => "rejected_elsewhere",
            _ => return Ok(()),
        };
        let mut over = NodeBuilder::new("terminate").attr("reason", reason);
        for key in ["call-id", "call-creator"] {
            if let Some(value) = signal.attrs.get(key) {
                over = over.attr(key, value.clone());
            }
        }
        let over = over.build();
        for sibling in directory::devices(unit, sender)? {
            if sibling != self.device {
                let from = self.person.jid(self.family, 0);
                self.send(unit, &Address::new(sender, sibling), (from, over.clone()))?;
            }
        }
        Ok(())
    }

    /// The signal as one device gets it: with the key that was encrypted for it alone, and the caller's number.
    fn for_device(&self, unit: &Unit<'_>, device: u16, signal: &Node) -> Result<Node> {
        let mut signal = signal.clone();
        if self.family == Family::Lid && signal.tag == "offer" {
            signal.attrs.insert("caller_pn", self.sender.jid(Family::Pn, 0));
        }
        if let Some(NodeContent::Nodes(children)) = &mut signal.content
            && let Some(at) = children.iter().position(|child| child.tag == "destination")
        {
            let destination = children.remove(at);
            for to in destination.get_children_by_tag("to") {
                let jid = wire::attr_jid(to, "jid").filter(|jid| jid.device == device);
                let named = jid
                    .map(|jid| directory::resolve(unit, &jid))
                    .transpose()?
                    .flatten();
                if named.is_some_and(|named| named.phone == self.person.phone) {
                    children.extend(to.get_children_by_tag("enc").cloned());
                }
            }
        }
        Ok(signal)
    }

    fn send(&self, unit: &mut Unit<'_>, to: &Address, (from, signal): (Jid, Node)) -> Result<()> {
        // Phones ring in silence.
        if to.device == 0 {
            return Ok(());
        }
        let lasts = LASTING.contains(&signal.tag.as_ref());
        let sender = match directory::resolve(unit, &from)? {
            Some(account) => Address::new(account.phone, from.device),
            None => Address::new(&self.sender.phone, self.device),
        };
        let node = NodeBuilder::new("call")
            .attr("from", from)
            .attr("id", self.id)
            .attr("t", unit.now_secs())
            .attr("notify", self.sender.name.as_str())
            .attr("platform", "sandbox")
            .attr("version", "2.3000.0")
            .children([signal])
            .build();
        if !lasts {
            return unit.pass(to.clone(), &node);
        }
        let stanza = Stanza {
            kind: Kind::Call,
            id: self.id,
            subtype: "",
            sender: &sender,
            node: &node,
        };
        queue::push(unit, to, &stanza)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::contacts;
    use crate::people::testing::link;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn calls(unit: &Unit<'_>, to: &Address) -> Result<Vec<Node>> {
        let rows = queue::after(unit, to, 0, 100)?;
        let nodes = rows.iter().map(|row| wire::decode(&row.payload));
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        Ok(nodes.into_iter().filter(|node| node.tag == "call").collect())
    }

    #[test]
    fn each_device_gets_its_own_key_and_stops_ringing_with_the_others() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let caller = identity::create(unit, None, None)?;
            let person = identity::create(unit, None, None)?;
            let from = link(unit, &caller.phone, 1)?;
            let (one, two) = (link(unit, &person.phone, 1)?, link(unit, &person.phone, 2)?);
            let keys = [1, 2].map(|device| {
                let enc = wire::bytes_node("enc", vec![u8::try_from(device).unwrap()]);
                NodeBuilder::new("to")
                    .attr("jid", person.jid(Family::Lid, device))
                    .children([enc])
                    .build()
            });
            let offer = NodeBuilder::new("offer")
                .attr("call-id", "C")
                .attr("call-creator", caller.jid(Family::Lid, 1))
                .children([NodeBuilder::new("destination").children(keys).build()])
                .build();
            let call = |to: Jid, signal: Node| {
                NodeBuilder::new("call")
                    .attr("id", "1")
                    .attr("to", to)
                    .children([signal])
                    .build()
            };
            let ack = take(unit, &from, &call(person.jid(Family::Lid, 0), offer))?;
            assert_eq!(wire::attr(&ack, "type").as_deref(), Some("offer"));
            for (device, key) in [(&one, 1), (&two, 2)] {
                let rung = calls(unit, device)?;
                let offer = rung[0].get_optional_child("offer").unwrap();
                assert_eq!(wire::child_bytes(offer, "enc").as_deref(), Some(&[key][..]));
                assert_eq!(
                    wire::attr_jid(offer, "caller_pn"),
                    Some(caller.jid(Family::Pn, 0))
                );
            }
            let reject = NodeBuilder::new("reject")
                .attr("call-id", "C")
                .attr("call-creator", caller.jid(Family::Lid, 1))
                .build();
            take(unit, &one, &call(caller.jid(Family::Lid, 1), reject))?;
            assert!(calls(unit, &from)?[0].get_optional_child("reject").is_some());
            let over = calls(unit, &two)?;
            let over = over[1].get_optional_child("terminate").unwrap();
            assert_eq!(wire::attr(over, "reason").as_deref(), Some("rejected_elsewhere"));
            assert_eq!(calls(unit, &one)?.len(), 1);
            Ok(())
        });
    }

    #[test]
    fn strangers_and_the_blocked_call_in_vain() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let caller = identity::create(unit, None, None)?;
            let person = identity::create(unit, None, None)?;
            let device = link(unit, &person.phone, 1)?;
            let known = (Category::CallAdd, privacy::Value::Known);
            privacy::set(unit, &person, known, &privacy::Exceptions::default(), None)?;
            place(unit, &caller, &person, true)?;
            assert!(calls(unit, &device)?.is_empty());
            contacts::add(unit, &person.phone, &caller.phone)?;
            place(unit, &caller, &person, true)?;
            assert_eq!(calls(unit, &device)?.len(), 1);
            blocks::set(unit, &person, &caller, true, (None, None))?;
            place(unit, &caller, &person, true)?;
            assert_eq!(calls(unit, &device)?.len(), 1);
            Ok(())
        });
    }
}
