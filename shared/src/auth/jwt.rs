//! Access tokens: JWTs (RFC 7519) with HS256. The algorithm is pinned. `kid` names the secret, so that a secret can
//! be replaced while tokens of the old one run out.

mod keyring;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use self::keyring::{Key, Keyring};
pub use self::keyring::{PAUSE, SecretError, SecretPlace, TERM};
use crate::config::JwtSecret;
use crate::domain::account::Role;
use crate::ids::{SubscriptionId, UserId};

/// An access token's lifetime where the configuration names none.
pub const DEFAULT_LIFETIME: TimeDelta = TimeDelta::minutes(15);

const ISSUER: &str = "waxwing";
const AUDIENCE: &str = "waxwing-api";

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: UserId,
    /// The user's subscription.
    pub sid: SubscriptionId,
    /// The user's role when the token was made.
    pub role: Role,
    /// The token's own id.
    pub jti: String,
    /// The login that it descends from.
    pub family: String,
    /// Who made it.
    pub iss: String,
    /// For whom.
    pub aud: String,
    /// When, in Unix seconds.
    pub iat: i64,
    /// Until when, in Unix seconds.
    pub exp: i64,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is no JWT of ours: not three parts, another algorithm, other claims.
    #[error("the token is malformed")]
    Malformed,
    /// No secret of ours signed it.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// No secret is known yet, so nobody can say. Later somebody can.
    #[error("the secrets of access tokens are not known yet")]
    Unavailable,
}

/// Signs and verifies access tokens. Its clones have the same secrets.
#[derive(Clone)]
pub struct Jwts {
    keyring: Arc<Keyring>,
    lifetime: TimeDelta,
    validation: Validation,
}

