//! Mails as files in a folder: for the local stack, whose user reads them there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{Mail, MailError, Mailer};
use crate::clock::Clock;

/// Mails that are kept; older ones are removed.
const KEPT: usize = 100;

/// A folder with one JSON file a mail. The files' names sort by time.
#[derive(Debug, Clone)]
pub struct FolderMailer {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

/// A mail as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// To whom.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// When it was sent, RFC 3339 in UTC.
    pub sent_at: String,
}

impl FolderMailer {
    /// A mailer into `folder`, which is made with the first mail.
    pub fn new(folder: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            folder: folder.into(),
            clock,
        }
    }

    /// Up to `limit` mails, newest first; only those to `to`, where it is given.
    pub async fn newest(&self, to: Option<&str>, limit: usize) -> Result<Vec<Stored>, MailError> {
        let folder = self.folder.clone();
        let to = to.map(str::to_ascii_lowercase);
        on_a_blocking_thread(move || {
            let mut mails = Vec::new();
            for path in files(&folder)?.iter().rev() {
                let Some(mail) = still_there(std::fs::read(path))? else {
                    continue;
                };
                let mail: Stored = serde_json::from_slice(&mail)?;
                if to.as_ref().is_none_or(|to| mail.to.eq_ignore_ascii_case(to)) {
                    mails.push(mail);
                }
                if mails.len() == limit {
                    break;
                }
            }
            Ok(mails)
        })
        .await
    }
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let now = self.clock.now();
        let stored = Stored {
            to: mail.to.as_str().to_owned(),
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            html: mail.html.clone(),
            sent_at: now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        };
        let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let name = Ulid::from_parts(milliseconds, rand::random::<u128>());
        let folder = self.folder.clone();
        on_a_blocking_thread(move || {
            std::fs::create_dir_all(&folder)?;
            // It is written beside its place and moved there, so a reader finds it whole or not at all.
            let draft = folder.join(format!("{name}.draft"));
            std::fs::write(&draft, serde_json::to_vec_pretty(&stored)?)?;
            std::fs::rename(&draft, folder.join(format!("{name}.json")))?;
            let files = files(&folder)?;
            for old in &files[..files.len().saturating_sub(KEPT)] {
                still_there(std::fs::remove_file(old))?;
            }
            Ok(())
        })
        .await
    }
}

/// The folder's mails, oldest first; none where there is no folder yet.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let Some(entries) = still_there(std::fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// `None` where the file is gone: other senders clear up too.
fn still_there<T>(done: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match done {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn on_a_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, MailError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| MailError::Unavailable(error.into()))?
        .map_err(|error| MailError::Unavailable(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SteppedClock, SystemClock};
    use chrono::{DateTime, TimeDelta};

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_who_send_at_once_do_not_stumble_over_each_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let mailer = FolderMailer::new(directory.path(), Arc::new(SystemClock));
        let mail = Mail {
            to: "ada@example.com".parse().expect("an address"),
            subject: "mail".into(),
            text: "text".into(),
            html: "html".into(),
        };
        let sends = (0..4 * KEPT).map(|_| {
            let (mailer, mail) = (mailer.clone(), mail.clone());
            tokio::spawn(async move {
                mailer.send(&mail).await.expect("written");
                mailer.newest(None, KEPT).await.expect("read");
            })
        });
        for sent in sends.collect::<Vec<_>>() {
            sent.await.expect("no fault");
        }
        assert_eq!(mailer.newest(None, 1_000).await.expect("read").len(), KEPT);
    }

    #[tokio::test]
    async fn the_newest_mails_are_kept_and_found_by_address() {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = SteppedClock::at(DateTime::from_timestamp(1_767_225_600, 0).expect("in range"));
        let mailer = FolderMailer::new(directory.path().join("mail"), Arc::new(clock.clone()));
        assert_eq!(mailer.newest(None, 10).await.expect("read"), []);
        for n in 0..=KEPT {
            let to = if n % 2 == 0 {
                "ada@example.com"
            } else {
                "Bob@example.com"
            };
            let mail = Mail {
                to: to.parse().expect("an address"),
                subject: format!("mail {n}"),
                text: "text".into(),
                html: "html".into(),
            };
            mailer.send(&mail).await.expect("written");
            clock.advance(TimeDelta::milliseconds(1));
        }
        let all = mailer.newest(None, 1_000).await.expect("read");
        assert_eq!(all.len(), KEPT);
        assert_eq!(all[0].subject, format!("mail {KEPT}"));
        let bobs = mailer.newest(Some("bob@EXAMPLE.com"), 1).await.expect("read");
        assert_eq!(bobs[0].subject, format!("mail {}", KEPT - 1));
    }
}
