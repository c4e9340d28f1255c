//! `/api/instances/{instance}/passkey`: what is wanted of the account's owner, and how an answer is taken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::audit::Action;
use shared::domain::instance::{Status, Wanted};
use shared::domain::network::Network;
use shared::domain::passkey::{Credential, PasskeyAnswer, PasskeyStage};
use shared::ids::InstanceId;
use shared::seal::Purpose;

use crate::support::{User, World};

const PATH: &str = "/api/instances/sales/passkey";
const CONFIRM: &str = "/api/instances/sales/passkey/confirm";

pub fn options() -> Value {
    json!({"challenge": "Y2hhbGxlbmdl", "rpId": "localhost", "allowCredentials": []})
}

/// An answer to a challenge, as a browser shows it.
pub fn credential(challenge: &str) -> Value {
    let data = json!({"type": "webauthn.get", "challenge": challenge, "origin": "http://localhost"});
    json!({
        "id": "cGFzc2tleQ",
        "rawId": "cGFzc2tleQ",
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": URL_SAFE_NO_PAD.encode(data.to_string()),
            "authenticatorData": "AAAA",
            "signature": "AAAA",
            "userHandle": "AAAA",
        },
    })
}

/// An instance of which WhatsApp wants an assertion.
async fn asked() -> (World, User, InstanceId) {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let wanted = world.state.instances.want(instance, Wanted::Connected).await;
    wanted.expect("stored").expect("there");
    let options = options().to_string();
    let stage = PasskeyStage::Assertion;
    world
        .daemon
        .ask_for_passkey(instance, stage, "m1", &options)
        .await;
    (world, user, instance)
}

#[tokio::test]
async fn what_is_wanted_is_handed_out_as_whatsapp_gave_it() {
    let (world, user, instance) = asked().await;
    let expected = json!({
        "stage": "assertion",
        "options": options(),
        "origin": "http://localhost",
        "code": null,
        "expiresAt": "2026-01-01T00:05:00.000Z",
    });
    assert_eq!(user.get(PATH).await.data(200), expected);
    let elsewhere = user
        .with_header("host", "127.0.0.1:3000")
        .get(PATH)
        .await
        .data(200);
    assert_eq!(elsewhere["origin"], json!("http://localhost:3000"));

    let stage = PasskeyStage::Confirmation;
    world
        .daemon
        .ask_for_passkey(instance, stage, "m2", "ABCD-1234")
        .await;
    let expected = json!({
        "stage": "confirmation",
        "options": null,
        "origin": null,
        "code": "ABCD-1234",
        "expiresAt": "2026-01-01T00:05:00.000Z",
    });
    assert_eq!(user.get(PATH).await.data(200), expected);
}

#[tokio::test]
async fn where_nothing_is_wanted_the_state_is_told() {
    let (world, user, instance) = asked().await;
    let told = async || {
        let answer = user.get(PATH).await;
        assert!(
            answer
                .error()
                .starts_with("409 CONFLICT: WhatsApp does not wait for this")
        );
        answer.json()["error"]["details"]["status"].clone()
    };
    // It ends with its daemon, and with its time.
    world.clock.advance(TimeDelta::seconds(10));
    assert_eq!(told().await, json!("RECONNECTING"));
    world.clock.advance(TimeDelta::minutes(5));
    world.daemon.lives().await;
    let user_again = world.nobody.login("ada@example.com").await;
    assert_eq!(user_again.get(PATH).await.code(), "409 CONFLICT");
    world.daemon.observe(instance, Status::AwaitingQr).await;
    assert_eq!(told().await, json!("AWAITING_QR"));
}

/// No daemon would take it.
#[tokio::test]
async fn no_answer_is_stored_for_a_network_that_is_not_served_any_more() {
    let (world, user, instance) = asked().await;
    let without = world.another(|mut config| {
        config.base.networks = vec![Network::Live];
        config
    });
    let body = json!({"credential": credential("Y2hhbGxlbmdl")});
    let answer = without.with_token(user.token()).post(PATH, &body).await;
    assert_eq!(answer.code(), "503 UNAVAILABLE");
    assert!(world.stored(instance).await.desired.passkey.is_none());
}

