//! What all sessions have in common, and how one is begun.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use shared::clock::Clock;
use shared::domain::network::Network;
use tokio_util::task::TaskTracker;
use wacore::net::WHATSAPP_WEB_WS_URL;

use super::http::{Http, HttpError};
use super::network::{NETWORK, VERSION};
use super::session::WhatsAppSession;
use super::versions::Versions;
use crate::connection::{ConnectError, Connection, Connector, Session};

/// Where sessions connect to, and as what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The WebSocket's URL.
    pub websocket_url: String,
    /// The name that "Linked devices" shows on the phone.
    pub device_name: String,
    /// The only root certificates (PEM) of the hosts that media are on; `None` for the system's.
    pub root_certificates: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            websocket_url: WHATSAPP_WEB_WS_URL.to_owned(),
            device_name: "Waxwing".to_owned(),
            root_certificates: None,
        }
    }
}

impl Settings {
    /// The settings for the network that this build serves; `sandbox_url` is the
    /// sandbox's WebSocket and means nothing to a build for WhatsApp itself.
    pub fn for_network(sandbox_url: &str) -> Self {
        match NETWORK {
            Network::Live => Self::default(),
            Network::Sandbox => Self {
                websocket_url: sandbox_url.to_owned(),
                ..Self::default()
            },
        }
    }

    /// The same, trusting the sandbox's media host by its root certificate (PEM). It means nothing to a build for
    /// WhatsApp itself.
    #[must_use]
    pub fn with_sandbox_ca(self, pem: Option<String>) -> Self {
        match NETWORK {
            Network::Live => self,
            Network::Sandbox => Self {
                root_certificates: pem,
                ..self
            },
        }
    }
}

/// Begins sessions. Made once in a process.
pub struct WhatsAppConnector {
    pub(super) settings: Settings,
    pub(super) http: Http,
    pub(super) versions: Arc<Versions>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: TaskTracker,
}

impl WhatsAppConnector {
    /// A connector whose sessions run as tasks of `tasks`.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, tasks: TaskTracker) -> Result<Self, HttpError> {
        let http = Http::new(settings.root_certificates.as_deref())?;
        let versions = match VERSION {
            Some(version) => Versions::fixed(version, Arc::clone(&clock)),
            None => Versions::looked_up(Arc::new(http.clone()), Arc::clone(&clock)),
        };
        Ok(Self {
            http,
            versions: Arc::new(versions),
            settings,
            clock,
            tasks,
        })
    }
}

impl fmt::Debug for WhatsAppConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatsAppConnector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for WhatsAppConnector {
    async fn connect(&self, session: Session) -> Result<Arc<dyn Connection>, ConnectError> {
        let session = WhatsAppSession::begin(self, session).await?;
        Ok(Arc::new(session))
    }
}
