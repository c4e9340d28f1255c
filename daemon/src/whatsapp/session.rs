//! One session: a client of the library, the task that runs it, and the handle to both.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use shared::clock::Clock;
use shared::domain::content::{Came, Content, Context, Kind, Remote, Said, Whence};
use shared::domain::message::{Failure, FailureCode};
use shared::domain::passkey::Credential;
use shared::domain::person::Person;
use shared::domain::phone::PhoneNumber;
use shared::domain::question::{self, Ask, Found};
use shared::domain::reason::Reason;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};
use wacore::client::context::GroupInfo;
use wacore::iq::devices::RemoveCompanionDeviceSpec;
use wacore::iq::keepalive::KeepaliveSpec;
use wacore::msg_secret::MsgSecretPolicy;
use wacore::store::DevicePropsOverride;
use wacore::types::message::AddressingMode;
use whatsapp_rust::bot::Bot;
use whatsapp_rust::{
    CacheConfig, ChatStateType, Client, GroupError, GroupParticipant, RawNodeLease, SendOptions,
};

use super::address_book::Contacts;
use super::content::Addressed;
use super::content::context::Addressed as Beside;
use super::ending::Ending;
use super::events::{self, Translator};
use super::following::Following;
use super::inbound::{Followed, Inbound};
use super::keys_only::KeysOnly;
use super::notices::Notices;
use super::own_chat::OwnChat;
use super::polls::Polls;
use super::presence::Presence;
use super::runtime::SessionRuntime;
use super::secrets::MessageSecrets;
use super::settings::WhatsAppConnector;
use super::spool::Spool;
use super::statuses::Audience;
use super::stops::Signal;
use super::transport::Dialler;
use super::versions::{Refused, Version, Versions};
use super::{
    chats, content, download, explain, failure, pairing, passkey, people, questions, resend, trust, upload,
};
use crate::connection::{
    AskError, ChatState, ConnectError, Connection, FetchedMedia, MediaError, PairingCode, PairingError,
    SendError, Session, SessionEvent, Unread,
};
use crate::passkey::PasskeyError;
use crate::stop::{Answer, Course};
use crate::store::SessionStore;

/// How long writing a message to the wire may take, with the look-up of its recipients' devices and their keys.
const SEND_DEADLINE: Duration = Duration::from_secs(30);

/// How long writing to the wire what an account does in a chat may take.
const SHOW_DEADLINE: Duration = Duration::from_secs(2);

/// How long a look for a name in the library's memory or its store may take.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(1);

/// How long looking up a group may take. The library has just looked it up for the message, and remembers it.
const GROUP_DEADLINE: Duration = Duration::from_secs(20);

/// How long WhatsApp may take to say what stands behind a refusal.
const EXPLAIN_DEADLINE: Duration = Duration::from_secs(10);

/// How long WhatsApp may take to answer a question.
const ASK_DEADLINE: Duration = Duration::from_secs(15);

/// How long an orderly end may take; the library's own flushes have deadlines of 5 s each.
const DISCONNECT_DEADLINE: Duration = Duration::from_secs(15);

/// How long storing the last steps of sessions may take.
const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// How long the request to unlink may take.
const LOGOUT_DEADLINE: Duration = Duration::from_secs(25);

/// How long the library may take over a pairing after WhatsApp has ended the pairing's stream.
const PAIRED_DEADLINE: Duration = Duration::from_secs(10);

/// How long the library may take over the end of a stream whose socket was closed.
const STREAM_DEADLINE: Duration = Duration::from_secs(5);

/// How long closing an abandoned socket may take.
const HANG_UP_DEADLINE: Duration = Duration::from_secs(1);

/// A running session's handle.
pub struct WhatsAppSession {
    client: Arc<Client>,
    store: Arc<SessionStore>,
    secrets: MessageSecrets,
    polls: Polls,
    own_chat: Arc<OwnChat>,
    presence: Arc<Presence>,
    audience: Audience,
    notices: Arc<Notices>,
    following: Arc<Following>,
    clock: Arc<dyn Clock>,
    ending: Arc<Ending>,
    /// Ends every task of the session at once.
    stop: CancellationToken,
    /// Cancelled when the session's end was asked for: nothing more is told.
    asked: CancellationToken,
    tasks: TaskTracker,
}

