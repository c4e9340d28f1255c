//! Trusted-contact tokens: proof that a person has written to somebody.
//!
//! A client gives one to everybody it writes to. The holder's clients show it where the network wants proof that they
//! are no strangers. This network keeps and delivers tokens, and wants them only from restricted accounts.

use rand::RngExt as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{blocks, notices};
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::wire;

/// The one kind of token there is.
const KIND: &str = "trusted_contact";

/// The most tokens of one request.
const MAX_TOKENS: usize = 1_000;

/// The length of a token in bytes.
const LENGTH: usize = 10;

/// Takes a client's `<tokens>`: each person named gets a token of the client's account.
pub(crate) fn issue(unit: &mut Unit<'_>, from: &Address, tokens: &Node) -> Result<()> {
    let issuer = directory::require(unit, &from.phone)?;
    let tokens: Vec<&Node> = tokens.get_children_by_tag("token").collect();
    if tokens.len() > MAX_TOKENS {
        return Err(Error::Invalid("too many tokens in one request".into()));
    }
    for token in tokens {
        let Some(jid) = wire::attr_jid(token, "jid").filter(|_| is_trusted_contact(token)) else {
            continue;
        };
        let issued_at = wire::attr(token, "t").and_then(|t| t.parse().ok());
        if let Some(holder) = directory::resolve(unit, &jid)?
            && holder.phone != issuer.phone
        {
            give(
                unit,
                &issuer,
                &holder,
                issued_at.unwrap_or_else(|| unit.now_secs()),
            )?;
        }
    }
    Ok(())
}

fn is_trusted_contact(token: &Node) -> bool {
    wire::attr(token, "type").as_deref() == Some(KIND)
}

fn give(unit: &mut Unit<'_>, issuer: &Account, holder: &Account, issued_at: i64) -> Result<()> {
    let token: [u8; LENGTH] = rand::rng().random();
    unit.execute(
        "INSERT INTO trusted_contacts (phone, person, token, issued_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (phone, person) DO UPDATE SET token = excluded.token, issued_at = excluded.issued_at",
        (&issuer.phone, &holder.phone, token, issued_at),
    )?;
    if blocks::blocks(unit, &holder.phone, &issuer.phone)? {
        return Ok(());
    }
    let node = NodeBuilder::new("token")
        .attr("type", KIND)
        .attr("t", issued_at)
        .bytes(token)
        .build();
    let tokens = NodeBuilder::new("tokens").children([node]).build();
    let lid = issuer.jid(Family::Lid, 0);
    notices::one(unit, issuer, &holder.phone, "privacy_token", |node| {
        node.attr("sender_lid", lid).children([tokens])
    })
}
