//! `GET /api/contacts/{contact}/picture`.

use serde_json::json;
use shared::domain::question::{FindPicture, FoundPicture};

use crate::support::World;
use testbed::asked::willing;

const PATH: &str = "/api/contacts/lid:200000000000002/picture";

#[tokio::test]
async fn a_picture_is_told_by_its_address() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let data = key.get(PATH).await.data(200);
    assert_eq!(
        data,
        json!({"id": "1700000000", "url": "https://pps.whatsapp.net/v/t61/1.jpg"})
    );
    let contact = "lid:200000000000002".parse().expect("a LID");
    assert_eq!(asked.asks(), [FindPicture { contact }.into()]);
    let malformed = key.get("/api/contacts/ada/picture").await;
    assert_eq!(malformed.code(), "400 VALIDATION_ERROR");
}

#[tokio::test]
async fn whoever_shows_none_is_a_404() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let _asked = world.answering(|_| Ok(FoundPicture { picture: None }.into()));
    let answer = key.get(PATH).await;
    assert_eq!(answer.error(), "404 NOT_FOUND: There is no such picture");
}
