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
    pub fn get(&self, url: &str, now: Instant) -> Option<Known> {
        let kept = self.0.lock().expect("no holder panics");
        let (known, since) = kept.get(url)?;
        known.is_fresh(*since, now).then(|| known.clone())
    }

    /// Keeps what is known of a page now.
    pub fn put(&self, url: &str, known: Known, now: Instant) {
        let mut kept = self.0.lock().expect("no holder panics");
        if kept.len() >= MOST {
            kept.retain(|_, (known, since)| known.is_fresh(*since, now));
        }
        if kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, (_, since))| *since);
            let oldest = oldest.map(|(url, _)| url.clone());
            if let Some(url) = oldest {
                kept.remove(&url);
            }
        }
        kept.insert(url.to_owned(), (known, now));
    }
}

impl Known {
    fn is_fresh(&self, since: Instant, now: Instant) -> bool {
        let term = match self {
            Self::Shows(_) => TERM,
            Self::Nothing => TERM_OF_NONE,
        };
        now - since < term
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

    #[test]
    fn a_page_is_forgotten_after_its_term() {
        let (kept, now) = (Kept::default(), Instant::now());
        kept.put("one", shown("One"), now);
        kept.put("none", Known::Nothing, now);
        assert!(kept.get("one", now) == Some(shown("One")));
        assert!(kept.get("none", now) == Some(Known::Nothing) && kept.get("other", now).is_none());
        let later = now + TERM_OF_NONE;
        assert!(kept.get("none", later).is_none() && kept.get("one", later).is_some());
        assert!(kept.get("one", now + TERM).is_none());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (kept, mut now) = (Kept::default(), Instant::now());
        for number in 0..MOST * 2 {
            now += Duration::from_millis(1);
            kept.put(&number.to_string(), shown("x"), now);
        }
        assert_eq!(kept.0.lock().expect("whole").len(), MOST);
        assert!(kept.get("0", now).is_none());
        assert!(kept.get(&(MOST * 2 - 1).to_string(), now).is_some());
    }
}
