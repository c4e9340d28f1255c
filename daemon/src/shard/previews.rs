//! The preview of a text's link, before the text takes its turn on the wire.
//!
//! Whoever writes to many chats would else hold up all of a lane's for a slow page. As with files, later texts of the same chat
//! wait behind this one, and no other. What was found is kept in memory alone: a text that is taken over after a crash looks
//! for it anew, and goes out under the id that it had.

use shared::domain::content::{Content, Text};
use shared::domain::job::SendJob;
use shared::fault;

use super::journey::Stopped;
use super::lanes::Job;
use super::send::Sender;
use crate::files::Owner;

impl Sender<'_> {
    /// The content with its preview, where it asks for one that can be had in time. Nothing is fetched before the instance is
    /// connected, nor where the text is not going to be sent: what ends it is found out behind this.
    pub async fn with_preview(&self, job: &Job, send: &SendJob, content: Content) -> Content {
        let is_wanted = wants_preview(&content);
        let Content::Text(mut text) = content else {
            return content;
        };
        if is_wanted {
            self.lane.held.set_waits(&job.received.message_id, true);
            // Most texts have no link, and none of them takes room for one.
            if Box::pin(self.look_for_preview(send, &mut text)).await.is_ok() {
                // Looked for once, whatever came of it.
                text.link_preview = false;
            }
            self.lane.held.set_waits(&job.received.message_id, false);
        }
        Content::Text(text)
    }

    async fn look_for_preview(&self, send: &SendJob, text: &mut Text) -> Result<(), Stopped> {
        let mut links = self.links.watch(send.instance);
        let link = async { links.wait_for(Option::is_some).await.map(|link| link.clone()) };
        let link = self.unless_over(send, link).await?;
        let link = link.ok().flatten().ok_or(Stopped::LookAgain)?;
        if let Some(account) = &send.account
            && link.account.is_same_as(account) == Some(false)
        {
            return Ok(());
        }
        // A text whose time is nearly over goes out without a preview rather than not at all.
        let owner = Owner {
            subscription: link.subscription,
            instance: send.instance,
        };
        let previews = &self.deps.previews;
        let patience = previews.patience().min(self.left(send).unwrap_or_default() / 2);
        let looking = tokio::time::timeout(patience, previews.of(owner, &text.text));
        let found = self.unless_over(send, looking).await?;
        text.preview = found.ok().flatten().map(Box::new);
        fault::point("after-preview");
        Ok(())
    }
}

/// Whether a text asks for a preview for which nobody has looked yet.
pub fn wants_preview(content: &Content) -> bool {
    matches!(content, Content::Text(text) if text.link_preview && text.preview.is_none())
}
