//! The daemon as a process of its own: configured by the environment, ended by a signal.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use shared::bucket::Bucket;
use shared::clock::{Clock, SystemClock};
use shared::queue::QueueNames;
use shared::queue::sqs::SqsQueue;
use shared::seal::{self, Sealer};
use shared::storage::Table;
use shared::{aws, config, shutdown, telemetry};

use crate::app::{App, Parts};
use crate::files;
use crate::whatsapp::{NETWORK, Settings};

/// Runs a daemon until a signal asks it to stop. See `shared::config` for its variables.
pub async fn run() -> anyhow::Result<()> {
    telemetry::start(telemetry::Format::Json);
    let config = config::daemon()?;
    let sandbox_ca = config.sandbox_ca.as_deref().map(read_ca).transpose()?;
    let aws_config = aws::from_environment().await;
    let table = Table::new(&aws_config, &config.common.table);
    let wrapper = seal::wrapper(&aws_config, &config.wrapping).context("the wrapping key")?;
    let sealer = Arc::new(Sealer::new(table.clone(), wrapper));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bucket = Bucket::open(
        &aws_config,
        &config.bucket,
        Arc::clone(&sealer),
        Arc::clone(&clock),
    )?;
    let parts = Parts {
        sealer,
        bucket,
        beats: Table::new(&aws_config, table.name()),
        table,
        queue: Arc::new(SqsQueue::from_config(&aws_config)),
        names: QueueNames::new(config.common.queue_prefix, NETWORK.as_str())?,
        clock,
        shards: config.common.shards,
        lease: config.lease,
        starts: config.starts,
        queue_limits: config.queue_limits,
        settings: Settings::for_network(&config.sandbox_url).with_sandbox_ca(sandbox_ca),
        files: files::Settings {
            reach: config.reach,
            folder: config.spool,
            ..files::Settings::default()
        },
    };
    let app = App::start(parts, config.network).await?;
    app.run(shutdown::on_signal()?).await;
    Ok(())
}

fn read_ca(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("WAXWING_SANDBOX_CA: cannot read {}", path.display()))
}
