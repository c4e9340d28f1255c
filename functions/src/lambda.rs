//! Wires a function's process: configuration, clients, state, and the Lambda runtime.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use lambda_http::{Error, LambdaEvent, service_fn};
use shared::bucket::Bucket;
use shared::clock::{Clock, SystemClock};
use shared::config;
use shared::mail;
use shared::queue::sqs::SqsQueue;
use shared::seal::{self, Purpose, Sealer};
use shared::storage::Table;
use shared::telemetry;
use shared::trace;

use crate::auth::AuthState;
use crate::management::ManagementState;
use crate::messaging::MessagingState;
use crate::state::{Base, Users};
use crate::webhook_delivery::batch::Batch;
use crate::webhook_delivery::{self, WebhooksState};
use crate::{http, service};

/// How long an invocation that is traced waits for the collector of traces at its end. Where it was too slow nobody waits for it for
/// a while.
const FLUSH: Duration = Duration::from_millis(300);

/// Runs the function `auth` until its environment ends it.
pub async fn auth() -> Result<(), Error> {
    telemetry::start(telemetry::Format::Json);
    trace::start("waxwing-auth")?;
    let (base, users, own) = config::auth()?;
    let aws = shared::aws::from_environment().await;
    let secrets = &users.jwt_secrets;
    let users_state = users_over(&aws, base_over(&aws, &base)?, &users)?;
    let state = AuthState::new(users_state, secrets, &own);
    run(Base::clone(&state), service::auth(state)).await
}

/// Runs the function `management` until its environment ends it.
pub async fn management() -> Result<(), Error> {
    telemetry::start(telemetry::Format::Json);
    trace::start("waxwing-management")?;
    let (base, users, wrapping, own) = config::management()?;
    let aws = shared::aws::from_environment().await;
    let base = base_over(&aws, &base)?;
    let sealer = sealer(&aws, &base, &wrapping)?;
    let state = ManagementState::new(users_over(&aws, base.clone(), &users)?, sealer, &own);
    run(base, service::management(state)).await
}

/// Runs the function `messaging` until its environment ends it.
pub async fn messaging() -> Result<(), Error> {
    telemetry::start(telemetry::Format::Json);
    trace::start("waxwing-messaging")?;
    let (base, wrapping, bucket, own) = config::messaging()?;
    let aws = shared::aws::from_environment().await;
    let base = base_over(&aws, &base)?;
    let sealer = sealer(&aws, &base, &wrapping)?;
    let bucket = Bucket::open(&aws, &bucket, Arc::clone(&sealer), clock())?;
    let state = MessagingState::new(base.clone(), sealer, bucket, &own);
    run(base, service::messaging(state)).await
}

/// Runs the function `webhooks` until its environment ends it. It is called with messages of queues, and serves no requests.
pub async fn webhooks() -> Result<(), Error> {
    telemetry::start(telemetry::Format::Json);
    trace::start("waxwing-webhooks")?;
    let (base, wrapping, bucket) = config::webhooks()?;
    let aws = shared::aws::from_environment().await;
    let base = base_over(&aws, &base)?;
    let sealer = sealer(&aws, &base, &wrapping)?;
    let bucket = Bucket::open(&aws, &bucket, Arc::clone(&sealer), clock())?;
    let settings = webhook_delivery::Settings::usual(&base);
    let state = WebhooksState::new(base.clone(), sealer, bucket, settings)?;
    let take = service_fn(|event: LambdaEvent<Batch>| {
        let (state, base) = (state.clone(), base.clone());
        // On the heap: the types of what is awaited in it are too deep for the runtime's own around them.
        Box::pin(async move {
            // Where table and configuration do not agree, the whole batch stays.
            if service::require_setup(&base).await.is_err() {
                return Err(Error::from(
                    "the table is not the one that this configuration is for",
                ));
            }
            let stays = state.take(event.payload).await;
            trace::flush(FLUSH).await;
            Ok(stays)
        })
    });
    lambda_http::lambda_runtime::run(take).await
}

async fn run(base: Base, router: Router) -> Result<(), Error> {
    // The first request need not wait for this. If table and configuration do not agree, each request says so, in the
    // envelope.
    if let Err(error) = service::require_setup(&base).await {
        http::log::went_wrong(&error, "the table is not the one that this configuration is for");
    }
    lambda_http::run(router.layer(middleware::from_fn(flushed))).await
}

/// Answers a request, and sends what was traced of it: once it is answered Lambda freezes the process.
async fn flushed(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    trace::flush(FLUSH).await;
    response
}

fn base_over(aws: &SdkConfig, config: &config::Base) -> Result<Base, Error> {
    let table = Table::new(aws, &config.common.table);
    let queue = Arc::new(SqsQueue::from_config(aws));
    Ok(Base::new(config, table, queue, clock())?)
}

fn users_over(aws: &SdkConfig, base: Base, config: &config::Users) -> Result<Users, Error> {
    let mailer = mail::from_config(aws, &config.mail, &clock())?;
    Ok(Users::new(base, config, mailer))
}

/// A function has no business with session state, which is the account itself.
fn sealer(aws: &SdkConfig, base: &Base, wrapping: &config::Wrapping) -> Result<Arc<Sealer>, Error> {
    let wrapper = seal::wrapper(aws, wrapping)?;
    let sealer = Sealer::new(base.table.clone(), wrapper)
        .restricted_to(&[Purpose::Content])
        .making_no_keys();
    Ok(Arc::new(sealer))
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
