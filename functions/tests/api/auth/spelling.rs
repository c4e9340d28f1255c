//! The ways in which a password can be written.

use serde_json::json;

use crate::support::{Answer, World};

const NFC: &str = "caf\u{e9} au lait";
const NFD: &str = "cafe\u{301} au lait";

async fn register(world: &World, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password, "name": "Ada"});
    world.nobody.post("/api/auth/register", body).await
}

async fn login(world: &World, email: &str, password: &str) -> u16 {
    let body = json!({"email": email, "password": password});
    world.nobody.post("/api/auth/login", body).await.status
}

#[tokio::test]
async fn one_password_in_two_spellings_opens_one_account() {
    let world = World::new().await;
    for (email, chosen) in [("ada@example.com", NFC), ("bob@example.com", NFD)] {
        register(&world, email, chosen).await.data(201);
        for (offered, status) in [
            (NFC, 200),
            (NFD, 200),
            ("caf\u{e9}\u{a0}au\u{3000}lait", 200),
            ("cafe au lait", 401),
        ] {
            assert_eq!(login(&world, email, offered).await, status, "{offered:?}");
        }
    }
}

#[tokio::test]
async fn a_password_has_eight_characters_and_no_controls() {
    let world = World::new().await;
    let length = "must have 8 characters at least and 72 bytes of UTF-8 at most";
    for (password, fault) in [
        ("\u{1f511}\u{1f512}", length),
        ("e\u{301}e\u{301}e\u{301}e\u{301}", length),
        (&*"\u{1f511}".repeat(19), length),
        (
            "correct horse\0battery",
            "must not contain the character NUL (U+0000)",
        ),
        (
            "correct horse\tbattery",
            "must not contain control characters, such as tab or line feed",
        ),
    ] {
        let answer = register(&world, "ada@example.com", password).await;
        assert_eq!(
            answer.error(),
            format!("400 VALIDATION_ERROR: `password` {fault}"),
            "{password:?}"
        );
    }
    register(&world, "ada@example.com", &"\u{1f511}".repeat(8))
        .await
        .data(201);
}

#[tokio::test]
async fn what_comes_before_a_nul_is_not_the_password() {
    let world = World::new().await;
    register(&world, "ada@example.com", "correct horse")
        .await
        .data(201);
    assert_eq!(
        login(&world, "ada@example.com", "correct horse\0battery").await,
        401
    );
    assert_eq!(login(&world, "ada@example.com", "correct horse").await, 200);
}
