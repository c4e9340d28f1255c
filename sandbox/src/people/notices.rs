//! `<notification>`: how a change of one person reaches companions, the person's own and others'.

use rand::RngExt as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{contacts, privacy};
use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};

/// The `type` by which an account's devices tell each other of its settings.
const ACCOUNT_SYNC: &str = "account_sync";

/// Tells the account's other companions of a change of its settings. `origin` made it and knows.
pub(crate) fn siblings(
    unit: &mut Unit<'_>,
    account: &Account,
    origin: Option<u16>,
    change: Node,
) -> Result<()> {
    let notice = Notice::new(unit, account, ACCOUNT_SYNC, |node| node.children([change]));
    notice.push(unit, &account.phone, origin)
}

/// Tells the companions of one other person.
pub(crate) fn one(
    unit: &mut Unit<'_>,
    account: &Account,
    to: &str,
    kind: &'static str,
    content: impl FnOnce(NodeBuilder) -> NodeBuilder,
) -> Result<()> {
    Notice::new(unit, account, kind, content).push(unit, to, None)
}

/// Tells those who have the person among their contacts, where `category` lets them see it.
pub(crate) fn contacts(
    unit: &mut Unit<'_>,
    account: &Account,
    kind: &'static str,
    category: Option<privacy::Category>,
    change: Node,
) -> Result<()> {
    let notice = Notice::new(unit, account, kind, |node| node.children([change]));
    for phone in contacts::who_know(unit, &account.phone)? {
        let seen = match category {
            Some(category) => privacy::may_see(unit, &phone, &account.phone, category)?,
            None => !super::blocks::blocks(unit, &account.phone, &phone)?,
        };
        if seen {
            notice.push(unit, &phone, None)?;
        }
    }
    Ok(())
}

struct Notice {
    id: String,
    kind: &'static str,
    from: Address,
    node: Node,
}

impl Notice {
    fn new(
        unit: &Unit<'_>,
        account: &Account,
        kind: &'static str,
        content: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Self {
        let id = hex::encode(rand::rng().random::<[u8; 8]>());
        let builder = NodeBuilder::new("notification")
            .attr("from", account.jid(Family::Pn, 0))
            .attr("id", id.as_str())
            .attr("type", kind)
            .attr("notify", account.name.as_str())
            .attr("t", unit.now_secs());
        Self {
            id,
            kind,
            from: Address::primary(&account.phone),
            node: content(builder).build(),
        }
    }

    /// Queues the notice for the companions of `phone`. A phone itself knows all it needs.
    fn push(&self, unit: &mut Unit<'_>, phone: &str, except: Option<u16>) -> Result<()> {
        let stanza = Stanza {
            kind: Kind::Notification,
            id: &self.id,
            subtype: self.kind,
            sender: &self.from,
            node: &self.node,
        };
        for device in directory::devices(unit, phone)? {
            if device != 0 && Some(device) != except {
                queue::push(unit, &Address::new(phone, device), &stanza)?;
            }
        }
        Ok(())
    }
}
