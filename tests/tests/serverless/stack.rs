//! What `tests/serverless/run.sh` has started, and the daemons that the tests start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use testbed::caller::Bases;
use testbed::wait::{DEADLINE, until};
use tests::phones::Phones;
use tokio::process::{Child, Command};

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this suite that reads environment variables"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/serverless/run.sh"))
}

/// The functions behind their HTTP API.
pub fn functions() -> Bases {
    Bases::one(&variable("WAXWING_TEST_API"))
}

/// The addresses that the functions which serve requests have beside it, each its own.
pub fn addresses() -> [String; 3] {
    ["AUTH", "MANAGEMENT", "MESSAGING"].map(|name| variable(&format!("WAXWING_TEST_{name}")))
}

/// The sandbox's phones.
pub fn phones() -> Phones {
    Phones::new(&variable("WAXWING_TEST_PHONES"))
}

/// A daemon, configured by the environment that the functions have too. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a daemon and waits until it is up; it holds no shard yet.
    pub async fn start(name: &str) -> Self {
        let log = Path::new(&variable("WAXWING_TEST_LOGS")).join(format!("daemon-{name}.log"));
        let child = Command::new(variable("WAXWING_TEST_DAEMON"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the daemon starts");
        let daemon = Self { child, log };
        daemon.until_logged("the daemon starts", 1).await;
        daemon
    }

    /// Waits until it has taken this many shards since its start.
    pub async fn until_taken(&self, shards: usize) {
        self.until_logged("shard taken", shards).await;
    }

    /// Where the shards are is known to the daemons alone: their logs are what operators see.
    async fn until_logged(&self, message: &str, times: usize) {
        let wanted = format!("\"message\":\"{message}\"");
        until(&format!("{times} × {message}"), async || {
            let log = std::fs::read_to_string(&self.log).expect("a log");
            (log.matches(&wanted).count() >= times).then_some(())
        })
        .await;
    }

    /// Asks it to stop in order and waits until it has.
    pub async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(asked.expect("kill runs").success());
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = ended.expect("it stops in time").expect("it can be waited for");
        assert!(status.success(), "{status}");
    }

    /// Kills it with no chance to do anything more.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}
