//! From no account to one: a session shows a phone QR codes one after another, or one code to enter. It ends by
//! itself when nobody uses them.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use shared::domain::instance::{MAX_QR_ATTEMPTS, PAIRING_REQUEST_TERM, PairingRequest, Status};
use shared::domain::reason::Reason;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::debug;

use super::passkey;
use super::session::{Ended, Running};
use crate::connection::{PairingCode, PairingError};

/// How long a session goes on after its pairing code has run out: a phone on which the code is entered at the last
/// moment is linked a little later.
const GRACE: Duration = Duration::from_secs(5);

/// How far the pairing of a session is.
pub enum Pairing {
    /// By QR codes, of which so many were shown.
    ByQr(u8),
    /// By a code, which is asked for as soon as the server is ready.
    ByCode(PairingRequest),
    /// The code is on its way.
    Asked(BoxFuture<'static, Result<PairingCode, PairingError>>),
    /// The code is shown until then.
    Shown(Instant),
    /// WhatsApp wants a passkey.
    ByPasskey(passkey::Step),
    /// The phone has answered: the rest is between it and the server.
    Answered,
}

/// What happens while pairing by a code or with a passkey.
pub enum Progress {
    /// WhatsApp's answer to the request for a code.
    Code(Result<PairingCode, PairingError>),
    /// Nobody has entered it.
    Expired,
    /// What happens with a passkey.
    Passkey(passkey::Progress),
}

impl Pairing {
    /// The pairing of a session that begins.
    pub fn new(request: Option<&PairingRequest>) -> Self {
        request.map_or(Self::ByQr(0), |request| Self::ByCode(request.clone()))
    }

    /// Waits for what happens next by itself. May be broken off and called again.
    pub async fn progress(&mut self) -> Progress {
        match self {
            Self::Asked(answer) => Progress::Code(answer.await),
            Self::Shown(until) => {
                tokio::time::sleep_until(*until).await;
                Progress::Expired
            }
            Self::ByPasskey(step) => Progress::Passkey(step.progress().await),
            Self::ByQr(_) | Self::ByCode(_) | Self::Answered => std::future::pending().await,
        }
    }
}

impl Running<'_> {
    /// The server has a QR code. It is shown; or it is the sign that a pairing code can be asked for.
    pub(super) async fn qr_came(&mut self, code: &str, valid_for: Duration) -> Option<Ended> {
        if self.actor.unlink.is_cancelled() {
            // The session state is gone, and nothing is left to unlink.
            return Some(Ended::For(Status::LoggedOut, Reason::LoggedOut));
        }
        match &mut self.pairing {
            Pairing::ByQr(shown) => {
                *shown += 1;
                let attempt = *shown;
                self.show_qr(code, attempt, valid_for).await
            }
            Pairing::ByCode(request) => {
                let is_late = self.actor.deps.clock.now() - request.asked_at > PAIRING_REQUEST_TERM;
                if self.actor.code_shown {
                    return Some(Ended::For(Status::ForceDisconnected, Reason::PairingCodeLost));
                }
                if is_late {
                    return Some(not_entered());
                }
                let (connection, phone) = (Arc::clone(&self.connection), request.phone.clone());
                let answer = async move { connection.pairing_code(&phone).await };
                self.pairing = Pairing::Asked(answer.boxed());
                None
            }
            Pairing::Asked(_) | Pairing::Shown(_) | Pairing::ByPasskey(_) | Pairing::Answered => None,
        }
    }

    /// The server has no more QR codes. Pairing by a code goes on.
    pub(super) fn qr_exhausted(&self) -> Option<Ended> {
        matches!(self.pairing, Pairing::ByQr(_)).then(not_scanned)
    }

    /// The code that is shown does not work any more.
    pub(super) fn code_void(&self) -> Option<Ended> {
        matches!(self.pairing, Pairing::Shown(_)).then(not_entered)
    }

    /// The code was entered, or the passkey accepted: neither can run out any more.
    pub(super) fn phone_answered(&mut self) {
        if matches!(self.pairing, Pairing::Shown(_) | Pairing::ByPasskey(_)) {
            self.pairing = Pairing::Answered;
        }
    }

    pub(super) async fn progressed(&mut self, progress: Progress) -> Option<Ended> {
        match progress {
            Progress::Code(Ok(code)) => self.show_code(&code).await,
            Progress::Code(Err(error)) => Some(self.no_code(&error)),
            Progress::Expired => Some(not_entered()),
            Progress::Passkey(progress) => self.passkey_progressed(progress).await,
        }
    }

    async fn show_qr(&mut self, code: &str, attempt: u8, valid_for: Duration) -> Option<Ended> {
        if attempt > MAX_QR_ATTEMPTS {
            return Some(not_scanned());
        }
        debug!(instance.id = %self.actor.id, attempt, "a QR code waits");
        let expires_at = self.actor.deps.clock.now() + TimeDelta::from_std(valid_for).unwrap_or_default();
        let stored = self.actor.observer.set_qr(code, attempt, expires_at).await;
        self.unless(stored)
    }

    async fn show_code(&mut self, code: &PairingCode) -> Option<Ended> {
        debug!(instance.id = %self.actor.id, "a pairing code waits");
        self.pairing = Pairing::Shown(Instant::now() + code.valid_for + GRACE);
        self.actor.code_shown = true;
        let valid_for = TimeDelta::from_std(code.valid_for).unwrap_or_default();
        let expires_at = self.actor.deps.clock.now() + valid_for;
        let stored = self.actor.observer.set_pairing_code(&code.code, expires_at).await;
        self.unless(stored)
    }

    /// There is no code. A request that has reached WhatsApp is not repeated by itself: each may ring the phone, and
    /// too many get the number refused.
    fn no_code(&mut self, error: &PairingError) -> Ended {
        let why = chain(error);
        let reason = match error {
            PairingError::NotConnected => return Ended::Dropped(why),
            PairingError::Throttled(_) => Reason::PairingCodeThrottled,
            PairingError::Refused(_) => Reason::PairingCodeRefused,
            PairingError::Timeout => Reason::PairingCodeUnanswered,
        };
        self.actor.observer.note_error(why);
        Ended::For(Status::ForceDisconnected, reason)
    }
}

fn not_scanned() -> Ended {
    Ended::For(Status::ForceDisconnected, Reason::QrNotScanned)
}

fn not_entered() -> Ended {
    Ended::For(Status::ForceDisconnected, Reason::PairingCodeNotEntered)
}
