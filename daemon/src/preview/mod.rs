//! Previews of links: what a text shows of the page that its first link leads to.
//!
//! WhatsApp's apps make the preview on the sender's side, so this is where the page is fetched. It is the sender's link, but
//! the page is anybody's, and a preview is worth little: so everything here is short, small and given up without a word. A
//! text never fails nor waits longer than [`Previews::patience`] for it. The same page is not fetched for each of many texts.

mod kept;
mod page;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use shared::domain::content::{Bytes, Preview};
use shared::domain::links;
use shared::telemetry::chain;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use self::kept::{Kept, Known, Shown};
use self::page::Page;
use crate::fetch::{FetchError, Fetcher};
use crate::files::{self, Owner, Slots, Terms, thumbnail_of};

/// How long a text waits for its preview at most, where nothing else is set.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a page may take, and its picture. What a page has said by then counts.
const PATIENCE_WITH_HOST: Duration = Duration::from_secs(4);

/// How much of a page is read, in bytes. Its head is at its beginning.
const MOST_OF_PAGE: u64 = 512 * 1_024;

/// The largest picture of a page that is fetched, in bytes.
const MOST_OF_IMAGE: u64 = 4 * 1_024 * 1_024;

/// The largest thumbnail that a text carries, in bytes: the message is one stanza.
const MOST_OF_THUMBNAIL: usize = 32 * 1_024;

/// The longest side of a thumbnail, in pixels.
const SIDE: u32 = 192;

/// Pages that are fetched at a time. None takes long.
const AT_A_TIME: Terms = Terms {
    all: 16,
    of_instance: 2,
    leaves_room: false,
};

/// Pages and pictures that are looked into at a time, beside the sockets.
const WORKBENCHES: usize = 2;

type Cause = Box<dyn Error + Send + Sync>;

/// Makes previews.
#[derive(Debug)]
pub struct Previews {
    fetcher: Fetcher,
    slots: Slots,
    kept: Kept,
    workshop: Arc<Semaphore>,
    patience: Duration,
}

/// Why a page has no preview.
#[derive(Debug, thiserror::Error)]
enum NoPreview {
    #[error("the page cannot be had")]
    Fetch(#[from] FetchError),
    #[error("the page is not in time")]
    Late,
    #[error("it is no page that can be read")]
    NoPage,
    #[error("the page says nothing of itself")]
    Nothing,
}

impl Previews {
    /// Set up as files are got: a page is reached as far, and by the same roots.
    pub fn new(settings: &files::Settings) -> Result<Self, Cause> {
        Ok(Self {
            fetcher: Fetcher::new(settings.reach, settings.roots.as_deref())?.within(PATIENCE_WITH_HOST),
            slots: Slots::new(AT_A_TIME),
            kept: Kept::default(),
            workshop: Arc::new(Semaphore::new(WORKBENCHES)),
            patience: PATIENCE,
        })
    }

    /// The same with another limit to how long a text waits.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self {
            fetcher: self.fetcher.within(patience),
            patience,
            ..self
        }
    }

    /// How long a text waits for its preview at most.
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// The preview of a text of this owner; `None` where there is none to be had within [`Self::patience`].
    pub async fn of(&self, owner: Owner, text: &str) -> Option<Preview> {
        let link = links::first(text)?;
        let url = links::url(link)?;
        let now = Instant::now();
        let ends_at = now + self.patience;
        let shown = match self.kept.get(&url, now) {
            Some(known) => known.shown(),
            None => self.look(owner, &url, ends_at).await,
        }?;
        Some(Preview {
            link: link.to_owned(),
            title: shown.title,
            description: shown.description,
            thumbnail: shown.thumbnail,
        })
    }

    async fn look(&self, owner: Owner, url: &str, ends_at: Instant) -> Option<Shown> {
        // Whoever waits in vain for a place has asked for nothing, and leaves no mark.
        let _slot = timeout_at(ends_at, self.slots.of(owner)).await.ok()?;
        // Another text may have brought it meanwhile.
        if let Some(known) = self.kept.get(url, Instant::now()) {
            return known.shown();
        }
        let shown = match timeout_at(ends_at, self.page(url)).await {
            Ok(Ok((page, base))) => self.shown(page, &base, ends_at).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NoPreview::Late),
        };
        let shown = shown
            .inspect_err(
                |error| debug!(instance.id = %owner.instance, error = %chain(error), "a link has no preview"),
            )
            .ok();
        let known = shown.clone().map_or(Known::Nothing, Known::Shows);
        self.kept.put(url, known, Instant::now());
        shown
    }

    /// Fetches a page, and reads what it says. Answers the URL that it was found under as well.
    async fn page(&self, url: &str) -> Result<(Page, Url), NoPreview> {
        let mut fetched = self.fetcher.beginning(url, MOST_OF_PAGE).await?;
        let kind = fetched.content_type().unwrap_or("text/html").to_ascii_lowercase();
        let mut parts = kind.split(';').map(str::trim);
        let is_page = matches!(parts.next(), Some("text/html" | "application/xhtml+xml"));
        if !is_page || fetched.is_encoded() {
            return Err(NoPreview::NoPage);
        }
        let charset = parts.find_map(|part| part.strip_prefix("charset="));
        let charset = charset.map(|charset| charset.trim_matches(['"', '\'']).to_owned());
        let base = fetched.url().clone();
        let mut bytes = Vec::new();
        loop {
            match fetched.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                // A page that breaks off has said what it has said.
                Err(_) if !bytes.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        let page = self.work(move || page::read(&bytes, charset.as_deref())).await;
        Ok((page.ok_or(NoPreview::NoPage)?, base))
    }

    async fn shown(&self, page: Page, base: &Url, ends_at: Instant) -> Result<Shown, NoPreview> {
        let title = page.title.ok_or(NoPreview::Nothing)?;
        let thumbnail = match page.image.and_then(|image| base.join(&image).ok()) {
            // A preview without a picture is one as well.
            Some(image) => timeout_at(ends_at, self.thumbnail(image.as_str()))
                .await
                .ok()
                .flatten(),
            None => None,
        };
        Ok(Shown {
            title,
            description: page.description,
            thumbnail,
        })
    }

    async fn thumbnail(&self, url: &str) -> Option<Bytes> {
        let mut fetched = self.fetcher.get(url, MOST_OF_IMAGE).await.ok()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = fetched.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
        }
        let made = self.work(move || thumbnail_of(&bytes, SIDE)).await?;
        let made = made.ok()?;
        (made.len() <= MOST_OF_THUMBNAIL).then_some(Bytes(made))
    }

    /// Does what takes a processor's time, on a thread that may block. It keeps its place to its end, though nobody waits
    /// for it any more. `None` where it panics.
    async fn work<T: Send + 'static>(&self, what: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let place = Arc::clone(&self.workshop).acquire_owned().await.ok()?;
        let working = spawn_blocking(move || {
            let _place = place;
            what()
        });
        working.await.ok()
    }
}

#[cfg(test)]
mod tests;
