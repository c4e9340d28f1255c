//! Files that are at WhatsApp already when their messages are put off.
//!
//! Such a message goes on with that file: a link may lead to another one by then, and all the work would be done twice. So the
//! job that is put off has content which says where the file is, sealed as before, and beside it the content from before. That
//! one counts again once WhatsApp may not have the file any more.

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::content::Said;
use shared::domain::job::{SendJob, Uploaded};
use shared::sealed;
use shared::telemetry::chain;
use tracing::warn;

use super::files::is_there;
use super::journey::Journey;
use super::send::Sender;

/// For how long a file that was uploaded is believed to be there. WhatsApp keeps files for 30 days, and whoever gets the message
/// late has to find it still.
const KEPT: TimeDelta = TimeDelta::days(7);

/// The most bytes of both contents together. The index takes entries of 400 KB, and a message with more goes on with the content
/// from before.
const MOST: usize = 350_000;

/// The sealed content of a job that counts now.
pub fn content_of(send: &SendJob, now: DateTime<Utc>) -> &str {
    let uploaded = send
        .put_off
        .as_ref()
        .and_then(|put_off| put_off.uploaded.as_ref());
    match uploaded {
        Some(uploaded) if now >= uploaded.at + KEPT => &uploaded.before,
        _ => &send.content,
    }
}

impl Sender<'_> {
    /// The content with which a job is put off, and what it says of an upload, where its file was uploaded now or before. `said`
    /// is what its message says by now.
    pub async fn with_upload(
        &self,
        send: &SendJob,
        said: Option<&Said>,
        past: &Journey,
    ) -> (String, Option<Uploaded>) {
        let known = send
            .put_off
            .as_ref()
            .and_then(|put_off| put_off.uploaded.as_ref());
        let before = known.map_or(&send.content, |uploaded| &uploaded.before);
        let there = said.filter(|said| is_there(&said.content));
        let (Some(said), Some(at)) = (there, past.uploaded_at) else {
            let content = content_of(send, self.deps.clock.now());
            let is_known = known.is_some() && content == send.content;
            return (content.to_owned(), known.filter(|_| is_known).cloned());
        };
        let sealing = sealed::seal(&self.deps.sealer, send.instance, &send.message, said);
        match sealing.await {
            Ok(content) if content.len() + before.len() <= MOST => {
                let before = before.clone();
                (content, Some(Uploaded { at, before }))
            }
            Ok(_) => {
                warn!(message.id = %send.message, "a message is put off without its upload, which is too large");
                (before.clone(), None)
            }
            // Its file is got again.
            Err(error) => {
                warn!(message.id = %send.message, error = %chain(&error), "a message is put off without its upload");
                (before.clone(), None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::job::PutOff;
    use shared::domain::message::Kind;
    use shared::domain::person::Person;
    use shared::ids::{InstanceId, MessageId};

    use super::*;

    #[test]
    fn an_upload_is_believed_for_a_week() {
        let at = DateTime::UNIX_EPOCH;
        let send = SendJob {
            message: MessageId::from_bytes([3; 16]),
            instance: InstanceId::from_bytes([1; 16]),
            to: "15550100001".parse().expect("a number"),
            chat: None,
            person: Person::default(),
            account: None,
            kind: Kind::Document,
            reference: None,
            accepted_at: at,
            scheduled_at: None,
            expires_at: at + TimeDelta::days(30),
            put_off: Some(PutOff {
                code: "EXPIRED".to_owned(),
                until: None,
                may_be_out: false,
                times: 0,
                uploaded: Some(Uploaded {
                    at,
                    before: "before".to_owned(),
                }),
            }),
            typing_ms: None,
            file: None,
            counted_by: None,
            needs: 1,
            content: "there".to_owned(),
        };
        assert_eq!(content_of(&send, at + KEPT - TimeDelta::seconds(1)), "there");
        assert_eq!(content_of(&send, at + KEPT), "before");
        let never = SendJob {
            put_off: None,
            ..send
        };
        assert_eq!(content_of(&never, at + KEPT), "there");
    }
}