impl fmt::Debug for Jwts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwts")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl Jwts {
    /// The first of `secrets` signs, and all of them verify. Tokens live for `lifetime`.
    pub fn new(secrets: &[JwtSecret], lifetime: TimeDelta) -> Self {
        Self::over(Keyring::fixed(secrets), lifetime)
    }

    /// The same with the secrets that are kept at this place. [`Self::signed`] and [`Self::verified`] read them anew in time.
    pub async fn kept_at(
        place: Arc<dyn SecretPlace>,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Self, SecretError> {
        Ok(Self::over(Keyring::of(place, now).await?, lifetime))
    }

    /// The same for whoever has more to do than that: where the place is away no secret is known until it is back, and until then
    /// every token is [`JwtError::Unavailable`].
    pub async fn kept_at_or_later(
        place: Arc<dyn SecretPlace>,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Self, SecretError> {
        Ok(Self::over(Keyring::of_or_later(place, now).await?, lifetime))
    }

    /// The same secrets, with another lifetime of tokens.
    #[must_use]
    pub fn living_for(&self, lifetime: TimeDelta) -> Self {
        Self {
            lifetime,
            ..self.clone()
        }
    }

    fn over(keyring: Keyring, lifetime: TimeDelta) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The expiry is checked below, by the injected clock.
        validation.validate_exp = false;
        Self {
            keyring: Arc::new(keyring),
            lifetime,
            validation,
        }
    }

    /// How long a token lives.
    pub fn lifetime(&self) -> TimeDelta {
        self.lifetime
    }

    /// Renews secrets that are kept elsewhere, where it is time: for whoever must not wait for that later.
    pub async fn renew(&self, now: DateTime<Utc>) {
        self.keyring.renew(now).await;
    }

    /// A new token. Secrets that are kept elsewhere are read anew first where it is time.
    pub async fn signed(
        &self,
        user: UserId,
        subscription: SubscriptionId,
        role: Role,
        family: &str,
        now: DateTime<Utc>,
    ) -> Result<String, JwtError> {
        self.renew(now).await;
        self.sign(user, subscription, role, family, now)
    }

    /// A new token by the first of the secrets that this process knows.
    pub fn sign(
        &self,
        user: UserId,
        subscription: SubscriptionId,
        role: Role,
        family: &str,
        now: DateTime<Utc>,
    ) -> Result<String, JwtError> {
        let keys = self.keyring.keys();
        let key = keys.first().ok_or(JwtError::Unavailable)?;
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.kid.clone());
        let claims = Claims {
            sub: user,
            sid: subscription,
            role,
            jti: super::random_letters(22),
            family: family.to_owned(),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now.timestamp(),
            exp: (now + self.lifetime).timestamp(),
        };
        jsonwebtoken::encode(&header, &claims, &key.signs).map_err(|_| JwtError::Malformed)
    }

    /// What a token says, if it is ours and its time is not over. Secrets that are kept elsewhere are read anew first where it is time, and
    /// also where no known secret has signed the token: a newer one may have.
    pub async fn verified(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, JwtError> {
        self.renew(now).await;
        let known = self.keyring.keys();
        match self.verify_by(&known, token, now) {
            Err(JwtError::BadSignature) if self.keyring.renew_early(&known, now).await => {
                self.verify(token, now)
            }
            said => said,
        }
    }

    /// The same by the secrets that this process knows.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, JwtError> {
        self.verify_by(&self.keyring.keys(), token, now)
    }

    fn verify_by(&self, keys: &[Key], token: &str, now: DateTime<Utc>) -> Result<Claims, JwtError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| JwtError::Malformed)?;
        if header.alg != Algorithm::HS256 {
            return Err(JwtError::Malformed);
        }
        let kid = header.kid.ok_or(JwtError::Malformed)?;
        if keys.is_empty() {
            return Err(JwtError::Unavailable);
        }
        // Two secrets have one name where neither has been given one.
        let mut named = keys.iter().filter(|key| key.kid == kid);
        let read = named.find_map(|key| {
            match jsonwebtoken::decode::<Claims>(token, &key.checks, &self.validation) {
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => None,
                read => Some(read),
            }
        });
        let read = read.ok_or(JwtError::BadSignature)?;
        let claims = read.map_err(|_| JwtError::Malformed)?.claims;
        if claims.exp <= now.timestamp() {
            return Err(JwtError::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const OLD: (&str, &str) = ("2025", "an old secret of 32 bytes or more");
    const NEW: (&str, &str) = ("2026", "a new secret of 32 bytes or more!");

    fn jwts(secrets: &[(&str, &str)]) -> Jwts {
        let secrets = secrets.iter().map(|(kid, secret)| JwtSecret {
            kid: (*kid).to_owned(),
            secret: Secret::new(*secret),
        });
        Jwts::new(&secrets.collect::<Vec<_>>(), DEFAULT_LIFETIME)
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).expect("in range")
    }

    fn sign(jwts: &Jwts) -> String {
        let (user, subscription) = (UserId::new(now()), SubscriptionId::new(now()));
        jwts.sign(user, subscription, Role::User, "family", now())
            .expect("signs")
    }

    #[test]
    fn a_token_lives_for_its_lifetime() {
        let jwts = jwts(&[NEW]);
        let token = sign(&jwts);
        assert_eq!(jwts.verify(&token, now()).expect("ours").family, "family");
        assert!(
            jwts.verify(&token, now() + DEFAULT_LIFETIME - TimeDelta::seconds(1))
                .is_ok()
        );
        assert_eq!(
            jwts.verify(&token, now() + DEFAULT_LIFETIME),
            Err(JwtError::Expired)
        );
    }

    #[test]
    fn an_old_secret_verifies_until_it_is_dropped() {
        let token = sign(&jwts(&[OLD]));
        assert!(jwts(&[NEW, OLD]).verify(&token, now()).is_ok());
        assert_eq!(jwts(&[NEW]).verify(&token, now()), Err(JwtError::BadSignature));
        let signed_anew = sign(&jwts(&[NEW, OLD]));
        assert!(jwts(&[NEW]).verify(&signed_anew, now()).is_ok());
    }

    #[test]
    fn two_secrets_may_have_one_name() {
        let old = sign(&jwts(&[("1", OLD.1)]));
        let both = jwts(&[("1", NEW.1), ("1", OLD.1)]);
        for token in [old.clone(), sign(&both)] {
            assert!(both.verify(&token, now()).is_ok());
        }
        let dropped = jwts(&[("1", NEW.1)]);
        assert_eq!(dropped.verify(&old, now()), Err(JwtError::BadSignature));
    }

    #[test]
    fn another_signature_or_algorithm_is_refused() {
        let ours = jwts(&[NEW]);
        let token = sign(&jwts(&[("2026", "somebody else's secret of 32 bytes")]));
        assert_eq!(ours.verify(&token, now()), Err(JwtError::BadSignature));

        let token = sign(&ours);
        let claims = token.split('.').nth(1).expect("three parts");
        for algorithm in ["none", "HS512", "RS256"] {
            let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"2026"}}"#);
            let header = URL_SAFE_NO_PAD.encode(header);
            for signature in ["", "AAAA"] {
                let forged = format!("{header}.{claims}.{signature}");
                assert_eq!(
                    ours.verify(&forged, now()),
                    Err(JwtError::Malformed),
                    "{algorithm}"
                );
            }
        }
        assert_eq!(ours.verify("not a token", now()), Err(JwtError::Malformed));
    }

    #[test]
    fn a_token_for_someone_else_is_refused() {
        let ours = jwts(&[NEW]);
        let mut claims = ours.verify(&sign(&ours), now()).expect("ours");
        claims.aud = "another-service".to_owned();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("2026".to_owned());
        let token = jsonwebtoken::encode(&header, &claims, &ours.keyring.keys()[0].signs).expect("signs");
        assert_eq!(ours.verify(&token, now()), Err(JwtError::Malformed));
    }
}