impl WhatsAppSession {
    /// Begins a session on its stored state.
    #[expect(
        clippy::too_many_lines,
        reason = "the parts of a session, made in their order"
    )]
    pub async fn begin(connector: &WhatsAppConnector, session: Session) -> Result<Self, ConnectError> {
        let secrets = MessageSecrets::load(session.state.as_ref())
            .await
            .map_err(refused)?;
        let version = connector.versions.current().await.map_err(refused)?;
        let (missing, to_ask_for) = mpsc::channel(resend::CAPACITY);
        let audience = Audience::new(Arc::clone(&session.book));
        let contacts = Arc::new(Contacts::new(session.book));
        let store = SessionStore::new(session.state, Arc::clone(&connector.clock)).telling_missing(missing);
        let store = Arc::new(store.after(Arc::clone(&contacts) as _));
        let polls = Polls::new(Arc::clone(&store), secrets.clone());
        let following = Arc::new(Following::new(Arc::clone(&session.notices)));
        let notices = Arc::new(Notices::new(session.notices, Arc::clone(&connector.clock)));
        let (queue, waiting) = mpsc::channel(events::CAPACITY);
        let ending = Arc::new(Ending::default());
        let (own_chat, keys_only, presence) = <(Arc<OwnChat>, Arc<KeysOnly>, Arc<Presence>)>::default();
        let [overflow, commit_failed, stop, over] = <[CancellationToken; 4]>::default();
        let tasks = TaskTracker::new();
        let runtime = SessionRuntime::new(tasks.clone(), stop.clone());
        let translator = Arc::new(Translator {
            client: std::sync::OnceLock::new(),
            clock: Arc::clone(&connector.clock),
            queue: queue.clone(),
            ending: Arc::clone(&ending),
            overflow: overflow.clone(),
            runtime: runtime.clone(),
            own_chat: Arc::clone(&own_chat),
            keys_only: Arc::clone(&keys_only),
            contacts,
            notices: Arc::clone(&notices),
            presence: Arc::clone(&presence),
        });
        let dialler = Dialler::new(&connector.settings.websocket_url, Arc::clone(&ending));
        let builder = Bot::builder()
            .with_backend_arc(Arc::clone(&store) as Arc<dyn wacore::store::traits::Backend>)
            .with_transport_factory(dialler.clone())
            .with_http_client(connector.http.until(stop.clone()))
            .with_runtime(runtime.clone())
            .with_inbound_durability_hook(Inbound::new(
                session.inbound,
                Arc::clone(&store),
                polls.clone(),
                Arc::clone(&connector.clock),
                commit_failed.clone(),
                Followed {
                    following: Arc::clone(&following),
                    presence: Arc::clone(&presence),
                    runtime: runtime.clone(),
                },
            ))
            .with_device_props(DevicePropsOverride {
                os: Some(connector.settings.device_name.clone()),
                ..DevicePropsOverride::default()
            })
            .with_cache_config(cache_config(&secrets))
            .with_version(version)
            .skip_history_sync();
        let bot = builder.build().await.map_err(refused)?;
        let client = bot.client();
        // It cannot be set already, since this is the only place that sets it.
        let _ = translator.client.set(Arc::downgrade(&client));
        client.subscribe_handler(translator).detach();
        client.enable_auto_reconnect.store(false, Ordering::Relaxed);
        client.set_force_active_delivery_receipts(true);

        let handle = Self {
            client: Arc::clone(&client),
            store: Arc::clone(&store),
            secrets,
            polls,
            own_chat,
            presence,
            audience,
            notices,
            following,
            clock: Arc::clone(&connector.clock),
            ending: Arc::clone(&ending),
            stop,
            asked: CancellationToken::new(),
            tasks,
        };
        let task = SessionTask {
            instance: session.instance,
            // Stream errors show in their stanzas, not all in events.
            stanzas: client.acquire_raw_node_forwarding(),
            versions: Arc::clone(&connector.versions),
            version,
            client,
            store,
            dialler,
            ending,
            queue,
            stop: handle.stop.clone(),
            asked: handle.asked.clone(),
            overflow,
            commit_failed,
            over: over.clone(),
            tasks: handle.tasks.clone(),
        };
        let asking = resend::ask_for(
            Arc::clone(&handle.client),
            Arc::clone(&connector.clock),
            keys_only,
            to_ask_for,
        );
        handle
            .tasks
            .spawn(handle.stop.clone().run_until_cancelled_owned(asking));
        connector
            .tasks
            .spawn(forward(waiting, session.events, handle.stop.clone(), over));
        connector.tasks.spawn(task.run(bot));
        Ok(handle)
    }
}

