//! One session: a client of the library, the task that runs it, and the handle to both.

mod addressing;
mod beginning;
mod running;
mod sending;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::clock::Clock;
use shared::domain::content::{Came, Kind, Remote, Said, Whence};
use shared::domain::message::Failure;
use shared::domain::passkey::Credential;
use shared::domain::person::Person;
use shared::domain::phone::PhoneNumber;
use shared::domain::question::{self, Ask, Found};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;
use wacore::iq::devices::RemoveCompanionDeviceSpec;
use wacore::iq::keepalive::KeepaliveSpec;
use whatsapp_rust::{ChatStateType, Client};

use self::addressing::GROUP_DEADLINE;
use self::running::store_deferred;
use super::crowds::{Crowds, MANY};
use super::ending::Ending;
use super::following::Following;
use super::keys_only::KeysOnly;
use super::notices::Notices;
use super::own_chat::OwnChat;
use super::polls::Polls;
use super::presence::Presence;
use super::runtime::SessionRuntime;
use super::secrets::MessageSecrets;
use super::sockets::Sockets;
use super::spool::Spool;
use super::statuses::Statuses;
use super::{chats, download, explain, failure, pairing, passkey, people, questions, resend, trust, upload};
use crate::connection::{
    AskError, Audience, ChatState, Connection, Crowd, FetchedMedia, MediaError, PairingCode, PairingError,
    SendError, Unread,
};
use crate::passkey::PasskeyError;
use crate::store::{MissingInbound, SessionStore};

/// How long writing to the wire what an account does in a chat may take.
const SHOW_DEADLINE: Duration = Duration::from_secs(2);

/// How long a look for a name in the library's memory or its store may take.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(1);

/// How long WhatsApp may take to say what stands behind a refusal.
const EXPLAIN_DEADLINE: Duration = Duration::from_secs(10);

/// How long finding those who see a status may take, with the look-up of many numbers.
const AUDIENCE_DEADLINE: Duration = Duration::from_secs(30);

/// How long WhatsApp may take to answer a question.
const ASK_DEADLINE: Duration = Duration::from_secs(15);

/// How long WhatsApp may take to answer a probe while other things come from it.
const LONGEST_PROBE: Duration = Duration::from_mins(1);

/// How long an orderly end may take; the library's own flushes have deadlines of 5 s each.
const DISCONNECT_DEADLINE: Duration = Duration::from_secs(15);

/// How long an orderly end waits for messages that are being encrypted anew. What ends the session gives it 10 s in all, and the
/// library's flushes need theirs.
const RETRIES_DEADLINE: Duration = Duration::from_secs(3);

/// How long the request to unlink may take.
const LOGOUT_DEADLINE: Duration = Duration::from_secs(25);

/// A running session's handle.
pub struct WhatsAppSession {
    client: Arc<Client>,
    store: Arc<SessionStore>,
    secrets: MessageSecrets,
    polls: Polls,
    own_chat: Arc<OwnChat>,
    presence: Arc<Presence>,
    statuses: Statuses,
    crowds: Crowds,
    notices: Arc<Notices>,
    following: Arc<Following>,
    clock: Arc<dyn Clock>,
    ending: Arc<Ending>,
    sockets: Sockets,
    /// Ends every task of the session at once.
    stop: CancellationToken,
    /// Cancelled when the session's end was asked for: nothing more is told.
    asked: CancellationToken,
    tasks: TaskTracker,
    /// Begins the library's tasks, and knows those that encrypt messages anew.
    runtime: SessionRuntime,
}

impl WhatsAppSession {
    /// What comes of this, which ends by itself, unless the session ends before.
    async fn unless_over<T, E>(&self, ended: E, doing: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(ended),
            done = doing => done,
        }
    }

    /// What WhatsApp says within this time to what puts no message on the wire.
    async fn in_time<T>(
        &self,
        deadline: Duration,
        asking: impl Future<Output = Result<T, SendError>>,
    ) -> Result<T, SendError> {
        let asking = tokio::time::timeout(deadline, asking);
        let in_time = async { asking.await.unwrap_or(Err(SendError::Timeout)) };
        self.unless_over(SendError::NotConnected, in_time).await
    }

    /// What WhatsApp answers to a question, which may change something.
    async fn answered<T>(&self, asking: impl Future<Output = Result<T, AskError>>) -> Result<T, AskError> {
        let asking = tokio::time::timeout(ASK_DEADLINE, asking);
        let in_time = async { asking.await.unwrap_or(Err(AskError::InDoubt)) };
        self.unless_over(AskError::InDoubt, in_time).await
    }

    /// Has the library's gaps in the state asked for, while the session lasts.
    fn ask_for_missing(&self, keys_only: Arc<KeysOnly>, missing: mpsc::Receiver<Box<MissingInbound>>) {
        let (client, clock) = (Arc::clone(&self.client), Arc::clone(&self.clock));
        let asking = resend::ask_for(client, clock, keys_only, missing);
        self.tasks
            .spawn(self.stop.clone().run_until_cancelled_owned(asking));
    }

    /// Waits for messages that are being encrypted anew: the requests are acknowledged, and do not come again.
    async fn finish_retries(&self) {
        let finishing = self.runtime.finish_retries(&self.sockets);
        let left = tokio::time::timeout(RETRIES_DEADLINE, finishing).await;
        if left != Ok(0) {
            debug!("messages were not encrypted anew before the end");
        }
    }

    /// Asks the server to take this device off its account. The library's own `logout` does the same, but does not
    /// tell the answer.
    async fn unlink(&self) -> Result<(), SendError> {
        let Some(own) = self.client.pn().filter(|_| self.client.is_logged_in()) else {
            return Err(SendError::NotConnected);
        };
        let unlinked = self.client.execute(RemoveCompanionDeviceSpec::new(&own));
        unlinked.await.map_err(failure::of_query)
    }
}

