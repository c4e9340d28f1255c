//! Wires a function's process: configuration, clients, state, and the Lambda runtime. All of that is made once, before the first
//! call. Where a variable or a secret is missing, the function says so and ends. Where the table is away it starts, and each call fails by
//! itself.

mod gateway;
mod start;

use std::process::ExitCode;
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
use shared::config::{self, JwtSecrets};
use shared::mail;
use shared::queue::sqs::SqsQueue;
use shared::seal::{self, Purpose, Sealer};
use shared::secrets_manager;
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

/// How long an invocation that is traced waits for the collector of traces at its end. After it was too slow, nobody waits for it for
/// 30 s.
const FLUSH: Duration = Duration::from_millis(300);

/// Runs the function `auth` until its environment ends it.
pub async fn auth() -> ExitCode {
    Box::pin(serve("waxwing-auth", auth_routes())).await
}

/// Runs the function `management` until its environment ends it.
pub async fn management() -> ExitCode {
    Box::pin(serve("waxwing-management", management_routes())).await
}

/// Runs the function `messaging` until its environment ends it.
pub async fn messaging() -> ExitCode {
    Box::pin(serve("waxwing-messaging", messaging_routes())).await
}

/// Runs the function `webhooks` until its environment ends it. It is called with messages of queues, and serves no requests.
pub async fn webhooks() -> ExitCode {
    telemetry::start(telemetry::Format::Json);
    if let Err(error) = trace::start("waxwing-webhooks") {
        return start::failed(&error).await;
    }
    let state = match webhooks_state().await {
        Ok(state) => state,
        Err(error) => return start::failed(&*error).await,
    };
    look_at_setup(&state).await;
    let take = service_fn(|event: LambdaEvent<Batch>| {
        let state = state.clone();
        // On the heap: the types of what is awaited in it are too deep for the runtime's own around them.
        Box::pin(async move {
            // Where table and configuration do not agree, the whole batch stays.
            if service::require_setup(&state).await.is_err() {
                return Err(Error::from(
                    "the table is not the one that this configuration is for",
                ));
            }
            let stays = state.take(event.payload).await;
            trace::flush(FLUSH).await;
            Ok(stays)
        })
    });
    start::ended(lambda_http::lambda_runtime::run(take).await)
}

async fn auth_routes() -> Result<(Base, Router), Error> {
    let (base, users, secrets, own) = config::auth()?;
    let aws = shared::aws::from_environment().await;
    let base = base_over(&aws, &base)?;
    let state = AuthState::new(users_over(&aws, base.clone(), &users, &secrets).await?, &own);
    Ok((base, service::auth(state)))
}

async fn management_routes() -> Result<(Base, Router), Error> {
    let (base, users, secrets, wrapping, own) = config::management()?;
    let aws = shared::aws::from_environment().await;
    let base = base_over(&aws, &base)?;
    let sealer = sealer(&aws, &base, &wrapping)?;
    let users = users_over(&aws, base.clone(), &users, &secrets).await?;
    let state = ManagementState::new(users, sealer, &own);
    Ok((base, service::management(state)))
}

async fn messaging_routes() -> Result<(Base, Router), Error> {
    let (base, wrapping, bucket, own) = config::messaging()?;
    let aws = shared::aws::from_environment().await;
    let base = base_over(&aws, &base)?;
    let sealer = sealer(&aws, &base, &wrapping)?;
    let bucket = Bucket::open(&aws, &bucket, Arc::clone(&sealer), clock())?;
    let state = MessagingState::new(base.clone(), sealer, bucket, &own);
    Ok((base, service::messaging(state)))
}

async fn webhooks_state() -> Result<WebhooksState, Error> {
    let (base, wrapping, bucket) = config::webhooks()?;
    let aws = shared::aws::from_environment().await;
    let base = base_over(&aws, &base)?;
    let sealer = sealer(&aws, &base, &wrapping)?;
    let bucket = Bucket::open(&aws, &bucket, Arc::clone(&sealer), clock())?;
    let settings = webhook_delivery::Settings::usual(&base);
    Ok(WebhooksState::new(base, sealer, bucket, settings)?)
}

/// Starts a function that serves requests, and runs it. `name` is what traces call it.
async fn serve(name: &str, starting: impl Future<Output = Result<(Base, Router), Error>>) -> ExitCode {
    telemetry::start(telemetry::Format::Json);
    if let Err(error) = trace::start(name) {
        return start::failed(&error).await;
    }
    let (base, routes) = match starting.await {
        Ok(started) => started,
        Err(error) => return start::failed(&*error).await,
    };
    look_at_setup(&base).await;
    let routes = routes.layer(middleware::from_fn(flushed));
    start::ended(lambda_http::run(gateway::behind(routes)).await)
}

/// Looks whether table and configuration agree, so that the first call need not. If they do not, each call says so.
async fn look_at_setup(base: &Base) {
    if let Err(error) = service::require_setup(base).await {
        http::log::went_wrong(&error, "the table is not the one that this configuration is for");
    }
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

async fn users_over(
    aws: &SdkConfig,
    base: Base,
    config: &config::Users,
    secrets: &JwtSecrets,
) -> Result<Users, Error> {
    let mailer = mail::from_config(aws, &config.mail, &clock())?;
    let jwts = Box::pin(secrets_manager::jwts(aws, secrets, base.clock.now())).await?;
    Ok(Users::new(base, config, mailer, jwts))
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
