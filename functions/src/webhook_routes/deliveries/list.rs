//! `GET …/webhook/deliveries`: the log of deliveries, newest first.

use axum::extract::State;
use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use shared::domain::delivery::{Delivery, DeliveryState, TERM};
use shared::domain::event::EventType;
use shared::ids::{DeliveryId, EventId, InstanceId, MessageId};
use shared::storage::deliveries::{Filter, Place, Window, whole_milliseconds};
use utoipa::ToSchema;

use super::view::DeliveryView;
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookRead;
use crate::http::{
    ApiError, Code, Fields, List, Listing, Page, PageCursor, PageLimit, PageQuery, Pagination, Query, Reply,
    Timestamp,
};
use crate::openapi::Tag;
use crate::webhook_routes::about::About;
use crate::webhook_routes::change::require;
use crate::webhook_routes::replay::time;
use crate::webhook_routes::side::Side;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[schema(value_type = Option<PageCursor>)]
    cursor: Option<String>,
    /// The delivery of this event alone.
    #[schema(value_type = Option<EventId>)]
    event: Option<String>,
    /// Those of events about this message.
    #[schema(value_type = Option<MessageId>)]
    message: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = Option<EventType>)]
    kind: Option<String>,
    #[schema(value_type = Option<DeliveryState>)]
    state: Option<String>,
    /// Those that were tried first at this time or later.
    #[schema(value_type = Option<Timestamp>)]
    from: Option<String>,
    /// Those that were tried first before this time.
    #[schema(value_type = Option<Timestamp>)]
    to: Option<String>,
}

/// Which deliveries are wanted.
struct Wanted {
    event: Option<EventId>,
    message: Option<MessageId>,
    filter: Filter,
    window: Window,
}

impl Wanted {
    fn takes(&self, delivery: &Delivery) -> bool {
        let is_within = self.window.from <= delivery.created_at && delivery.created_at < self.window.to;
        let is_about = self.message.is_none() || delivery.message == self.message;
        is_within && is_about && self.filter.wants(delivery)
    }
}

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::GET, path, id, handler::<S>)
        .about(Tag::Webhooks, "Lists what became of the webhook's events in 14 days")
        .details(
            "Newest first, by their first attempts, and without what the events tell. With `type` or `state` a page may have fewer \
             deliveries than `limit`, or none, while there are more to come: `nextCursor` leads on.",
        )
        .errors(&[Code::NotFound])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: About<WebhookRead>,
    Query(request): Query<Request>,
) -> Result<Listing<DeliveryView>, ApiError> {
    let now = state.base().clock.now();
    let (mut wanted, page) = parse(&request, asker.instance.id, now)?;
    let webhook = require(&state, &asker).await?;
    wanted.window.from = webhook.sends_from(wanted.window.from);
    let (deliveries, pagination) = read(&state, asker.instance.id, &wanted, &page, now).await?;
    let views = deliveries.into_iter().map(DeliveryView::from).collect();
    Ok(Reply::ok(views).page(pagination))
}

async fn read<S: Side>(
    state: &S,
    instance: InstanceId,
    wanted: &Wanted,
    page: &Page<Place>,
    now: DateTime<Utc>,
) -> Result<(Vec<Delivery>, Pagination), ApiError> {
    let deliveries = &state.hooks().deliveries;
    let found = match (wanted.event, wanted.message) {
        (Some(event), _) => {
            let found = deliveries.find(instance, DeliveryId::of(event), now).await?;
            found.into_iter().collect()
        }
        (None, Some(message)) => {
            let mut found = deliveries.of_message(instance, message, now).await?;
            found.reverse();
            found
        }
        (None, None) => {
            let limit = usize::try_from(page.limit)
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            let looked = deliveries
                .list(instance, wanted.window, wanted.filter, page.after, limit, now)
                .await?;
            let (found, pagination) = page.cut(looked.deliveries, Place::of);
            let pagination = match looked.stopped_at {
                Some(stopped_at) => page.pagination(true, Some(stopped_at)),
                None => pagination,
            };
            return Ok((found, pagination));
        }
    };
    let is_next = |delivery: &Delivery| page.after.is_none_or(|after| Place::of(delivery) < after);
    let found = found
        .into_iter()
        .filter(|delivery| wanted.takes(delivery) && is_next(delivery));
    Ok(page.cut(found.collect(), Place::of))
}

fn parse(
    request: &Request,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<(Wanted, Page<Place>), ApiError> {
    let Request {
        limit,
        cursor,
        event,
        message,
        kind,
        state,
        from,
        to,
    } = request;
    let mut fields = Fields::default();
    let filters = [event, message, kind, state, from, to].into_iter();
    let list = filters.fold(List::new("deliveries").of(instance), |list, filter| {
        list.filter(filter.as_deref())
    });
    let page = PageQuery::new(limit.clone(), cursor.clone()).check(&mut fields, list);
    let from = from.as_deref().map(|text| time(&mut fields, "from", text));
    let to = to.as_deref().map(|text| time(&mut fields, "to", text));
    let wanted = Wanted {
        event: event.as_deref().and_then(|text| fields.parse("event", text)),
        message: message.as_deref().and_then(|text| fields.parse("message", text)),
        filter: Filter {
            state: state.as_deref().and_then(|text| fields.parse("state", text)),
            kind: kind.as_deref().and_then(|text| fields.parse("type", text)),
        },
        window: Window {
            from: whole_milliseconds(from.flatten().unwrap_or(now - TERM).max(now - TERM)),
            to: whole_milliseconds(to.flatten().unwrap_or(now + TimeDelta::minutes(5))),
        },
    };
    fields.finish()?;
    Ok((wanted, page))
}
