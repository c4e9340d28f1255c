//! Behaviours of single accounts, which test suites switch on by the push name that a client registers with:
//! `restricted:<name>`, or `scenario:<switch>[,<switch>…]:<name>` with switches like `tc_enabled=0`.
//!
//! `restricted` accounts may write only to people who have written to them, unless a message carries a privacy token.
//! Switches that are experiments of the network are told to clients as such. Others are kept and shown.

use std::collections::BTreeMap;

use wacore::iq::abprops::web;
use wacore_binary::Node;

use crate::error::Result;
use crate::store::Unit;

/// The one that makes an account a restricted one.
const RESTRICTED: &str = "restricted";

/// Every switch there is.
const NAMES: [&str; 8] = [
    RESTRICTED,
    "tc_enabled",
    "cs_enabled",
    "nct_send_ab",
    "nct_syncd_ab",
    "nct_history_ab",
    "nct_history_delivery",
    "nct_syncd_delivery",
];

/// Those that are experiments, by their codes.
const EXPERIMENTS: [(&str, u32); 3] = [
    ("nct_send_ab", web::WA_NCT_TOKEN_SEND_ENABLED.code),
    ("nct_history_ab", web::WA_NCT_TOKEN_HISTORY_SYNC_ENABLED.code),
    ("nct_syncd_ab", web::WA_NCT_TOKEN_SYNCD_ENABLED.code),
];

/// The switches in a push name; unknown ones are left out. Empty for an ordinary name.
fn parse(push_name: &str) -> Vec<(&'static str, bool)> {
    if push_name.starts_with("restricted:") {
        return vec![(RESTRICTED, true)];
    }
    let Some((switches, _)) = push_name
        .strip_prefix("scenario:")
        .and_then(|rest| rest.split_once(':'))
    else {
        return Vec::new();
    };
    let known = |switch: &str| {
        let (name, value) = switch.split_once('=').unwrap_or((switch, "1"));
        let name = NAMES.into_iter().find(|known| *known == name.trim())?;
        match value.trim() {
            "0" => Some((name, false)),
            "1" => Some((name, true)),
            _ => None,
        }
    };
    switches.split(',').filter_map(known).collect()
}

/// Sets an account's switches as the push name of a client that it links says.
pub(crate) fn adopt(unit: &Unit<'_>, phone: &str, push_name: &str) -> Result<()> {
    for (name, value) in parse(push_name) {
        unit.execute(
            "INSERT OR REPLACE INTO switches (phone, name, value) VALUES (?1, ?2, ?3)",
            (phone, name, value),
        )?;
    }
    Ok(())
}

/// The switches of an account that were ever set.
pub(crate) fn all(unit: &Unit<'_>, phone: &str) -> Result<BTreeMap<String, bool>> {
    let mut statement = unit.prepare("SELECT name, value FROM switches WHERE phone = ?1")?;
    let rows = statement.query_map([phone], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether one of an account's switches is on.
pub(crate) fn is_on(unit: &Unit<'_>, phone: &str, name: &str) -> Result<bool> {
    Ok(unit
        .prepare("SELECT 1 FROM switches WHERE phone = ?1 AND name = ?2 AND value = 1")?
        .exists((phone, name))?)
}

/// The experiments of an account: code and whether it is on.
pub(crate) fn props(unit: &Unit<'_>, phone: &str) -> Result<Vec<(u32, bool)>> {
    let set = all(unit, phone)?;
    let of_account = |(name, code): (&str, u32)| Some((code, *set.get(name)?));
    Ok(EXPERIMENTS.into_iter().filter_map(of_account).collect())
}

/// Remembers that `writer` has written to `phone`.
pub(crate) fn wrote(unit: &Unit<'_>, phone: &str, writer: &str) -> Result<()> {
    unit.execute(
        "INSERT OR IGNORE INTO correspondents (phone, writer) VALUES (?1, ?2)",
        (phone, writer),
    )?;
    Ok(())
}

/// Whether a message of `from` to `to` is refused: a restricted account writes to somebody who has never written to
/// it, and has no token.
pub(crate) fn holds_back(unit: &Unit<'_>, from: &str, to: &str, message: &Node) -> Result<bool> {
    let token = ["tctoken", "cstoken"]
        .iter()
        .any(|tag| message.get_optional_child(tag).is_some());
    if token || from == to {
        return Ok(false);
    }
    Ok(is_on(unit, from, RESTRICTED)?
        && !unit
            .prepare("SELECT 1 FROM correspondents WHERE phone = ?1 AND writer = ?2")?
            .exists((from, to))?)
}

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;

    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn push_names_and_what_they_switch() {
        for (name, switches) in [
            ("Ada", vec![]),
            ("restricted:Ada", vec![("restricted", true)]),
            (
                "scenario:tc_enabled=0,nct_send_ab=1,restricted:Ada: the first",
                vec![("tc_enabled", false), ("nct_send_ab", true), ("restricted", true)],
            ),
            ("scenario:what=1,cs_enabled=2,:Ada", vec![]),
            ("scenario:tc_enabled", vec![]),
        ] {
            assert_eq!(parse(name), switches, "{name}");
        }
    }

    #[test]
    fn the_restricted_answer_but_do_not_begin() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let a = identity::create(unit, None, Some("restricted:A".into()))?.phone;
            let b = identity::create(unit, None, None)?.phone;
            adopt(unit, &a, "restricted:A")?;
            let plain = NodeBuilder::new("message").build();
            let token = NodeBuilder::new("tctoken").bytes(vec![1]).build();
            let with_token = NodeBuilder::new("message").children([token]).build();
            assert!(holds_back(unit, &a, &b, &plain)?);
            assert!(!holds_back(unit, &a, &b, &with_token)?);
            assert!(!holds_back(unit, &b, &a, &plain)?);
            wrote(unit, &a, &b)?;
            assert!(!holds_back(unit, &a, &b, &plain)?);
            Ok(())
        });
    }
}
