//! What others see of the account while it does nothing but be there: that it is, and that it writes.
//!
//! An account that is available somewhere gets no notifications on its phone. So a session is unavailable, but while its
//! owner wants it otherwise, and while it shows that it writes: WhatsApp tells that of nobody who is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use shared::domain::chats::Activity;
use tokio::sync::Mutex;
use tracing::debug;
use wacore::runtime::Runtime as _;
use wacore_binary::Jid;
use whatsapp_rust::features::{ChatStateError, ChatStateType, PresenceError};
use whatsapp_rust::{Client, ClientError};

use super::runtime::SessionRuntime;
use crate::connection::AskError;

/// After this long apps show no longer that somebody writes who says nothing more of it.
const SHOWN_FOR: Duration = Duration::from_secs(25);

/// Of one session.
#[derive(Debug, Default)]
pub struct Presence {
    /// Whether the owner wants the account to be available.
    is_wanted: AtomicBool,
    /// Counts what was shown in chats.
    shown: AtomicU64,
    /// Whether it shows that it writes.
    is_writing: AtomicBool,
    /// Held from the choice of what to say until it is sent, so that what is wanted last is said last.
    saying: Mutex<()>,
}

impl Presence {
    /// Whether the owner wants the account to be available.
    pub fn is_available(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Whether the account is to be available now.
    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed) || self.is_writing.load(Ordering::Relaxed)
    }

    /// Shows others that the account is there, or that it is not.
    pub async fn set(&self, client: &Client, is_available: bool) -> Result<(), AskError> {
        let _saying = self.saying.lock().await;
        self.is_wanted.store(is_available, Ordering::Relaxed);
        let presence = client.presence();
        let set = if is_available {
            presence.set_available().await
        } else {
            presence.set_unavailable().await
        };
        set.map_err(of_presence)
    }

    /// Takes back that the account is there, unless that is wanted.
    pub async fn take_back(&self, client: &Client) {
        let _saying = self.saying.lock().await;
        self.be_unavailable(client).await;
    }

    /// Shows those in a chat what the account does in it.
    pub async fn show(
        self: &Arc<Self>,
        client: &Arc<Client>,
        runtime: &SessionRuntime,
        chat: &Jid,
        activity: Activity,
    ) -> Result<(), AskError> {
        let state = match activity {
            Activity::Typing => ChatStateType::Composing,
            Activity::Recording => ChatStateType::Recording,
            Activity::Paused => ChatStateType::Paused,
        };
        let saying = self.saying.lock().await;
        let number = self.shown.fetch_add(1, Ordering::Relaxed) + 1;
        let is_at_it = activity != Activity::Paused;
        let was_wanted = self.is_wanted();
        self.is_writing.store(is_at_it, Ordering::Relaxed);
        if is_at_it && !was_wanted {
            client.presence().set_available().await.map_err(of_presence)?;
        }
        drop(saying);
        let shown = client.chatstate().send(chat, state).await;
        shown.map_err(|error| match error {
            ChatStateError::Client(error) => of_client(&error),
            _ => AskError::InDoubt,
        })?;
        if !is_at_it {
            self.leave(client, number).await;
            return Ok(());
        }
        let (presence, client) = (Arc::clone(self), Arc::downgrade(client));
        let leaving = async move {
            tokio::time::sleep(SHOWN_FOR).await;
            if let Some(client) = client.upgrade() {
                presence.leave(&client, number).await;
            }
        };
        runtime.spawn(Box::pin(leaving)).detach();
        Ok(())
    }

    /// Becomes unavailable again, unless that is not wanted or something else was shown since.
    async fn leave(&self, client: &Client, number: u64) {
        let _saying = self.saying.lock().await;
        if self.shown.load(Ordering::Relaxed) != number {
            return;
        }
        self.is_writing.store(false, Ordering::Relaxed);
        self.be_unavailable(client).await;
    }

    async fn be_unavailable(&self, client: &Client) {
        if self.is_wanted() {
            return;
        }
        if let Err(error) = client.presence().set_unavailable().await {
            debug!(%error, "presence was not taken back");
        }
    }
}

fn of_presence(error: PresenceError) -> AskError {
    match error {
        PresenceError::Client(error) => of_client(&error),
        // The phone tells the account's name after it has linked the session.
        error @ PresenceError::PushNameEmpty => AskError::Unavailable(Box::new(error)),
        _ => AskError::InDoubt,
    }
}

/// Why a stanza that is not answered may not have gone out.
fn of_client(error: &ClientError) -> AskError {
    match error {
        ClientError::NotConnected | ClientError::NotLoggedIn => AskError::NotConnected,
        _ => AskError::InDoubt,
    }
}
