//! `w:sync:app:state`: settings that an account's devices share.
//!
//! Every collection is empty at version 0, which a client takes as being up to date. A change that a client wants
//! to store is refused, in the form that ends its attempts (a `<collection>` with error 400).

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::wire;

pub(super) fn answer(node: &Node) -> Node {
    let asked = node
        .get_optional_child("sync")
        .map(wire::children)
        .unwrap_or_default();
    let collections = asked
        .iter()
        .filter(|child| child.tag == "collection")
        .map(|collection| {
            let name = wire::attr(collection, "name").unwrap_or_default();
            let builder = NodeBuilder::new("collection")
                .attr("name", name.as_ref())
                .attr("version", 0);
            let upload = collection.get_optional_child("patch").is_some();
            if upload {
                let error = NodeBuilder::new("error")
                    .attr("code", 400)
                    .attr("text", "not-supported")
                    .build();
                builder.attr("type", "error").children([error]).build()
            } else {
                builder.build()
            }
        });
    let sync = NodeBuilder::new("sync").children(collections).build();
    wire::iq_result(node, vec![sync])
}

#[cfg(test)]
mod tests {
    use wacore::appstate::patch_decode::{CollectionSyncError, parse_patch_lists};

    use super::*;

    fn ask(patch: bool) -> Node {
        let mut collection = NodeBuilder::new("collection")
            .attr("name", "critical_block")
            .attr("version", 0);
        if patch {
            collection = collection.children([wire::bytes_node("patch", vec![1])]);
        }
        let sync = NodeBuilder::new("sync").children([collection.build()]).build();
        let request = NodeBuilder::new("iq")
            .attr("id", "1")
            .attr("xmlns", "w:sync:app:state")
            .children([sync])
            .build();
        answer(&request)
    }

    #[test]
    fn a_client_reads_an_empty_collection_and_a_final_refusal() {
        let empty = parse_patch_lists(&ask(false)).unwrap();
        assert!(empty[0].error.is_none() && empty[0].patches.is_empty() && !empty[0].has_more_patches);
        let refused = parse_patch_lists(&ask(true)).unwrap();
        assert!(matches!(
            refused[0].error,
            Some(CollectionSyncError::Fatal { code: 400, .. })
        ));
    }
}
