//! `abt` and `w`: the experiments and settings with which the real network steers its clients.
//!
//! Here an account has only those that its switches turn on. For all others a client goes by its own defaults.

use sha2::{Digest as _, Sha256};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::directory::Address;
use crate::error::Result;
use crate::store::Unit;
use crate::switches;
use crate::wire;

/// After how many seconds a client asks again.
const REFRESH: u32 = 86_400;

pub(super) fn answer(unit: &Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let asked = node.get_optional_child("props");
    if wire::attr(node, "type").as_deref() != Some("get") || asked.is_none() {
        return Ok(super::unknown(node));
    }
    let known = asked.and_then(|props| wire::attr(props, "hash"));
    let protocol = asked.and_then(|props| wire::attr(props, "protocol"));
    let experiments = wire::attr(node, "xmlns").as_deref() == Some("abt");
    let props = if experiments {
        switches::props(unit, &from.phone)?
    } else {
        Vec::new()
    };
    let hash = hash(&props);
    let mut builder = NodeBuilder::new("props")
        .attr("protocol", protocol.as_deref().unwrap_or("1"))
        .attr("hash", hash.as_str())
        .attr("refresh", REFRESH);
    if experiments {
        builder = builder.attr("ab_key", "sandbox");
    }
    // A client that has this very set gets the difference, which is none; any other gets the whole.
    if known.as_deref() == Some(hash.as_str()) {
        builder = builder.attr("delta_update", "true");
    } else {
        let props = props.iter().map(|(code, value)| {
            NodeBuilder::new("prop")
                .attr("config_code", *code)
                .attr("config_value", u32::from(*value))
                .build()
        });
        builder = builder.children(props);
    }
    Ok(wire::iq_result(node, vec![builder.build()]))
}

fn hash(props: &[(u32, bool)]) -> String {
    let mut hasher = Sha256::new();
    for (code, value) in props {
        hasher.update(code.to_be_bytes());
        hasher.update([u8::from(*value)]);
    }
    hex::encode(&hasher.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use wacore::iq::props::{PropsResponse, PropsSpec};
    use wacore::iq::spec::IqSpec as _;

    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn ask(unit: &Unit<'_>, phone: &str, hash: Option<&str>) -> Result<PropsResponse> {
        let mut props = NodeBuilder::new("props").attr("protocol", "1");
        if let Some(hash) = hash {
            props = props.attr("hash", hash);
        }
        let iq = NodeBuilder::new("iq")
            .attr("id", "1")
            .attr("type", "get")
            .attr("xmlns", "abt")
            .children([props.build()])
            .build();
        let node = answer(unit, &Address::new(phone, 1), &iq)?;
        Ok(PropsSpec::new()
            .parse_response(&node.as_node_ref())
            .expect("a client reads it"))
    }

    #[test]
    fn settings_of_the_older_kind_are_none_and_cannot_be_set() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            let from = Address::new(&phone, 1);
            for (kind, answered) in [("get", "result"), ("set", "error")] {
                let props = NodeBuilder::new("props").attr("protocol", "2").build();
                let iq = NodeBuilder::new("iq")
                    .attr("id", "1")
                    .attr("type", kind)
                    .attr("xmlns", "w")
                    .children([props])
                    .build();
                let node = answer(unit, &from, &iq)?;
                assert_eq!(wire::attr(&node, "type").as_deref(), Some(answered));
                if let Some(props) = node.get_optional_child("props") {
                    assert_eq!(wire::attr(props, "protocol").as_deref(), Some("2"));
                    assert!(wire::children(props).is_empty());
                }
            }
            Ok(())
        });
    }

    #[test]
    fn the_whole_set_once_then_no_difference() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            switches::adopt(unit, &phone, "scenario:nct_send_ab=1:Ada")?;
            let first = ask(unit, &phone, None)?;
            assert!(!first.delta_update);
            assert_eq!(first.experiment_props.len(), 1);
            assert_eq!(
                first.experiment_props[0].0,
                wacore::iq::abprops::web::WA_NCT_TOKEN_SEND_ENABLED.code
            );
            let again = ask(unit, &phone, first.hash.as_deref())?;
            assert!(again.delta_update && again.experiment_props.is_empty());
            assert!(!ask(unit, &phone, Some("other"))?.delta_update);
            Ok(())
        });
    }
}
