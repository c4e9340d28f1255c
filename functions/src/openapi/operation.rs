//! What is told of one endpoint. Most of it is read off the handler's own type ([`crate::endpoint`]): who may call it, what
//! it takes, what it answers, and the errors that come with each of these; the endpoint's file adds the rest.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::str::FromStr;

use axum::http::{Method, StatusCode};
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{Object, Ref, RefOr, Required};

use super::tag::Tag;
use crate::http::Code;

/// One endpoint of the document.
pub struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) tag: Tag,
    pub(crate) summary: &'static str,
    pub(crate) description: Vec<Cow<'static, str>>,
    pub(crate) caller: Caller,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) status: StatusCode,
    pub(crate) answer: Option<Answer>,
    /// Media types that are answered beside JSON, without the envelope.
    pub(crate) plain: Vec<&'static str>,
    pub(crate) codes: BTreeSet<Code>,
    /// Whether requests are counted against a limit that the answer's headers tell.
    pub(crate) is_counted: bool,
    /// Whether an answer may be an earlier one, by an idempotency key.
    pub(crate) is_replayed: bool,
    /// Whether it works with the stores.
    pub(crate) needs_stores: bool,
    /// Whether a text may name what the path's one parameter stands for.
    pub(crate) names: Option<fn(&str) -> bool>,
    /// Schemas that the others refer to.
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anyone.
    Anyone,
    /// A user with an access token, in a role that is named where one is needed.
    User(Option<&'static str>),
    /// A program with an API key that has this scope.
    Key(&'static str),
}

/// What a request carries.
pub struct Body {
    pub shape: Shape,
    pub is_required: bool,
}

/// What the envelope's `data` is.
pub struct Answer {
    pub shape: Shape,
    pub is_list: bool,
}

/// A type's schema and the name that it goes by.
pub struct Shape {
    pub name: Cow<'static, str>,
    pub schema: RefOr<Schema>,
}

impl Operation {
    /// One of this method and path. `id` is its name in clients that are generated.
    pub fn new(method: Method, path: &'static str, id: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            tag: Tag::Operations,
            summary: "",
            description: Vec::new(),
            caller: Caller::Anyone,
            parameters: Vec::new(),
            body: None,
            status: StatusCode::OK,
            answer: None,
            plain: Vec::new(),
            // Every handler may panic or take too long, and the intake refuses what a handler does not take.
            codes: BTreeSet::from([Code::Internal, Code::UpstreamTimeout, Code::ValidationError]),
            is_counted: false,
            is_replayed: false,
            needs_stores: false,
            names: None,
            schemas: Vec::new(),
        }
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its path, with the names of its parameters.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The schemas that its own refer to.
    pub fn into_schemas(self) -> Vec<(String, RefOr<Schema>)> {
        self.schemas
    }

    /// The group that it is shown in, and what it does, in a few words.
    #[must_use]
    pub fn about(self, tag: Tag, summary: &'static str) -> Self {
        Self { tag, summary, ..self }
    }

    /// More about it, in Markdown.
    #[must_use]
    pub fn details(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.description.push(text.into());
        self
    }

    /// The status of its success, where that is not 200.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Errors that the handler answers by itself, besides those of its arguments.
    #[must_use]
    pub fn errors(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// What the envelope carries, where the handler's type does not say it.
    #[must_use]
    pub fn answers<T: ToSchema>(mut self) -> Self {
        self.answer_with::<T>(false);
        self
    }

    /// A media type that it answers without the envelope.
    #[must_use]
    pub fn answers_plain(mut self, media_type: &'static str) -> Self {
        self.plain.push(media_type);
        self
    }

    pub(crate) fn answer_with<T: ToSchema>(&mut self, is_list: bool) {
        // What the API answers has all its members, `null` where there is no value.
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        for (_, schema) in &mut nested {
            require_all(schema);
        }
        self.schemas.append(&mut nested);
        let mut shape = Shape::of::<T>();
        require_all(&mut shape.schema);
        self.answer = Some(Answer { shape, is_list });
    }

    pub(crate) fn take_body<T: ToSchema>(&mut self, is_required: bool) {
        T::schemas(&mut self.schemas);
        let shape = Shape::of::<T>();
        self.body = Some(Body { shape, is_required });
    }

    pub(crate) fn called_by(&mut self, caller: Caller, codes: &[Code]) {
        self.caller = caller;
        self.is_counted = true;
        self.codes.extend(codes);
        self.codes.extend([
            Code::Unauthenticated,
            Code::SubscriptionInactive,
            Code::RateLimited,
            Code::Unavailable,
        ]);
    }

    /// Each member of `T` as a parameter of its own.
    pub(crate) fn parameters_of<T: ToSchema>(&mut self, place: &ParameterIn) {
        T::schemas(&mut self.schemas);
        let RefOr::T(Schema::Object(object)) = T::schema() else {
            unreachable!("parameters are the fields of a struct")
        };
        for (name, schema) in object.properties {
            let is_required = object.required.contains(&name);
            self.parameters
                .push(parameter(&name, place.clone(), schema, is_required));
        }
    }

    /// The path's one parameter, or its next one.
    pub(crate) fn path_parameter<T: ToSchema + FromStr>(&mut self) {
        let is_of_path = |parameter: &&Parameter| parameter.parameter_in == ParameterIn::Path;
        let told = self.parameters.iter().filter(is_of_path).count();
        let name = self.path.split(['{', '}']).nth(2 * told + 1).unwrap_or_default();
        // Whether a text may name one of several cannot be told without its place.
        self.names = (told == 0).then_some(|text: &str| text.parse::<T>().is_ok());
        T::schemas(&mut self.schemas);
        let Shape {
            name: type_name,
            schema,
        } = Shape::of::<T>();
        self.schemas.push((type_name.clone().into_owned(), schema));
        let schema = RefOr::Ref(Ref::from_schema_name(type_name));
        self.parameters
            .push(parameter(name, ParameterIn::Path, schema, true));
    }

    pub(crate) fn header(&mut self, name: &str, about: &str, schema: Object) {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(schema));
        self.parameters.push(parameter.build());
    }
}

fn parameter(name: &str, place: ParameterIn, mut schema: RefOr<Schema>, is_required: bool) -> Parameter {
    let mut description = None;
    // An optional parameter is left out, and never `null`.
    match &mut schema {
        RefOr::T(Schema::OneOf(choice)) => {
            description = choice.description.take();
            choice.items.retain(|item| !is_null(item));
            if let [item] = &*choice.items {
                schema = item.clone();
            }
        }
        RefOr::T(Schema::Object(object)) => {
            description = object.description.take();
            if let SchemaType::Array(types) = &object.schema_type {
                let kind = types.iter().find(|kind| **kind != Type::Null).cloned();
                object.schema_type = SchemaType::Type(kind.unwrap_or(Type::String));
            }
        }
        RefOr::Ref(reference) => description = Some(std::mem::take(&mut reference.description)),
        RefOr::T(_) => {}
    }
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if is_required {
            Required::True
        } else {
            Required::False
        })
        .description(description.filter(|text| !text.is_empty()))
        .schema(Some(schema))
        .build()
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

impl Shape {
    fn of<T: ToSchema>() -> Self {
        Self {
            name: T::name(),
            schema: T::schema(),
        }
    }
}

/// Declares all members of an object to be there, those of flattened parts too.
pub(crate) fn require_all(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            object.required = object.properties.keys().cloned().collect();
        }
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter_mut().for_each(require_all),
        _ => {}
    }
}
