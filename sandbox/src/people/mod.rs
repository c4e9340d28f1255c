//! What people say of themselves, whom they let see it, and who hears when they come, go and write.
//!
//! All rules here are the server's. They hold for the person at a phone and for each of the person's companions
//! alike, and go by the number, whichever of a person's two names a stanza used.

pub(crate) mod blocks;
pub(crate) mod business;
pub(crate) mod calls;
pub(crate) mod chatstates;
pub(crate) mod contacts;
pub(crate) mod notices;
pub(crate) mod presence;
pub(crate) mod privacy;
pub(crate) mod profile;
pub(crate) mod reachout;
pub(crate) mod tokens;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

/// A short name for a set of people, whatever their order. By it a client says which set it means to change.
fn hash<'a>(lids: impl Iterator<Item = &'a str>) -> String {
    let mut lids: Vec<&str> = lids.collect();
    lids.sort_unstable();
    let mut digest = Sha256::new();
    for lid in lids {
        digest.update(lid);
        digest.update([0]);
    }
    BASE64_STANDARD.encode(&digest.finalize()[..8])
}

/// Whether the set that a client knows is the present one. A client that names none means any; `none` also stands for
/// the empty set.
fn agrees(believed: Option<&str>, current: &str, empty: bool) -> bool {
    match believed {
        None | Some("") => true,
        Some("none") => empty,
        Some(believed) => believed == current,
    }
}

#[cfg(test)]
mod testing {
    //! Companions without clients.

    use rand::RngExt as _;

    use crate::companions::{self, Registration};
    use crate::directory::Address;
    use crate::error::Result;
    use crate::store::Unit;

    /// Links a device that nobody runs.
    pub(super) fn link(unit: &mut Unit<'_>, phone: &str, device: u16) -> Result<Address> {
        let keys = Registration {
            number: 1,
            identity: [1; 32],
            signed_id: 1,
            signed_key: [2; 32],
            signature: vec![0; 64],
            platform: "chrome".into(),
            name: "Test".into(),
            device_props: Vec::new(),
        };
        let address = Address::new(phone, device);
        let noise_key: [u8; 32] = rand::rng().random();
        companions::link(unit, &address, &noise_key, &keys, b"x")?;
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_name_in_any_order() {
        assert_eq!(hash(["1", "2"].into_iter()), hash(["2", "1"].into_iter()));
        assert_ne!(hash(["1", "2"].into_iter()), hash(["12"].into_iter()));
        let current = hash(["1"].into_iter());
        assert!(agrees(None, &current, false) && agrees(Some(&current), &current, false));
        assert!(!agrees(Some("none"), &current, false) && agrees(Some("none"), &current, true));
    }
}
