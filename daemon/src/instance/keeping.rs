//! Keeps the contents of an instance's messages, where its owner has said for how long: of those that came in, and of those that
//! were sent.
//!
//! A content is kept before its message's state or event is told, so that whoever hears of the message can forward it. What is
//! edited is kept as it reads then, and what is taken back is not kept any longer.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use shared::bucket::{Area, BucketError, ObjectName};
use shared::domain::content::{Content, Media, Said, Source, Target, Whence};
use shared::domain::event::Data;
use shared::domain::job::SendJob;
use shared::ids::{InstanceId, MediaId, MessageId};
use shared::storage::StorageError;
use shared::storage::contents::{self, Contents, Kept};
use shared::storage::media::MediaTable;
use shared::telemetry::chain;
use tracing::warn;

use super::inbound::whence;
use super::targets;
use crate::connection::InboundMessage;
use crate::deps::Deps;

/// The largest small picture that is kept with a file, in bytes. Apps make some kibibytes.
const MAX_THUMBNAIL: usize = 16 * 1_024;

/// The most that is kept of the MACs of a file's parts, in bytes: 10 for each 64 KiB, so those of 400 MiB.
const MAX_SIDECAR: usize = 64 * 1_024;

/// The longest waveform that is kept, in bytes. Apps make 64.
const MAX_WAVEFORM: usize = 256;

/// How long a file's deletion from the bucket may hold up the message that takes it back.
const DELETE_DEADLINE: Duration = Duration::from_secs(2);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The kept contents of an instance.
#[derive(Debug)]
pub struct Keeping<'a> {
    deps: &'a Deps,
    contents: Contents,
    instance: InstanceId,
}

impl<'a> Keeping<'a> {
    /// Those of this instance.
    pub fn new(deps: &'a Deps, instance: InstanceId) -> Self {
        Self {
            contents: Contents::new(deps.table.clone()),
            deps,
            instance,
        }
    }

    /// Keeps a message that came in, or that another device of the account sent. Nothing is written where the instance keeps none;
    /// else a write unit for each KiB.
    pub async fn keep_received(&self, id: MessageId, message: &InboundMessage) -> Result<(), Cause> {
        let content = &message.content;
        if content.kind().is_about_another() || *content == Content::Unknown {
            return Ok(());
        }
        let days = self.days().await?;
        if days == 0 {
            return Ok(());
        }
        let said = Said {
            content: kept(content.clone(), whence(message)),
            context: message.context.clone(),
        };
        self.keep(id, &said, message.received_at, days).await
    }

    /// Keeps a message that was sent, or goes after what it did to another one. Of a message of its own nothing is written where the
    /// instance keeps none. One that is edited or taken back may be kept from before, whatever the instance says now: that is a
    /// read of one unit for an edit, and a write unit for what was taken back, two where somebody else wrote it.
    pub async fn keep_sent(&self, send: &SendJob, said: &Said, at: DateTime<Utc>) -> Result<(), Cause> {
        match &said.content {
            Content::Reaction(_) | Content::Unknown => Ok(()),
            Content::Edit(edit) => {
                let about = self.about(send, &edit.target).await?;
                self.reword(about, &edit.text).await
            }
            Content::Revoke(revoke) => match self.about(send, &revoke.target).await {
                Err(error) if error.nature().is_permanent() => {
                    warn!(message.id = %send.message, error = %chain(&error), "what a message takes back is not found");
                    Ok(())
                }
                about => self.take_back(about?, !revoke.target.from_me).await,
            },
            content => {
                let days = self.days().await?;
                if days == 0 {
                    return Ok(());
                }
                let whence = Whence {
                    whatsapp_id: send.message.to_whatsapp(),
                    chat: send.to.to_jid(),
                    from_me: true,
                    participant: None,
                };
                let said = Said {
                    content: kept(content.clone(), Some(whence)),
                    context: said.context.clone(),
                };
                self.keep(send.message, &said, at, days).await
            }
        }
    }

    /// The message of ours that a job is about.
    async fn about(&self, send: &SendJob, target: &Target) -> Result<MessageId, StorageError> {
        let finder = targets::Finder {
            messages: &self.deps.messages,
            instance: self.instance,
            chat: send.chat(),
        };
        Ok(finder.find(target).await?.message)
    }

    /// Goes after what an incoming message does to another one, which may be kept from before, whatever the instance says now.
    pub async fn follow(&self, told: &Data, content: &Content) -> Result<(), Cause> {
        match (told, content) {
            (Data::MessageEdited(edited), Content::Edit(edit)) => self.reword(edited.id, &edit.text).await,
            (Data::MessageEdited(edited), _) => self.forget(edited.id).await,
            (Data::MessageRevoked(revoked), _) => self.take_back(revoked.message_id, true).await,
            _ => Ok(()),
        }
    }

