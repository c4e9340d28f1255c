//! `POST …/webhook/replay`: the events of some time once more, such as those of an outage.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::audit::Action;
use shared::domain::delivery::{Delivery, DeliveryState, Errand, TERM};
use shared::domain::webhook::Webhook;
use shared::queue::MAX_BATCH;
use shared::storage::deliveries::{Filter, Place, Window, whole_milliseconds};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::about::Posted;
use super::again::{Again, once};
use super::change::{record, require_enabled};
use super::retry::{again, send};
use super::side::{Asker, Side};
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookWrite;
use crate::http::{ApiError, Code, Fields, JsonBody, Replayable, Reply, Timestamp, log};
use crate::openapi::Tag;

/// The most events that one request queues.
const MOST: usize = 1_000;

/// How long it looks for them and queues them. API Gateway ends a request after 30 s.
const TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Deliveries that are read at once.
const PAGE: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = WebhookReplay, example = json!({
    "from": "2026-01-01T10:00:00.000Z", "to": "2026-01-01T11:00:00.000Z", "failedOnly": true,
}))]
pub struct Request {
    /// The deliveries that were tried first at this time or later.
    #[schema(value_type = Timestamp)]
    from: String,
    /// And before this one; now where it is not there.
    #[schema(value_type = Timestamp, required = false)]
    to: Option<String>,
    /// Whether only those are meant that are not tried any more; otherwise all whose body is kept.
    #[schema(value_type = bool, required = false, default = true)]
    failed_only: Option<bool>,
}

/// What is sent again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookReplayed)]
pub struct Response {
    /// How many events were queued.
    #[schema(example = 12)]
    queued: usize,
    /// How many were left out, since their bodies are not kept.
    #[schema(example = 0)]
    not_kept: usize,
    /// The `from` of the request that goes on from here: one queues a thousand events at most. `null` where nothing is left.
    #[schema(example = json!(null))]
    next: Option<Timestamp>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    window: Window,
    failed_only: bool,
}

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::POST, path, id, handler::<S>)
        .about(Tag::Webhooks, "Sends the events of some time once more")
        .details(
            "The oldest first, some twenty a second, under the ids that they had; those of the same second come in any order. \
             The body of an event is kept while it is not delivered, for 14 days at most; what was delivered at once cannot be \
             sent again. Where there are more than a thousand, `next` is the `from` of the next request.",
        )
        .status(StatusCode::ACCEPTED)
        .errors(&[Code::NotFound, Code::Conflict])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: Posted<WebhookWrite>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Again<Response>>, ApiError> {
    let now = state.base().clock.now();
    let wanted = parse(&request, now)?;
    let key = asker.key.as_deref();
    // Without a `to` the same request means the same, though the time goes on.
    let said = (wanted.window.from, &request.to, wanted.failed_only);
    let replaying = replay(&state, &asker, wanted);
    Box::pin(once(
        &state,
        &asker,
        key,
        ("replay", &said),
        Reply::accepted,
        |_| replaying,
    ))
    .await
}

fn parse(request: &Request, now: DateTime<Utc>) -> Result<Asked, ApiError> {
    let mut fields = Fields::default();
    let from = time(&mut fields, "from", &request.from);
    let to = request.to.as_deref().map(|text| time(&mut fields, "to", text));
    if let (Some(from), Some(Some(to))) = (from, to)
        && from >= to
    {
        fields.fault("to", "must be later than `from`");
    }
    fields.finish()?;
    let (Some(from), Some(to)) = (from, to.unwrap_or(Some(now + TimeDelta::milliseconds(1)))) else {
        return Err(fields.error());
    };
    // Nothing is known of what was before.
    let from = from.max(now - TERM);
    Ok(Asked {
        window: Window {
            from: whole_milliseconds(from),
            to: whole_milliseconds(to),
        },
        failed_only: request.failed_only.unwrap_or(true),
    })
}

