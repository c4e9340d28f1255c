//! Sends that name nobody whom they go to: a status goes to whoever may see it, and what is said about a message goes where that
//! is. They have who may send and the idempotency key as every send, and of the options those that are about no chat.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::domain::message::MessageRecord;
use shared::ids::MessageId;
use shared::reach::Reach;
use utoipa::ToSchema;

use super::about::{self, Saying};
use super::members::{self, Members};
use super::options::{GivenOptions, Options, reference_schema};
use super::sending::{Sender, describe_file};
use crate::endpoint::{Argument, Gate};
use crate::http::{ApiError, Fields, JsonBody, Path, Timestamp};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::IdempotencyKey;
use crate::openapi::Operation;

/// A request of a caller who may send. `Own` is what it has for itself, `Common` which of the options it has, and `About` which
/// message it is about.
pub struct Unaddressed<Own, Common, About = Nothing> {
    state: MessagingState,
    caller: Sender,
    about: About,
    idempotency_key: Option<String>,
    members: Members<Own, Common>,
    bytes: Bytes,
    file: Option<Bytes>,
}

/// The options of what is sent at once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AtOnce {
    /// Until when it is worth sending: 3 days at most, 24 hours where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = reference_schema)]
    reference: Option<String>,
}

/// The options of what may be sent later.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OrLater {
    /// When it is to be shown: within 30 days. At once where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    scheduled_at: Option<String>,
    /// Until when it is worth sending: 3 days after it is due at most, 24 hours where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = reference_schema)]
    reference: Option<String>,
}

impl From<AtOnce> for GivenOptions {
    fn from(given: AtOnce) -> Self {
        Self::without_chat(None, given.expires_at, given.reference)
    }
}

impl From<OrLater> for GivenOptions {
    fn from(given: OrLater) -> Self {
        Self::without_chat(given.scheduled_at, given.expires_at, given.reference)
    }
}

/// A request that is about no other message.
pub struct Nothing;

impl FromRequestParts<MessagingState> for Nothing {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, _: &MessagingState) -> Result<Self, ApiError> {
        Ok(Self)
    }
}

impl Argument<MessagingState> for Nothing {
    fn describe(_: &mut Operation) {}
}

/// A request whose options are checked.
pub struct Checked<About, T> {
    /// What it works with.
    pub state: MessagingState,
    /// Who asks.
    pub caller: Sender,
    /// The message that it is about.
    pub about: About,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
    /// What became of its own members.
    pub own: T,
    /// Its options.
    pub options: Options,
    /// What tells it from another request.
    pub bytes: Bytes,
    /// When it was asked.
    pub now: DateTime<Utc>,
}

impl<Own, Common: Into<GivenOptions>, About> Unaddressed<Own, Common, About> {
    /// Its own members.
    pub fn own(&self) -> &Own {
        &self.members.own
    }

    /// How far the URLs that callers name may reach.
    pub fn reach(&self) -> Reach {
        self.state.reach
    }

    /// Checks the own members with `check`, which notes faults, and the options; goes on where there is no fault.
    pub async fn check<T>(
        self,
        check: impl FnOnce(Own, Option<Bytes>, &mut Fields) -> T,
    ) -> Result<Checked<About, T>, ApiError> {
        let Self {
            state,
            caller,
            about,
            idempotency_key,
            members: Members { own, common },
            bytes,
            file,
        } = self;
        let (now, mut fields) = (state.clock.now(), Fields::default());
        let own = check(own, file, &mut fields);
        let given: GivenOptions = common.into();
        let key = idempotency_key.as_deref();
        let options = given
            .check_since_asked(&mut fields, &state, &caller.grant, key, now)
            .await?;
        fields.finish()?;
        Ok(Checked {
            state,
            caller,
            about,
            idempotency_key,
            own,
            options,
            bytes,
            now,
        })
    }
}

impl<T> Checked<Path<MessageId>, T> {
    /// The message that the request is about.
    pub async fn record(&self) -> Result<MessageRecord, ApiError> {
        about::find(&self.state, &self.caller, self.about.0, self.now).await
    }

    /// What is to be said about it.
    pub fn saying<'a>(&'a self, record: &'a MessageRecord) -> Saying<'a> {
        Saying {
            state: &self.state,
            caller: &self.caller,
            record,
            idempotency_key: self.idempotency_key.clone(),
            now: self.now,
        }
    }
}

impl<Own, Common, About> FromRequest<MessagingState> for Unaddressed<Own, Common, About>
where
    Own: DeserializeOwned + ToSchema + 'static,
    Common: DeserializeOwned + ToSchema + 'static,
    About: FromRequestParts<MessagingState, Rejection = ApiError> + Send,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &MessagingState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let caller = Sender::from_request_parts(&mut parts, state).await?;
        let about = About::from_request_parts(&mut parts, state).await?;
        let IdempotencyKey(idempotency_key) = IdempotencyKey::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let come = members::read::<Own, Members<Own, Common>>(request, state).await?;
        Ok(Self {
            state: state.clone(),
            caller,
            about,
            idempotency_key,
            members: come.body,
            bytes: come.bytes,
            file: come.file,
        })
    }
}

impl<Own, Common, About> Argument<MessagingState> for Unaddressed<Own, Common, About>
where
    Own: DeserializeOwned + ToSchema,
    Common: ToSchema,
    About: Argument<MessagingState>,
{
    fn describe(operation: &mut Operation) {
        <State<MessagingState> as Argument<MessagingState>>::describe(operation);
        <Sender as Argument<MessagingState>>::describe(operation);
        About::describe(operation);
        <IdempotencyKey as Argument<MessagingState>>::describe(operation);
        <JsonBody<Members<Own, Common>> as Argument<MessagingState>>::describe(operation);
        describe_file::<Own>(operation);
    }

    fn gate() -> Option<Gate<MessagingState>> {
        <Sender as Argument<MessagingState>>::gate()
    }
}
