//! The body of a send: the members of its kind beside those that other kinds have too. One type for both would name each common
//! member in each kind.

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::form;
use crate::http::{ApiError, JsonBody, is_form, knows};
use crate::messaging::MessagingState;

/// What a kind has for itself, and what it has in common with others.
pub struct Members<Own, Common> {
    /// The kind's own members.
    pub own: Own,
    /// The others.
    pub common: Common,
}

impl<Own: DeserializeOwned, Common: DeserializeOwned> Members<Own, Common> {
    /// Reads the members of a body.
    pub fn of(members: Map<String, Value>) -> serde_json::Result<Self> {
        let (common, own): (Map<_, _>, Map<_, _>) =
            members.into_iter().partition(|(name, _)| knows::<Common>(name));
        Ok(Self {
            // What is unknown is told before what is missing.
            own: serde_json::from_value(Value::Object(own))?,
            common: serde_json::from_value(Value::Object(common))?,
        })
    }
}

/// By hand, since serde refuses no unknown member of a type that is in pieces.
impl<'de, Own: DeserializeOwned, Common: DeserializeOwned> Deserialize<'de> for Members<Own, Common> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<Own: ToSchema, Common: ToSchema> PartialSchema for Members<Own, Common> {
    fn schema() -> RefOr<Schema> {
        let (own, common) = (object::<Own>(), object::<Common>());
        let mut body = ObjectBuilder::new()
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
            .build();
        body.properties.extend(own.properties);
        body.properties.extend(common.properties);
        body.required.extend(own.required);
        body.required.extend(common.required);
        body.example = own.example;
        body.into()
    }
}

impl<Own: ToSchema, Common: ToSchema> ToSchema for Members<Own, Common> {
    /// The one of the kind's own members, after which the endpoint calls it.
    fn name() -> std::borrow::Cow<'static, str> {
        Own::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Own::schemas(schemas);
        Common::schemas(schemas);
    }
}

/// A body that has come.
pub struct Come<T> {
    /// What it says.
    pub body: T,
    /// What tells it from another request's.
    pub bytes: Bytes,
    /// The file of a form.
    pub file: Option<Bytes>,
}

/// Reads a body: JSON, or a form where the members of its kind name a file.
pub async fn read<Own, T>(request: Request, state: &MessagingState) -> Result<Come<T>, ApiError>
where
    Own: DeserializeOwned,
    T: DeserializeOwned + ToSchema + 'static,
{
    let (json, file) = if has_file::<Own>() && is_form(request.headers()) {
        let (json, file) = form::read::<T>(request).await?;
        (JsonBody::parse(json)?, file)
    } else {
        (JsonBody::from_request(request, state).await?, None)
    };
    let JsonBody { value, bytes } = json;
    Ok(Come {
        body: value,
        bytes: form::asked(bytes, file.as_ref()),
        file,
    })
}

/// Whether a message of the kind with these members has a file.
pub fn has_file<Own: DeserializeOwned>() -> bool {
    knows::<Own>("base64")
}

/// The schema of a struct.
pub fn object<T: ToSchema>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        _ => ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .build(),
    }
}
