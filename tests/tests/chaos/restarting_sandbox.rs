//! The sandbox, which ends and starts again on its state while its clients and the test find it at one address.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox::{Config, Fault, Rule, Sandbox, Target};
use tests::phones::Phones;
use tests::wire::Wire;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

/// The sandbox. It ends with this.
pub struct RestartingSandbox {
    directory: PathBuf,
    wire: Wire,
    /// `None` while it is gone.
    sandbox: Mutex<Option<Sandbox>>,
    /// Held for writing while it is gone: whoever uses a phone waits.
    phones: RwLock<Phones>,
}

impl RestartingSandbox {
    /// One whose state is in this directory.
    pub async fn start(directory: &Path) -> Self {
        let sandbox = begin(directory).await;
        Self {
            directory: directory.to_owned(),
            wire: Wire::to(&sandbox.admin_url()).await,
            phones: RwLock::new(Phones::new(&sandbox.admin_url())),
            sandbox: Mutex::new(Some(sandbox)),
        }
    }

    /// The WebSocket's URL, whatever becomes of the sandbox.
    pub fn ws_url(&self) -> String {
        self.wire.ws_url()
    }

    /// The root certificate of its media host, in PEM. It is part of the state.
    pub async fn ca_pem(&self) -> String {
        let sandbox = self.sandbox.lock().await;
        sandbox.as_ref().expect("it is there").ca_pem().to_owned()
    }

    /// The phones, once the sandbox is there. It stays while this is held.
    pub async fn phones(&self) -> RwLockReadGuard<'_, Phones> {
        self.phones.read().await
    }

    /// Closes so many of a hundred sockets without a word. Answers how many they were.
    pub async fn drop_sockets(&self, percent: u8, seed: u64) -> u64 {
        let rule = Rule {
            chance: Some(f64::from(percent) / 100.0),
            seed: Some(seed),
            ..Rule::new(Target::all(), Fault::DropSocket)
        };
        let sandbox = self.sandbox.lock().await;
        let faults = sandbox.as_ref().map(Sandbox::faults);
        match faults {
            Some(faults) => faults.add(rule).await.expect("a fault that there is").clients,
            // All of them are closed already.
            None => 0,
        }
    }

    /// Cuts all connections, ends the sandbox, and starts it again so much later.
    pub async fn restart(&self, later: Duration) {
        let mut phones = self.phones.write().await;
        self.wire.cut();
        let old = self.sandbox.lock().await.take();
        old.expect("one restart at a time").shutdown().await;
        tokio::time::sleep(later).await;
        let new = begin(&self.directory).await;
        *phones = Phones::new(&new.admin_url());
        self.wire.mend(&new.admin_url());
        *self.sandbox.lock().await = Some(new);
    }
}

async fn begin(directory: &Path) -> Sandbox {
    let config = Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let sandbox = Sandbox::start(config.with_data_dir(directory)).await;
    sandbox.expect("a sandbox")
}
