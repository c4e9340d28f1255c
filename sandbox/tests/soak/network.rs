//! The sandbox of the soak, and the parts of its admin API that it needs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sandbox::{Config, Fault, Sandbox};
use serde_json::Value;

/// The network.
pub struct Network {
    pub sandbox: Arc<Sandbox>,
    http: reqwest::Client,
}

impl Network {
    /// Starts one on a free port, with its state in `directory`.
    pub async fn start(directory: &Path) -> anyhow::Result<Self> {
        let config = Config::new("127.0.0.1:0".parse()?).with_data_dir(directory);
        // Another part of the process may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_mins(1))
            .build()?;
        Ok(Self {
            sandbox: Arc::new(Sandbox::start(config).await?),
            http,
        })
    }

    /// `phone` scans `qr`.
    pub async fn scan(&self, phone: &str, qr: String) -> anyhow::Result<()> {
        let url = format!(
            "{}/admin/mock-phone/scan-qr?phone={phone}",
            self.sandbox.admin_url()
        );
        self.http.post(url).body(qr).send().await?.error_for_status()?;
        Ok(())
    }

    /// Makes phones; answers their numbers.
    pub async fn people(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let url = format!("{}/admin/phones", self.sandbox.admin_url());
        let mut people = Vec::new();
        for _ in 0..count {
            let answer = self.http.post(&url).body("{}").send().await?.error_for_status()?;
            people.push(number(&serde_json::from_slice(&answer.bytes().await?)?)?);
        }
        Ok(people)
    }

    /// What a phone's person sees.
    pub async fn inbox(&self, phone: &str) -> anyhow::Result<Vec<Value>> {
        let url = format!(
            "{}/admin/phones/{phone}/inbox?limit=1000",
            self.sandbox.admin_url()
        );
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let part = self.http.get(format!("{url}{cursor}")).send().await?;
            let mut part: Value = serde_json::from_slice(&part.error_for_status()?.bytes().await?)?;
            let entries = part["entries"].as_array_mut().context("no entries")?;
            all.append(entries);
            match part["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    /// How often each fault struck.
    pub fn struck(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let faults = self.sandbox.faults();
        let struck = Fault::ALL
            .into_iter()
            .map(move |fault| (fault.name(), faults.struck(fault)));
        struck.filter(|(_, count)| *count > 0)
    }

    /// Ends it.
    pub async fn stop(self) -> anyhow::Result<()> {
        let sandbox = Arc::into_inner(self.sandbox).context("the sandbox is still in use")?;
        sandbox.shutdown().await;
        Ok(())
    }
}

fn number(phone: &Value) -> anyhow::Result<String> {
    Ok(phone["phone"].as_str().context("no number")?.to_owned())
}
