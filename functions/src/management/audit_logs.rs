//! `GET /api/audit-logs`: who did what, newest first, in the caller's subscription or, for an administrator, in all.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::extract::State;
use axum::http::Method;
use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use shared::domain::account::Role;
use shared::domain::audit::{Action, Listed, Outcome, TERM};
use shared::ids::{AuditId, SubscriptionId};
use shared::storage::StorageError;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{
    ApiError, Code, Date, Fields, List, Listing, Page, PageCursor, PageLimit, PageQuery, Query, Record,
    Reply, Timestamp, Trail,
};
use crate::management::ManagementState;
use crate::openapi::Tag;

/// Most reads of one request. Where they end before the page is full, its `nextCursor`
/// leads on from there.
const MAX_READS: u32 = 31;

/// Entries of one read.
const READ: u32 = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[schema(value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[schema(value_type = Option<PageCursor>)]
    cursor: Option<String>,
    #[schema(value_type = Option<Date>)]
    from: Option<String>,
    #[schema(value_type = Option<Date>)]
    to: Option<String>,
    #[schema(value_type = Option<Action>)]
    action: Option<String>,
    #[schema(value_type = Option<Outcome>)]
    outcome: Option<String>,
    actor: Option<String>,
    #[schema(value_type = Option<SubscriptionId>)]
    subscription_id: Option<String>,
}

/// One entry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct Response {
    id: AuditId,
    at: Timestamp,
    // While versions are mixed there may be texts of a newer one.
    #[schema(value_type = Action)]
    action: String,
    #[schema(value_type = Outcome)]
    outcome: String,
    /// The id of a user or an API key, or `anonymous` or `system`.
    #[schema(example = "user_01JD0000000000000000000000")]
    actor: String,
    #[schema(example = "inst_01JD0000000000000000000000")]
    target: Option<String>,
    subscription_id: Option<SubscriptionId>,
    #[schema(value_type = Option<String>, example = "203.0.113.7")]
    source_address: Option<IpAddr>,
    #[schema(example = "req_01JD0000000000000000000000")]
    request_id: Option<String>,
    #[schema(example = json!({"fields": "name"}))]
    details: BTreeMap<String, String>,
}

const PATH: &str = "/api/audit-logs";

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, PATH, "listAuditLogs", handler)
        .about(Tag::Audit, "Lists who did what, newest first")
        .details("Of the own subscription; an administrator sees all of them and may name one. A page may have fewer entries than `limit` while there are more to come.")
        .errors(&[Code::NotFound])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Query(request): Query<Request>,
) -> Result<Listing<Response>, ApiError> {
    let parsed = parse(&request, &caller, state.clock.now().date_naive());
    if let Err(refused) = &parsed
        && refused.code() == Code::NotFound
    {
        let record = Record::by(&caller.user, Action::AccessDenied).outcome(Outcome::Denied);
        let record = record.detail("method", Method::GET).detail("route", PATH);
        trail.record(&state, record).await;
    }
    let (walk, page) = parsed?;
    let (mut found, stopped_at) = walk.run(&state, &page).await?;
    let shown = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let is_full = found.len() > shown;
    found.truncate(shown);
    let last = found.last().map(|entry| entry.id).filter(|_| is_full);
    let next = last.or(stopped_at);
    let views = found.into_iter().map(Response::from).collect();
    Ok(Reply::ok(views).page(page.pagination(next.is_some(), next)))
}

/// Which entries are wanted.
struct Walk {
    subscription: Option<SubscriptionId>,
    from: NaiveDate,
    to: NaiveDate,
    action: Option<Action>,
    outcome: Option<Outcome>,
    actor: Option<String>,
}

