//! A change of a user as one transaction: its writes, each with what its refusal means.

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::Accounts;
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::StorageError;
use crate::storage::item::Reader;
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// How often a change is read, planned and tried.
pub(super) const ATTEMPTS: usize = 8;

/// What became of the subscription that a user has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// It is as it was.
    Stays,
    /// Its owner went: it has this one now.
    PassedTo(UserId),
    /// Its last user went, and it with them.
    Deleted,
}

/// What a write of the plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The user itself, its address or its subscription's heir: refused where somebody else
    /// changed them meanwhile.
    Seen,
    /// The invitation that is accepted: refused where it has ended meanwhile.
    Invitation,
    /// The set of administrators: refused for the last.
    Administrators,
    /// The subscription that the user leaves.
    Leave,
    /// The subscription that the user comes to: refused where it does not exist.
    Join,
}

/// What came of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// Something changed since it was read: read and plan again.
    Outdated,
    /// There is no such invitation any more.
    Uninvited,
    LastAdministrator,
    /// The subscription would keep instances but no user; or it would be deleted without having been marked before.
    InUse,
    NoSubscription,
}

/// Writes that are made together or not at all.
#[derive(Debug)]
pub(super) struct Plan {
    pub leaves: Option<(SubscriptionId, Aftermath)>,
    /// Whether a subscription has to be marked before it may be deleted.
    pub ends_marked: bool,
    steps: Vec<Step>,
    writes: Vec<TransactWriteItem>,
}

impl Plan {
    pub fn new() -> Self {
        Self {
            leaves: None,
            ends_marked: false,
            steps: Vec::new(),
            writes: Vec::new(),
        }
    }

    pub fn push(&mut self, step: Step, write: impl Into<Option<TransactWriteItem>>) {
        if let Some(write) = write.into() {
            self.steps.push(step);
            self.writes.push(write);
        }
    }
}

impl Accounts {
    pub(super) async fn carry_out(&self, plan: Plan) -> Result<Verdict, StorageError> {
        let failed = match self.table.transact(plan.writes).await? {
            Transacted::Done => return Ok(Verdict::Done),
            Transacted::Refused(failed) => failed,
        };
        let refused = |step| {
            plan.steps
                .iter()
                .zip(&failed)
                .any(|(of, failed)| *of == step && *failed)
        };
        if refused(Step::Invitation) {
            return Ok(Verdict::Uninvited);
        }
        if refused(Step::Seen) {
            return Ok(Verdict::Outdated);
        }
        if refused(Step::Administrators) {
            return Ok(Verdict::LastAdministrator);
        }
        if refused(Step::Join) {
            return Ok(Verdict::NoSubscription);
        }
        match plan.leaves {
            Some((subscription, Aftermath::Deleted))
                if self.is_in_use(subscription, plan.ends_marked).await? =>
            {
                Ok(Verdict::InUse)
            }
            _ => Ok(Verdict::Outdated),
        }
    }

    /// Whether a subscription has instances, or lacks the mark that it needs to go.
    async fn is_in_use(&self, id: SubscriptionId, ends_marked: bool) -> Result<bool, StorageError> {
        let Some(item) = self.table.get(&keys::subscription(id)).await? else {
            return Ok(false);
        };
        let read = Reader::new("subscription", &item);
        let instances: u32 = read.opt_number("instanceCount")?.unwrap_or(0);
        Ok(instances > 0 || (ends_marked && !read.flag("deleting")?))
    }
}
