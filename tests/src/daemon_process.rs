//! A daemon as a process that a test can stop, hold still and kill.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use shared::config::Wrapping;
use tokio::process::{Child, Command};

use testbed::wait::{DEADLINE, until};

/// The variable that says by how many whole seconds the clock of `daemon-under-test` is ahead; a negative number is a clock that is
/// behind. No other daemon reads it.
pub const CLOCK_OFFSET: &str = "WAXWING_TEST_CLOCK_OFFSET";

/// Where a daemon finds what it works on.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The endpoint of its table.
    pub table: String,
    /// The endpoint of its queues.
    pub queue: String,
    /// The sandbox's WebSocket.
    pub sandbox: String,
    /// What wraps its data keys.
    pub wrapping: Wrapping,
    /// The directory that its bucket is in, as `testbed::bucket` has it.
    pub directory: PathBuf,
    /// Shards of the network.
    pub shards: u32,
    /// What else its environment says.
    pub variables: Vec<(&'static str, String)>,
}

impl Surroundings {
    fn bucket(&self) -> String {
        format!("folder:{}", self.directory.join("bucket").display())
    }

    /// The variable that says what wraps its data keys, and its value.
    fn wrapping(&self) -> (&'static str, &OsStr) {
        match &self.wrapping {
            Wrapping::File(path) => ("WAXWING_KEY_FILE", path.as_os_str()),
            Wrapping::Kms(key) => ("WAXWING_KMS_KEY", OsStr::new(key)),
        }
    }
}

/// Where a daemon that logs to this file prints what it has for standard output.
pub fn printed_to(log: &Path) -> PathBuf {
    log.with_extension("out")
}

/// A running daemon. Killed when dropped, though it stands still.
#[derive(Debug)]
pub struct DaemonProcess {
    child: Child,
    log: PathBuf,
    is_still: AtomicBool,
}

impl DaemonProcess {
    /// Starts a daemon that logs to this file, and waits until it is up; it holds no shard yet.
    pub async fn start(program: &str, log: &Path, surroundings: &Surroundings) -> Self {
        let shards = surroundings.shards.to_string();
        let (wrapping, key) = surroundings.wrapping();
        let child = Command::new(program)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &surroundings.table)
            .env("AWS_ENDPOINT_URL_SQS", &surroundings.queue)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env(wrapping, key)
            .env("WAXWING_BUCKET", surroundings.bucket())
            .env("WAXWING_SANDBOX_URL", &surroundings.sandbox)
            .env("WAXWING_SHARDS", shards)
            .envs(surroundings.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(File::create(printed_to(log)).expect("a file"))
            .stderr(File::create(log).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the daemon starts");
        let daemon = Self {
            child,
            log: log.to_owned(),
            is_still: AtomicBool::new(false),
        };
        until("the daemon's start", async || {
            daemon.log().contains("the daemon starts").then_some(())
        })
        .await;
        daemon
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// What it is called in leases and beats, as its log tells.
    pub fn name(&self) -> String {
        let log = self.log();
        let mut told = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let start = told.find(|line| line["message"] == "the daemon starts");
        let name = start.as_ref().and_then(|start| start["daemon"].as_str());
        name.expect("its start tells its name").to_owned()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// How it has ended, where it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be asked")
    }

    /// Holds it still: it does nothing at all until [`DaemonProcess::go_on`].
    pub async fn stand_still(&self) {
        self.is_still.store(true, Ordering::SeqCst);
        self.signal("-STOP").await;
    }

    /// Lets it go on.
    pub async fn go_on(&self) {
        self.signal("-CONT").await;
        self.is_still.store(false, Ordering::SeqCst);
    }

    /// Asks it to stop in order and waits until it has.
    pub async fn stop(mut self) {
        self.go_on_if_still().await;
        self.signal("-TERM").await;
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = ended.expect("it stops in time").expect("it can be waited for");
        assert!(status.success(), "{status}");
    }

    /// Kills it with no chance to do anything more.
    pub async fn kill(mut self) {
        self.go_on_if_still().await;
        self.child.kill().await.expect("it can be killed");
    }

    async fn go_on_if_still(&self) {
        if self.is_still.load(Ordering::SeqCst) {
            self.go_on().await;
        }
    }

    async fn signal(&self, signal: &str) {
        let pid = self.id().to_string();
        let asked = Command::new("kill").args([signal, &pid]).status().await;
        assert!(asked.expect("kill runs").success());
    }
}

impl Drop for DaemonProcess {
    /// It goes on before its end, so that nothing is left that stands still.
    fn drop(&mut self) {
        if self.is_still.load(Ordering::SeqCst)
            && let Some(pid) = self.child.id()
        {
            // The kill that follows ends it in any case.
            let _ = std::process::Command::new("kill")
                .args(["-CONT", &pid.to_string()])
                .status();
        }
    }
}