impl WhatsAppSession {
    /// A message's context with its people named as the chat names them.
    async fn beside(&self, to: &Recipient, context: &Context) -> Result<Beside, SendError> {
        let names_people = context.quoted.is_some() || !context.mentions.is_empty();
        let group = if to.group().is_some() && names_people {
            Some(self.group(to).await?)
        } else {
            None
        };
        Ok(content::context::address(&self.client, to, group.as_deref(), context).await)
    }

    /// A group's description, from the library's memory or, where it is not there, from the server.
    async fn group(&self, to: &Recipient) -> Result<Arc<GroupInfo>, SendError> {
        let (groups, jid) = (self.client.groups(), people::jid(to));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            info = tokio::time::timeout(GROUP_DEADLINE, groups.query_info(&jid)) => match info {
                Ok(Ok(info)) => Ok(info),
                Ok(Err(error)) => Err(failure::of_send(error.into(), to)),
                Err(late) => Err(SendError::Unavailable(Box::new(late))),
            }
        }
    }

    /// Follows the people with whom the account writes, while it is available.
    fn follow(&self) {
        if self.presence.is_available() {
            let runtime = SessionRuntime::new(self.tasks.clone(), self.stop.clone());
            self.following.follow(&self.client, &runtime);
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

    /// What is asked of a group. What comes of it is that of a question: nothing is on the wire yet.
    async fn asked_of_group<T>(
        &self,
        asking: impl Future<Output = Result<T, GroupError>>,
    ) -> Result<T, SendError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            info = tokio::time::timeout(GROUP_DEADLINE, asking) => match info {
                Ok(Ok(info)) => Ok(info),
                Ok(Err(GroupError::Iq(error))) => Err(failure::of_query(error)),
                Ok(Err(error)) => Err(SendError::Failed(Box::new(error))),
                Err(_) => Err(SendError::Timeout),
            }
        }
    }

    /// Where a message goes that is about another. In a group only admins take back what others wrote.
    async fn addressed(
        &self,
        message: MessageId,
        to: &Recipient,
        content: &Content,
    ) -> Result<Addressed, SendError> {
        let (client, chat) = (&self.client, people::jid(to));
        let mut addressed = Addressed {
            chat: chat.clone(),
            own_in_group: None,
            is_by_lid: false,
            at: message.created_at(),
        };
        if to.group().is_none() {
            return Ok(addressed);
        }
        let groups = client.groups();
        let mode = if matches!(content, Content::Revoke(revoke) if !revoke.target.from_me) {
            let group = self.asked_of_group(groups.get_metadata(&chat)).await?;
            let own = group.participants.iter().find(|member| {
                let names = [
                    Some(&member.jid),
                    member.phone_number.as_ref(),
                    member.lid.as_ref(),
                ];
                names
                    .into_iter()
                    .flatten()
                    .any(|name| people::is_own(client, name))
            });
            if !own.is_some_and(GroupParticipant::is_admin) {
                return Err(SendError::Refused(FailureCode::RefusedForbidden));
            }
            group.addressing_mode
        } else {
            self.asked_of_group(groups.query_info(&chat))
                .await?
                .addressing_mode
        };
        addressed.is_by_lid = mode == AddressingMode::Lid;
        let own = if addressed.is_by_lid {
            client.lid()
        } else {
            client.pn()
        };
        addressed.own_in_group = own.map(|own| own.to_non_ad());
        Ok(addressed)
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
    ConnectError(Box::new(error))
}

/// Secrets are derived, so none are stored; the other caches fill as they are used.
fn cache_config(secrets: &MessageSecrets) -> CacheConfig {
    CacheConfig {
        msg_secret_policy: MsgSecretPolicy::Disabled,
        seed_msg_secrets_from_history: false,
        original_message_resolver: Some(Arc::new(secrets.clone())),
        ..CacheConfig::default()
    }
}

