//! What is told of instances' connections.
//!
//! A status is stored with what is to be told of it, where somebody wants that; then it is told, then the item says that
//! nothing waits any more. Anyone who reads the item in between, such as the shard's next owner, tells it again under the
//! same id.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::event::{EventType, SessionNews, Untold};
use shared::domain::instance::{Observed, Status};
use shared::domain::person::Person;
use shared::fault;
use shared::ids::InstanceId;
use shared::session_state::Fence;
use tracing::warn;

use super::announcement::Announcement;
use super::shown::Shown;
use super::{AnnounceError, Announcer};
use shared::telemetry::chain;

/// How long an instance waits for the queue after a change of its status. What takes longer is left to the next look.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be told of a status that is about to be stored.
#[derive(Debug, Default)]
#[must_use = "it is to be told when it is stored"]
pub struct News(Option<SessionNews>);

impl Announcer {
    /// Notes in what is about to be stored, `to`, what is to be told of it. `from` is the status that is stored.
    pub async fn session_becomes(
        &self,
        instance: InstanceId,
        from: Status,
        to: &mut Observed,
        account: &Person,
    ) -> News {
        let Some(news) = SessionNews::of(from, to, account) else {
            return News(None);
        };
        if self.may_be_wanted(instance, news.kind).await && to.untold.push(&news) {
            self.events().given_up.add(1);
            warn!(instance.id = %instance, "too much of an instance is not told yet: the oldest is given up");
        }
        News(Some(news))
    }

    /// Tells of a change that is stored, and of what waited before it. `untold` is what the item holds; answers what it
    /// holds then.
    pub async fn session_is(
        &self,
        instance: InstanceId,
        fence: &Fence,
        change: News,
        untold: &Untold,
    ) -> Untold {
        let telling = tokio::time::timeout(PATIENCE, self.tell_session(instance, fence, change, untold));
        match telling.await {
            Ok(Ok(left)) => left,
            Ok(Err(error)) => {
                warn!(instance.id = %instance, error = %chain(&error), "what happened to an instance is told later");
                untold.clone()
            }
            Err(_) => {
                warn!(instance.id = %instance, "the queue of events is slow: what happened to an instance is told later");
                untold.clone()
            }
        }
    }

    /// Tells what an item says is not told yet.
    pub async fn tell_again(&self, instance: InstanceId, fence: &Fence, untold: &Untold) {
        if !untold.is_empty() {
            self.session_is(instance, fence, News(None), untold).await;
        }
    }

    /// Shows in the realtime feed that the pairing of an instance goes on, if somebody may look at that. Nothing waits for it, and
    /// whoever is not told finds out a little later.
    pub fn pairing_goes_on(&self, instance: InstanceId, now: DateTime<Utc>) {
        let Some(listener) = self.audience.known(instance) else {
            return;
        };
        if self.hub.is_followed(listener.subscription) {
            self.hub
                .show(Shown::pairing(instance, listener.subscription, now));
        }
    }

    async fn tell_session(
        &self,
        instance: InstanceId,
        fence: &Fence,
        change: News,
        untold: &Untold,
    ) -> Result<Untold, AnnounceError> {
        if !untold.is_empty() {
            fault::point("before-session-event");
        }
        let mut all = untold.news();
        if let Some(news) = change.0
            && !all.contains(&news)
        {
            // Nobody wants it: for the hub alone.
            all.push(news);
        }
        let mut handed = Vec::new();
        for news in all {
            handed.push(self.hand_on(Announcement::session(instance, news)).await?);
        }
        for handed in handed {
            self.told(handed).await?;
        }
        if untold.is_empty() {
            return Ok(Untold::default());
        }
        let left = untold.unread();
        self.instances
            .told(instance, fence.token(), untold, &left)
            .await?;
        Ok(left)
    }

    /// Whether somebody wants events of this type. Where that cannot be read, somebody may.
    async fn may_be_wanted(&self, instance: InstanceId, kind: EventType) -> bool {
        match self.is_wanted(instance, kind).await {
            Ok(is_wanted) => is_wanted,
            Err(error) => {
                warn!(instance.id = %instance, error = %chain(&error), "who wants an event could not be read");
                true
            }
        }
    }
}
