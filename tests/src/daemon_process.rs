//! A daemon as a process that a test can stop, hold still and kill.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use testbed::wait::{DEADLINE, until};

/// Where a daemon finds what it works on.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The endpoint of its table.
    pub table: String,
    /// The endpoint of its queues.
    pub queue: String,
    /// The sandbox's WebSocket.
    pub sandbox: String,
    /// The file with the wrapping key.
    pub key_file: PathBuf,
    /// Shards of the network.
    pub shards: u32,
    /// What else its environment says.
    pub variables: Vec<(&'static str, String)>,
}

impl Surroundings {
    /// Its bucket, as `testbed::bucket` has it beside the key.
    fn bucket(&self) -> String {
        format!("folder:{}", self.key_file.with_file_name("bucket").display())
    }
}

/// A running daemon. Killed when dropped.
#[derive(Debug)]
pub struct DaemonProcess {
    child: Child,
    log: PathBuf,
}

impl DaemonProcess {
    /// Starts a daemon that logs to this file, and waits until it is up; it holds no shard yet.
    pub async fn start(program: &str, log: &Path, surroundings: &Surroundings) -> Self {
        let shards = surroundings.shards.to_string();
        let child = Command::new(program)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &surroundings.table)
            .env("AWS_ENDPOINT_URL_SQS", &surroundings.queue)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("WAXWING_KEY_FILE", &surroundings.key_file)
            .env("WAXWING_BUCKET", surroundings.bucket())
            .env("WAXWING_SANDBOX_URL", &surroundings.sandbox)
            .env("WAXWING_SHARDS", shards)
            .envs(surroundings.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the daemon starts");
        let daemon = Self {
            child,
            log: log.to_owned(),
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

    /// Holds it still: it does nothing at all until [`DaemonProcess::go_on`].
    pub async fn stand_still(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on.
    pub async fn go_on(&self) {
        self.signal("-CONT").await;
    }

    /// Asks it to stop in order and waits until it has.
    pub async fn stop(mut self) {
        self.signal("-TERM").await;
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = ended.expect("it stops in time").expect("it can be waited for");
        assert!(status.success(), "{status}");
    }

    /// Kills it with no chance to do anything more.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    async fn signal(&self, signal: &str) {
        let pid = self.id().to_string();
        let asked = Command::new("kill").args([signal, &pid]).status().await;
        assert!(asked.expect("kill runs").success());
    }
}
