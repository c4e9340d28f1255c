//! Linking where WhatsApp wants a passkey: what is shown, how its answer goes on, and what ends it.

use std::time::Duration;

use chrono::TimeDelta;
use daemon::connection::SessionEvent;
use daemon::passkey::PasskeyError;
use shared::domain::instance::{Instance, Status};
use shared::domain::passkey::{AssertionResponse, Credential, PasskeyAnswer, PasskeyRequest, PasskeyStage};
use shared::seal::Purpose;
use shared::storage::instances::PasskeyAnswered;
use shared::storage::keys;
use testbed::relay::{Fate, On, Relay, Reply};
use testbed::wait::{in_time, until};

use crate::daemons::Daemon;
use crate::network::Playing;
use crate::world::World;

const OPTIONS: &str = r#"{"challenge":"Y2hhbGxlbmdl","rpId":"web.whatsapp.com","timeout":120000}"#;

fn credential() -> Credential {
    Credential {
        id: "cGFzc2tleQ".to_owned(),
        raw_id: "cGFzc2tleQ".to_owned(),
        kind: "public-key".to_owned(),
        response: AssertionResponse {
            client_data_json: "e30".to_owned(),
            authenticator_data: "AAAA".to_owned(),
            signature: "AAAA".to_owned(),
            user_handle: None,
        },
    }
}

/// Waits until something of this stage waits for its owner.
async fn until_wanted(world: &World, instance: &Instance, stage: PasskeyStage) -> PasskeyRequest {
    until(&format!("{stage}"), async || {
        let observed = world.load(instance).await.observed;
        let wanted = observed.passkey.filter(|wanted| wanted.stage == stage);
        assert!(wanted.is_none() || observed.status == Status::AwaitingPasskey);
        wanted
    })
    .await
}

/// Waits until nothing waits for its owner, while linking goes on.
async fn until_taken(world: &World, instance: &Instance) -> Instance {
    until("the answer's end", async || {
        let loaded = world.load(instance).await;
        let is_taken = loaded.observed.passkey.is_none();
        (is_taken && loaded.observed.status == Status::AwaitingPasskey).then_some(loaded)
    })
    .await
}

async fn opened(world: &World, instance: &Instance, wanted: &PasskeyRequest) -> String {
    let aad = PasskeyRequest::aad(instance.id, &wanted.mark);
    let opened = world
        .sealer
        .open(instance.id, Purpose::Content, &aad, &wanted.sealed);
    String::from_utf8(opened.await.expect("it opens")).expect("text")
}

/// Stores an answer as the API does.
async fn answer(
    world: &World,
    instance: &Instance,
    mark: &str,
    credential: Option<&Credential>,
) -> PasskeyAnswered {
    let sealed = match credential {
        Some(credential) => {
            let json = serde_json::to_vec(credential).expect("plain data");
            let aad = PasskeyAnswer::aad(instance.id, mark);
            let sealing = world.sealer.seal(instance.id, Purpose::Content, &aad, &json);
            Some(sealing.await.expect("sealed"))
        }
        None => None,
    };
    let mark = mark.to_owned();
    let stored = world
        .instances
        .answer_passkey(instance.id, &PasskeyAnswer { mark, sealed })
        .await;
    world.nudge(instance).await;
    stored.expect("stored")
}

/// An instance of which WhatsApp wants a passkey, its session, and what waits.
async fn asked(world: &World, daemon: &mut Daemon) -> (Instance, Playing, PasskeyRequest) {
    let (instance, session) = world.showing_qr(daemon).await;
    let options = OPTIONS.to_owned();
    session.tell(SessionEvent::PasskeyRequested { options }).await;
    let wanted = until_wanted(world, &instance, PasskeyStage::Assertion).await;
    (instance, session, wanted)
}

async fn confirms(session: &Playing, is_known: bool) {
    let code = "ABCD-1234".to_owned();
    session
        .tell(SessionEvent::PasskeyConfirmation { code, is_known })
        .await;
}

async fn ends(world: &World, instance: &Instance, session: &Playing, reason: &str) -> Instance {
    let ended = world.until_status(instance, Status::ForceDisconnected).await;
    assert_eq!(ended.observed.reason.as_deref(), Some(reason));
    assert_eq!((&ended.observed.passkey, &ended.desired.passkey), (&None, &None));
    in_time("the orderly end", session.line.disconnected.cancelled()).await;
    ended
}