/// Hands events on, and waits for the daemon to take them. Ends after the last event of a session that is over. Also
/// ends when the daemon takes no more, which ends the session.
async fn forward(
    mut waiting: mpsc::Receiver<SessionEvent>,
    events: mpsc::Sender<SessionEvent>,
    stop: CancellationToken,
    over: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            biased;
            event = waiting.recv() => event,
            () = over.cancelled() => {
                // Nothing more goes in; what is in comes out.
                waiting.close();
                waiting.recv().await
            }
        };
        let Some(event) = event else { return };
        if events.send(event).await.is_err() {
            stop.cancel();
            return;
        }
    }
}

/// The task that runs the client, to its end.
struct SessionTask {
    instance: InstanceId,
    /// While it lives, the translator sees the server's stanzas.
    stanzas: RawNodeLease,
    versions: Arc<Versions>,
    /// The version that the session announces.
    version: Version,
    client: Arc<Client>,
    store: Arc<SessionStore>,
    dialler: Dialler,
    ending: Arc<Ending>,
    queue: mpsc::Sender<SessionEvent>,
    stop: CancellationToken,
    asked: CancellationToken,
    overflow: CancellationToken,
    commit_failed: CancellationToken,
    /// Cancelled when all is told and every task has ended.
    over: CancellationToken,
    tasks: TaskTracker,
}

