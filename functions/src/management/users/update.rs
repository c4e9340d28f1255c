//! `PATCH /api/users/{user}`: another name, role, active flag or subscription. What is not
//! there stays. Another active flag or subscription ends the user's sessions.

use axum::extract::State;
use axum::http::Method;
use serde::Deserialize;
use shared::domain::account::{PersonName, Role};
use shared::domain::audit::Action;
use shared::ids::{SubscriptionId, UserId};
use shared::storage::accounts::{Aftermath, UserChange, UserChanged};
use utoipa::ToSchema;

use super::find::find;
use crate::aftermath;
use crate::auth::view::UserView;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Code, Fields, JsonBody, Path, Record, Reply, Trail};
use crate::management::ManagementState;
use crate::management::people;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[schema(value_type = PersonName, required = false)]
    name: Option<String>,
    #[schema(value_type = Role, required = false)]
    role: Option<String>,
    #[schema(value_type = bool, required = false)]
    active: Option<bool>,
    #[schema(value_type = SubscriptionId, required = false)]
    subscription_id: Option<String>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::PATCH, "/api/users/{user}", "updateUser", handler)
        .about(Tag::Administration, "Changes name, role, active flag or subscription of a user")
        .details("A member that is not there stays as it is. Another active flag or subscription ends the user's sessions.")
        .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    Administrator(caller): Administrator,
    trail: Trail,
    Path(id): Path<UserId>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<UserView>, ApiError> {
    let change = parse(&request)?;
    let user = find(&state, id).await?;
    let changed = state
        .accounts
        .update_user(user.subscription, user.id, &change)
        .await?;
    let (user, left) = match changed {
        UserChanged::Done { user, left } => (user, left),
        UserChanged::Gone => return Err(ApiError::not_found("user")),
        UserChanged::LastAdministrator => return Err(people::last_administrator()),
        UserChanged::HasInstances => return Err(people::has_instances()),
        UserChanged::NoSubscription => {
            return Err(ApiError::field("subscriptionId", "names no subscription"));
        }
    };
    trail
        .record(
            &state,
            record(&change, Record::by(&caller.user, Action::UserUpdated))
                .of(user.subscription)
                .on(id),
        )
        .await;
    if let Some((subscription, aftermath)) = left {
        if aftermath == Aftermath::Deleted {
            state.counters.forget(subscription).await?;
        }
        aftermath::record(&state, &trail, &caller.user, subscription, aftermath).await;
    }
    Ok(Reply::ok(user.into()))
}

fn parse(request: &Request) -> Result<UserChange, ApiError> {
    let mut fields = Fields::default();
    let mut change = UserChange {
        active: request.active,
        ..UserChange::default()
    };
    if let Some(text) = &request.name {
        change.name = fields.parse::<PersonName>("name", text);
    }
    if let Some(text) = &request.role {
        change.role = fields.parse::<Role>("role", text);
    }
    if let Some(text) = &request.subscription_id {
        change.subscription = fields.parse::<SubscriptionId>("subscriptionId", text);
    }
    fields.finish()?;
    Ok(change)
}

/// Adds what was asked for to the record; of a name, only that it was.
fn record(change: &UserChange, mut record: Record) -> Record {
    if change.name.is_some() {
        record = record.detail("name", "changed");
    }
    if let Some(role) = change.role {
        record = record.detail("role", role);
    }
    if let Some(active) = change.active {
        record = record.detail("active", active);
    }
    if let Some(subscription) = change.subscription {
        record = record.detail("subscription", subscription);
    }
    record
}