#[tokio::test]
async fn the_owners_two_answers_link_the_instance() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session, wanted) = asked(&world, &mut daemon).await;
    assert_eq!(wanted.expires_at, world.now() + TimeDelta::minutes(2));
    assert_eq!(opened(&world, &instance, &wanted).await, OPTIONS);
    assert!(!wanted.sealed.windows(9).any(|part| part == b"challenge"));
    assert_eq!(world.load(&instance).await.observed.qr, None);
    // QR codes go on behind it, and end.
    session.show_qr("2@another").await;
    session.tell(SessionEvent::QrExhausted).await;

    let given = answer(&world, &instance, &wanted.mark, Some(&credential())).await;
    assert_eq!(given, PasskeyAnswered::Stored);
    let told = session.told_of_passkey().await;
    assert_eq!(told.credential, Some(credential()));
    let taken = until_taken(&world, &instance).await;
    assert_eq!(taken.desired.passkey, None, "it does not rest");
    told.answer.send(Ok(())).expect("the daemon waits");

    confirms(&session, false).await;
    let compared = until_wanted(&world, &instance, PasskeyStage::Confirmation).await;
    assert_eq!(opened(&world, &instance, &compared).await, "ABCD-1234");
    // What answers the request before is over.
    assert_eq!(
        answer(&world, &instance, &wanted.mark, Some(&credential())).await,
        PasskeyAnswered::Over
    );
    assert_eq!(
        answer(&world, &instance, &compared.mark, None).await,
        PasskeyAnswered::Stored
    );
    let told = session.told_of_passkey().await;
    assert_eq!(told.credential, None);
    told.answer.send(Ok(())).expect("the daemon waits");

    session.tell(SessionEvent::Paired).await;
    world.until_status(&instance, Status::Connecting).await;
    session.log_in().await;
    let connected = world.until_status(&instance, Status::Connected).await;
    assert!(connected.account.is_some());
}

#[tokio::test]
async fn an_answer_is_told_once_however_often_it_is_looked_at() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session, wanted) = asked(&world, &mut daemon).await;
    answer(&world, &instance, &wanted.mark, Some(&credential())).await;
    let told = session.told_of_passkey().await;
    until_taken(&world, &instance).await;
    for _ in 0..3 {
        world.nudge_and_wait(&instance).await;
    }
    assert!(!session.has_told_of_passkey());
    told.answer.send(Ok(())).expect("the daemon waits");
    // A session that the phone knows from before needs no comparing.
    confirms(&session, true).await;
    let told = session.told_of_passkey().await;
    assert_eq!(told.credential, None);
    assert_eq!(world.load(&instance).await.observed.passkey, None);
}

#[tokio::test]
async fn an_answer_whose_key_is_out_of_reach_is_told_when_it_is_back() {
    let mut world = World::new().await;
    world.key_term = Duration::ZERO;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session, wanted) = asked(&world, &mut daemon).await;
    let key = On::operation("GetItem").with(keys::data_key_partition(instance.id));
    let refused = Fate::refused(Reply::Code(400, "AccessDeniedException"));
    let failing = relay.plan(key, [refused]);
    answer(&world, &instance, &wanted.mark, Some(&credential())).await;
    let told = session.told_of_passkey().await;
    assert_eq!(told.credential, Some(credential()));
    assert!(failing.is_done());
    until_taken(&world, &instance).await;
    told.answer.send(Ok(())).expect("the daemon waits");
}

#[tokio::test]
async fn what_whatsapp_does_not_accept_ends_the_attempt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session, wanted) = asked(&world, &mut daemon).await;
    answer(&world, &instance, &wanted.mark, Some(&credential())).await;
    let told = session.told_of_passkey().await;
    let refusal = PasskeyError::Refused("code=401".into());
    told.answer.send(Err(refusal)).expect("the daemon waits");
    let ended = ends(&world, &instance, &session, "PASSKEY_REFUSED").await;
    let error = ended.observed.last_error.expect("WhatsApp's words");
    assert!(error.contains("code=401"), "{error}");
}

#[tokio::test]
async fn an_answer_without_an_echo_and_a_failure_of_the_library_end_it_too() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session, wanted) = asked(&world, &mut daemon).await;
    answer(&world, &instance, &wanted.mark, Some(&credential())).await;
    let told = session.told_of_passkey().await;
    told.answer
        .send(Err(PasskeyError::Timeout))
        .expect("the daemon waits");
    ends(&world, &instance, &session, "PASSKEY_UNANSWERED").await;

    for (event, reason) in [
        (
            SessionEvent::PasskeyFailed {
                why: "missing primary_ephemeral_identity".to_owned(),
            },
            "PASSKEY_REFUSED",
        ),
        (
            SessionEvent::PasskeyRequested {
                options: "levitate".to_owned(),
            },
            "PASSKEY_REFUSED",
        ),
    ] {
        world
            .want(&instance, shared::domain::instance::Wanted::Connected)
            .await;
        let session = daemon.session().await;
        session.show_qr("2@code").await;
        world.until_status(&instance, Status::AwaitingQr).await;
        session.tell(event).await;
        ends(&world, &instance, &session, reason).await;
    }
}

#[tokio::test]
async fn what_waits_ends_with_its_connection() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session, wanted) = asked(&world, &mut daemon).await;
    session
        .tell(SessionEvent::Disconnected {
            reason: "gone".to_owned(),
            blames_wire: false,
        })
        .await;
    let mut session = daemon.session().await;
    session.show_qr("2@another").await;
    let shown = world.until_status(&instance, Status::AwaitingQr).await;
    assert_eq!(shown.observed.passkey, None);
    let late = answer(&world, &instance, &wanted.mark, Some(&credential())).await;
    assert_eq!(late, PasskeyAnswered::Over);
    world.nudge_and_wait(&instance).await;
    assert!(!session.has_told_of_passkey());
}
