//! The secrets of access tokens that are kept in Secrets Manager: read once, renewed, and held on to where that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::auth::jwt::{DEFAULT_LIFETIME, JwtError, Jwts, PAUSE, SecretError, SecretPlace, TERM};
use shared::config::JwtSecret;
use shared::domain::account::Role;
use shared::ids::{SubscriptionId, UserId};
use shared::secrets_manager::KeptJwtSecrets;
use shared::telemetry::chain;
use testbed::secrets::{ARN, Says, SecretsStandIn};

const OLD: &str = "an-old-secret-of-thirty-two-bytes-or-more";
const NEW: &str = "a-new-secret-of-thirty-two-bytes-or-more-";

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).expect("in range")
}

async fn kept(secrets: &SecretsStandIn, arn: &str) -> Result<Jwts, SecretError> {
    let place = KeptJwtSecrets::new(&shared::aws::stand_in(&secrets.endpoint()), arn);
    Jwts::kept_at(Arc::new(place), DEFAULT_LIFETIME, start()).await
}

async fn token(jwts: &Jwts, now: DateTime<Utc>) -> String {
    let (user, subscription) = (UserId::new(now), SubscriptionId::new(now));
    let signed = jwts.signed(user, subscription, Role::User, "family", now).await;
    signed.expect("signs")
}

#[tokio::test]
async fn a_secret_is_read_once_and_anew_when_its_term_is_over() {
    let secrets = SecretsStandIn::with(OLD).await;
    let jwts = kept(&secrets, ARN).await.expect("read");
    let before_the_end = start() + TERM - TimeDelta::seconds(1);
    let old = token(&jwts, before_the_end).await;
    assert!(jwts.verified(&old, before_the_end).await.is_ok());
    assert_eq!(secrets.asked(), 1);

    // The new one signs, and the old one is good still.
    secrets.now_text(&format!("2:{NEW},1:{OLD}"));
    let end = start() + TERM;
    let new = token(&jwts, end).await;
    for token in [&old, &new] {
        assert!(jwts.verified(token, end).await.is_ok());
    }
    assert_eq!(secrets.asked(), 2);

    // The old one is dropped.
    secrets.now_text(&format!("2:{NEW}"));
    let later = end + TERM;
    assert_eq!(jwts.verified(&old, later).await, Err(JwtError::BadSignature));
    assert!(jwts.verified(&new, later).await.is_ok());
}

/// Another process has read the new secret before this one: its tokens are good here at once.
#[tokio::test]
async fn a_token_of_a_newer_secret_is_good_at_once() {
    let secrets = SecretsStandIn::with(OLD).await;
    let here = kept(&secrets, ARN).await.expect("read");
    secrets.now_text(&format!("2:{NEW},1:{OLD}"));
    let elsewhere = kept(&secrets, ARN).await.expect("read");
    let now = start() + TimeDelta::seconds(1);
    let token = token(&elsewhere, now).await;
    assert!(here.verified(&token, now).await.is_ok());
    assert_eq!(secrets.asked(), 3);

    // Whoever sends tokens that nobody has signed has it asked once in a while alone.
    let parts: Vec<_> = token.split('.').collect();
    let forged = format!("{}.{}.AAAA", parts[0], parts[1]);
    for seconds in 1..29 {
        let now = now + TimeDelta::seconds(seconds);
        assert_eq!(here.verified(&forged, now).await, Err(JwtError::BadSignature));
    }
    assert_eq!(secrets.asked(), 3);
    assert_eq!(
        here.verified(&forged, now + PAUSE).await,
        Err(JwtError::BadSignature)
    );
    assert_eq!(secrets.asked(), 4);
}

#[tokio::test]
async fn where_secrets_manager_is_away_what_is_known_holds_on() {
    let secrets = SecretsStandIn::with(OLD).await;
    let jwts = kept(&secrets, ARN).await.expect("read");
    secrets.now(Says::Error("InternalServiceError"));
    let end = start() + TERM;
    let old = token(&jwts, end).await;
    let asked = secrets.asked();
    assert!(asked > 1);
    assert!(jwts.verified(&old, end + TimeDelta::seconds(29)).await.is_ok());
    assert_eq!(secrets.asked(), asked, "it is left alone for a while");

    secrets.now_text("too short");
    assert!(jwts.verified(&old, end + PAUSE).await.is_ok());
    assert_eq!(secrets.asked(), asked + 1, "nor does nonsense take its place");

    secrets.now_text(&format!("2:{NEW},1:{OLD}"));
    let back = end + PAUSE * 2;
    assert!(jwts.verified(&old, back).await.is_ok());
    let new = token(&jwts, back).await;
    secrets.now_text(&format!("2:{NEW}"));
    let elsewhere = kept(&secrets, ARN).await.expect("read");
    assert!(elsewhere.verify(&new, back).is_ok(), "the new one has signed");
}