#[async_trait]
impl Connection for WhatsAppSession {
    async fn send(&self, message: MessageId, to: &Recipient, said: &Said) -> Result<(), SendError> {
        if !self.client.is_logged_in() {
            return Err(SendError::NotConnected);
        }
        if *to == Recipient::Status {
            return Err(SendError::Failed("a status has an audience".into()));
        }
        let written = self.written(message, to, said).await?;
        self.send_written(message, to, written).await
    }

    async fn send_status(
        &self,
        message: MessageId,
        said: &Said,
        audience: &Audience,
    ) -> Result<(), SendError> {
        if !self.client.is_logged_in() {
            return Err(SendError::NotConnected);
        }
        let written = self.written(message, &Recipient::Status, said).await?;
        self.show_status(message, written, audience).await
    }

    async fn audience(&self) -> Result<Audience, SendError> {
        if !self.client.is_logged_in() {
            return Err(SendError::NotConnected);
        }
        let finding = self.statuses.audience(&self.client);
        self.in_time(AUDIENCE_DEADLINE, finding).await
    }

    async fn upload(&self, file: &Spool) -> Result<Remote, SendError> {
        if !self.client.is_logged_in() {
            return Err(SendError::NotConnected);
        }
        let uploading = upload::upload(&self.client, file);
        self.unless_over(SendError::NotConnected, uploading).await
    }

    async fn fetch_media(&self, came: &Came, folder: Option<&Path>) -> Result<FetchedMedia, MediaError> {
        if !self.client.is_logged_in() {
            return Err(MediaError::NotConnected);
        }
        let fetching = Box::pin(download::fetch(&self.client, came, folder));
        self.unless_over(MediaError::NotConnected, fetching).await
    }

    async fn find_media(&self, remote: &Remote, kind: Kind, whence: &Whence) -> Result<String, MediaError> {
        if !self.client.is_logged_in() {
            return Err(MediaError::NotConnected);
        }
        let finding = download::find(&self.client, remote, kind, whence);
        self.unless_over(MediaError::NotConnected, finding).await
    }

    async fn show(&self, to: &Recipient, state: ChatState) -> Result<(), SendError> {
        let state = match state {
            ChatState::Typing => ChatStateType::Composing,
            ChatState::Paused => ChatStateType::Paused,
        };
        let (states, chat) = (self.client.chatstate(), people::jid(to));
        let showing = async {
            let shown = tokio::time::timeout(SHOW_DEADLINE, states.send(&chat, state)).await;
            let shown = shown.map_err(|late| SendError::Failed(Box::new(late)))?;
            shown.map_err(|error| SendError::Failed(Box::new(error)))
        };
        self.unless_over(SendError::NotConnected, showing).await
    }

    async fn other_name(&self, name: &Recipient) -> Option<Recipient> {
        let jid = people::jid(name);
        let known = self.client.get_lid_pn_entry(&jid);
        let known = tokio::time::timeout(LOOK_UP_DEADLINE, known).await;
        // If the store does not answer, what was known before still counts.
        let entry = known.ok()?.ok()??;
        let other = match name {
            Recipient::Phone(_) => format!("{}@lid", entry.lid),
            Recipient::Lid(_) => format!("{}@s.whatsapp.net", entry.phone_number),
            Recipient::Group(_) | Recipient::Status | Recipient::Unknown(_) => return None,
        };
        other.parse().ok()
    }

    async fn has_written_to(&self, to: &Recipient) -> bool {
        let looking = trust::has_written_to(&self.client, to);
        tokio::time::timeout(LOOK_UP_DEADLINE, looking)
            .await
            .unwrap_or(true)
    }

    async fn refresh_trust(&self, to: &Recipient) -> Result<(), SendError> {
        let refreshing = trust::refresh(&self.client, to);
        self.in_time(EXPLAIN_DEADLINE, refreshing).await
    }

    async fn explain(&self, to: &Recipient, error: Option<u32>) -> Result<Option<Failure>, SendError> {
        let asking = explain::explain(&self.client, to, error);
        self.in_time(EXPLAIN_DEADLINE, asking).await
    }

