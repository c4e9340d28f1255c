//! Brings files that came with messages from WhatsApp into the bucket, where whoever asked for one finds it.
//!
//! A file takes as long as it is large, and a question does not wait for that. So a file that was begun goes on by itself, once
//! however often it is asked for, and the next question finds it. What is broken off leaves nothing: the bucket has a file whole
//! or not at all, and the next question begins anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::bucket::{Area, Length, ObjectName};
use shared::domain::content::Came;
use shared::domain::question::{FetchMedia, MediaFetched, MediaPlace, Outcome, Refusal};
use shared::domain::upload::URL_TERM;
use shared::fault;
use shared::ids::{InstanceId, MediaId};
use shared::storage::media::{self, MediaTable, Origin};
use shared::telemetry::chain;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::connection::{FetchedMedia, MediaError};
use crate::deps::Deps;
use crate::files::Owner;
use crate::instance::link::Links;
use crate::lease::Hold;

/// How many files of an instance are under way or wait for their turn. What comes beyond that is refused.
const MOST: usize = 32;

/// What is left of a question's time for its answer to be stored.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What came of a file; `None` while it is under way.
type Ended = Option<Result<MediaPlace, Refusal>>;

/// The files of a shard that are under way.
#[derive(Debug)]
pub struct Fetching {
    deps: Arc<Deps>,
    media: MediaTable,
    hold: Hold,
    links: Arc<Links>,
    tasks: TaskTracker,
    under_way: Mutex<HashMap<(InstanceId, MediaId), watch::Receiver<Ended>>>,
}

impl Fetching {
    /// The files of a shard that is held; they are brought in `tasks`.
    pub fn new(deps: Arc<Deps>, hold: Hold, links: Arc<Links>, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            media: MediaTable::new(deps.table.clone()),
            deps,
            hold,
            links,
            tasks,
            under_way: Mutex::default(),
        })
    }

    /// Answers a question that has so much time left.
    pub async fn answer(self: &Arc<Self>, instance: InstanceId, ask: &FetchMedia, left: Duration) -> Outcome {
        let mut ended = self.begin(instance, ask.media)?;
        let patience = left.saturating_sub(FOR_THE_ANSWER).max(left / 2);
        let place = match tokio::time::timeout(patience, ended.wait_for(Option::is_some)).await {
            Ok(Ok(ended)) => ended.unwrap_or(Err(Refusal::Unavailable))?,
            // The shard is given up.
            Ok(Err(_)) => return Err(Refusal::NotConnected),
            Err(_) => MediaPlace::UnderWay,
        };
        Ok(MediaFetched { place }.into())
    }

    /// Begins to bring a file, unless it is under way already.
    fn begin(
        self: &Arc<Self>,
        instance: InstanceId,
        media: MediaId,
    ) -> Result<watch::Receiver<Ended>, Refusal> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = under_way.get(&(instance, media)) {
            return Ok(ended.clone());
        }
        if under_way.keys().filter(|(of, _)| *of == instance).count() >= MOST {
            return Err(Refusal::Busy);
        }
        let (ends, ended) = watch::channel(None);
        under_way.insert((instance, media), ended.clone());
        let fetching = Arc::clone(self);
        // It is forgotten however it ends.
        let forget = Forget {
            fetching: Arc::clone(self),
            which: (instance, media),
        };
        self.tasks.spawn(async move {
            let forget = forget;
            let came = tokio::select! {
                () = fetching.hold.fence.revoked() => return,
                () = fetching.hold.drain.cancelled() => return,
                came = Box::pin(fetching.bring(instance, media)) => came,
            };
            drop(forget);
            let _ = ends.send(Some(came));
        });
        Ok(ended)
    }

    async fn bring(&self, instance: InstanceId, media: MediaId) -> Result<MediaPlace, Refusal> {
        let brought = self.bring_to_bucket(instance, media).await;
        brought.map_err(|trouble| match trouble {
            Trouble::NotConnected => Refusal::NotConnected,
            Trouble::Other(error) => {
                warn!(instance.id = %instance, media.id = %media, error = %chain(error.as_ref()), "a file that came in could not be fetched");
                Refusal::Unavailable
            }
        })
    }

    async fn bring_to_bucket(&self, instance: InstanceId, id: MediaId) -> Result<MediaPlace, Trouble> {
        let deps = &self.deps;
        let begun_at = deps.clock.now();
        let object = ObjectName::new(Area::Incoming, instance, id);
        let found = self.media.get(instance, id, begun_at).await?;
        let Some(found) = found else {
            return Ok(MediaPlace::Gone);
        };
        match found.origin {
            Origin::Given { .. } => return Ok(MediaPlace::Gone),
            Origin::Came {
                fetched_until: Some(_),
            } if deps.bucket.size(&object).await?.is_some() => {
                return Ok(MediaPlace::Here);
            }
            Origin::Came { .. } => {}
        }
        let mut came: Came = media::open(&deps.sealer, instance, id, &found.sealed).await?;
        let link = self.links.now(instance).ok_or(Trouble::NotConnected)?;
        let owner = Owner {
            subscription: link.subscription,
            instance,
        };
        let _slot = deps.files.slot_in(owner).await;
        let folder = deps.files.folder();
        let fetched = match link.connection.fetch_media(&came, folder).await {
            Ok(fetched) => fetched,
            Err(MediaError::Gone) => {
                info!(instance.id = %instance, media.id = %id, "neither WhatsApp nor the phone has a file any more");
                return Ok(MediaPlace::Gone);
            }
            Err(MediaError::TooLarge) => {
                info!(instance.id = %instance, media.id = %id, "a file that came in is too large to be fetched");
                return Ok(MediaPlace::TooLarge);
            }
            Err(MediaError::NotConnected) => return Err(Trouble::NotConnected),
            Err(error) => return Err(error.into()),
        };
        let FetchedMedia { spool, moved_to } = fetched;
        let put = deps
            .bucket
            .put(&object, spool.stream(), Length::Exactly(spool.size()));
        put.await?;
        fault::point("after-fetched-file");
        let moved = match moved_to {
            None => None,
            Some(path) => {
                came.remote.direct_path = path;
                Some(media::seal(&deps.sealer, instance, id, &came).await?)
            }
        };
        // Whoever gets a URL in the last moment has its time.
        let until = begun_at + Area::Incoming.term() - URL_TERM;
        if !self.media.note_fetched(instance, id, until, moved).await? {
            // It was deleted meanwhile, or its instance was.
            deps.bucket.delete(&object).await?;
            return Ok(MediaPlace::Gone);
        }
        Ok(MediaPlace::Here)
    }
}

/// Forgets a file that is not under way any more.
struct Forget {
    fetching: Arc<Fetching>,
    which: (InstanceId, MediaId),
}

impl Drop for Forget {
    fn drop(&mut self) {
        let under_way = &self.fetching.under_way;
        let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&self.which);
    }
}

/// Why a file is not in the bucket.
enum Trouble {
    NotConnected,
    Other(Cause),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Other(Box::new(error))
    }
}
