//! Keeps the contents of an instance's messages, where its owner has said for how long: of those that came in, and of those that
//! were sent.
//!
//! A content is kept before its message's state or event is told, so that whoever hears of the message can forward it. What is
//! edited is kept as it reads then, and what is taken back is not kept any longer.

use chrono::{DateTime, SubsecRound as _, Utc};
use shared::domain::content::{Content, Media, Said, Source, Whence};
use shared::domain::event::Data;
use shared::domain::job::SendJob;
use shared::ids::{InstanceId, MessageId};
use shared::storage::contents::{self, Contents, Kept};
use shared::telemetry::chain;
use tracing::warn;

use super::inbound::whence;
use super::targets;
use crate::connection::InboundMessage;
use crate::deps::Deps;

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

    /// Keeps a message that was sent, or goes after what it did to another one. Nothing is written where the instance keeps none.
    pub async fn keep_sent(&self, send: &SendJob, said: &Said, at: DateTime<Utc>) -> Result<(), Cause> {
        let days = self.days().await?;
        if days == 0 {
            return Ok(());
        }
        let target = match &said.content {
            Content::Reaction(_) | Content::Unknown => return Ok(()),
            Content::Edit(edit) => &edit.target,
            Content::Revoke(revoke) => &revoke.target,
            content => {
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
                return self.keep(send.message, &said, at, days).await;
            }
        };
        let finder = targets::Finder {
            messages: &self.deps.messages,
            instance: self.instance,
            chat: send.chat(),
        };
        let about = finder.find(target).await?.message;
        match &said.content {
            Content::Edit(edit) => self.reword(about, &edit.text).await,
            _ => Ok(self.contents.forget(self.instance, about).await?),
        }
    }

    /// Goes after what an incoming message does to another one.
    pub async fn follow(&self, told: &Data, content: &Content) -> Result<(), Cause> {
        let about = match told {
            Data::MessageEdited(edited) => edited.id,
            Data::MessageRevoked(revoked) => revoked.message_id,
            _ => return Ok(()),
        };
        if self.days().await? == 0 {
            return Ok(());
        }
        match content {
            Content::Edit(edit) => self.reword(about, &edit.text).await,
            _ => Ok(self.contents.forget(self.instance, about).await?),
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
        let Some(kept) = self.contents.get(instance, id, self.deps.clock.now()).await? else {
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
/// that it is.
fn kept(mut content: Content, whence: Option<Whence>) -> Content {
    if let Some(media) = content.media_mut() {
        if media.view_once {
            *media = Media {
                view_once: true,
                ..Media::default()
            };
        } else if let Some(Source::Remote(remote)) = &mut media.source {
            remote.whence = whence;
        } else if !matches!(media.source, Some(Source::Inline(_))) {
            media.source = None; // It leads to what is deleted, or its owner's.
        }
    }
    content
}
