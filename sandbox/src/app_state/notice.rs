//! The notification that a collection has changed.

use wacore_binary::builder::NodeBuilder;

use crate::directory::{self, Address};
use crate::error::Result;
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::wire;

/// Tells the account's devices but `author` of a collection's new version. Notices of an older version that they have
/// not taken yet are dropped, since the newest says all.
pub(super) fn notify(
    unit: &mut Unit<'_>,
    author: &Address,
    collection: &'static str,
    version: u64,
) -> Result<()> {
    let account = directory::require(unit, &author.phone)?;
    let id = format!("server-sync-{collection}-{version}");
    let changed = NodeBuilder::new("collection")
        .attr("name", collection)
        .attr("version", version)
        .build();
    let node = NodeBuilder::new("notification")
        .attr("from", wire::SERVER)
        .attr("id", id.as_str())
        .attr("type", "server_sync")
        .attr("t", unit.now_secs())
        .children([changed])
        .build();
    let sender = Address::primary(&account.phone);
    let stanza = Stanza {
        kind: Kind::Notification,
        id: &id,
        subtype: "server_sync",
        sender: &sender,
        node: &node,
    };
    for device in directory::devices(unit, &account.phone)? {
        let address = Address::new(&account.phone, device);
        if address != *author {
            queue::supersede(
                unit,
                &address,
                "server_sync",
                &format!("server-sync-{collection}-"),
            )?;
            queue::push(unit, &address, &stanza)?;
        }
    }
    Ok(())
}
