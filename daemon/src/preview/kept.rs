//! What was found of pages a moment ago.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use shared::domain::content::Bytes;
use tokio::time::Instant;

/// For how long a page is believed to be as it was.
const TERM: Duration = Duration::from_mins(5);

/// For how long a page is not asked for again that could not be had, or says nothing.
const TERM_OF_NONE: Duration = Duration::from_mins(1);

/// How many pages are kept. Each takes some 40 KiB at most.
const MOST: usize = 256;

/// What is known of a page.
#[derive(Clone, PartialEq, Eq)]
pub enum Known {
    /// It says this of itself.
    Shows(Shown),
    /// It could not be had, or says nothing.
    Nothing,
}

/// What a preview shows of a page, whichever text leads to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// What the page is called.
    pub title: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// A small JPEG.
    pub thumbnail: Option<Bytes>,
}

/// What is kept of pages, by their URLs.
#[derive(Default)]
pub struct Kept(Mutex<HashMap<String, (Known, Instant)>>);

impl Kept {
    /// What is known of a page.
    pub fn get(&self, url: &str) -> Option<Known> {
        let kept = self.0.lock().expect("no holder panics");
        let (known, since) = kept.get(url)?;
        known.is_fresh(*since).then(|| known.clone())
    }

    /// Keeps what is known of a page now.
    pub fn put(&self, url: &str, known: Known) {
        let mut kept = self.0.lock().expect("no holder panics");
        if kept.len() >= MOST {
            kept.retain(|_, (known, since)| known.is_fresh(*since));
        }
        if kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, (_, since))| *since);
            let oldest = oldest.map(|(url, _)| url.clone());
            if let Some(url) = oldest {
                kept.remove(&url);
            }
        }
        kept.insert(url.to_owned(), (known, Instant::now()));
    }
}

impl Known {
    fn is_fresh(&self, since: Instant) -> bool {
        let term = match self {
            Self::Shows(_) => TERM,
            Self::Nothing => TERM_OF_NONE,
        };
        since.elapsed() < term
    }

    /// What it shows, if anything.
    pub fn shown(self) -> Option<Shown> {
        match self {
            Self::Shows(shown) => Some(shown),
            Self::Nothing => None,
        }
    }
}

/// Links are content.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(title: &str) -> Known {
        Known::Shows(Shown {
            title: title.to_owned(),
            description: None,
            thumbnail: None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_forgotten_after_its_term() {
        let kept = Kept::default();
        kept.put("one", shown("One"));
        kept.put("none", Known::Nothing);
        assert!(kept.get("one") == Some(shown("One")));
        assert!(kept.get("none") == Some(Known::Nothing) && kept.get("other").is_none());
        tokio::time::advance(TERM_OF_NONE).await;
        assert!(kept.get("none").is_none() && kept.get("one").is_some());
        tokio::time::advance(TERM).await;
        assert!(kept.get("one").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room() {
        let kept = Kept::default();
        for number in 0..MOST * 2 {
            kept.put(&number.to_string(), shown("x"));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(kept.0.lock().expect("whole").len(), MOST);
        assert!(kept.get("0").is_none());
        assert!(kept.get(&(MOST * 2 - 1).to_string()).is_some());
    }
}
