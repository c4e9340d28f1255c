//! `POST /api/messages/bulk`: up to a hundred messages in one request, each with its own result.
//!
//! Each message goes through the endpoint of its kind, with all rules of that, as a request of its own would; so there is
//! no second list of kinds. Messages of one chat are accepted one after the other, in their order. Chats go side by side.
//!
//! With an idempotency key each message has a key of its own, made of that and its place. So a repetition goes on where
//! the request before it stopped: what was accepted is answered, and the rest is accepted under the ids that it had.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderValue, Method, header};
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::message::Kind;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use shared::storage::idempotency::Asked;
use tokio::time::Instant;
use tower::ServiceExt as _;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, Array, ArrayBuilder, ObjectBuilder, Schema, Type};

use super::kinds;
use super::sending::{Admitted, Sender};
use super::view::AcceptedView;
use crate::endpoint::{self, Endpoint};
use crate::http::{ApiError, DocsAt, JsonBody, Replayable, Reply, RequestContext, envelope, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::{self, IdempotencyKey};
use crate::openapi::Tag;

/// What the paths of the kinds begin with.
const PREFIX: &str = "/api/messages/";

/// The kinds, by the last parts of their paths.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let operations = kinds::endpoints().into_iter().map(Endpoint::into_operation);
    operations
        .filter_map(|operation| operation.path().strip_prefix(PREFIX))
        .filter(|name| !name.contains(['/', '{']) && *name != STATUS)
        .collect()
});

/// The one kind that cannot be among several messages: its body has a `kind` of its own, which says what it shows, and the message's
/// `kind` is in its place.
const STATUS: &str = Kind::Status.as_str();

/// The most messages of a request.
const MOST: usize = 100;

/// How many chats are written to at once.
const CHATS_AT_ONCE: usize = 16;

/// How long messages are begun with: what is left then is answered as something to try again. API Gateway ends a request
/// after 30 s, and a message that was begun may take some seconds.
const TIME: Duration = Duration::from_secs(15);

/// The number of the form in which a body stands for what a request asks.
const FORM: u32 = 1;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkRequest)]
pub struct Request {
    #[schema(schema_with = messages_schema)]
    messages: Vec<Map<String, Value>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BulkResults)]
pub struct Response {
    /// How many were accepted.
    #[schema(example = 1)]
    accepted: usize,
    /// How many were refused.
    #[schema(example = 0)]
    refused: usize,
    /// One for each message, in the order of the request.
    results: Vec<Outcome>,
}

/// What became of one message.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkResult, example = json!({
    "index": 0,
    "message": {
        "id": "msg_01JD0000000000000000000000",
        "status": "queued",
        "to": {"phone": "15550100001", "lid": null, "group": null},
        "kind": "text",
        "createdAt": "2026-01-01T10:00:00.000Z",
    },
    "error": null,
}))]
struct Outcome {
    /// Its place in the request, from 0.
    #[schema(example = 0)]
    index: usize,
    /// The message, where it was accepted.
    #[schema(value_type = Option<AcceptedView>)]
    message: Option<Value>,
    /// Why it was not accepted, where it was not: as the endpoint of its kind would answer.
    #[schema(value_type = Option<Refusal>)]
    error: Option<Value>,
}

/// Why a message was not accepted.
#[derive(ToSchema)]
#[schema(as = BulkRefusal, rename_all = "camelCase")]
#[expect(dead_code, reason = "it tells the document what the values of errors are")]
struct Refusal {
    /// One of those of the endpoint of its kind.
    #[schema(example = "VALIDATION_ERROR")]
    code: String,
    #[schema(example = "`to` is missing")]
    message: String,
    /// Where the code is explained.
    #[schema(example = "https://api.example.com/docs/errors/VALIDATION_ERROR")]
    doc_url: String,
    #[schema(value_type = Option<Object>)]
    details: Option<Value>,
    /// The seconds after which this message may be accepted; `null` where time does not help.
    retry_after: Option<u32>,
}

fn messages_schema() -> Array {
    let kind = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!(
            "The last part of the path that the message would go to by itself: {}",
            NAMES.join(", ")
        )))
        .examples(["text"]);
    let message = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("kind", kind)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
        .description(Some(
            "`kind`, and beside it what the endpoint of that kind takes as its body",
        ))
        .examples([json!({"kind": "text", "to": "15550100001", "text": "Hello from Waxwing"})]);
    ArrayBuilder::new()
        .items(message)
        .min_items(Some(1))
        .max_items(Some(MOST))
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    let (of_kinds, _) = endpoint::routes(kinds::endpoints());
    let handler = move |state, sender, key, body| handler(state, sender, key, body, of_kinds.clone());
    Endpoint::new(Method::POST, "/api/messages/bulk", "sendBulk", handler)
        .about(Tag::Messages, "Sends up to a hundred messages")
        .details(
            "Each message has its own result, in the order of the request, and none is in the way of another. Those of \
             one chat are sent in their order. With an `Idempotency-Key` the same request goes on where the first one \
             stopped: nothing is sent twice. A status is none of them: its own `kind` says what it shows, and it is sent by itself.",
        )
}