    async fn pairing_code(&self, phone: &PhoneNumber) -> Result<PairingCode, PairingError> {
        let asking = pairing::request(&self.client, phone);
        self.unless_over(PairingError::NotConnected, asking).await
    }

    async fn answer_passkey(&self, credential: &Credential) -> Result<(), PasskeyError> {
        let answering = passkey::answer(&self.client, credential);
        self.unless_over(PasskeyError::NotConnected, answering).await
    }

    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        let confirming = passkey::confirm(&self.client);
        self.unless_over(PasskeyError::NotConnected, confirming).await
    }

    async fn group_members(&self, group: &Recipient) -> Result<Vec<Person>, SendError> {
        if *group == Recipient::Status {
            let finding = self.statuses.audience(&self.client);
            let audience = self.in_time(GROUP_DEADLINE, finding).await?;
            return Ok(audience.people);
        }
        let (groups, jid) = (self.client.groups(), people::jid(group));
        let info = self.asked_of_group(Box::pin(groups.query_info(&jid))).await?;
        Ok(people::members(&self.client, &info))
    }

    async fn are_many(&self, crowd: &Crowd) -> Result<bool, SendError> {
        let count = match crowd {
            Crowd::Group(group) => self.group(group).await?.participants.len(),
            Crowd::Audience(audience) => audience.people.len(),
        };
        Ok(count >= MANY)
    }

    async fn agree_on_keys(&self, crowd: &Crowd) -> Result<(), SendError> {
        let (client, store) = (&self.client, &self.store);
        match crowd {
            Crowd::Group(group) => {
                let info = self.group(group).await?;
                let jid = people::jid(group);
                let agreeing = self.crowds.agree_with_group(client, store, &jid, &info);
                self.unless_over(SendError::NotConnected, agreeing).await
            }
            Crowd::Audience(audience) => {
                let agreeing = self.crowds.agree_with_audience(client, store, audience);
                self.unless_over(SendError::NotConnected, agreeing).await
            }
        }
    }

    async fn look_up(&self, name: &Recipient) -> Result<Found, SendError> {
        let asking = questions::look_up(&self.client, std::slice::from_ref(name));
        let told = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(SendError::NotConnected),
            told = tokio::time::timeout(EXPLAIN_DEADLINE, asking) => told.unwrap_or(Err(AskError::InDoubt)),
        };
        match told {
            Ok(found) => Ok(found.into_iter().next().unwrap_or(Found::Unsaid)),
            Err(AskError::NotConnected) => Err(SendError::NotConnected),
            Err(AskError::Throttled { after, source }) => Err(SendError::Throttled { after, source }),
            Err(error @ AskError::InDoubt) => Err(SendError::Unavailable(Box::new(error))),
            Err(AskError::Unavailable(source)) => Err(SendError::Unavailable(source)),
            // What WhatsApp does not tell this account is no reason to hold a message back.
            Err(_) => Ok(Found::Unsaid),
        }
    }

    async fn mark_read(&self, chat: &Recipient, messages: &[Unread]) -> Result<(), AskError> {
        let marking = chats::mark_read(&self.client, chat, messages);
        self.answered(marking).await
    }

    async fn ask(&self, ask: &Ask) -> Result<question::Answer, AskError> {
        let socket = questions::Socket {
            client: &self.client,
            presence: &self.presence,
            notices: &self.notices,
            following: &self.following,
            runtime: &self.runtime,
            clock: self.clock.as_ref(),
        };
        let asking = questions::answer(socket, ask);
        self.answered(asking).await
    }

    async fn probe(&self, patience: Duration) -> Result<(), SendError> {
        let ping = self.client.execute(KeepaliveSpec::with_timeout(LONGEST_PROBE));
        let asking = async {
            tokio::select! {
                biased;
                answer = ping => answer.map_err(failure::of_query),
                () = self.sockets.silence(patience) => Err(SendError::Timeout),
            }
        };
        self.in_time(LONGEST_PROBE, asking).await
    }

    async fn disconnect(&self) {
        self.asked.cancel();
        let ended = async {
            self.finish_retries().await;
            tokio::time::timeout(DISCONNECT_DEADLINE, Box::pin(self.client.disconnect())).await
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            _ = ended => store_deferred(&self.store).await,
        }
        self.store.shut();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn logout(&self) -> Result<(), SendError> {
        self.asked.cancel();
        let told = self.in_time(LOGOUT_DEADLINE, self.unlink()).await;
        self.disconnect().await;
        // The server may end the stream of a device that it has taken off before its answer is read.
        if self.ending.is_logged_out() { Ok(()) } else { told }
    }

    fn abandon(&self) {
        self.asked.cancel();
        self.store.shut();
        self.stop.cancel();
    }
}

impl Drop for WhatsAppSession {
    /// Stops the session: without its handle nobody can end it in order.
    fn drop(&mut self) {
        self.abandon();
    }
}

impl fmt::Debug for WhatsAppSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatsAppSession")
            .field("over", &self.stop.is_cancelled())
            .finish_non_exhaustive()
    }
}
