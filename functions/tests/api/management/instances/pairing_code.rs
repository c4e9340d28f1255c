//! `POST /api/instances/{instance}/pairing-code`.

use std::cell::Cell;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock as _;
use shared::domain::audit::Action;
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::ids::InstanceId;
use testbed::wait::in_time;

use crate::support::{Answer, User, World};

const PHONE: &str = "15550100001";
const OTHER: &str = "15550100002";

async fn ask(user: &User, phone: &str) -> Answer {
    let path = "/api/instances/sales/pairing-code";
    user.post(path, json!({"phone": phone})).await
}

/// A deployment that waits for its daemon no longer than to look once.
async fn impatient() -> World {
    World::with(|mut config| {
        config.management.daemon_answer = Duration::ZERO;
        config
    })
    .await
}

/// Waits until a request of this generation is stored.
async fn until_asked(world: &World, instance: InstanceId, generation: u64) -> Instance {
    let looking = async {
        loop {
            let stored = world.stored(instance).await;
            if stored.desired.generation >= generation {
                return stored;
            }
            tokio::task::yield_now().await;
        }
    };
    in_time("a request for a code", looking).await
}

#[tokio::test]
async fn the_code_that_the_daemon_gets_is_the_answer() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let daemon = async {
        let asked = until_asked(&world, instance, 1).await;
        assert_eq!(asked.desired.wanted, Wanted::Connected);
        assert_eq!(asked.desired.restart, 1, "whatever runs for it is begun anew");
        let pairing = asked.desired.pairing.expect("a wish to pair by code");
        assert_eq!(
            (pairing.phone.as_str(), pairing.asked_at),
            (PHONE, world.clock.now())
        );
        world.daemon.observe(instance, Status::Connecting).await;
        world.daemon.show_pairing_code(instance, "ABCD1234").await;
    };
    let spelt = format!("+{PHONE}");
    let (answer, ()) = tokio::join!(ask(&user, &spelt), daemon);
    let expected = json!({"code": "ABCD1234", "expiresAt": "2026-01-01T00:03:00.000Z"});
    assert_eq!(answer.data(200), expected);
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    assert_eq!(
        payload::decode::<Query>(&nudges[0].body).expect("ours"),
        Query::Nudge { instance }
    );
    assert_eq!(
        world.audited(&user, Action::PairingCodeRequested).await,
        [instance.to_string()]
    );

    world.daemon.lives().await;
    let status = user.get("/api/instances/sales/status").await.data(200);
    assert_eq!(status["status"], json!("AWAITING_PAIRING_CODE"));
    let qr = user.get("/api/instances/sales/qr").await;
    assert_eq!(
        qr.error(),
        "409 CONFLICT: There is no QR code to scan: the instance is AWAITING_PAIRING_CODE. It waits for its pairing code to be \
         typed on the phone; `POST …/connect` makes a QR code in its place"
    );
    assert_eq!(
        qr.json()["error"]["details"],
        json!({"status": "AWAITING_PAIRING_CODE"})
    );
}

#[tokio::test]
async fn the_same_number_finds_the_code_that_is_good_and_another_gets_another() {
    let world = impatient().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    // The code comes after the answer.
    assert_eq!(ask(&user, PHONE).await.status, 504);
    world.daemon.show_pairing_code(instance, "ABCD1234").await;
    for _ in 0..2 {
        let data = ask(&user, PHONE).await.data(200);
        assert_eq!(data["code"], json!("ABCD1234"));
    }
    assert_eq!(world.stored(instance).await.desired.generation, 1);

    assert_eq!(ask(&user, OTHER).await.status, 504);
    let stored = world.stored(instance).await;
    assert_eq!((stored.desired.generation, stored.desired.restart), (2, 2));
    world.daemon.show_pairing_code(instance, "WXYZ9876").await;
    let data = ask(&user, OTHER).await.data(200);
    assert_eq!(data["code"], json!("WXYZ9876"));

    world.clock.advance(TimeDelta::seconds(180));
    assert_eq!(ask(&user, OTHER).await.status, 504);
    assert_eq!(
        world.stored(instance).await.desired.generation,
        3,
        "it has run out"
    );
}

#[tokio::test]
async fn several_who_ask_at_once_get_one_code() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let all_have_it = Cell::new(false);
    let daemon = async {
        until_asked(&world, instance, 1).await;
        // Whichever request is the last by then, its code is everyone's.
        while !all_have_it.get() {
            world.daemon.show_pairing_code(instance, "ABCD1234").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let asking = async {
        let answers = futures::future::join_all((0..5).map(|_| ask(&user, PHONE))).await;
        all_have_it.set(true);
        answers
    };
    let (answers, ()) = tokio::join!(asking, daemon);
    for answer in answers {
        assert_eq!(answer.data(200)["code"], json!("ABCD1234"));
    }
}

#[tokio::test]
async fn a_request_that_another_takes_the_place_of_is_told_so() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let conflict = "409 CONFLICT: Another request has asked something else of the instance meanwhile";
    for (generation, path) in [(1, "connect"), (3, "disconnect")] {
        let other = async {
            until_asked(&world, instance, generation).await;
            let path = format!("/api/instances/sales/{path}");
            user.post(&path, ()).await.data(202);
        };
        let (answer, ()) = tokio::join!(ask(&user, PHONE), other);
        assert_eq!(answer.error(), conflict);
        assert_eq!(
            world.stored(instance).await.desired.pairing,
            None,
            "QR codes again"
        );
    }
}