impl SessionTask {
    async fn run(self, bot: Bot) {
        let client = Arc::clone(&self.client);
        let reason = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = self.store.inbound_lost().cancelled() => Some("an incoming message could not be stored"),
            () = self.overflow.cancelled() => Some("events were not taken in time"),
            () = self.commit_failed.cancelled() => {
                // The message is buffered and durable: an orderly end keeps it, and it comes again.
                self.disconnect_in_time().await;
                Some("an incoming message could not be committed")
            }
            () = self.serve(client, bot) => None,
        };
        if reason.is_some() || self.stop.is_cancelled() {
            self.store.shut();
        }
        self.stop.cancel();
        if tokio::time::timeout(HANG_UP_DEADLINE, self.dialler.hang_up())
            .await
            .is_err()
        {
            debug!(instance.id = %self.instance, "the socket did not close in time");
        }
        self.client.signal_shutdown_sync();
        drop(self.stanzas);
        if !self.asked.is_cancelled() {
            let end = end(&self.ending, reason, &self.versions, self.version);
            if let Some(end) = self.asked.run_until_cancelled(end).await {
                // Refused where the daemon has gone already.
                let _ = self.queue.send(end).await;
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.over.cancel();
        info!(instance.id = %self.instance, "session over");
    }

    /// Runs the client until its stream ends, and again where that was the end of pairing.
    async fn serve(&self, client: Arc<Client>, bot: Bot) {
        let mut linked = client.pn().is_some();
        self.until_end(bot.run()).await;
        while self.is_paired(&client, linked).await && !self.ending.is_over() && !self.asked.is_cancelled() {
            linked = true;
            self.ending.forget();
            self.until_end(client.run()).await;
        }
        if !self.asked.is_cancelled() {
            store_deferred(&self.store).await;
            return;
        }
        // An orderly end that was asked for goes on flushing after the stream's end, and says when it is done.
        self.stop.cancelled().await;
    }

    /// Runs the client until its stream ends, and ends it where the library would go on.
    async fn until_end(&self, run: impl Future<Output = ()>) {
        tokio::pin!(run);
        tokio::select! {
            () = &mut run => return,
            () = self.ending.hung_up() => {}
        }
        self.dialler.hang_up().await;
        if tokio::time::timeout(STREAM_DEADLINE, run).await.is_err() {
            debug!(instance.id = %self.instance, "the stream did not end in time");
        }
    }

    /// Whether the stream that has ended was that of a pairing. WhatsApp ends it when it has the device's answer,
    /// perhaps before the library is done with the pairing. If the client was linked only now, that is waited for.
    async fn is_paired(&self, client: &Client, was_linked: bool) -> bool {
        let patience = if was_linked || client.pn().is_none() {
            Duration::ZERO
        } else {
            PAIRED_DEADLINE
        };
        self.ending.take_paired(patience).await
    }

    async fn disconnect_in_time(&self) {
        if tokio::time::timeout(DISCONNECT_DEADLINE, self.client.disconnect())
            .await
            .is_err()
        {
            debug!(instance.id = %self.instance, "the session did not end in time");
        }
        store_deferred(&self.store).await;
    }
}

/// A session's last event: why it is over. `ours` is a reason of our own.
async fn end(ending: &Ending, ours: Option<&str>, versions: &Versions, version: Version) -> SessionEvent {
    let stop = match (ending.take_stop(), ours) {
        (Some(stop), None) => stop,
        // An end for good stays one, whatever our own reason is.
        (Some(stop), Some(_)) if matches!(stop.answer, Answer::End(..)) => stop,
        (_, Some(ours)) => return disconnected(ours, false),
        (None, None) => Signal::Silent.stop(),
    };
    if stop.answer == Answer::Return(Course::Lost) {
        return disconnected(stop.said, stop.blames_wire);
    }
    let is_outdated = matches!(stop.answer, Answer::End(_, Reason::ClientOutdated));
    if is_outdated && versions.refused(version).await != Refused::IsCurrent {
        // The next session announces a newer version, or is not begun before one is known.
        return disconnected(stop.said, stop.blames_wire);
    }
    SessionEvent::Stopped(stop)
}

fn disconnected(reason: impl Into<String>, blames_wire: bool) -> SessionEvent {
    SessionEvent::Disconnected {
        reason: reason.into(),
        blames_wire,
    }
}

/// Stores the last steps of Signal sessions. If that fails, the next session skips what this one had reserved, which
/// costs little.
async fn store_deferred(store: &SessionStore) {
    match tokio::time::timeout(STORE_DEADLINE, store.store_deferred()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the last steps of sessions were not stored"),
        Err(_) => debug!("the last steps of sessions were not stored in time"),
    }
}

#[async_trait]
impl Connection for WhatsAppSession {
    async fn send(&self, message: MessageId, to: &Recipient, said: &Said) -> Result<(), SendError> {
        if !self.client.is_logged_in() {
            return Err(SendError::NotConnected);
        }
        let content = &said.content;
        if let Content::Poll(poll) = content {
            let keeping = self.polls.keep_sent(message, &poll.poll);
            keeping.await.map_err(|error| SendError::State(Box::new(error)))?;
        }
        let Some(mut written) = content::write(content, self.secrets.of(message)) else {
            return Err(SendError::Refused(FailureCode::Unprocessable));
        };
        if let Some(target) = content.target() {
            let addressed = self
                .addressed(message, to, content)
                .await
                .map_err(|error| match error {
                    // A question's: the message itself is not on the wire.
                    SendError::Timeout => SendError::Unavailable("the group was not told of in time".into()),
                    other => other,
                })?;
            content::address(&mut written, &addressed, target);
        }
        if !self.beside(to, &said.context).await?.put(&mut written) {
            return Err(SendError::Refused(FailureCode::Unprocessable));
        }
        if *to == Recipient::Status {
            let showing = self.audience.show(&self.client, message.to_whatsapp(), written);
            return tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(SendError::Interrupted { may_be_out: true }),
                shown = tokio::time::timeout(SEND_DEADLINE, showing) => shown.unwrap_or(Err(SendError::Timeout)),
            };
        }
        let options = SendOptions::default().with_message_id(message.to_whatsapp());
        let chat = people::jid(to);
        if people::is_own(&self.client, &chat) {
            self.own_chat.note(message.to_whatsapp());
        }
        self.following.meet(&self.client, &chat);
        let sent = self.client.send_message_with_options(chat, written, options);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::Interrupted { may_be_out: true }),
            sent = tokio::time::timeout(SEND_DEADLINE, sent) => match sent {
                Ok(Ok(_)) => {
                    self.follow();
                    Ok(())
                }
                Ok(Err(error)) => Err(failure::of_send(error, to)),
                Err(_) => Err(SendError::Timeout),
            }
        }
    }

    async fn upload(&self, file: &Spool) -> Result<Remote, SendError> {
        if !self.client.is_logged_in() {
            return Err(SendError::NotConnected);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            uploaded = upload::upload(&self.client, file) => uploaded,
        }
    }

    async fn fetch_media(&self, came: &Came, folder: Option<&Path>) -> Result<FetchedMedia, MediaError> {
        if !self.client.is_logged_in() {
            return Err(MediaError::NotConnected);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(MediaError::NotConnected),
            fetched = download::fetch(&self.client, came, folder) => fetched,
        }
    }

    async fn find_media(&self, remote: &Remote, kind: Kind, whence: &Whence) -> Result<String, MediaError> {
        if !self.client.is_logged_in() {
            return Err(MediaError::NotConnected);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(MediaError::NotConnected),
            found = download::find(&self.client, remote, kind, whence) => found,
        }
    }

    async fn show(&self, to: &Recipient, state: ChatState) -> Result<(), SendError> {
        let state = match state {
            ChatState::Typing => ChatStateType::Composing,
            ChatState::Paused => ChatStateType::Paused,
        };
        let (states, chat) = (self.client.chatstate(), people::jid(to));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            shown = tokio::time::timeout(SHOW_DEADLINE, states.send(&chat, state)) => match shown {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(SendError::Failed(Box::new(error))),
                Err(late) => Err(SendError::Failed(Box::new(late))),
            }
        }
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
            Recipient::Group(_) | Recipient::Status => return None,
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
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            done = tokio::time::timeout(EXPLAIN_DEADLINE, refreshing) => done.unwrap_or(Err(SendError::Timeout)),
        }
    }

    async fn explain(&self, to: &Recipient, error: Option<u32>) -> Result<Option<Failure>, SendError> {
        let asking = explain::explain(&self.client, to, error);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            told = tokio::time::timeout(EXPLAIN_DEADLINE, asking) => told.unwrap_or(Err(SendError::Timeout)),
        }
    }

    async fn pairing_code(&self, phone: &PhoneNumber) -> Result<PairingCode, PairingError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(PairingError::NotConnected),
            code = pairing::request(&self.client, phone) => code,
        }
    }

    async fn answer_passkey(&self, credential: &Credential) -> Result<(), PasskeyError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(PasskeyError::NotConnected),
            told = passkey::answer(&self.client, credential) => told,
        }
    }

    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(PasskeyError::NotConnected),
            told = passkey::confirm(&self.client) => told,
        }
    }

    async fn group_members(&self, group: &Recipient) -> Result<Vec<Person>, SendError> {
        if *group == Recipient::Status {
            let asking = self.audience.people(&self.client);
            return tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(SendError::NotConnected),
                people = tokio::time::timeout(GROUP_DEADLINE, asking) => people.unwrap_or(Err(SendError::Timeout)),
            };
        }
        let (groups, jid) = (self.client.groups(), people::jid(group));
        let info = self.asked_of_group(groups.query_info(&jid)).await?;
        Ok(people::members(&self.client, &info))
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
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(AskError::InDoubt),
            marked = tokio::time::timeout(ASK_DEADLINE, marking) => marked.unwrap_or(Err(AskError::InDoubt)),
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<question::Answer, AskError> {
        let runtime = SessionRuntime::new(self.tasks.clone(), self.stop.clone());
        let socket = questions::Socket {
            client: &self.client,
            presence: &self.presence,
            notices: &self.notices,
            following: &self.following,
            runtime: &runtime,
            clock: self.clock.as_ref(),
        };
        let asking = questions::answer(socket, ask);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(AskError::InDoubt),
            answer = tokio::time::timeout(ASK_DEADLINE, asking) => answer.unwrap_or(Err(AskError::InDoubt)),
        }
    }

    async fn probe(&self, deadline: Duration) -> Result<(), SendError> {
        let ping = self.client.execute(KeepaliveSpec::with_timeout(deadline));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            answer = tokio::time::timeout(deadline, ping) => match answer {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(failure::of_query(error)),
                Err(_) => Err(SendError::Timeout),
            }
        }
    }

    async fn disconnect(&self) {
        self.asked.cancel();
        let ended = tokio::time::timeout(DISCONNECT_DEADLINE, self.client.disconnect());
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
        let told = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::NotConnected),
            told = tokio::time::timeout(LOGOUT_DEADLINE, self.unlink()) => {
                told.unwrap_or(Err(SendError::Timeout))
            }
        };
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
