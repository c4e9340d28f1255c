//! What the admin API says to bad requests.

use crate::net::{Admin, start};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one entry a rule")]
async fn the_admin_api_names_what_is_wrong() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    for (method, path, body, status) in [
        (
            "POST",
            "/admin/phones".to_owned(),
            r#"{"nam": "x"}"#.to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/phones".to_owned(),
            r#"{"phone": "12"}"#.to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/phones".to_owned(),
            format!(r#"{{"phone": "{phone}"}}"#),
            409,
        ),
        (
            "GET",
            "/admin/phones/155501999999/inbox".to_owned(),
            String::new(),
            404,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?befor=x"),
            String::new(),
            400,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?limit=0"),
            String::new(),
            400,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?limit=1001"),
            String::new(),
            400,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?limit=ten"),
            String::new(),
            400,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?cursor=x"),
            String::new(),
            400,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?cursor=0"),
            String::new(),
            400,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?after=x&cursor=1"),
            String::new(),
            400,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?after=x"),
            String::new(),
            404,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?after=x&limit=5"),
            String::new(),
            404,
        ),
        (
            "POST",
            format!("/admin/phones/{phone}/send"),
            r#"{"to": "155501999999", "kind": "text", "text": "x"}"#.into(),
            404,
        ),
        (
            "POST",
            format!("/admin/phones/{phone}/send"),
            r#"{"to": "1", "kind": "text", "text": "x", "txt": 1}"#.into(),
            400,
        ),
        (
            "POST",
            format!("/admin/phones/{phone}/read"),
            "{}".to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/faults".to_owned(),
            r#"{"target": {}, "fault": "hold-acks"}"#.to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/faults".to_owned(),
            r#"{"target": {"all": true}, "fault": "earthquake"}"#.to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/faults".to_owned(),
            r#"{"target": {"all": true}, "fault": "delay"}"#.to_owned(),
            400,
        ),
        ("DELETE", "/admin/faults/7".to_owned(), String::new(), 404),
        ("DELETE", "/admin/faults/x".to_owned(), String::new(), 400),
        ("GET", "/admin/nowhere".to_owned(), String::new(), 404),
        ("PUT", "/admin/phones".to_owned(), String::new(), 405),
    ] {
        let (got, error) = admin.call(method, &path, &body).await;
        assert_eq!(got, status, "{method} {path} {body}: {error}");
        assert!(
            error["error"]["code"].is_string() && error["error"]["message"].is_string(),
            "{error}"
        );
    }
    let (_, error) = admin.call("POST", "/admin/phones", r#"{"nam": "x"}"#).await;
    assert!(
        error["error"]["message"].as_str().unwrap().contains("nam"),
        "{error}"
    );
    sandbox.shutdown().await;
}
