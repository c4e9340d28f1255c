//! The number that a message goes to, where people write it otherwise than WhatsApp spells it.
//!
//! A message to a number that WhatsApp does not know arrives nowhere, though its person is there under another spelling. So
//! a number that may have one is looked up before its first message: once, since the directory of people remembers it. The
//! message's chat stays what it was, and with it the order of that chat's messages.

use std::borrow::Cow;

use shared::domain::job::SendJob;
use shared::domain::phone::other_spelling;
use shared::domain::question::Found;
use shared::domain::recipient::Recipient;

use super::send::Sender;
use crate::connection::SendError;
use crate::instance::link::Link;

impl Sender<'_> {
    /// The job, to the number that WhatsApp knows.
    pub async fn as_spelt<'a>(&self, link: &Link, send: &'a SendJob) -> Result<Cow<'a, SendJob>, SendError> {
        let to = self.spelling(link, send).await?;
        Ok(match to.filter(|to| *to != send.to) {
            None => Cow::Borrowed(send),
            Some(to) => Cow::Owned(SendJob {
                chat: Some(send.chat().clone()),
                to,
                ..send.clone()
            }),
        })
    }

    /// The number that WhatsApp knows; `None` where it is the one that was given, or nobody is found by any.
    async fn spelling(&self, link: &Link, send: &SendJob) -> Result<Option<Recipient>, SendError> {
        if send.to.phone().and_then(other_spelling).is_none() {
            return Ok(None);
        }
        let (people, fence) = (&self.deps.people, &self.hold.fence);
        let known = people.who_is(send.instance, &send.to).await;
        let spelt = known.as_spelt(&send.to);
        // Whoever has a LID or was found by this very number is there.
        let is_found = known.person.lid.is_some() || known.is_known_as(self.deps.clock.now()).is_some();
        if spelt != send.to || is_found || link.connection.other_name(&send.to).await.is_some() {
            return Ok(Some(spelt));
        }
        let found = link.connection.look_up(&send.to).await?;
        let there = match &found {
            Found::There { person, .. } => person.phone.clone().map(Recipient::Phone),
            // How the send itself ends says more.
            Found::Absent | Found::Unsaid => None,
        };
        if there.is_some() {
            people.find(send.instance, fence, &[(send.to.clone(), found)]);
        }
        Ok(there)
    }
}
