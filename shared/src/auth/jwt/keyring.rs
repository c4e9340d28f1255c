//! The secrets of access tokens that a process works with. Those that are kept elsewhere are read anew now and then, so that a changed
//! secret arrives without a restart.
//!
//! A function's process stands still between two calls, so nothing is done in the background: whoever signs or checks a token reads
//! secrets anew that are too old. While the place is away, the known secrets stay in use.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use tokio::sync::Mutex;
use tracing::warn;

use crate::config::JwtSecret;
use crate::telemetry::chain;

/// How long secrets are used before they are read anew.
pub const TERM: TimeDelta = TimeDelta::minutes(5);

/// How long nobody asks again after a failure, or after a token that no secret has signed.
pub const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// The same while no secret is known at all.
const BRIEFLY: TimeDelta = TimeDelta::seconds(5);

/// Where secrets are kept.
#[async_trait]
pub trait SecretPlace: fmt::Debug + Send + Sync {
    /// The secrets as they are now; the first signs. It ends in seconds.
    async fn read(&self) -> Result<Vec<JwtSecret>, SecretError>;
}

/// Why secrets could not be read. None of these has a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The place does not answer, or not in time. It may later.
    #[error("the secrets of access tokens are out of reach")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The place refuses, or has no such secret.
    #[error("the secrets of access tokens are refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is kept there is no secret that can be used.
    #[error("the secret of access tokens that is kept {0}")]
    Unusable(String),
}

/// A secret, ready for use.
pub(super) struct Key {
    pub kid: String,
    pub signs: EncodingKey,
    pub checks: DecodingKey,
}

/// The secrets of a process.
pub(super) struct Keyring {
    keys: RwLock<Arc<[Key]>>,
    kept: Option<Kept>,
}

/// Where they are kept, and when they are asked for again.
struct Kept {
    place: Arc<dyn SecretPlace>,
    next: Mutex<Next>,
}

/// When it is time to ask again.
#[derive(Debug, Clone, Copy)]
struct Next {
    /// For whoever wants to use them.
    due: DateTime<Utc>,
    /// For whoever has met a token that none of them has signed.
    early: DateTime<Utc>,
}

impl Keyring {
    /// Secrets that stay as they are.
    pub fn fixed(secrets: &[JwtSecret]) -> Self {
        Self {
            keys: RwLock::new(keys(secrets)),
            kept: None,
        }
    }

    /// The secrets that are kept there.
    pub async fn of(place: Arc<dyn SecretPlace>, now: DateTime<Utc>) -> Result<Self, SecretError> {
        let secrets = place.read().await?;
        Ok(Self::kept(place, &secrets, now + TERM, now))
    }

    /// The same; where the place is away, there are none until it is back.
    pub async fn of_or_later(place: Arc<dyn SecretPlace>, now: DateTime<Utc>) -> Result<Self, SecretError> {
        match place.read().await {
            Ok(secrets) => Ok(Self::kept(place, &secrets, now + TERM, now)),
            Err(error @ SecretError::Away(_)) => {
                warn!(error = %chain(&error), "the secrets of access tokens are not known yet");
                Ok(Self::kept(place, &[], now + BRIEFLY, now))
            }
            Err(error) => Err(error),
        }
    }

    fn kept(
        place: Arc<dyn SecretPlace>,
        secrets: &[JwtSecret],
        due: DateTime<Utc>,
        early: DateTime<Utc>,
    ) -> Self {
        Self {
            keys: RwLock::new(keys(secrets)),
            kept: Some(Kept {
                place,
                next: Mutex::new(Next { due, early }),
            }),
        }
    }

    /// The secrets as they are known; the first signs.
    pub fn keys(&self) -> Arc<[Key]> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&*keys)
    }

    /// Reads them anew where they are too old. While one caller does, others go on with the known ones.
    pub async fn renew(&self, now: DateTime<Utc>) {
        if let Some(kept) = &self.kept
            && let Ok(mut next) = kept.next.try_lock()
            && has_come(next.due, TERM, now)
        {
            self.ask(kept, &mut next, now).await;
        }
    }

    /// Reads them anew for a token that none of `known` has signed. Says whether there are others now.
    pub async fn renew_early(&self, known: &Arc<[Key]>, now: DateTime<Utc>) -> bool {
        let Some(kept) = &self.kept else {
            return false;
        };
        let mut next = kept.next.lock().await;
        // Somebody else may have done it meanwhile.
        if Arc::ptr_eq(known, &self.keys()) && has_come(next.early, PAUSE, now) {
            self.ask(kept, &mut next, now).await;
        }
        !Arc::ptr_eq(known, &self.keys())
    }

    async fn ask(&self, kept: &Kept, next: &mut Next, now: DateTime<Utc>) {
        // Before, since whoever waits for this may go away.
        next.early = now + PAUSE;
        next.due = now + if self.keys().is_empty() { BRIEFLY } else { PAUSE };
        match kept.place.read().await {
            Ok(secrets) => {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys(&secrets);
                next.due = now + TERM;
            }
            Err(error) => {
                warn!(error = %chain(&error), "the secrets of access tokens were not renewed, and stay as they were");
            }
        }
    }
}

/// Whether a time has come that was set to be no further away than `term`. One that is further away was set by a clock that has been
/// put back since, as a daemon's is where it was ahead; secrets must not be believed until it has caught up. Callers that wait for each
/// other have looked at the clock within [`PAUSE`].
fn has_come(at: DateTime<Utc>, term: TimeDelta, now: DateTime<Utc>) -> bool {
    at <= now || at > now + term + PAUSE
}

fn keys(secrets: &[JwtSecret]) -> Arc<[Key]> {
    let keys = secrets.iter().map(|JwtSecret { kid, secret }| {
        let secret = secret.expose().as_bytes();
        Key {
            kid: kid.clone(),
            signs: EncodingKey::from_secret(secret),
            checks: DecodingKey::from_secret(secret),
        }
    });
    keys.collect()
}