#[tokio::test]
async fn what_ends_the_attempt_is_the_answer() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let cases = [
        (
            Status::ForceDisconnected,
            "PAIRING_CODE_THROTTLED",
            "502 UPSTREAM_ERROR: WhatsApp allows no more pairing codes for now: wait, or scan a QR code",
        ),
        (
            Status::ForceDisconnected,
            "PAIRING_CODE_REFUSED",
            "502 UPSTREAM_ERROR: WhatsApp gave no pairing code for this number: check it, wait a while, or scan a QR code",
        ),
        (
            Status::ForceDisconnected,
            "CLIENT_OUTDATED",
            "502 UPSTREAM_ERROR: WhatsApp refuses this version of the client",
        ),
        (
            Status::Banned,
            "BANNED",
            "502 UPSTREAM_ERROR: WhatsApp has banned the number",
        ),
    ];
    for (n, (status, reason, error)) in cases.into_iter().enumerate() {
        let daemon = async {
            until_asked(&world, instance, n as u64 + 1).await;
            world.daemon.end(instance, status, reason).await;
        };
        let (answer, ()) = tokio::join!(ask(&user, PHONE), daemon);
        assert_eq!(answer.error(), error);
        let details = &answer.json()["error"]["details"];
        assert_eq!(*details, json!({"status": status, "reason": reason}));
    }
}

#[tokio::test]
async fn without_an_answer_it_is_told_whether_anything_was_begun() {
    let world = impatient().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let late = "504 UPSTREAM_TIMEOUT: There was no pairing code in time; the same request finds one that comes later";
    let answer = ask(&user, PHONE).await;
    assert_eq!(answer.error(), late);
    assert_eq!(
        answer.json()["error"]["details"],
        json!({"outcome": "not_started"})
    );
    world.daemon.observe(instance, Status::Connecting).await;
    let answer = ask(&user, PHONE).await;
    assert_eq!(answer.error(), late);
    assert_eq!(answer.json()["error"]["details"], json!({"outcome": "unknown"}));
    assert_eq!(world.stored(instance).await.desired.generation, 1);
    // A daemon follows none that is so old.
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(ask(&user, PHONE).await.status, 504);
    assert_eq!(world.stored(instance).await.desired.generation, 2);
}

#[tokio::test]
async fn a_paired_instance_and_a_bad_number_are_refused_before_anything_is_asked() {
    let world = impatient().await;
    let (user, instance, _) = world.ready().await;
    let before = world.stored(instance).await.desired;
    assert_eq!(
        ask(&user, PHONE).await.error(),
        "409 CONFLICT: The instance is paired already: log it out before it is paired anew"
    );
    for phone in ["", "0155501000", "abc", "lid:100000012345678"] {
        assert_eq!(
            ask(&user, phone).await.error(),
            "400 VALIDATION_ERROR: `phone` must be a phone number in E.164: 7 to 15 digits with the country code, an optional + before them"
        );
    }
    assert_eq!(world.stored(instance).await.desired, before);
    assert_eq!(
        world.audited(&user, Action::PairingCodeRequested).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn pairing_wins_over_a_request_that_comes_with_it() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let request = shared::domain::instance::PairingRequest {
        phone: PHONE.parse().expect("a number"),
        asked_at: world.clock.now(),
    };
    world.daemon.pair(instance).await;
    let wanted = world.state.instances.want_pairing(instance, &request).await;
    assert_eq!(
        wanted.expect("answered"),
        shared::storage::instances::PairingWanted::Paired
    );
}

#[tokio::test]
async fn a_user_may_ask_for_so_many_codes() {
    let world = impatient().await;
    let user = world.register("ada@example.com").await;
    world.instance(&user, "sales").await;
    for n in 0..20 {
        let answer = ask(&user, &format!("155501000{n:02}")).await;
        assert_eq!(answer.status, 504);
    }
    let answer = ask(&user, OTHER).await;
    assert_eq!(answer.json()["error"]["code"], json!("RATE_LIMITED"));
    assert!(!answer.header("retry-after").is_empty());
    // To look for the code of the last is not to ask for one.
    assert_eq!(ask(&user, "15550100019").await.status, 504);
}

#[tokio::test]
async fn a_code_of_an_earlier_life_is_not_shown_again() {
    let world = impatient().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    assert_eq!(ask(&user, PHONE).await.status, 504);
    world.daemon.show_pairing_code(instance, "ABCD1234").await;
    assert_eq!(ask(&user, PHONE).await.data(200)["code"], json!("ABCD1234"));
    world.daemon.takes_over().await;
    assert_eq!(ask(&user, PHONE).await.status, 504, "it leads nowhere");
    assert_eq!(
        world.stored(instance).await.desired.generation,
        2,
        "another is asked for"
    );
}
