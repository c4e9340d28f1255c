//! What each protocol of a question says of one person.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::devices;
use crate::directory::{Account, Address, Family};
use crate::error::Result;
use crate::faults::Faults;
use crate::people::privacy::{self, Category};
use crate::people::{business, profile};
use crate::pictures::{self, Owner};
use crate::store::Unit;
use crate::wire;

/// The features that all clients of this network have.
const FEATURES: [&str; 9] = [
    "document",
    "encrypt",
    "encrypt_contact",
    "encrypt_group_gen2",
    "encrypt_image",
    "encrypt_location",
    "encrypt_url",
    "encrypt_v2",
    "voip",
];

/// One person as the question names them.
pub(super) struct Asked<'a> {
    pub(super) faults: &'a Faults,
    pub(super) from: &'a Address,
    pub(super) account: &'a Account,
    /// How the answer names them.
    pub(super) family: Family,
    pub(super) user: &'a Node,
    /// How the question wrote the number.
    pub(super) written: Option<&'a str>,
}

impl Asked<'_> {
    /// The answer for one protocol; `None` where it has nothing to say.
    pub(super) fn answer(&self, unit: &Unit<'_>, protocol: &Node) -> Result<Option<Node>> {
        let Self {
            faults,
            from,
            account,
            family,
            ..
        } = *self;
        let sees = |category| privacy::may_see(unit, &from.phone, &account.phone, category);
        Ok(match protocol.tag.as_ref() {
            "contact" => Some(contact("in", self.written)),
            "lid" => Some(
                NodeBuilder::new("lid")
                    .attr("val", account.jid(Family::Lid, 0))
                    .build(),
            ),
            "devices" => devices::answer(unit, faults, from, (account, family), self.user)?,
            "status" if sees(Category::Status)? => {
                let about = profile::about(unit, &account.phone)?;
                Some(
                    NodeBuilder::new("status")
                        .attr("t", about.at)
                        .bytes(about.text)
                        .build(),
                )
            }
            "status" => Some(no_status(401)),
            "picture" if sees(Category::Profile)? => {
                Some(match pictures::of(unit, &Owner::Person(account.clone()))? {
                    Some(picture) => NodeBuilder::new("picture").attr("id", picture.id).build(),
                    None => error("picture", 404),
                })
            }
            "picture" => Some(error("picture", 401)),
            "disappearing_mode" => Some(profile::timer_node(unit, &account.phone)?),
            "business" => business(unit, account)?,
            "bot" => Some(error("bot", 404)),
            "username" => Some(NodeBuilder::new("username").build()),
            "text_status" => Some(
                NodeBuilder::new("text_status")
                    .attr("last_update_time", 0)
                    .build(),
            ),
            "feature" => Some(features(protocol)),
            _ => None,
        })
    }
}

/// What is said of somebody who is not on the network.
pub(super) fn stranger(protocol: &str, written: Option<&str>) -> Option<Node> {
    match protocol {
        "contact" => Some(contact("out", written)),
        "devices" => Some(error("devices", 404)),
        "status" => Some(no_status(404)),
        "picture" => Some(error("picture", 404)),
        "bot" => Some(error("bot", 404)),
        _ => None,
    }
}

/// `<contact>`: whether a number is on the network (`in`, `out`) or is none (`invalid`), with the number as it was
/// written.
pub(super) fn contact(kind: &'static str, written: Option<&str>) -> Node {
    let builder = NodeBuilder::new("contact").attr("type", kind);
    match written {
        Some(written) => builder.bytes(written.as_bytes()).build(),
        None => builder.build(),
    }
}

/// How a protocol fared as a whole, for the `<result>`.
pub(super) fn state(protocol: &str) -> Node {
    let builder = NodeBuilder::new_dynamic(protocol.to_owned());
    match protocol {
        "contact" | "lid" | "devices" | "status" | "picture" | "disappearing_mode" | "business" | "bot"
        | "username" | "text_status" | "feature" => builder.build(),
        _ => builder
            .children([refusal(501, "feature-not-implemented")])
            .build(),
    }
}

fn business(unit: &Unit<'_>, account: &Account) -> Result<Option<Node>> {
    let Some(business) = business::get(unit, &account.phone)? else {
        return Ok(None);
    };
    let name = business::verified_name(unit, &account.phone, &business)?;
    Ok(Some(NodeBuilder::new("business").children([name]).build()))
}

/// An about text that is hidden (401) or nobody's (404): the one protocol that refuses in its own way.
fn no_status(code: u16) -> Node {
    NodeBuilder::new("status")
        .attr("code", code)
        .attr("type", "fail")
        .build()
}

fn features(protocol: &Node) -> Node {
    let features = wire::children(protocol).iter().map(|feature| {
        let has = FEATURES.contains(&feature.tag.as_ref());
        NodeBuilder::new_dynamic(feature.tag.to_string())
            .attr("value", has)
            .build()
    });
    NodeBuilder::new("feature").children(features).build()
}

fn error(protocol: &'static str, code: u16) -> Node {
    let text = if code == 401 {
        "not-authorized"
    } else {
        "item-not-found"
    };
    NodeBuilder::new(protocol).children([refusal(code, text)]).build()
}

fn refusal(code: u16, text: &'static str) -> Node {
    NodeBuilder::new("error")
        .attr("code", code)
        .attr("text", text)
        .build()
}
