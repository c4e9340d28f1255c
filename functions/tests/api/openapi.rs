//! The OpenAPI document: what is checked in is what the code says, and it tells of every endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use functions::http::Code;
use functions::openapi::WHOEVER_SERVES_IT;
use functions::service;
use serde_json::{Value, json};

use crate::callers;
use crate::support::World;

fn document() -> Value {
    serde_json::to_value(service::document(WHOEVER_SERVES_IT)).expect("JSON")
}

/// Each operation, by method and path.
fn operations(document: &Value) -> BTreeMap<(String, String), &Value> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path");
        methods
            .iter()
            .map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation))
    });
    operations.collect()
}

#[test]
fn the_document_that_is_checked_in_is_the_codes_own() {
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let generated = service::document(WHOEVER_SERVES_IT)
        .to_pretty_json()
        .expect("JSON")
        + "\n";
    if std::fs::read_to_string(&checked_in).ok().as_deref() == Some(&*generated) {
        return;
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
    std::fs::write(&fresh, generated).expect("written");
    panic!(
        "docs/openapi.json is not what the code says. Where the change is meant: cp {} docs/openapi.json",
        fresh.display()
    );
}

#[test]
fn the_document_tells_of_every_endpoint() {
    let document = document();
    let told: BTreeSet<_> = operations(&document).into_keys().collect();
    assert_eq!(told, callers::routes());
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_operation_tells_what_a_caller_needs() {
    let document = document();
    let mut ids = BTreeSet::new();
    for ((method, path), operation) in operations(&document) {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{name}: the id {id} is there twice");
        assert!(
            operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
        assert!(operation["security"].is_array(), "{name}");
        if let Some(body) = operation.get("requestBody") {
            assert!(
                body["content"]["application/json"]["example"].is_object(),
                "{name}"
            );
        }
        let responses = operation["responses"].as_object().expect("responses");
        let (_, success) = responses
            .iter()
            .find(|(status, _)| status.starts_with(['2', '3']))
            .expect("a success");
        if let Some(json) = success["content"]
            .get("application/json")
            .filter(|_| path != "/api/openapi.json")
        {
            assert_eq!(json["example"]["success"], Value::Bool(true), "{name}");
            assert!(!json["example"]["data"].is_null(), "{name}");
        }
        // What may happen to every request.
        for status in ["500", "504"] {
            assert!(responses.contains_key(status), "{name}: {status}");
        }
    }
}

#[tokio::test]
async fn each_deployment_serves_the_document_with_its_own_address() {
    for (public_url, named) in [
        ("https://api.example.org/", "https://api.example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
    ] {
        let world = World::with(|mut config| {
            config.base.public_url = Some(public_url.to_owned());
            config
        });
        let answer = world.await.nobody.get("/api/openapi.json").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json")
        );
        let mut served = answer.json();
        assert_eq!(served["servers"], json!([{"url": named}]));
        // Otherwise it is the one that is checked in.
        let checked_in = document();
        served["servers"] = checked_in["servers"].clone();
        assert_eq!(served, checked_in);
        assert!(answer.header("x-request-id").starts_with("req_"));
    }
}

#[tokio::test]
async fn the_page_has_the_table_of_errors_after_the_operations() {
    let world = World::new().await;
    let page = world.nobody.get("/api/docs").await;
    let html = String::from_utf8(page.bytes).expect("text");
    // Swagger UI puts what the document says here: its introduction, then the groups.
    let (before, after) = html
        .split_once("<div id=\"page\">")
        .expect("a place for the document");
    for code in Code::ALL {
        let row = format!(
            "<tr id=\"{name}\"><td><a href=\"/docs/errors/{name}\"><code>{name}</code></a></td><td>{status}</td><td>{meaning}</td></tr>",
            name = code.as_str(),
            status = code.status().as_u16(),
            meaning = code.meaning()
        );
        assert!(after.contains(&row), "{row}");
    }
    assert!(!before.contains("<table"));
    let introduction = document()["info"]["description"].clone();
    assert!(!introduction.as_str().expect("a text").contains("| ---"));
}

#[tokio::test]
async fn the_page_loads_its_own_files_and_nothing_else() {
    let world = World::new().await;
    let page = world.nobody.get("/api/docs").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let html = String::from_utf8(page.bytes.clone()).expect("text");
    let loaded: Vec<_> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| html.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(loaded.len() > 3, "{loaded:?}");
    for path in loaded {
        let is_ours = path.starts_with("/api/") || path.starts_with("/docs/errors/");
        assert!(is_ours, "{path} is somebody else's");
        let file = world.nobody.get(path).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(!file.bytes.is_empty(), "{path}");
    }
    for answer in [page, world.nobody.get("/api/docs/swagger-ui.css").await] {
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("http"), "{policy}");
    }
    let other = world.nobody.get("/api/docs/oauth2-redirect.html").await;
    assert_eq!(other.error(), "404 NOT_FOUND: There is no such resource");
    assert!(
        other
            .header("content-security-policy")
            .starts_with("default-src 'self'")
    );
}
