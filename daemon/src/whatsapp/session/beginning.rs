//! How a session begins, and what it reads before it dials.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use shared::domain::person::Person;
use shared::session_state::SessionState;
use shared::storage::StorageError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore::msg_secret::MsgSecretPolicy;
use wacore::store::DevicePropsOverride;
use wacore::types::jid::JidExt as _;
use whatsapp_rust::CacheConfig;
use whatsapp_rust::bot::Bot;

use super::WhatsAppSession;
use super::running::SessionTask;
use crate::connection::{ConnectError, Session};
use crate::store::{DEVICE, Early, SessionStore, session_entry};
use crate::whatsapp::address_book::Contacts;
use crate::whatsapp::crowds::Crowds;
use crate::whatsapp::ending::Ending;
use crate::whatsapp::events::Translator;
use crate::whatsapp::following::Following;
use crate::whatsapp::inbound::{Followed, Inbound};
use crate::whatsapp::keys_only::KeysOnly;
use crate::whatsapp::notices::Notices;
use crate::whatsapp::outlet::Outlet;
use crate::whatsapp::own_chat::OwnChat;
use crate::whatsapp::polls::Polls;
use crate::whatsapp::presence::Presence;
use crate::whatsapp::runtime::SessionRuntime;
use crate::whatsapp::secrets::MessageSecrets;
use crate::whatsapp::settings::WhatsAppConnector;
use crate::whatsapp::statuses::Statuses;
use crate::whatsapp::transport::Dialler;
use crate::whatsapp::{people, resend, secrets};

impl WhatsAppSession {
    /// Begins a session on its stored state.
    pub async fn begin(connector: &WhatsAppConnector, session: Session) -> Result<Self, ConnectError> {
        let state = session.state.as_ref();
        let early = read_early(state, &session.account).await.map_err(refused)?;
        let secrets = MessageSecrets::load(state, &early).await.map_err(refused)?;
        let version = connector.versions.current().await.map_err(refused)?;
        let (missing, to_ask_for) = mpsc::channel(resend::CAPACITY);
        let statuses = Statuses::new(Arc::clone(&session.book));
        let contacts = Arc::new(Contacts::new(session.book));
        let store = SessionStore::having_read(early, session.state, Arc::clone(&connector.clock));
        let store = store.telling_missing(missing);
        let store = Arc::new(store.after(Arc::clone(&contacts) as _));
        let polls = Polls::new(Arc::clone(&store), secrets.clone());
        let following = Arc::new(Following::new(Arc::clone(&session.notices)));
        let notices = Arc::new(Notices::new(session.notices, Arc::clone(&connector.clock)));
        let ending = Arc::new(Ending::default());
        let (own_chat, keys_only, presence) = <(Arc<OwnChat>, Arc<KeysOnly>, Arc<Presence>)>::default();
        let [commit_failed, stop] = <[CancellationToken; 2]>::default();
        let outlet = Arc::new(Outlet::new(session.events, session.receipts_lost, stop.clone()));
        let tasks = TaskTracker::new();
        let runtime = SessionRuntime::new(tasks.clone(), stop.clone());
        let translator = Arc::new(Translator {
            client: std::sync::OnceLock::new(),
            clock: Arc::clone(&connector.clock),
            outlet: Arc::clone(&outlet),
            ending: Arc::clone(&ending),
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
            .with_device_props(named(&connector.settings.device_name))
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
            statuses,
            crowds: Crowds::default(),
            notices,
            following,
            clock: Arc::clone(&connector.clock),
            ending: Arc::clone(&ending),
            sockets: dialler.sockets().clone(),
            stop,
            asked: CancellationToken::new(),
            tasks,
            runtime,
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
            outlet,
            stop: handle.stop.clone(),
            asked: handle.asked.clone(),
            commit_failed,
            tasks: handle.tasks.clone(),
        };
        handle.ask_for_missing(keys_only, to_ask_for);
        connector.tasks.spawn(task.run(Box::pin(bot.run())));
        Ok(handle)
    }
}

/// Reads in one request what is needed of an instance's state until its login is over: the key of its messages' secrets, the
/// device, and the sessions with the account's own phone, which the library looks for at each login under both of its names.
async fn read_early(state: &dyn SessionState, account: &Person) -> Result<Early, StorageError> {
    let phone = account.names().map(|name| people::jid(&name));
    let phone = phone.map(|jid| session_entry(&jid.to_protocol_address_string()));
    let own = [secrets::ENTRY, DEVICE].map(str::to_owned);
    Early::read(state, own.into_iter().chain(phone).collect()).await
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
    ConnectError(Box::new(error))
}

/// A device that phones show by this name.
fn named(name: &str) -> DevicePropsOverride {
    DevicePropsOverride {
        os: Some(name.to_owned()),
        ..DevicePropsOverride::default()
    }
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
