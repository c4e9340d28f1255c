//! What WhatsApp refuses has a code that says why.

use serde_json::json;
use shared::domain::question::Refusal;

use super::GROUP;
use crate::support::World;

#[tokio::test]
async fn a_refusal_says_what_is_the_matter() {
    for (refusal, error, reason) in [
        (Refusal::NoGroup, "404 NOT_FOUND: There is no such group", None),
        (
            Refusal::NotAMember,
            "403 FORBIDDEN: The account is not in the group",
            Some("NOT_A_MEMBER"),
        ),
        (
            Refusal::NotAnAdmin,
            "403 FORBIDDEN: The group's admins alone may do this, and the account is none of them",
            Some("NOT_AN_ADMIN"),
        ),
        (
            Refusal::NoInvite,
            "404 NOT_FOUND: There is no such invite link",
            None,
        ),
        (
            Refusal::Already,
            "409 CONFLICT: It is so already, or is asked for already",
            None,
        ),
    ] {
        let world = World::new().await;
        let (_, _, key) = world.ready().await;
        let _asked = world.answering(move |_| Err(refusal));
        let answer = if refusal == Refusal::Already {
            let invite = json!({"invite": "AbCdEfGhIjKlMnOpQrStUv"});
            key.post("/api/groups/join", invite).await
        } else {
            key.post(&format!("/api/groups/{GROUP}/leave"), ()).await
        };
        assert_eq!(answer.error(), error);
        if let Some(reason) = reason {
            assert_eq!(answer.json()["error"]["details"], json!({"reason": reason}));
        }
    }
}
