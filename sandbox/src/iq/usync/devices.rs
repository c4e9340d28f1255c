//! The `devices` protocol: a person's devices with the signed list of their keys' indexes.

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::companions;
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::faults::{Faults, Listed};
use crate::store::Unit;
use crate::wire;

/// The devices of `account`, unless the client says in `user` that it has the present ones. From now on the asker is
/// told when they change.
pub(super) fn answer(
    unit: &Unit<'_>,
    faults: &Faults,
    from: &Address,
    (account, family): (&Account, Family),
    user: &Node,
) -> Result<Option<Node>> {
    companions::watch(unit, &account.phone, &from.phone)?;
    let numbers = directory::devices(unit, &account.phone)?.into_iter();
    let listed = |device| (device, faults.listed(&Address::new(&account.phone, device)));
    let devices: Vec<(u16, Listed)> = numbers
        .map(listed)
        .filter(|(_, listed)| *listed != Listed::Nowhere)
        .collect();
    let jids: Vec<Jid> = devices
        .iter()
        .map(|(device, listed)| {
            let jid = account.jid(family, *device);
            jid.with_device_hosting(*device, *listed == Listed::Hosted)
        })
        .collect();
    let hash =
        MessageUtils::participant_list_hash(&jids).map_err(|error| Error::codec("a device hash", error))?;
    // Without the list of indexes clients skip the companions.
    let index = companions::key_index_node(unit, &account.phone)?;
    let hint = user.get_optional_child("devices");
    if hint.is_some_and(|hint| is_current(hint, &hash, &index)) {
        return Ok(None);
    }
    let entries = devices.iter().map(|(device, listed)| {
        let mut entry = NodeBuilder::new("device").attr("id", *device);
        if *device != 0 {
            entry = entry.attr("key-index", *device);
        }
        if *listed == Listed::Hosted {
            entry = entry.attr("is_hosted", "true");
        }
        entry.build()
    });
    let list = NodeBuilder::new("device-list")
        .attr("hash", hash)
        .children(entries)
        .build();
    Ok(Some(NodeBuilder::new("devices").children([list, index]).build()))
}

/// Whether a client's copy is good: the same devices, and a list of indexes no older than the client was told to
/// expect.
fn is_current(hint: &Node, hash: &str, index: &Node) -> bool {
    let number = |node, key| wire::attr(node, key).and_then(|value| value.parse::<i64>().ok());
    let current = number(index, "ts").unwrap_or_default();
    let has = number(hint, "ts").unwrap_or(current);
    let expects = number(hint, "expected_ts").unwrap_or_default();
    wire::attr(hint, "device_hash").as_deref() == Some(hash) && has >= current && has >= expects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn a_client_that_has_the_list_is_spared_it() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let ask = |hint: Option<Node>| {
                let user = NodeBuilder::new("user").children(hint).build();
                answer(
                    unit,
                    &Faults::none(),
                    &Address::new(&me.phone, 1),
                    (&other, Family::Pn),
                    &user,
                )
            };
            let full = ask(None)?.expect("the devices");
            let hash = wire::attr(&wire::children(&full)[0], "hash")
                .unwrap()
                .into_owned();
            let ts: i64 = wire::attr(&wire::children(&full)[1], "ts")
                .unwrap()
                .parse()
                .unwrap();
            let hint = |hash: &str, ts: i64, expected: i64| {
                let hint = NodeBuilder::new("devices")
                    .attr("device_hash", hash)
                    .attr("ts", ts)
                    .attr("expected_ts", expected);
                Some(hint.build())
            };
            assert!(ask(hint(&hash, ts, ts))?.is_none());
            assert!(ask(hint("2:other", ts, ts))?.is_some());
            assert!(ask(hint(&hash, ts - 1, 0))?.is_some());
            assert!(ask(hint(&hash, ts, ts + 1))?.is_some());
            Ok(())
        });
    }
}
