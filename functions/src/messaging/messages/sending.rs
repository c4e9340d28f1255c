//! What every send has in common: who may send, the idempotency key, whom to, and the common options. The endpoint of a kind
//! takes a [`Sending`] of its own members, and says what content they are.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use shared::domain::content::Said;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::reach::Reach;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::accept::{self, Accepted, Outgoing, accept, accepted_before, asked_at};
use super::files;
use super::members::{self, Members, object};
use super::options::GivenOptions;
use crate::endpoint::{Argument, Described, Endpoint, Gate};
use crate::http::caller::permission::{self, WithInstance};
use crate::http::caller::{KeyCaller, KeyHolder};
use crate::http::{ApiError, Code, Fields, JsonBody};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::IdempotencyKey;
use crate::openapi::{Operation, Tag};

/// Who may send.
pub type Sender = KeyCaller<WithInstance<permission::MessagesSend>>;

/// In the extensions of a request that is one of several messages of another request: the caller is known already, and
/// counted.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who sends.
    pub sender: Sender,
    /// The message's own idempotency key.
    pub idempotency_key: Option<String>,
}

/// A request to send something, of a caller who may. `Own` is what the kind of message has for itself.
pub struct Sending<Own> {
    state: MessagingState,
    caller: Sender,
    idempotency_key: Option<String>,
    body: Body<Own>,
    bytes: Bytes,
    file: Option<Bytes>,
}

/// What a message is asked with whose content is to be looked for.
pub struct Asked<'a> {
    /// What it works with.
    pub state: &'a MessagingState,
    /// Who asks.
    pub caller: &'a KeyHolder,
    /// When it was asked.
    pub now: DateTime<Utc>,
}

/// The endpoint that sends one kind of message.
pub fn endpoint<H, A, T>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    handler: H,
) -> Endpoint<MessagingState>
where
    H: Described<A, MessagingState> + Handler<T, MessagingState>,
    T: 'static,
{
    Endpoint::new(Method::POST, path, id, handler)
        .about(Tag::Messages, summary)
        .details("`202` is a promise: the message is stored durably, and sent in the order of its chat.")
        .status(StatusCode::ACCEPTED)
        .errors(&accept::ERRORS)
        .errors(&[Code::Conflict, Code::RecipientNotOnWhatsapp])
}

impl<Own> Sending<Own> {
    /// The kind's own members.
    pub fn own(&self) -> &Own {
        &self.body.members.own
    }

    /// The same, to be changed.
    pub fn own_mut(&mut self) -> &mut Own {
        &mut self.body.members.own
    }

    /// How far the URLs that callers name may reach.
    pub fn reach(&self) -> Reach {
        self.state.reach
    }

    /// The file of a form.
    pub fn take_file(&mut self) -> Option<Bytes> {
        self.file.take()
    }

    /// Accepts the message. `content` turns the kind's fields into content, or into what is [`Said`] where a kind has members
    /// that stand beside its content, and reports faults; with faults its result is not used.
    pub async fn accept<S: Into<Said>>(
        self,
        content: fn(Own, &mut Fields) -> S,
    ) -> Result<Accepted, ApiError> {
        let said = async |_: &Asked<'_>, own, fields: &mut Fields| Ok(Some(content(own, fields).into()));
        self.accept_found(said).await
    }

