//! A message's file on its way to WhatsApp, before the message itself takes its turn on the wire.
//!
//! Getting a file and uploading it takes as long as it takes. Meanwhile the lane's turn is others': later messages of the
//! chat wait behind it, and no other. What came of it is kept in memory alone. So a message that is taken over after a crash
//! uploads its file anew, under a new key, and goes out under the id that it had: WhatsApp's apps show it once.
//!
//! A file that cannot be had for a while puts its message off, since the queue gives nothing more of a lane while one of
//! its jobs is held. The message is tried again after pauses that grow, and has lost its place in its chat.

use std::time::Duration;

use shared::domain::content::{Content, Remote, Source};
use shared::domain::job::SendJob;
use shared::domain::message::{Failure, FailureCode};
use shared::fault;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::journey::{End, Journey, Stopped};
use super::lanes::Job;
use super::pace;
use super::send::{Sender, account_changed};
use crate::connection::{MediaError, SendError};
use crate::files::{FileError, Owner, Place};
use crate::instance::link::Link;

impl Sender<'_> {
    /// The content with its file at WhatsApp, where it has one. `Err(None)` where the instance has to be looked at again
    /// first.
    pub async fn with_file(
        &self,
        job: &Job,
        send: &SendJob,
        content: Content,
        journey: &mut Journey,
    ) -> Result<Content, (Content, Option<End>)> {
        while !is_there(&content) {
            self.lane.held.set_waits(&job.received.message_id, true);
            // Most messages have no file, and none of them takes room for one.
            let tried = Box::pin(self.bring(send, &content, journey)).await;
            self.lane.held.set_waits(&job.received.message_id, false);
            match tried {
                Ok(Some(brought)) => return Ok(brought),
                Ok(None) => {}
                Err(Stopped::End(end)) => return Err((content, Some(end))),
                Err(Stopped::LookAgain) => return Err((content, None)),
            }
        }
        Ok(content)
    }

    /// One attempt and, where it failed, the pause after it.
    async fn bring(
        &self,
        send: &SendJob,
        content: &Content,
        journey: &mut Journey,
    ) -> Result<Option<Content>, Stopped> {
        let mut links = self.links.watch(send.instance);
        let link = async { links.wait_for(Option::is_some).await.map(|link| link.clone()) };
        let link = self.unless_over(send, link).await?;
        let Some(link) = link.map_err(|_| Stopped::LookAgain)? else {
            return Ok(None);
        };
        if let Some(account) = &send.account
            && link.account.is_same_as(account) == Some(false)
        {
            return Err(account_changed().into());
        }
        // One that waits outside of its queue all the same needs no file now.
        if let Some(later) = self.kept_from(&link, send, journey).await? {
            return Err(End::Later(later).into());
        }
        if journey.unready.is_some() && !journey.was_just_read() {
            let looked = self.unless_over(send, self.look_at_record(send, journey)).await?;
            if let Some(end) = looked {
                return Err(end.into());
            }
        }
        let began = Instant::now();
        let bringing = self
            .unless_over(send, self.over_link(send, content, &link))
            .await?;
        let source = Place::of(content.media().and_then(|media| media.source.as_ref()));
        let away = &self.deps.files.away;
        if let (Some(source), Ok(_) | Err(Trouble::Upload(_) | Trouble::File(FileError::Final { .. }))) =
            (&source, &bringing)
        {
            away.works(source);
        }
        let error = match bringing {
            Ok(content) => {
                away.works(&Place::Upload);
                journey.waits_for = None;
                journey.unready = None;
                return Ok(Some(content));
            }
            Err(error) => error,
        };
        let pause = match &error {
            // There is another link in a moment, and the file is got again over that.
            Trouble::Upload(SendError::NotConnected | SendError::Interrupted { .. }) => {
                debug!(message.id = %send.message, "the connection ended under an upload");
                pace::after(1, rand::random())
            }
            Trouble::Forward(MediaError::NotConnected) => {
                debug!(message.id = %send.message, "the connection ended while a file was looked for");
                pace::after(1, rand::random())
            }
            Trouble::Forward(MediaError::Gone) => {
                warn!(message.id = %send.message, "a forwarded file is not at WhatsApp any more");
                return Err(End::Failed(without_file(Failure::of(FailureCode::MediaGone), journey)).into());
            }
            Trouble::Upload(SendError::Refused(code)) => {
                warn!(message.id = %send.message, code = %code, error = %chain(&error), "a file cannot be sent");
                return Err(End::Failed(without_file(Failure::of(*code), journey)).into());
            }
            Trouble::File(FileError::Final { code, reason, .. }) => {
                warn!(message.id = %send.message, code = %code, error = %chain(&error), "a file cannot be had");
                let failure = Failure::of(*code);
                let failure = match reason {
                    Some(reason) => failure.because(reason),
                    None => failure,
                };
                return Err(End::Failed(without_file(failure, journey)).into());
            }
            Trouble::Upload(_) | Trouble::Forward(_) | Trouble::File(FileError::Waits { .. }) => {
                let place = match error {
                    Trouble::Upload(_) => Some(Place::Upload),
                    Trouble::Forward(_) => None,
                    Trouble::File(_) => source,
                };
                let fails_for = place.map_or(Duration::ZERO, |place| away.fails(&place, Instant::now()));
                self.again(send, &error, journey, (began, fails_for))?
            }
        };
        self.unless_over(send, tokio::time::sleep(pause)).await?;
        Ok(None)
    }

    /// How long a message waits in its lane for a file that may be had later, where it does not have to leave the lane for that:
    /// it was tried from then on, and what it needs has failed others for so long.
    fn again(
        &self,
        send: &SendJob,
        error: &Trouble,
        journey: &mut Journey,
        (began, fails_for): (Instant, Duration),
    ) -> Result<Duration, Stopped> {
        journey.waits_for = match error {
            Trouble::File(FileError::Waits { code, .. }) => *code,
            Trouble::File(FileError::Final { .. }) | Trouble::Forward(_) | Trouble::Upload(_) => None,
        };
        let asked = match error {
            Trouble::Upload(SendError::Throttled { after, .. }) => *after,
            Trouble::Upload(_) | Trouble::Forward(_) | Trouble::File(_) => None,
        };
        let waiting = self.pause_or_later(journey, began, fails_for, asked);
        let (id, times) = (send.message, journey.put_offs);
        match &waiting {
            Ok(_) => warn!(message.id = %id, error = %chain(error), "a file is tried again"),
            Err(_) => {
                warn!(message.id = %id, times, error = %chain(error), "a message is put off for its file");
            }
        }
        waiting.map_err(|later| End::Later(later).into())
    }

    /// Gets the file and uploads it.
    async fn over_link(&self, send: &SendJob, content: &Content, link: &Link) -> Result<Content, Trouble> {
        let owner = Owner {
            subscription: link.subscription,
            instance: send.instance,
        };
        let _slot = self.deps.files.slot(owner).await;
        if let Some(Source::Remote(remote)) = content.media().and_then(|media| media.source.as_ref()) {
            return Ok(found(content, remote, link).await?);
        }
        let ready = self.deps.files.ready(owner, content).await?;
        let remote = link.connection.upload(&ready.spool).await?;
        fault::point("after-upload");
        Ok(ready.content(content.clone(), remote))
    }
}

