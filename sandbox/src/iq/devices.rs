//! `md`: a companion unlinks itself (logs out), another of its account, or all of them.

use wacore_binary::Node;

use crate::companions;
use crate::directory::{self, Address};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::wire;

/// Unlinks the devices that the request names. Answers whether the asking device is among them, which still gets its
/// answer.
pub(super) fn remove(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<bool> {
    let remove = node
        .get_optional_child("remove-companion-device")
        .ok_or_else(|| Error::Invalid("nothing is to be removed".into()))?;
    let devices = if wire::attr(remove, "all").as_deref() == Some("true") {
        companions::all(unit, &from.phone)?
            .into_iter()
            .map(|companion| companion.device)
            .collect()
    } else {
        vec![named(unit, from, remove)?]
    };
    for device in &devices {
        let address = Address::new(&from.phone, *device);
        if address == *from {
            companions::leave(unit, &address)?;
        } else {
            companions::unlink(unit, &address)?;
        }
    }
    Ok(devices.contains(&from.device))
}

fn named(unit: &Unit<'_>, from: &Address, remove: &Node) -> Result<u16> {
    let jid = wire::attr_jid(remove, "jid").ok_or_else(|| Error::Invalid("no device is named".into()))?;
    let own = directory::resolve(unit, &jid)?.is_some_and(|account| account.phone == from.phone);
    if !own {
        return Err(Error::Invalid(
            "only devices of the own account can be removed".into(),
        ));
    }
    if jid.device == 0 {
        return Err(Error::Invalid("the phone is no companion".into()));
    }
    Ok(jid.device)
}
