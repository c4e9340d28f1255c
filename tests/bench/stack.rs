//! The local stack that is measured: a process of its own, on files of its own.

use std::path::Path;

use reqwest::Client;
use sandbox::Sandbox;
use serde_json::Value;
use tempfile::TempDir;
use testbed::caller::{Bases, Caller};
use tests::phones::Phones;
use tests::process::Process;

/// The stack's binary, which is built beside this one.
const PROGRAM: &str = "waxwing-under-test";

pub struct Stack {
    pub api: Caller,
    pub bases: Bases,
    pub phones: Phones,
    base: String,
    http: Client,
    process: Process,
    _data: TempDir,
}

impl Stack {
    /// Starts one with a sandbox in its process. It takes callers' addresses from `X-Forwarded-For` and limits nobody's
    /// rate: it is the routes that are measured.
    pub async fn start(bcrypt_cost: u32) -> Self {
        let (process, data) = process(&["--sandbox-port", "0"], bcrypt_cost).await;
        let admin = process.admin.clone().expect("a sandbox");
        Self::of(process, data, &admin)
    }

    /// Starts one beside this sandbox.
    pub async fn beside(sandbox: &Sandbox, bcrypt_cost: u32) -> Self {
        let (process, data) = process(&["--sandbox-url", &sandbox.ws_url()], bcrypt_cost).await;
        Self::of(process, data, &sandbox.admin_url())
    }

    /// Starts one beside this sandbox, whose media host it trusts by the root in this file.
    pub async fn with_media(sandbox: &Sandbox, root: &Path, bcrypt_cost: u32) -> Self {
        let root = root.to_str().expect("UTF-8");
        let arguments = ["--sandbox-url", &sandbox.ws_url(), "--sandbox-ca", root];
        let (process, data) = process(&arguments, bcrypt_cost).await;
        Self::of(process, data, &sandbox.admin_url())
    }

    fn of(process: Process, data: TempDir, admin: &str) -> Self {
        let bases = Bases::one(&process.api);
        Self {
            api: Caller::over_http(bases.clone()),
            bases,
            phones: Phones::new(admin),
            base: process.api.clone(),
            http: testbed::caller::http(),
            process,
            _data: data,
        }
    }

    /// The code in the newest mail to an address, where there is one.
    pub async fn code(&self, email: &str) -> Option<String> {
        let url = format!("{}/dev/mailbox?limit=1&to={email}", self.base);
        let answer = self.http.get(url).send().await.ok()?;
        let mails: Value = answer.json().await.ok()?;
        testbed::mail::find_code(mails["data"][0]["text"].as_str()?)
    }

    /// Host and port of the API, and of the realtime feed.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub async fn stop(self) {
        self.process.stop().await;
    }
}

/// A stack with these arguments, on data of its own.
async fn process(arguments: &[&str], bcrypt_cost: u32) -> (Process, TempDir) {
    let program = std::env::current_exe().expect("a path").with_file_name(PROGRAM);
    let program = program.to_str().expect("UTF-8").to_owned();
    let data = tempfile::tempdir().expect("a directory");
    let cost = bcrypt_cost.to_string();
    let variables = [
        ("WAXWING_BCRYPT_COST", cost.as_str()),
        ("WAXWING_AUTH_RATE", "1000000"),
        ("WAXWING_USER_RATE", "1000000"),
        ("WAXWING_TRUSTED_PROXIES", "1"),
        ("WAXWING_ADMIN_EMAIL", ADMINISTRATOR),
        ("WAXWING_LOG", "error"),
    ];
    let process = Process::start(&program, data.path(), arguments, &variables).await;
    (process, data)
}

/// Who becomes the administrator.
pub const ADMINISTRATOR: &str = "root@example.com";