#[tokio::test]
async fn an_answer_waits_sealed_for_the_daemon() {
    let (world, user, instance) = asked().await;
    let body = json!({"credential": credential("Y2hhbGxlbmdl")});
    let answer = user.post(PATH, &body).await.data(202);
    assert_eq!(answer["status"], json!("AWAITING_PASSKEY"));
    let stored = world.stored(instance).await;
    assert_eq!(
        stored.desired.generation, 1,
        "it is no request for another connection"
    );
    let waiting = stored.desired.passkey.expect("an answer");
    assert_eq!(waiting.mark, "m1");
    let sealed = waiting.sealed.expect("an assertion");
    let aad = PasskeyAnswer::aad(instance, "m1");
    let opened = world
        .state
        .sealer
        .open(instance, Purpose::Content, &aad, &sealed)
        .await;
    let opened: Credential = serde_json::from_slice(&opened.expect("it opens")).expect("a credential");
    assert_eq!(opened.check("Y2hhbGxlbmdl"), Ok(()));
    assert_eq!(
        world.audited(&user, Action::PasskeyAnswered).await,
        [instance.to_string()]
    );
    // A confirmation is not asked for yet.
    assert_eq!(user.post(CONFIRM, ()).await.code(), "409 CONFLICT");

    let stage = PasskeyStage::Confirmation;
    world
        .daemon
        .ask_for_passkey(instance, stage, "m2", "ABCD-1234")
        .await;
    assert_eq!(
        world.stored(instance).await.desired.passkey,
        None,
        "the daemon has taken it"
    );
    assert_eq!(user.post(PATH, &body).await.code(), "409 CONFLICT");
    user.post(CONFIRM, ()).await.data(202);
    let waiting = world.stored(instance).await.desired.passkey.expect("an answer");
    assert_eq!((waiting.mark.as_str(), waiting.sealed), ("m2", None));
    // Whoever says which code was the same confirms no other.
    world
        .daemon
        .ask_for_passkey(instance, stage, "m3", "EFGH-5678")
        .await;
    let compared = user.post(CONFIRM, json!({"code": "ABCD-1234"})).await;
    assert_eq!(compared.code(), "409 CONFLICT");
    assert_eq!(world.stored(instance).await.desired.passkey, None);
    user.post(CONFIRM, json!({"code": "EFGH-5678"})).await.data(202);
}

#[tokio::test]
async fn what_cannot_be_the_answer_uses_nothing_up() {
    let (world, user, instance) = asked().await;
    let told = async |credential: Value| {
        let answer = user.post(PATH, json!({"credential": credential})).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        answer.faults()
    };
    assert_eq!(
        told(credential("b3RoZXI")).await,
        ["credential answers another request: ask the passkey anew with the present options"]
    );
    let mut made = credential("Y2hhbGxlbmdl");
    made["response"]["signature"] = json!("no base64url!");
    let faults = told(made).await;
    assert!(
        faults[0].starts_with("credential must be a `PublicKeyCredential`"),
        "{faults:?}"
    );
    let mut large = credential("Y2hhbGxlbmdl");
    large["response"]["signature"] = json!("A".repeat(20_000));
    assert_eq!(told(large).await, ["credential is larger than 16384 bytes"]);
    let faults = told(json!({"id": "cGFzc2tleQ", "response": {}})).await;
    assert!(
        faults.contains(&"credential.rawId is missing".to_owned()),
        "{faults:?}"
    );
    assert!(
        faults.contains(&"credential.response.signature is missing".to_owned()),
        "{faults:?}"
    );
    assert_eq!(world.stored(instance).await.desired.passkey, None);
    user.post(PATH, json!({"credential": credential("Y2hhbGxlbmdl")}))
        .await
        .data(202);
    // Whoever asks for what is going on anyway leaves a waiting answer alone. Who asks for something else takes it away.
    user.post("/api/instances/sales/connect", ()).await.data(202);
    let waiting = world.stored(instance).await.desired.passkey.expect("an answer");
    assert_eq!(waiting.mark, "m1");
    user.post("/api/instances/sales/restart", ()).await.data(202);
    assert_eq!(world.stored(instance).await.desired.passkey, None);
}
