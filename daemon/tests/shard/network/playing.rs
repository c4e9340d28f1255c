//! What a test hears from a session, and lets it do.

use std::time::Duration;

use chrono::{DateTime, Utc};
use daemon::connection::{ChatState, ReceiptKind, SendError, SessionEvent};
use shared::domain::message::Failure;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use testbed::wait::{in_time, until};

use super::{Asked, Passkey, Playing, Questioned, Sent, Wanted, account};

impl Playing {
    /// Tells the daemon what happens.
    pub async fn tell(&self, event: SessionEvent) {
        in_time("room for an event", self.events.send(event))
            .await
            .expect("the session goes on");
    }

    pub async fn show_qr(&self, code: &str) {
        self.tell(SessionEvent::Qr {
            code: code.to_owned(),
            valid_for: Duration::from_mins(1),
        })
        .await;
    }

    /// Logs the session in.
    pub async fn log_in(&self) {
        self.log_in_as(account()).await;
    }

    /// Logs the session in as this account.
    pub async fn log_in_as(&self, account: Person) {
        self.tell(SessionEvent::Connected {
            account,
            display_name: Some("Owner".to_owned()),
        })
        .await;
    }

    /// The daemon's next request for a pairing code.
    pub async fn asked_for_code(&mut self) -> Asked {
        in_time("a request for a pairing code", self.asked.recv())
            .await
            .expect("the connection lives")
    }

    /// What the daemon tells next of a passkey.
    pub async fn told_of_passkey(&mut self) -> Passkey {
        in_time("an answer to a request for a passkey", self.passkeys.recv())
            .await
            .expect("the connection lives")
    }

    /// Whether it has told something that nobody has taken.
    pub fn has_told_of_passkey(&mut self) -> bool {
        self.passkeys.try_recv().is_ok()
    }

    /// Whether it has asked for one that nobody has taken.
    pub fn has_asked_for_code(&mut self) -> bool {
        self.asked.try_recv().is_ok()
    }

    /// The daemon's next question.
    pub async fn questioned(&mut self) -> Questioned {
        in_time("a question", self.questions.recv())
            .await
            .expect("the connection lives")
    }

    /// The next file that the daemon wants.
    pub async fn wanted(&mut self) -> Wanted {
        in_time("a file that is wanted", self.files.recv())
            .await
            .expect("the connection lives")
    }

    /// Whether it wants one that nobody has given.
    pub fn wants_more(&mut self) -> bool {
        self.files.try_recv().is_ok()
    }

    /// The questions that nobody has taken yet.
    pub fn questions(&mut self) -> Vec<Questioned> {
        std::iter::from_fn(|| self.questions.try_recv().ok()).collect()
    }

    /// The next message that comes over the wire.
    pub async fn sent(&mut self) -> Sent {
        in_time("a message on the wire", self.sent.recv())
            .await
            .expect("the connection lives")
    }

    /// The next message, for as long as it takes.
    pub async fn sent_or_never(&mut self) -> Sent {
        match self.sent.recv().await {
            Some(sent) => sent,
            None => std::future::pending().await,
        }
    }

    /// What has come over the wire besides; empty where nothing has.
    pub fn sent_besides(&mut self) -> Vec<Sent> {
        std::iter::from_fn(|| self.sent.try_recv().ok()).collect()
    }

    /// What the account was shown to do in chats.
    pub fn shown(&self) -> Vec<(Recipient, ChatState)> {
        self.line.shown.lock().expect("no holder panics").clone()
    }

    /// The server's answer to a message.
    pub async fn acknowledge(&self, message: MessageId, error: Option<u32>) {
        self.tell(SessionEvent::ServerAck {
            whatsapp_id: message.to_whatsapp(),
            error,
            chat: None,
        })
        .await;
    }

    pub async fn receipt(&self, message: MessageId, kind: ReceiptKind, at: DateTime<Utc>) {
        self.tell(SessionEvent::Receipt {
            whatsapp_ids: vec![message.to_whatsapp()],
            kind,
            at,
            group: None,
            reader: Person::default(),
        })
        .await;
    }

    /// The session has learnt that these are one person's names.
    pub fn knows(&self, one: &Recipient, other: &Recipient) {
        let mut names = self.line.names.lock().expect("no holder panics");
        names.push((one.clone(), other.clone()));
    }

    /// The account has never written to this person.
    pub fn is_new_to(&self, stranger: &Recipient) {
        let mut strangers = self.line.strangers.lock().expect("no holder panics");
        strangers.push(stranger.clone());
    }

    /// Whose tokens of trust were refreshed.
    pub fn refreshed(&self) -> Vec<Recipient> {
        self.line.refreshed.lock().expect("no holder panics").clone()
    }

    /// The answer to the next question for what stands behind a failure; the one given last comes
    /// first, and nothing does behind the others.
    pub fn explain_next(&self, failure: Option<Failure>) {
        self.line
            .explanations
            .lock()
            .expect("no holder panics")
            .push(failure);
    }

    /// The session tells this when it has been ended: it was on its way by then.
    pub fn tell_at_its_end(&self, event: SessionEvent) {
        let mut last_words = self.line.last_words.lock().expect("no holder panics");
        last_words.push(event);
    }

    /// Waits until every send has failed that was to.
    pub async fn refused(&self) {
        until("the failure of a send", async || {
            let refusals = self.line.refusals.lock().expect("no holder panics");
            refusals.is_empty().then_some(())
        })
        .await;
    }

    /// Sends that fail take this long.
    pub fn refuse_after(&self, time: Duration) {
        *self.line.refuses_after.lock().expect("no holder panics") = time;
    }

    /// Lets the next send fail like this; the one given last fails first.
    pub fn refuse_next(&self, error: SendError) {
        self.line.refusals.lock().expect("no holder panics").push(error);
    }
}