pub async fn handler(
    State(state): State<MessagingState>,
    sender: Sender,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody { value, bytes }: JsonBody<Request>,
    of_kinds: Router<MessagingState>,
) -> Result<Replayable<Response>, ApiError> {
    let Request { messages } = value;
    if !(1..=MOST).contains(&messages.len()) {
        return Err(ApiError::field(
            "messages",
            format!("must have 1 to {MOST} messages"),
        ));
    }
    let now = state.clock.now();
    let is_replay = match &key {
        Some(key) => claim(&state, &sender, key, &bytes, &messages, now).await?,
        None => false,
    };
    let bulk = Bulk {
        of_kinds: of_kinds.with_state(state.clone()),
        sender,
        key,
        until: Instant::now() + TIME,
    };
    let chats = bulk.by_chat(&state, messages, now).await;
    let results = stream::iter(chats)
        .map(|messages| bulk.send_all(messages))
        .buffer_unordered(CHATS_AT_ONCE);
    let mut results: Vec<Outcome> = results.flat_map(stream::iter).collect().await;
    results.sort_by_key(|outcome| outcome.index);
    let accepted = results.iter().filter(|outcome| outcome.message.is_some()).count();
    let reply = Reply::ok(Response {
        accepted,
        refused: results.len() - accepted,
        results,
    });
    Ok(Replayable { reply, is_replay })
}

/// Claims the request's own key, by which another request under it is told from a repetition. Answers whether the request
/// came before.
async fn claim(
    state: &MessagingState,
    sender: &Sender,
    key: &str,
    bytes: &[u8],
    messages: &[Map<String, Value>],
    now: DateTime<Utc>,
) -> Result<bool, ApiError> {
    let bytes = [b"bulk\n", bytes].concat();
    // Members are sorted, and numbers read: neither order nor white space matters.
    let meaning = serde_json::to_vec(&json!({"bulk": messages}))
        .map_err(|error| ApiError::internal().caused_by(error))?;
    let asked = Asked {
        bytes: &bytes,
        meaning: &meaning,
        form: FORM,
        by_meaning: false,
    };
    let offered = MessageId::new(now);
    let (keys, instance) = (&state.idempotency, sender.grant.instance);
    let claimed = idempotency::claim(keys, instance, key, asked, offered, now).await?;
    Ok(!claimed.is_first())
}

/// A message of the request: its place there, and its members.
type Placed = (usize, Map<String, Value>);

/// What the messages of a request have in common.
struct Bulk {
    of_kinds: Router,
    sender: Sender,
    key: Option<String>,
    until: Instant,
}

impl Bulk {
    /// The messages of each chat, in their order. What names no chat stands by itself, and is refused by its endpoint.
    async fn by_chat(
        &self,
        state: &MessagingState,
        messages: Vec<Map<String, Value>>,
        now: DateTime<Utc>,
    ) -> Vec<Vec<Placed>> {
        let mut chats: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
        for (index, message) in messages.into_iter().enumerate() {
            let to = message.get("to").and_then(Value::as_str);
            let chat = match to.map(str::parse::<Recipient>) {
                // However the person is named. Where the table does not answer the endpoint says so.
                Some(Ok(to)) => match state.people.get(self.sender.grant.instance, &to, now).await {
                    Ok(known) => known.chat.to_jid(),
                    Err(_) => to.to_jid(),
                },
                _ => format!("none {index}"),
            };
            chats.entry(chat).or_default().push((index, message));
        }
        chats.into_values().collect()
    }

    async fn send_all(&self, messages: Vec<Placed>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(messages.len());
        for (index, message) in messages {
            let told = if Instant::now() < self.until {
                Box::pin(self.send(index, message)).await
            } else {
                Err(ApiError::unavailable(1))
            };
            let (message, error) = match told {
                Ok(message) => (Some(message), None),
                Err(error) => (None, Some(refusal(&error))),
            };
            outcomes.push(Outcome {
                index,
                message,
                error,
            });
        }
        outcomes
    }

    /// Hands one message to the endpoint of its kind.
    async fn send(&self, index: usize, mut message: Map<String, Value>) -> Result<Value, ApiError> {
        let kind = message.remove("kind");
        let Some(kind) = kind else {
            return Err(ApiError::field("kind", "is missing"));
        };
        if kind == STATUS {
            let message = format!(
                "must not be `{STATUS}`: the `kind` of a status says what it shows, so it is sent by itself, with `POST {PREFIX}{STATUS}`"
            );
            return Err(ApiError::field("kind", message));
        }
        let Some(kind) = NAMES.iter().find(|name| kind == **name) else {
            let message = format!("must be one of {}", NAMES.join(", "));
            return Err(ApiError::field("kind", message));
        };
        let body = Value::Object(message).to_string();
        let mut request = HttpRequest::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{PREFIX}{kind}")
            .parse()
            .map_err(|error: axum::http::uri::InvalidUri| ApiError::internal().caused_by(error))?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request.extensions_mut().insert(Admitted {
            sender: self.sender.clone(),
            // No caller's own key has a line break.
            idempotency_key: self.key.as_ref().map(|key| format!("{key}\n{index}")),
        });
        let Ok(response) = self.of_kinds.clone().oneshot(request).await;
        envelope::told(response)
    }
}

/// What is told of a message that was not accepted.
fn refusal(error: &ApiError) -> Value {
    if error.code().status().is_server_error() {
        log::went_wrong(error, "a message of several was not accepted");
    }
    let context = RequestContext::current();
    let mut told = error.told(&context.map_or_else(DocsAt::local, |context| context.docs().clone()));
    if told.get("details").is_none() {
        told["details"] = Value::Null;
    }
    told["retryAfter"] = json!(error.retries_after());
    told
}