/// A time of a request.
pub(super) fn time(fields: &mut Fields, name: &str, text: &str) -> Option<DateTime<Utc>> {
    let at = text.parse().ok();
    if at.is_none() {
        fields.fault(name, "must be an RFC 3339 time");
    }
    at
}

async fn replay<S: Side>(state: &S, asker: &Asker, wanted: Asked) -> Result<Response, ApiError> {
    let webhook = require_enabled(state, asker).await?;
    let window = Window {
        from: webhook.sends_from(wanted.window.from),
        ..wanted.window
    };
    let filter = Filter {
        state: wanted.failed_only.then_some(DeliveryState::Failed),
        kind: None,
    };
    let replayed = queue_all(state, asker, &webhook, window, filter).await?;
    let record = record(asker, Action::WebhookReplayed)
        .detail("events", replayed.queued)
        .detail("failedOnly", wanted.failed_only);
    asker.trail.record(state.base(), record).await;
    Ok(replayed)
}

/// Queues what there is in a window, the oldest first: so much, for so long, and until something fails. What is queued by then is
/// told, with the time from which to go on.
async fn queue_all<S: Side>(
    state: &S,
    asker: &Asker,
    webhook: &Webhook,
    window: Window,
    filter: Filter,
) -> Result<Response, ApiError> {
    let until = Instant::now() + TIME;
    let mut replayed = Response {
        queued: 0,
        not_kept: 0,
        next: None,
    };
    let mut after: Option<Place> = None;
    loop {
        let now = state.base().clock.now();
        let deliveries = &state.hooks().deliveries;
        let looking = deliveries.list_oldest_first(asker.instance.id, window, filter, after, PAGE, now);
        let looked = match looking.await {
            Ok(looked) => looked,
            Err(error) => return replayed.broken_off(error.into(), after.map(|place| place.at)),
        };
        for some in looked.deliveries.chunks(MAX_BATCH) {
            let from_here = some.first().map(|delivery| delivery.created_at);
            if replayed.queued + MAX_BATCH > MOST || Instant::now() >= until {
                replayed.next = from_here.map(Timestamp::from);
                return Ok(replayed);
            }
            match queue(state, asker, webhook, some, replayed.queued).await {
                Ok(kept) => {
                    replayed.queued += kept;
                    replayed.not_kept += some.len() - kept;
                }
                Err(error) => return replayed.broken_off(error, from_here),
            }
        }
        let last = looked.deliveries.last().map(Place::of);
        let is_full = looked.deliveries.len() == PAGE;
        after = looked.stopped_at.or(last.filter(|_| is_full));
        let Some(place) = after else {
            return Ok(replayed);
        };
        // A look that found too few may have taken long, and the next one may as well.
        if looked.stopped_at.is_some() && Instant::now() >= until {
            replayed.next = Some(place.at.into());
            return Ok(replayed);
        }
    }
}

impl Response {
    /// What an error makes of this: where something is queued already it is answered, with the time from which to go on.
    fn broken_off(mut self, error: ApiError, next: Option<DateTime<Utc>>) -> Result<Self, ApiError> {
        if self.queued == 0 {
            return Err(error);
        }
        log::went_wrong(&error, "a replay was broken off");
        self.next = next.map(Timestamp::from);
        Ok(self)
    }
}

/// Queues those whose bodies are kept, behind so many others; answers how many.
async fn queue<S: Side>(
    state: &S,
    asker: &Asker,
    webhook: &Webhook,
    deliveries: &[Delivery],
    before: usize,
) -> Result<usize, ApiError> {
    let now = state.base().clock.now();
    let errands: Vec<Errand> = deliveries
        .iter()
        .filter(|delivery| delivery.can_be_replayed(now))
        .zip(before..)
        .map(|(delivery, before)| again(webhook, delivery, now, before))
        .collect();
    if !errands.is_empty() {
        send(state, asker.instance, &errands).await?;
    }
    Ok(errands.len())
}