/// The failure of a message whose file cannot be had. Where the message may be out from before, with its file, that it
/// cannot be sent again says nothing of it: a receipt still may.
fn without_file(failure: Failure, journey: &Journey) -> Failure {
    if journey.may_be_out || journey.is_unknown {
        Failure::of(FailureCode::NoAcknowledgement)
    } else {
        failure
    }
}

/// Whether a message's file is known to be at WhatsApp. One that came with another message may have been lost since.
pub fn is_there(content: &Content) -> bool {
    content.media().is_none_or(|media| match &media.source {
        Some(Source::Remote(remote)) => remote.whence.is_none(),
        _ => false,
    })
}

/// The content of a forwarded message with its file where WhatsApp has it.
async fn found(content: &Content, remote: &Remote, link: &Link) -> Result<Content, MediaError> {
    let mut content = content.clone();
    let direct_path = match &remote.whence {
        Some(whence) => link.connection.find_media(remote, content.kind(), whence).await?,
        None => remote.direct_path.clone(),
    };
    let url = remote
        .url_at_whatsapp()
        .filter(|_| direct_path == remote.direct_path);
    let url = url.map(str::to_owned);
    let there = Remote {
        direct_path,
        url,
        whence: None,
        ..remote.clone()
    };
    if let Some(media) = content.media_mut() {
        media.source = Some(Source::Remote(Box::new(there)));
    }
    Ok(content)
}

/// Why a file is not at WhatsApp.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// It could not be got.
    #[error(transparent)]
    File(#[from] FileError),
    /// That of a forwarded message is not to be had there.
    #[error(transparent)]
    Forward(#[from] MediaError),
    /// It could not be uploaded.
    #[error("the file could not be uploaded")]
    Upload(#[from] SendError),
}