    /// Accepts a message whose content is to be looked for. `find` answers none where it has reported faults. Where it refuses, and
    /// the same was asked and accepted before, that is answered again.
    pub async fn accept_found(
        self,
        find: impl AsyncFnOnce(&Asked<'_>, Own, &mut Fields) -> Result<Option<Said>, ApiError>,
    ) -> Result<Accepted, ApiError> {
        let Self {
            state,
            caller,
            idempotency_key,
            body:
                Body {
                    to,
                    members: Members { own, common: options },
                },
            bytes,
            file: _,
        } = self;
        let now = state.clock.now();
        let mut fields = Fields::default();
        let to = fields.parse::<Recipient>("to", &to);
        let asked = Asked {
            state: &state,
            caller: &caller,
            now,
        };
        let unless_accepted = async |refusal: ApiError| {
            let (instance, key) = (caller.grant.instance, idempotency_key.as_deref());
            let before = accepted_before(&state, instance, key, &bytes, now).await?;
            before.ok_or(refusal)
        };
        let said = match Box::pin(find(&asked, own, &mut fields)).await {
            Ok(said) => said,
            Err(refusal) => return unless_accepted(refusal).await,
        };
        let asked_at = asked_at(&state, &caller.grant, idempotency_key.as_deref(), &options, now).await?;
        let options = options.check(&mut fields, asked_at);
        let mut quoted = None;
        if let (Some(to), Some(reply)) = (&to, &options.reply_to) {
            // Most messages quote none, and none of them takes room for it.
            quoted = match Box::pin(reply.find(&state, &caller, to, now, &mut fields)).await {
                Ok(quoted) => quoted,
                Err(refusal) => return unless_accepted(refusal).await,
            };
        }
        fields.finish()?;
        let (Some(to), Some(mut said)) = (to, said) else {
            return Err(fields.error());
        };
        said.context.quoted = quoted.map(Box::new);
        said.context.mentions = options.mentions.iter().map(Person::of).collect();
        let outgoing = Outgoing {
            to,
            known: None,
            said,
            options,
            idempotency_key,
            body: bytes,
            revokes: None,
        };
        Box::pin(accept(&state, &caller, outgoing, now)).await
    }
}

impl<Own: DeserializeOwned + ToSchema + 'static> FromRequest<MessagingState> for Sending<Own> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &MessagingState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let admitted = match parts.extensions.remove::<Admitted>() {
            Some(admitted) => admitted,
            None => Admitted::from_request_parts(&mut parts, state).await?,
        };
        let Admitted {
            sender: caller,
            idempotency_key,
        } = admitted;
        let request = Request::from_parts(parts, body);
        let come = members::read::<Own, Body<Own>>(request, state).await?;
        Ok(Self {
            state: state.clone(),
            caller,
            idempotency_key,
            body: come.body,
            bytes: come.bytes,
            file: come.file,
        })
    }
}

impl FromRequestParts<MessagingState> for Admitted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &MessagingState) -> Result<Self, ApiError> {
        let sender = Sender::from_request_parts(parts, state).await?;
        let IdempotencyKey(idempotency_key) = IdempotencyKey::from_request_parts(parts, state).await?;
        Ok(Self {
            sender,
            idempotency_key,
        })
    }
}

impl<Own: DeserializeOwned + ToSchema> Argument<MessagingState> for Sending<Own> {
    fn describe(operation: &mut Operation) {
        <State<MessagingState> as Argument<MessagingState>>::describe(operation);
        <Sender as Argument<MessagingState>>::describe(operation);
        <IdempotencyKey as Argument<MessagingState>>::describe(operation);
        <JsonBody<Body<Own>> as Argument<MessagingState>>::describe(operation);
        describe_file::<Own>(operation);
    }

    fn gate() -> Option<Gate<MessagingState>> {
        <Sender as Argument<MessagingState>>::gate()
    }
}

/// Adds what a send with a file may answer beside what every send may.
pub fn describe_file<Own: DeserializeOwned>(operation: &mut Operation) {
    if members::has_file::<Own>() {
        operation.codes.extend(files::ERRORS);
    }
}

/// The body of a send: whom to, and the members of its kind beside the common options.
struct Body<Own> {
    to: String,
    members: Members<Own, GivenOptions>,
}

impl<'de, Own: DeserializeOwned> Deserialize<'de> for Body<Own> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::<String, Value>::deserialize(deserializer)?;
        let to = members.remove("to").unwrap_or_default();
        Ok(Self {
            members: Members::of(members).map_err(D::Error::custom)?,
            to: serde_json::from_value(to).map_err(D::Error::custom)?,
        })
    }
}

impl<Own: ToSchema> PartialSchema for Body<Own> {
    fn schema() -> RefOr<Schema> {
        let members = object::<Members<Own, GivenOptions>>();
        let mut example = json!({"to": "15550100001", "reference": "order-4711"});
        if let (Some(known), Some(Value::Object(more))) = (example.as_object_mut(), members.example) {
            known.extend(more);
        }
        let to = Ref::from_schema_name(Recipient::name());
        let mut body = ObjectBuilder::new()
            .property("to", to)
            .required("to")
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
            .build();
        body.properties.extend(members.properties);
        body.required.extend(members.required);
        body.example = Some(example);
        body.into()
    }
}

impl<Own: ToSchema> ToSchema for Body<Own> {
    /// The one of the kind's own members, after which the endpoint calls it.
    fn name() -> std::borrow::Cow<'static, str> {
        Own::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Recipient::name().into_owned(), Recipient::schema()));
        Members::<Own, GivenOptions>::schemas(schemas);
    }
}