/// A daemon's clock may be ahead when it starts, and is put right later.
#[tokio::test]
async fn a_clock_that_is_put_back_keeps_no_secret_for_longer() {
    let secrets = SecretsStandIn::with(OLD).await;
    let place = KeptJwtSecrets::new(&shared::aws::stand_in(&secrets.endpoint()), ARN);
    let ahead = start() + TimeDelta::days(1);
    let jwts = Jwts::kept_at(Arc::new(place), DEFAULT_LIFETIME, ahead).await;
    let jwts = jwts.expect("read");
    let old = token(&jwts, ahead).await;
    assert_eq!(secrets.asked(), 1);

    secrets.now_text(&format!("2:{NEW}"));
    assert_eq!(jwts.verified(&old, start()).await, Err(JwtError::BadSignature));
    assert_eq!(secrets.asked(), 2);
    let new = token(&jwts, start()).await;
    assert!(jwts.verified(&new, start()).await.is_ok());
    assert_eq!(secrets.asked(), 2);
}

/// A place that answers once, and then no more.
#[derive(Debug, Default)]
struct AnswersOnce(AtomicU64);

#[async_trait]
impl SecretPlace for AnswersOnce {
    async fn read(&self) -> Result<Vec<JwtSecret>, SecretError> {
        if self.0.fetch_add(1, Ordering::SeqCst) > 0 {
            std::future::pending::<()>().await;
        }
        Ok(JwtSecret::read_all(OLD).expect("long enough"))
    }
}

/// A client may hang up while its token is looked at.
#[tokio::test]
async fn those_who_do_not_wait_for_an_answer_ask_no_more_often() {
    let place = Arc::new(AnswersOnce::default());
    let asked = || place.0.load(Ordering::SeqCst);
    let jwts = Jwts::kept_at(place.clone(), DEFAULT_LIFETIME, start()).await;
    let jwts = jwts.expect("read");
    let token = token(&jwts, start()).await;
    let end = start() + TERM;
    let hang_up = async |now: DateTime<Utc>| {
        tokio::select! {
            biased;
            _ = jwts.verified(&token, now) => panic!("nobody answers"),
            () = std::future::ready(()) => {}
        }
    };
    hang_up(end).await;
    assert_eq!(asked(), 2);
    for seconds in 0..30 {
        let now = end + TimeDelta::seconds(seconds);
        assert!(jwts.verified(&token, now).await.is_ok());
    }
    assert_eq!(asked(), 2);
    hang_up(end + PAUSE).await;
    assert_eq!(asked(), 3);
}

/// Whoever has more to do than to check tokens starts without a secret, and finds it when it is back.
#[tokio::test]
async fn whoever_starts_without_a_secret_says_neither_yes_nor_no() {
    let secrets = SecretsStandIn::with(OLD).await;
    let known = kept(&secrets, ARN).await.expect("read");
    let token = token(&known, start()).await;
    let later = async || {
        let place = KeptJwtSecrets::new(&shared::aws::stand_in(&secrets.endpoint()), ARN);
        Jwts::kept_at_or_later(Arc::new(place), DEFAULT_LIFETIME, start()).await
    };
    secrets.now(Says::Error("InternalServiceError"));
    let jwts = later().await.expect("it starts");
    let asked = secrets.asked();
    for seconds in 0..5 {
        let now = start() + TimeDelta::seconds(seconds);
        assert_eq!(jwts.verified(&token, now).await, Err(JwtError::Unavailable));
    }
    assert_eq!(secrets.asked(), asked, "it is left alone for a while");
    let now = start() + TimeDelta::seconds(5);
    assert_eq!(jwts.verified(&token, now).await, Err(JwtError::Unavailable));
    assert!(secrets.asked() > asked);

    secrets.now_text(OLD);
    assert!(jwts.verified(&token, now + TimeDelta::seconds(5)).await.is_ok());

    // What a person has to mend is told at the start.
    secrets.now(Says::Error("AccessDeniedException"));
    let refused = later().await.expect_err("refused");
    assert_eq!(refused.to_string(), "the secrets of access tokens are refused");
}

#[tokio::test]
async fn a_start_without_a_secret_says_why_and_tells_none() {
    const SHORT: &str = "a-short-secret";
    let secrets = SecretsStandIn::with(SHORT).await;
    for (says, arn, told) in [
        (
            Says::Text(SHORT.to_owned()),
            ARN,
            "the secret of access tokens that is kept must have 32 bytes or more",
        ),
        (
            Says::Bytes,
            ARN,
            "the secret of access tokens that is kept is no text",
        ),
        (
            Says::Error("AccessDeniedException"),
            ARN,
            "the secrets of access tokens are refused",
        ),
        (
            Says::Text(OLD.to_owned()),
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:another",
            "the secrets of access tokens are refused",
        ),
        (
            Says::Error("InternalServiceError"),
            ARN,
            "the secrets of access tokens are out of reach",
        ),
        (
            Says::Error("SomethingNewException"),
            ARN,
            "the secrets of access tokens are out of reach",
        ),
    ] {
        secrets.now(says);
        let error = kept(&secrets, arn).await.expect_err("no secret");
        assert_eq!(error.to_string(), told);
        let whole = format!("{} {error:?}", chain(&error));
        assert!(!whole.contains(SHORT) && !whole.contains(OLD), "{whole}");
    }
}