    /// Forgets what is kept of a message that was taken back, and its file where it may have come in with one: two write units then.
    /// A file that is in the bucket goes as well. Where that fails now, nobody finds it any more, and the bucket's own rules
    /// delete it.
    async fn take_back(&self, id: MessageId, came_in: bool) -> Result<(), Cause> {
        self.forget(id).await?;
        if !came_in {
            return Ok(());
        }
        let file = MediaId::of_message(id);
        let forgotten = MediaTable::new(self.deps.table.clone())
            .forget(self.instance, file)
            .await;
        let was_fetched = match forgotten {
            Err(error) if error.nature().is_permanent() => {
                warn!(instance.id = %self.instance, message.id = %id, error = %chain(&error), "the file of a revoked message is not forgotten");
                return Ok(());
            }
            forgotten => forgotten?,
        };
        if was_fetched {
            let object = ObjectName::new(Area::Incoming, self.instance, file);
            let deleting = tokio::time::timeout(DELETE_DEADLINE, self.deps.bucket.delete(&object));
            let deleted = deleting.await.unwrap_or(Err(BucketError::Timeout("delete")));
            if let Err(error) = deleted {
                warn!(instance.id = %self.instance, message.id = %id, error = %chain(&error), "the file of a revoked message stays until its term is over");
            }
        }
        Ok(())
    }

    async fn forget(&self, id: MessageId) -> Result<(), Cause> {
        match self.contents.forget(self.instance, id).await {
            Err(error) if error.nature().is_permanent() => {
                warn!(instance.id = %self.instance, message.id = %id, error = %chain(&error), "a content that was taken back is not forgotten");
                Ok(())
            }
            forgotten => Ok(forgotten?),
        }
    }

    async fn days(&self) -> Result<u8, Cause> {
        Ok(self.deps.announcer.content_days(self.instance).await?)
    }

    async fn keep(&self, id: MessageId, said: &Said, at: DateTime<Utc>, days: u8) -> Result<(), Cause> {
        let kept = Kept {
            at: at.trunc_subsecs(0),
            sealed: contents::seal(&self.deps.sealer, self.instance, id, said).await?,
        };
        match self.contents.keep(self.instance, id, &kept, days).await {
            Err(error) if error.nature().is_permanent() => {
                // It is too large for an item. The message itself is not to fail for that.
                warn!(instance.id = %self.instance, message.id = %id, error = %chain(&error), "a message's content is not kept");
                Ok(())
            }
            kept => Ok(kept?),
        }
    }

    /// Another text in the place of a message's, where its content is kept.
    async fn reword(&self, id: MessageId, text: &str) -> Result<(), Cause> {
        let (sealer, instance) = (&self.deps.sealer, self.instance);
        // As it is now: an edit may come right behind its message.
        let kept = match self.contents.get(instance, id, self.deps.clock.now()).await {
            Err(error) if error.nature().is_permanent() => {
                warn!(instance.id = %instance, message.id = %id, error = %chain(&error), "a content that is kept does not read");
                return Ok(());
            }
            found => found?,
        };
        let Some(kept) = kept else {
            return Ok(());
        };
        let mut said = match contents::open(sealer, instance, id, &kept.sealed).await {
            Err(error) if error.nature().is_permanent() => {
                warn!(instance.id = %instance, message.id = %id, error = %chain(&error), "a content that is kept does not open");
                return Ok(());
            }
            opened => opened?,
        };
        match &mut said.content {
            Content::Text(shown) => text.clone_into(&mut shown.text),
            content => match content.media_mut() {
                Some(media) => media.text = Some(text.to_owned()).filter(|text| !text.is_empty()),
                None => return Ok(()),
            },
        }
        let rests = contents::seal(sealer, instance, id, &said).await?;
        match self.contents.change(instance, id, rests).await {
            Err(error) if error.nature().is_permanent() => {
                warn!(instance.id = %instance, message.id = %id, error = %chain(&error), "an edited content is not kept");
                Ok(self.contents.forget(instance, id).await?)
            }
            changed => Ok(changed?),
        }
    }
}

/// A content as it is kept: its file can be asked for by the message that it came with. Of what is shown once nothing is kept but
/// that it is. What apps show before they have the file is left out where its sender has made it larger than any app does.
fn kept(mut content: Content, whence: Option<Whence>) -> Content {
    if let Some(media) = content.media_mut() {
        if media.view_once {
            *media = Media {
                view_once: true,
                ..Media::default()
            };
        } else if let Some(Source::Remote(remote)) = &mut media.source {
            remote.whence = whence;
            for (part, most) in [
                (&mut remote.thumbnail, MAX_THUMBNAIL),
                (&mut remote.sidecar, MAX_SIDECAR),
                (&mut remote.waveform, MAX_WAVEFORM),
            ] {
                part.take_if(|bytes| bytes.0.len() > most);
            }
        } else if !matches!(media.source, Some(Source::Inline(_))) {
            media.source = None; // It leads to what is deleted, or its owner's.
        }
    }
    content
}
