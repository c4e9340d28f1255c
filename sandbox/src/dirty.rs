//! What changed while a companion was away: the bits that the server raises at login, and the client cleans.
//!
//! A change that a companion has not taken waits in its queue as a notification. At login these notifications tell
//! which kinds of state are dirty, and since when. A bit stays over any number of logins, until the client says that
//! it has looked.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::directory::Address;
use crate::error::Result;
use crate::store::Unit;
use crate::wire;

/// Types of notifications, and the kind of state that each tells to have changed.
const KINDS: [(&str, &str); 3] = [
    ("account_sync", "account_sync"),
    ("w:gp2", "groups"),
    ("server_sync", "syncd_app_state"),
];

/// The stanzas that tell a companion at its login what is dirty.
pub(crate) fn raise(unit: &Unit<'_>, address: &Address) -> Result<Vec<Node>> {
    for (notification, kind) in KINDS {
        unit.execute(
            "INSERT INTO dirty (phone, device, kind, raised)
             SELECT ?1, ?2, ?3, MAX(queued_at) / 1000 FROM queue
             WHERE phone = ?1 AND device = ?2 AND kind = 'notification' AND subtype = ?4 HAVING COUNT(*) > 0
             ON CONFLICT (phone, device, kind) DO UPDATE SET raised = MAX(raised, excluded.raised)",
            (&address.phone, address.device, kind, notification),
        )?;
    }
    let mut statement = unit.prepare(
        "SELECT kind, raised FROM dirty WHERE phone = ?1 AND device = ?2 AND raised > cleaned ORDER BY kind",
    )?;
    let rows = statement.query_map((&address.phone, address.device), |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    let mut stanzas = Vec::new();
    for row in rows {
        let (kind, raised) = row?;
        let bit = NodeBuilder::new("dirty")
            .attr("type", kind.as_str())
            .attr("timestamp", raised)
            .build();
        let stanza = NodeBuilder::new("ib").attr("from", wire::SERVER).children([bit]);
        stanzas.push(stanza.build());
    }
    Ok(stanzas)
}

/// Takes a client's `<clean type timestamp/>`: bits raised up to that time are clean, without a timestamp all of
/// them.
pub(crate) fn clean(unit: &Unit<'_>, address: &Address, node: &Node) -> Result<Node> {
    for bit in node.get_children_by_tag("clean") {
        let Some(kind) = wire::attr(bit, "type") else {
            continue;
        };
        let until = wire::attr(bit, "timestamp").and_then(|timestamp| timestamp.parse().ok());
        unit.execute(
            "UPDATE dirty SET cleaned = MAX(cleaned, MIN(raised, ?4)) WHERE phone = ?1 AND device = ?2 AND kind = ?3",
            (
                &address.phone,
                address.device,
                kind.as_ref(),
                until.unwrap_or(i64::MAX),
            ),
        )?;
    }
    Ok(wire::iq_result(node, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companions::{self, Registration};
    use crate::phone::identity;
    use crate::store::queue::{self, Kind, Stanza};
    use crate::store::testing::Bench;

    fn kinds(unit: &Unit<'_>, address: &Address) -> Result<Vec<String>> {
        let stanzas = raise(unit, address)?;
        let bits = stanzas
            .iter()
            .filter_map(|stanza| stanza.get_optional_child("dirty"));
        Ok(bits
            .filter_map(|bit| Some(wire::attr(bit, "type")?.into_owned()))
            .collect())
    }

    fn clean_node(kind: &str, until: Option<i64>) -> Node {
        let mut bit = NodeBuilder::new("clean").attr("type", kind);
        if let Some(until) = until {
            bit = bit.attr("timestamp", until);
        }
        NodeBuilder::new("iq")
            .attr("id", "1")
            .children([bit.build()])
            .build()
    }

    #[test]
    fn a_bit_stands_until_it_is_cleaned_and_no_longer() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            let address = Address::new(&phone, companions::next_device(unit, &phone)?);
            let keys = Registration {
                device_props: Vec::new(),
                number: 1,
                identity: [7; 32],
                signed_id: 1,
                signed_key: [8; 32],
                signature: vec![9; 64],
                platform: String::new(),
                name: String::new(),
            };
            companions::link(unit, &address, &[1; 32], &keys, b"identity")?;
            assert!(kinds(unit, &address)?.is_empty());
            let node = NodeBuilder::new("notification").attr("id", "A").build();
            let stanza = |subtype| Stanza {
                kind: Kind::Notification,
                id: "A",
                subtype,
                sender: &address,
                node: &node,
            };
            queue::push(unit, &address, &stanza("server_sync"))?;
            queue::push(unit, &address, &stanza("w:gp2"))?;
            queue::push(unit, &address, &stanza("picture"))?;
            assert_eq!(kinds(unit, &address)?, ["groups", "syncd_app_state"]);
            // What was raised outlives the notification that raised it.
            queue::discard(unit, &address)?;
            assert_eq!(kinds(unit, &address)?.len(), 2);
            // A client that cleans what was before does not clean this.
            clean(unit, &address, &clean_node("groups", Some(1)))?;
            assert_eq!(kinds(unit, &address)?.len(), 2);
            clean(unit, &address, &clean_node("groups", Some(unit.now_secs())))?;
            clean(unit, &address, &clean_node("syncd_app_state", None))?;
            assert!(kinds(unit, &address)?.is_empty());
            // A later change raises it again.
            unit.execute(
                "UPDATE dirty SET raised = raised - 10, cleaned = cleaned - 10",
                [],
            )?;
            assert!(kinds(unit, &address)?.is_empty());
            queue::push(unit, &address, &stanza("w:gp2"))?;
            assert_eq!(kinds(unit, &address)?, ["groups"]);
            Ok(())
        });
    }
}
