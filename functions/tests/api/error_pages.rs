//! `error.docUrl` and the pages that it leads to.

use functions::http::Code;
use serde_json::json;
use shared::domain::message::FailureCode;

use crate::support::{Caller, World};

async fn page(caller: &Caller, path: &str) -> String {
    let answer = caller.get(path).await;
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none';style-src 'unsafe-inline';"),
        "{policy}"
    );
    String::from_utf8(answer.bytes).expect("text")
}

#[tokio::test]
async fn an_error_names_its_page_on_the_deployment_that_answered() {
    for (configured, base) in [
        (Some("https://api.example.org/"), "https://api.example.org"),
        (None, "http://waxwing.example"),
    ] {
        let world = World::with(|mut config| {
            config.base.public_url = configured.map(str::to_owned);
            config
        })
        .await;
        let (_, _, key) = world.ready().await;
        for (answer, code) in [
            (world.nobody.get("/api/auth/me").await, "UNAUTHENTICATED"),
            (world.nobody.get("/nowhere").await, "NOT_FOUND"),
            (
                world.nobody.put("/api/auth/login", ()).await,
                "METHOD_NOT_ALLOWED",
            ),
            (key.send("text", json!({"text": "x"})).await, "VALIDATION_ERROR"),
            (key.send("text", "{").await, "INVALID_JSON"),
        ] {
            let url = answer.json()["error"]["docUrl"].clone();
            assert_eq!(url, format!("{base}/docs/errors/{code}"));
            let path = url
                .as_str()
                .and_then(|url| url.strip_prefix(base))
                .expect("below the base");
            let html = page(&world.nobody, path).await;
            assert!(html.contains(&format!("<h1><code>{code}</code></h1>")), "{html}");
        }
    }
}

#[tokio::test]
async fn each_code_has_a_page_that_says_what_it_means_and_what_to_do() {
    let world = World::new().await;
    let index = page(&world.nobody, "/docs/errors").await;
    let mut pages = std::collections::BTreeSet::new();
    for code in Code::ALL {
        let name = code.as_str();
        let html = page(&world.nobody, &format!("/docs/errors/{name}")).await;
        assert!(
            html.contains(&format!("HTTP status {}.", code.status().as_u16())),
            "{html}"
        );
        assert!(html.contains(&format!("<p>{}</p>", code.meaning())), "{html}");
        for title in ["Whether to try again", "How to provoke it in the sandbox"] {
            let (_, after) = html.split_once(title).expect("a section");
            assert!(
                after.starts_with("</h2>\n<p>") && !after.starts_with("</h2>\n<p></p>"),
                "{name}: {title}"
            );
        }
        assert!(
            index.contains(&format!("<a href=\"/docs/errors/{name}\">")),
            "{name}"
        );
        assert!(pages.insert(html), "{name} has the page of another");
    }
    for code in FailureCode::ALL {
        let html = page(&world.nobody, &format!("/docs/errors/{code}")).await;
        let meaning = code.meaning().replace('`', "");
        assert!(html.contains(&meaning), "{code}: {html}");
        assert!(html.contains("How to provoke it in the sandbox"), "{code}");
        assert!(
            index.contains(&format!("<a href=\"/docs/errors/{code}\">")),
            "{code}"
        );
        // What is between backticks is marked up, and no text is cut by it.
        assert!(!html.contains('`'), "{code}: {html}");
    }
    // One name of both tables has both.
    let both = page(&world.nobody, "/docs/errors/RECIPIENT_NOT_ON_WHATSAPP").await;
    assert!(both.contains("HTTP status 422.") && both.contains("What it means for a message"));
}

#[tokio::test]
async fn a_page_loads_nothing_and_what_is_no_code_has_none() {
    let world = World::new().await;
    for path in ["/docs/errors", "/docs/errors/CONFLICT"] {
        let html = page(&world.nobody, path).await;
        assert!(
            !html.contains("src=") && !html.contains("<script") && !html.contains("<link"),
            "{html}"
        );
    }
    for path in [
        "/docs/errors/conflict",
        "/docs/errors/%3Cscript%3E",
        "/docs/errors/",
    ] {
        let answer = world.nobody.get(path).await;
        assert_eq!(answer.code(), "404 NOT_FOUND", "{path}");
    }
}
