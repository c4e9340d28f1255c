//! Wires a function's process: configuration, clients, state, and the Lambda runtime.

use std::sync::Arc;

use shared::clock::{Clock, SystemClock};
use shared::config;
use shared::mail;
use shared::queue::sqs::SqsQueue;
use shared::seal::{self, Purpose, Sealer};
use shared::storage::Table;
use shared::telemetry;

use crate::state::AppState;
use crate::{http, service};

/// Runs a function until its environment ends it.
pub async fn run(function: config::Function) -> Result<(), lambda_http::Error> {
    telemetry::start(telemetry::Format::Json);
    let config = config::functions(function)?;
    let state = connect(&config).await?;
    // The first request need not wait for this. Where they do not agree each request says so, in the envelope.
    if let Err(error) = state.setup.hold(&state).await {
        http::log::went_wrong(&error, "the table is not the one that this configuration is for");
    }
    lambda_http::run(service::router(function, state)).await
}

async fn connect(config: &config::Functions) -> Result<AppState, lambda_http::Error> {
    let aws = shared::aws::from_environment().await;
    let table = Table::new(&aws, &config.common.table);
    let wrapper = seal::wrapper(&aws, &config.common.wrapping)?;
    // A function has no business with session state, which is the account itself.
    let sealer = Sealer::new(table.clone(), wrapper)
        .restricted_to(&[Purpose::Content])
        .making_no_keys();
    let queue = SqsQueue::from_config(&aws);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mailer = mail::from_config(&aws, &config.mail, &clock)?;
    let (queue, sealer) = (Arc::new(queue), Arc::new(sealer));
    let state = AppState::new(config, table, queue, sealer, mailer, clock)?;
    Ok(state)
}