/// What is asked for: which entries, and which page of them.
fn parse(
    request: &Request,
    caller: &UserCaller,
    today: NaiveDate,
) -> Result<(Walk, Page<AuditId>), ApiError> {
    let mut fields = Fields::default();
    let mut date = |name, text: &Option<String>| fields.date(name, text.as_deref()?);
    let (from, to) = (date("from", &request.from), date("to", &request.to));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        fields.fault("from", "must not be after `to`");
    }
    let action = request
        .action
        .as_deref()
        .and_then(|text| fields.parse("action", text));
    let outcome = request
        .outcome
        .as_deref()
        .and_then(|text| fields.parse("outcome", text));
    let named = request
        .subscription_id
        .as_deref()
        .and_then(|text| fields.parse::<SubscriptionId>("subscriptionId", text));
    let own = caller.subscription.id;
    let subscription = match caller.user.role {
        Role::Administrator => named,
        Role::User => Some(named.unwrap_or(own)),
    };
    let whose = subscription.map(|id| id.to_string());
    let list = [
        &whose,
        &request.from,
        &request.to,
        &request.action,
        &request.outcome,
        &request.actor,
    ]
    .into_iter()
    .fold(List::new("audit"), |list, filter| list.filter(filter.as_deref()));
    let page = PageQuery::new(request.limit.clone(), request.cursor.clone()).check(&mut fields, list);
    fields.finish()?;
    if caller.user.role == Role::User && subscription != Some(own) {
        return Err(ApiError::not_found("subscription"));
    }
    // Older entries are gone, or about to be, and a subscription has none from before it was made.
    let kept = today - TimeDelta::days(TERM.num_days());
    let oldest = subscription.map_or(kept, |id| kept.max(id.created_at().date_naive()));
    let walk = Walk {
        subscription,
        from: from.unwrap_or(oldest).max(oldest),
        to: to.unwrap_or(today).min(today),
        action,
        outcome,
        actor: request.actor.clone(),
    };
    Ok((walk, page))
}

impl Walk {
    /// Up to one entry more than the page shows, and where the walk stopped if it has more
    /// days to go.
    async fn run(
        &self,
        state: &ManagementState,
        page: &Page<AuditId>,
    ) -> Result<(Vec<Listed>, Option<AuditId>), ApiError> {
        let mut found = Vec::new();
        let mut before = page.after;
        let mut day = match before.map(|id| id.created_at().date_naive()) {
            // Entries that came after the first page belong to none of its pages.
            Some(day) => day.min(self.to),
            None => self.to,
        };
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        for _ in 0..MAX_READS {
            if day < self.from {
                return Ok((found, None));
            }
            let entries = self.read(state, day, before).await?;
            if entries.len() < usize::try_from(READ).unwrap_or(usize::MAX) {
                before = Some(end_of_day_before(day));
                day -= TimeDelta::days(1);
            } else {
                before = entries.last().map(|entry| entry.id);
            }
            found.extend(entries.into_iter().filter(|entry| self.takes(entry)));
            if found.len() > wanted {
                return Ok((found, before));
            }
        }
        Ok((found, before.filter(|_| day >= self.from)))
    }

    async fn read(
        &self,
        state: &ManagementState,
        day: NaiveDate,
        before: Option<AuditId>,
    ) -> Result<Vec<Listed>, StorageError> {
        match self.subscription {
            Some(subscription) => state.audit.list_day_of(subscription, day, before, READ).await,
            None => state.audit.list_day(day, before, READ).await,
        }
    }

    fn takes(&self, entry: &Listed) -> bool {
        self.action.is_none_or(|action| action.as_str() == entry.action)
            && self
                .outcome
                .is_none_or(|outcome| outcome.as_str() == entry.outcome)
            && self.actor.as_ref().is_none_or(|actor| *actor == entry.actor)
    }
}

/// An id after all those of the day before this one.
fn end_of_day_before(day: NaiveDate) -> AuditId {
    let begin = day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
    let last = u128::try_from(begin - 1).unwrap_or(0);
    AuditId::from_bytes(((last << 80) | (u128::MAX >> 48)).to_be_bytes())
}

impl From<Listed> for Response {
    fn from(entry: Listed) -> Self {
        Self {
            id: entry.id,
            at: entry.at.into(),
            action: entry.action,
            outcome: entry.outcome,
            actor: entry.actor,
            target: entry.target,
            subscription_id: entry.subscription,
            source_address: entry.source,
            request_id: entry.request,
            details: entry.details,
        }
    }
}
