//! `PUT …/webhook`, and the same as `POST`: where events go. The first one makes the webhook, and shows its secret.

use axum::extract::State;
use axum::http::Method;
use shared::domain::audit::Action;
use shared::domain::event::Wants;
use shared::domain::webhook::{Confidential, Webhook, WebhookSecret};
use shared::ids::QuestionId;

use super::about::{About, Posted};
use super::again::{Again, once};
use super::change::{ATTEMPTS, contended, find, is_done, record};
use super::seal::seal;
use super::settings::{Request, Settings, parse};
use super::side::{Asker, Side};
use super::view::{WebhookView, WithSecret};
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookWrite;
use crate::http::{ApiError, Changes, Code, JsonBody, Replayable, Reply};
use crate::nudge::{BRIEF, nudge};
use crate::openapi::Tag;

const DETAILS: &str = "An instance has one webhook. Where it has none this makes it, and `secret` is in this answer and in no other; \
     otherwise it is changed as a whole, and `secret` is `null`. `headers` alone stay as they are where they are not there. What is set \
     here switches a webhook on again that Waxwing has switched off, unless `enabled` is false, and its endpoint begins anew.";

pub fn put<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::PUT, path, id, handle_put::<S>)
        .about(Tag::Webhooks, "Sets the webhook")
        .details(DETAILS)
        .errors(&[Code::NotFound, Code::Conflict])
}

pub fn post<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::POST, path, id, handle_post::<S>)
        .about(Tag::Webhooks, "Sets the webhook, as PUT does")
        .details(DETAILS)
        .errors(&[Code::NotFound, Code::Conflict])
}

pub async fn handle_put<S: Side>(
    State(state): State<S>,
    asker: About<WebhookWrite>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<WithSecret>, ApiError> {
    let settings = parse(request, state.hooks().reach)?;
    Ok(Reply::ok(set(&state, &asker, &settings, None).await?))
}

pub async fn handle_post<S: Side>(
    State(state): State<S>,
    asker: Posted<WebhookWrite>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Again<WithSecret>>, ApiError> {
    let settings = parse(request, state.hooks().reach)?;
    let (key, said) = (asker.key.as_deref(), settings.said());
    let setting = |claim| set(&state, &asker, &settings, claim);
    Box::pin(once(&state, &asker, key, ("webhook", &said), Reply::ok, setting)).await
}

/// Sets the webhook. `claim` is that of the request's idempotency key.
async fn set<S: Side>(
    state: &S,
    asker: &Asker,
    settings: &Settings,
    claim: Option<QuestionId>,
) -> Result<WithSecret, ApiError> {
    for _ in 0..ATTEMPTS {
        let before = find(state, asker).await?;
        let (webhook, secret) = planned(state, asker, settings, before.as_ref(), claim).await?;
        let put = state
            .hooks()
            .webhooks
            .put(&webhook, before.as_ref(), asker.user.as_ref());
        if !is_done(put.await?)? {
            continue;
        }
        let wanted = before.as_ref().map(Webhook::wanted).unwrap_or_default();
        if wanted != webhook.wanted() {
            let of = asker.instance;
            nudge(state.base(), of.network, of.shard, of.id, BRIEF).await;
        }
        let record = match &before {
            None => record(asker, Action::WebhookCreated),
            Some(before) => {
                record(asker, Action::WebhookUpdated).changes(changes(before, &webhook, settings))
            }
        };
        asker.trail.record(state.base(), record).await;
        let now = state.base().clock.now();
        return Ok(WebhookView::new(webhook, now).with(secret.as_ref()));
    }
    Err(contended())
}

/// The webhook with these settings, and its secret where it is new, or was made under this claim and has not been replaced since:
/// then nobody has seen it, or the same caller has.
async fn planned<S: Side>(
    state: &S,
    asker: &Asker,
    settings: &Settings,
    before: Option<&Webhook>,
    claim: Option<QuestionId>,
) -> Result<(Webhook, Option<WebhookSecret>), ApiError> {
    let (instance, now) = (asker.instance, state.base().clock.now());
    let headers = settings.headers.clone();
    let is_its_own =
        |before: &Webhook| claim.is_some() && before.made_under == claim && before.rotated_at.is_none();
    let (header_names, sealed, secret) = match (before, headers) {
        (None, headers) => {
            let confidential = Confidential::new(headers.unwrap_or_default());
            let sealed = seal(state, instance, &confidential).await?;
            (confidential.headers.names(), sealed, Some(confidential.secret))
        }
        (Some(before), None) if !is_its_own(before) => {
            (before.header_names.clone(), before.sealed.clone(), None)
        }
        (Some(before), headers) => {
            let mut confidential = shared::storage::webhooks::open(&state.hooks().sealer, before).await?;
            confidential.headers = headers.unwrap_or(confidential.headers);
            let sealed = seal(state, instance, &confidential).await?;
            let secret = is_its_own(before).then_some(confidential.secret);
            (confidential.headers.names(), sealed, secret)
        }
    };
    let webhook = Webhook {
        instance: instance.id,
        subscription: instance.subscription,
        url: settings.url.clone(),
        events: settings.events.clone(),
        header_names,
        enabled: settings.enabled,
        disabled: None,
        health: shared::domain::webhook::Health::default(),
        earlier_until: before.and_then(|before| before.earlier_until),
        rotated_at: before.and_then(|before| before.rotated_at),
        set_by: asker.actor,
        made_under: before.map_or(claim, |before| before.made_under),
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
        version: before.map_or(1, |before| before.version + 1),
        sealed,
    };
    Ok((webhook, secret))
}

/// Which members were changed. Addresses and headers may hold secrets, so their values are not told.
fn changes(before: &Webhook, after: &Webhook, settings: &Settings) -> Changes {
    let names = |wants: &Wants| wants.names().map(str::to_owned).collect::<Vec<_>>();
    Changes::default()
        .kept("url", before.url != after.url)
        .list("events", names(&before.events), names(&after.events))
        .kept("headers", settings.headers.is_some())
        .value("enabled", &before.enabled, &after.enabled)
}
