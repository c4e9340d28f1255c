//! Lambda, as a function's own program meets it: the Runtime API on 127.0.0.1, and the program as a process of its own, with what
//! Lambda has in its environment and nothing else.
//!
//! One invocation is under way at a time, as in Lambda.

mod desk;

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use self::desk::Desk;
use crate::served::Served;
use crate::wait::{in_time, until};

/// What a function answers to an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It has done it: its answer.
    Response(Value),
    /// It has failed: what it says of that. API Gateway answers 500 then, and of a queue the whole batch comes again.
    Error(Value),
}

impl Told {
    /// The answer.
    #[track_caller]
    pub fn response(self) -> Value {
        match self {
            Self::Response(answer) => answer,
            Self::Error(error) => panic!("the function failed: {error}"),
        }
    }

    /// What it says of its failure.
    #[track_caller]
    pub fn error(self) -> Value {
        match self {
            Self::Error(error) => error,
            Self::Response(answer) => panic!("the function answered: {answer}"),
        }
    }
}

/// How the process of a function that could not start has ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it told Lambda before, where it did.
    pub told: Option<Value>,
    /// What it logged.
    pub log: String,
}

/// A function's program. Killed when dropped.
#[derive(Debug)]
pub struct Function {
    child: Child,
    desk: Arc<Desk>,
    log: PathBuf,
    _served: Served,
    _directory: TempDir,
}

impl Function {
    /// Starts a program with these variables besides Lambda's own.
    pub async fn start<V: AsRef<OsStr>>(program: &str, variables: &[(&str, V)]) -> Self {
        let desk = Arc::new(Desk::default());
        let served = Served::start(desk::routes(Arc::clone(&desk))).await;
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let name = Path::new(program).file_stem().expect("a file");
        let child = Command::new(program)
            .env_clear()
            // A host and a port, as Lambda has it.
            .env("AWS_LAMBDA_RUNTIME_API", served.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the function starts");
        Self {
            child,
            desk,
            log,
            _served: served,
            _directory: directory,
        }
    }

    /// Hands it an event, and waits for what it says.
    pub async fn invoke(&self, event: &Value) -> Told {
        in_time("the function's answer", self.desk.invoke(event)).await
    }

    /// Waits until it asks for its first event: it has started.
    pub async fn until_started(&self) {
        until("the function's start", async || {
            self.desk.is_asked().then_some(())
        })
        .await;
    }

    /// Waits until it ends by itself.
    pub async fn until_ended(mut self) -> Ended {
        let status = in_time("the function's end", self.child.wait()).await;
        Ended {
            status: status.expect("it can be waited for"),
            told: self.desk.cannot_start(),
            log: self.log(),
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }
}
