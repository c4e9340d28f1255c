//! `GET /pair/{token}`: what the page is made of.

use std::collections::BTreeSet;

use functions::openapi::WHOEVER_SERVES_IT;
use functions::service;
use serde_json::Value;
use shared::config::FeedAddress;

use super::link;
use crate::support::{Answer, World};

async fn text(world: &World, path: &str) -> String {
    let answer = world.nobody.get(path).await;
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.bytes).expect("text")
}

/// What stands between two marks, wherever it does.
fn between<'a>(text: &'a str, before: &str, after: &str) -> BTreeSet<&'a str> {
    let parts = text.split(before).skip(1);
    parts.filter_map(|part| part.split(after).next()).collect()
}

#[tokio::test]
async fn the_page_is_kept_by_nobody_and_loads_its_own_files_alone() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.instance(&user, "sales").await;
    let path = link(&user, "sales").await;
    let page = world.nobody.get(&path).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("x-robots-tag"), "noindex, nofollow");
    let html = String::from_utf8(page.bytes.clone()).expect("text");
    assert!(!html.contains(&path), "the token is in the address alone");
    for foreign in [
        "http://",
        "https://",
        "<style",
        "style=",
        "onclick",
        "onload",
        "javascript:",
    ] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert_eq!(html.matches("<script").count(), 1);
    let files: Vec<_> = between(&html, "src=\"", "\"")
        .into_iter()
        .chain(between(&html, "href=\"", "\""))
        .filter(|file| *file != "data:,")
        .collect();
    assert_eq!(files, ["/pair/page.js", "/pair/page.css"]);
    let types = ["text/javascript; charset=utf-8", "text/css; charset=utf-8"];
    let mut answers = vec![page];
    for (file, media_type) in files.into_iter().zip(types) {
        let answer = world.nobody.get(file).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type));
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!text.contains("http://") && !text.contains("https://"), "{file}");
        answers.push(answer);
    }
    for answer in answers {
        is_guarded(&answer);
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';script-src 'self';style-src 'self';img-src data:;"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    is_guarded(&world.nobody.get(&format!("{path}/state")).await);
}

#[track_caller]
fn is_guarded(answer: &Answer) {
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

/// The page may ask its own host, and the realtime feed where that is on another one.
#[tokio::test]
async fn the_page_says_where_the_feed_is_and_may_ask_there_alone() {
    let elsewhere = FeedAddress::Host("wss://feed.example.com".to_owned());
    for (feed, told, allowed) in [
        (None, "", "connect-src 'self';"),
        (Some(FeedAddress::OwnHost), "/socket.io/", "connect-src 'self';"),
        (
            Some(elsewhere),
            "wss://feed.example.com/socket.io/",
            "connect-src 'self' wss://feed.example.com/socket.io/;",
        ),
    ] {
        let world = World::with(|mut config| {
            config.management.feed = feed;
            config
        })
        .await;
        let answer = world.nobody.get("/pair/x").await;
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.contains(allowed), "{policy}");
        let html = String::from_utf8(answer.bytes).expect("text");
        let meta = format!("<meta name=\"waxwing-feed\" content=\"{told}\">");
        assert!(html.contains(&meta), "{told}");
    }
}

#[tokio::test]
async fn the_page_is_the_same_for_every_token() {
    let world = World::new().await;
    let page = text(&world, &format!("/pair/{}A", "x".repeat(53))).await;
    for path in ["/pair/x", "/pair/No%20such%20thing!"] {
        assert_eq!(text(&world, path).await, page);
    }
}

#[tokio::test]
async fn the_page_speaks_the_language_that_the_browser_prefers() {
    let world = World::new().await;
    for (accepted, language, title) in [
        ("pt-BR,pt;q=0.9", "pt", "Conecte seu WhatsApp"),
        ("es", "es", "Vincula tu WhatsApp"),
        ("id, en;q=0.5", "id", "Tautkan WhatsApp Anda"),
        ("fr", "en", "Link your WhatsApp"),
    ] {
        let caller = world.nobody.with_header("accept-language", accepted);
        let answer = caller.get("/pair/x").await;
        assert_eq!(answer.header("vary"), "accept-language");
        let html = String::from_utf8(answer.bytes).expect("text");
        assert!(
            html.contains(&format!("<html lang=\"{language}\">")),
            "{accepted}"
        );
        assert!(html.contains(&format!("<title>{title}</title>")), "{accepted}");
        assert!(!html.contains("{{"), "each name has its text");
        let selected = format!("<option value=\"{language}\" lang=\"{language}\" selected>");
        assert!(html.contains(&selected), "{accepted}");
    }
}

/// The script goes by names of the page, of the texts and of the state. None of the three checks it but this.
#[tokio::test]
async fn the_script_names_what_is_there() {
    let world = World::new().await;
    let script = text(&world, "/pair/page.js").await;
    let html = text(&world, "/pair/x").await;
    let (texts, code) = script.split_once(";\n").expect("the texts, then the script");
    let texts: Value =
        serde_json::from_str(texts.strip_prefix("const TEXTS = ").expect("texts")).expect("JSON");
    let english = texts["en"].as_object().expect("texts by their names");

    let ids = between(&html, " id=\"", "\"");
    let named = between(code, "element('", "'");
    assert!(named.len() > 8, "{named:?}");
    for id in named.iter().chain(&between(code, "write('", "'")) {
        assert!(ids.contains(id), "the page has no {id}");
    }
    let said = between(code, "say('", "'");
    let marked = ["data-text=\"", "data-alt=\""].map(|mark| between(&html, mark, "\""));
    assert!(said.len() > 8, "{said:?}");
    for name in said.iter().chain(marked.iter().flatten()) {
        assert!(english.contains_key(*name), "no text is called {name}");
    }

    let document = serde_json::to_value(service::document(WHOEVER_SERVES_IT)).expect("JSON");
    let mut read = BTreeSet::new();
    for part in code.split("state.").skip(1) {
        let end = part
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '.')
            .unwrap_or(part.len());
        read.insert(part[..end].trim_end_matches('.'));
    }
    assert!(read.len() > 8, "{read:?}");
    for path in read {
        let mut schema = &document["components"]["schemas"]["Pairing"];
        for member in path.split('.') {
            schema = &resolved(&document, schema)["properties"][member];
            assert!(!schema.is_null(), "the state has no {path}");
        }
    }
}

/// The schema of a value that is there.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = document.pointer(reference.trim_start_matches('#'));
        return resolved(document, found.expect("it leads somewhere"));
    }
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    match choices.into_iter().find(|choice| choice["type"] != "null") {
        Some(choice) => resolved(document, choice),
        None => schema,
    }
}
