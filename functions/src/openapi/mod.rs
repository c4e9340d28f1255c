//! The OpenAPI document, generated from the handlers' types. Each endpoint tells its part by an [`Operation`]; here they are
//! put together, with the envelope, the errors and the headers that no endpoint needs to repeat.

mod description;
mod envelope;
mod error;
pub mod events;
mod example;
mod header;
mod map_of_texts;
mod operation;
mod tag;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde::Serialize;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
    Server, ServerBuilder,
};

pub use example::Schemas;
use example::example;
pub use map_of_texts::MapOfTexts;
use operation::Shape;
pub use operation::{Caller, Operation};
pub use tag::Tag;

/// The security scheme of users.
const ACCESS_TOKEN: &str = "accessToken";

/// The security scheme of programs.
const API_KEY: &str = "apiKey";

/// The server of a document that is of no one deployment: whoever serves it.
pub const WHOEVER_SERVES_IT: &str = "/";

/// The whole document. The library that it is put together with knows no webhooks.
#[derive(Serialize)]
pub struct Document {
    #[serde(flatten)]
    document: OpenApi,
    /// What webhooks get, by the events' types.
    webhooks: BTreeMap<&'static str, PathItem>,
}

impl Document {
    /// Its text, for people.
    pub fn to_pretty_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Its text.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The document of these endpoints, in the deployment that callers reach at `public_url`.
pub fn document(mut operations: Vec<Operation>, public_url: &str) -> Document {
    let schemas = schemas(&mut operations);
    let webhooks = events::webhooks(&schemas);
    let mut responses = BTreeMap::new();
    let mut paths = PathsBuilder::new().build();
    for operation in &operations {
        let method = http_method(&operation.method);
        let told = told(operation, &schemas, &mut responses);
        paths.add_path_operation(operation.path, vec![method], told);
    }
    let headers = header::all().into_iter();
    let components = headers
        .fold(ComponentsBuilder::new(), |components, (name, header)| {
            components.header(name, header)
        })
        .schemas_from_iter(schemas)
        .responses_from_iter(responses)
        .security_scheme(ACCESS_TOKEN, bearer("JWT", description::ACCESS_TOKEN))
        .security_scheme(API_KEY, bearer("wak_", description::API_KEY));
    let info = InfoBuilder::new()
        .title("Waxwing")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(description::text()))
        .license(Some(
            LicenseBuilder::new()
                .name(LICENSE)
                .identifier(Some(LICENSE))
                .build(),
        ));
    let document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([server(public_url)]))
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(Tag::all()))
        .build();
    Document { document, webhooks }
}

fn server(public_url: &str) -> Server {
    match public_url.trim_end_matches('/') {
        "" => ServerBuilder::new()
            .url(WHOEVER_SERVES_IT)
            .description(Some("The deployment that serves this document"))
            .build(),
        url => Server::new(url),
    }
}

const LICENSE: &str = env!("CARGO_PKG_LICENSE");

/// All schemas by name. An endpoint's own schemas, called `Request` or `Response`, get the endpoint's name here.
fn schemas(operations: &mut [Operation]) -> Schemas {
    let mut all = Schemas::from(envelope::schemas());
    all.extend(events::schemas());
    for operation in operations {
        for code in &operation.codes {
            all.insert(code.as_str().to_owned(), error::schema(*code));
        }
        all.extend(operation.schemas.drain(..));
        let id = operation.id;
        let body = operation.body.as_mut().map(|body| &mut body.shape);
        let answer = operation.answer.as_mut().map(|answer| &mut answer.shape);
        for Shape { name, schema } in body.into_iter().chain(answer) {
            if matches!(&**name, "Request" | "Response") {
                *name = Cow::Owned(format!("{}{}{name}", id[..1].to_ascii_uppercase(), &id[1..]));
            }
            all.insert(name.clone().into_owned(), schema.clone());
        }
    }
    all
}

fn told(
    operation: &Operation,
    schemas: &Schemas,
    responses: &mut BTreeMap<String, RefOr<Response>>,
) -> utoipa::openapi::path::Operation {
    let parameters = operation.parameters.iter().cloned().map(|parameter| {
        // Documentation pages fill examples in, which suits only parameters that must be given.
        let schema = parameter
            .schema
            .as_ref()
            .filter(|_| parameter.required == Required::True);
        let value = schema.map(|schema| example(schema, schemas));
        ParameterBuilder::from(parameter).example(value).build()
    });
    let mut told = OperationBuilder::new()
        .tag(operation.tag.name())
        .operation_id(Some(operation.id))
        .summary(Some(operation.summary))
        .parameters(Some(parameters).filter(|_| !operation.parameters.is_empty()));
    if !operation.description.is_empty() {
        told = told.description(Some(operation.description.join("\n\n")));
    }
    told = match operation.caller {
        Caller::Anyone => told.securities(Some([])),
        Caller::User(role) => told.security(SecurityRequirement::new(ACCESS_TOKEN, role)),
        Caller::Key(scope) => told.security(SecurityRequirement::new(API_KEY, [scope])),
    };
    if let Some(body) = &operation.body {
        let schema: RefOr<Schema> = Ref::from_schema_name(&*body.shape.name).into();
        let content = ContentBuilder::new()
            .example(Some(example(&schema, schemas)))
            .schema(Some(schema));
        let required = if body.is_required {
            Required::True
        } else {
            Required::False
        };
        let body = RequestBodyBuilder::new()
            .required(Some(required))
            .content("application/json", content.build());
        told = told.request_body(Some(body.build()));
    }
    let data = operation
        .answer
        .as_ref()
        .map(|answer| Ref::from_schema_name(&*answer.shape.name).into());
    told = told.response(
        operation.status.as_str(),
        envelope::response(operation, data, schemas),
    );
    let statuses: BTreeSet<_> = operation.codes.iter().map(|code| code.status()).collect();
    for status in statuses {
        let codes = operation
            .codes
            .iter()
            .copied()
            .filter(|code| code.status() == status);
        let codes: Vec<_> = codes.collect();
        let name = error::response_name(&codes);
        told = told.response(status.as_str(), Ref::from_response_name(&name));
        responses
            .entry(name)
            .or_insert_with(|| error::response(&codes, schemas).into());
    }
    told.build()
}

fn bearer(format: &str, about: &str) -> SecurityScheme {
    let http = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format(format)
        .description(Some(about));
    SecurityScheme::Http(http.build())
}

fn http_method(method: &Method) -> HttpMethod {
    match method.as_str() {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        other => unreachable!("no route has the method {other}"),
    }
}
