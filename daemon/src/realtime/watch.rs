//! What goes on while sockets are open: events are told, and whoever may not follow any longer is ended.
//!
//! Whether somebody may still follow is read every [`CHECK_PERIOD`], of all at once: what several sockets share is read once,
//! so the cost grows with the keys, logins and subscriptions that follow and not with their sockets. While the table is away
//! everybody may go on for [`UNVERIFIED`], and then nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::storage::StorageError;
use shared::storage::standings::{Credential, Standings};
use shared::telemetry::chain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::feed::Feed;
use super::follower::Room;
use super::refusal::Refusal;
use crate::announce::hub::{Gone, Shown};

/// How often it is looked whether a token has expired.
const EXPIRY_PERIOD: Duration = Duration::from_secs(1);

/// How often it is read who may still follow.
pub const CHECK_PERIOD: Duration = Duration::from_secs(5);

/// How long a reading may take.
const CHECK_DEADLINE: Duration = Duration::from_secs(10);

/// For how long a socket goes on of which nobody knows whether it may.
pub const UNVERIFIED: Duration = Duration::from_mins(2);

/// How many events are taken from the hub at a time.
const BATCH: usize = 256;

/// Tells what comes, until `stop`.
pub async fn tell(feed: &Arc<Feed>, noted: impl Fn(&Shown), stop: &CancellationToken) {
    let (mut place, mut epoch) = (feed.hub.end(), feed.hub.epoch());
    loop {
        let came = feed.hub.came();
        let (events, is_gone) = match feed.hub.from(place, BATCH) {
            Ok(events) => (events, false),
            Err(Gone) => (Vec::new(), true),
        };
        if is_gone {
            place = feed.hub.end();
        }
        let now = feed.hub.epoch();
        if is_gone || now != epoch {
            epoch = now;
            for follower in feed.followers.all() {
                if follower.start_afresh(epoch) == Room::None {
                    feed.catch_up_with(follower);
                }
            }
        }
        if is_gone {
            continue;
        }
        if events.is_empty() {
            if stop.run_until_cancelled(came).await.is_none() {
                return;
            }
            continue;
        }
        for shown in events {
            noted(&shown);
            for follower in feed.followers.of(shown.subscription) {
                if follower.offer(place, &shown) == Room::None {
                    feed.catch_up_with(follower);
                }
            }
            place += 1;
        }
        tokio::task::yield_now().await;
    }
}

/// Ends those whose time is over, until `stop`.
pub async fn expire(feed: &Feed, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(EXPIRY_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = feed.clock.now();
        for follower in feed.followers.all() {
            if follower.is_lost() {
                follower.cut();
                feed.followers.remove(follower.id());
            } else if let Some(refusal) = follower.is_over(now) {
                follower.end(&refusal, &feed.tasks);
            }
        }
    }
}

/// Ends those who may not follow any longer, until `stop`.
pub async fn check(feed: &Feed, standings: &Standings, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(CHECK_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        feed.hub.follow(feed.followers.subscriptions());
        let checking = tokio::time::timeout(CHECK_DEADLINE, check_once(feed, standings));
        match stop.run_until_cancelled(checking).await {
            None => return,
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => {
                warn!(error = %chain(&error), "who follows could not be checked");
            }
            Some(Err(_)) => warn!("who follows could not be checked: no answer in time"),
        }
        for follower in feed.followers.all() {
            if follower.unverified_for() > UNVERIFIED {
                follower.end(&Refusal::unavailable(), &feed.tasks);
            }
        }
    }
}

/// Checks all once.
async fn check_once(feed: &Feed, standings: &Standings) -> Result<(), StorageError> {
    let followers: Vec<_> = feed
        .followers
        .all()
        .into_iter()
        .map(|follower| (follower.caller().credential(), follower))
        .collect();
    let credentials: BTreeSet<Credential> = followers
        .iter()
        .map(|(credential, _)| credential.clone())
        .collect();
    if credentials.is_empty() {
        return Ok(());
    }
    let found = standings.of(&credentials).await?;
    let now = feed.clock.now();
    for (credential, follower) in followers {
        let standing = match found.get(&credential) {
            Some(Ok(standing)) => standing,
            Some(Err(error)) => {
                warn!(error = %chain(error), "whether a socket may follow could not be read");
                continue;
            }
            None => continue,
        };
        if let Err(refusal) = follower.judge(&credential, standing, now) {
            follower.end(&refusal, &feed.tasks);
        }
    }
    Ok(())
}
