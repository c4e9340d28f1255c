//! `POST /api/auth/login`.

use serde_json::json;

use crate::support::{PASSWORD, World};

const WRONG: &str = "401 INVALID_CREDENTIALS: E-mail address and password do not go together";

#[tokio::test]
async fn a_login_gives_tokens_however_the_address_is_written() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let body = json!({"email": "ADA@example.com", "password": PASSWORD});
    let data = world.post("", "/api/auth/login", body).await.data(200);
    assert_eq!(data["user"]["email"], json!("ada@example.com"));
    let token = data["tokens"]["accessToken"].as_str().expect("a token");
    assert_eq!(world.get(token, "/api/auth/me").await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_answer_alike() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for (email, password) in [
        ("ada@example.com", "correct horse battery stapl"),
        ("ada@example.com", ""),
        ("ada@example.com", &*"x".repeat(200)),
        ("bob@example.com", PASSWORD),
    ] {
        let body = json!({"email": email, "password": password});
        assert_eq!(world.post("", "/api/auth/login", body).await.error(), WRONG);
    }
}

#[tokio::test]
async fn members_are_strict() {
    let world = World::new().await;
    let told = async |body| world.post("", "/api/auth/login", body).await.error();
    assert_eq!(
        told(json!({"email": "ada@example.com"})).await,
        "400 VALIDATION_ERROR: `password` is missing"
    );
    assert_eq!(
        told(json!({"email": "ada@example.com", "password": PASSWORD, "pasword": "x"})).await,
        "400 VALIDATION_ERROR: `pasword` is unknown"
    );
    assert_eq!(
        told(json!({"email": ["ada@example.com"], "password": PASSWORD})).await,
        "400 VALIDATION_ERROR: `email` is not valid: invalid type: sequence, expected a string"
    );
    assert_eq!(
        told(json!({"email": "ada", "password": PASSWORD})).await,
        "400 VALIDATION_ERROR: `email` must be an e-mail address, such as name@example.com"
    );
}
