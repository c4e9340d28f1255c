//! The local stack, or a server, as a process that a test can kill.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use testbed::wait::DEADLINE;

/// A running stack. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The API's base URL.
    pub api: String,
    /// The base URL of the sandbox's admin API, where the sandbox runs in the process.
    pub admin: Option<String>,
    /// The endpoint of its DynamoDB; empty where it has no port.
    pub database: String,
}

impl Process {
    /// Starts the stack on this data with these further arguments and variables, and waits
    /// until it says where it is.
    pub async fn start(
        program: &str,
        data_dir: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start_with_log(program, data_dir, arguments, variables, Stdio::inherit()).await
    }

    /// The same with its log going there.
    pub async fn start_with_log(
        program: &str,
        data_dir: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args(["--port", "0", "--data-dir"])
            .arg(data_dir)
            .args(arguments);
        Self::of(command, variables, log).await
    }

    /// Starts a server on this data in place of a local stack. It has no sandbox, and its table no port.
    pub async fn start_server(
        program: &str,
        data_dir: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args(["server", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(arguments);
        Self::of(command, variables, Stdio::inherit()).await
    }

    async fn of(mut command: Command, variables: &[(&str, &str)], log: impl Into<Stdio>) -> Self {
        let mut child = command
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the stack starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let is_to_crash = variables.iter().any(|(name, _)| *name == "WAXWING_FAULT");
        let reading = async {
            let (mut api, mut admin, mut database) = (None, None, None);
            while let Some(line) = lines.next_line().await.expect("readable") {
                let mut words = line.split_whitespace();
                match (words.next(), words.last()) {
                    (Some("HTTP"), Some(url)) => api = Some(url.to_owned()),
                    (Some("Phones"), Some(url)) => {
                        admin = url.strip_suffix("/admin/phones").map(str::to_owned);
                    }
                    (Some("DynamoDB"), Some(url)) => database = Some(url.to_owned()),
                    // The last line of the block.
                    (Some("State"), _) => break,
                    _ => {}
                }
            }
            // One that is to crash may do so before it says where it is.
            if is_to_crash && api.is_none() {
                return (String::new(), None, String::new());
            }
            let api = api.expect("the API's address");
            (api, admin, database.unwrap_or_default())
        };
        let (api, admin, database) = tokio::time::timeout(DEADLINE, reading)
            .await
            .expect("the stack comes up in time");
        // What is printed later is read and dropped, so that the process never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            child,
            api,
            admin,
            database,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Asks it to stop in order and waits until it has.
    pub async fn stop(mut self) {
        let pid = self.id().to_string();
        let asked = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .expect("kill runs");
        assert!(asked.success());
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = ended.expect("it stops in time").expect("it can be waited for");
        assert!(status.success(), "{status}");
    }

    /// Kills it with no chance to do anything more.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Waits until it ends by itself: a fault hook ended it.
    pub async fn until_it_crashes(&mut self) {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = ended.expect("it crashes in time").expect("it can be waited for");
        assert!(!status.success(), "it ended in order");
    }
}
