//! Linking with a passkey. WhatsApp wants two things of the account's owner, one after the other: an assertion, and a word that
//! the phone shows the same code. Each is shown on the instance's item, and its answer comes from there. Both are bound to this
//! connection: with its end what waits is over, and an answer to it leads nowhere.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Deserialize;
use shared::domain::instance::Status;
use shared::domain::passkey::{Credential, MOST_BYTES, PasskeyAnswer, PasskeyStage};
use shared::domain::reason::Reason;
use shared::ids::InstanceId;
use shared::seal::Purpose;
use shared::telemetry::chain;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::pairing::Pairing;
use super::session::{Ended, Running};
use crate::deps::Deps;
use crate::passkey::PasskeyError;

/// How long the account's owner may take for each of both, unless WhatsApp's options say another time within these bounds.
const PATIENCE: Duration = Duration::from_mins(5);
const LEAST_PATIENCE: Duration = Duration::from_mins(1);
const MOST_PATIENCE: Duration = Duration::from_mins(10);

/// How long the phone may take once WhatsApp has an answer: its person may have to unlock it.
const PHONE_PATIENCE: Duration = Duration::from_mins(2);

/// The pause before an answer that cannot be opened yet is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// How far linking with a passkey is.
pub enum Step {
    /// The owner is waited for.
    Awaited {
        /// What is wanted of the owner.
        stage: PasskeyStage,
        /// Tells it from every other request.
        mark: String,
        /// When it is over.
        until: Instant,
        /// The owner's answer, while it is opened: without its key, which may be out of reach, nobody knows what it says.
        opening: Option<BoxFuture<'static, Option<Credential>>>,
    },
    /// WhatsApp is being told.
    Told(BoxFuture<'static, Result<(), PasskeyError>>),
    /// WhatsApp and the phone go on by themselves, until then.
    Checked(Instant),
}

/// What happens next by itself.
pub enum Progress {
    /// The owner's answer; `None` for one that says nothing.
    Opened(Option<Credential>),
    /// The owner has not answered in time.
    NotGiven,
    /// What WhatsApp says to an answer.
    Told(Result<(), PasskeyError>),
    /// The phone has not answered in time.
    Unanswered,
}

impl Step {
    /// Waits for what happens next by itself. May be broken off and called again.
    pub async fn progress(&mut self) -> Progress {
        match self {
            Self::Awaited { until, opening, .. } => {
                let opened = async {
                    match opening {
                        Some(opening) => opening.await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    credential = opened => Progress::Opened(credential),
                    () = tokio::time::sleep_until(*until) => Progress::NotGiven,
                }
            }
            Self::Told(telling) => Progress::Told(telling.await),
            Self::Checked(until) => {
                tokio::time::sleep_until(*until).await;
                Progress::Unanswered
            }
        }
    }
}

/// The next answer that is stored. May be broken off and called again.
pub async fn answered(answers: &mut watch::Receiver<Option<PasskeyAnswer>>) -> PasskeyAnswer {
    loop {
        if answers.changed().await.is_err() {
            // Nobody hands any on any more.
            std::future::pending::<()>().await;
        }
        let answer = answers.borrow_and_update().clone();
        if let Some(answer) = answer {
            return answer;
        }
    }
}

impl Running<'_> {
    /// WhatsApp wants an assertion.
    pub(super) async fn passkey_requested(&mut self, options: &str) -> Option<Ended> {
        let Some(patience) = patience(options) else {
            self.actor
                .observer
                .note_error("WhatsApp's request for a passkey cannot be read".to_owned());
            return Some(refused());
        };
        self.wait_for(PasskeyStage::Assertion, options, patience).await
    }

    /// The phone has answered to the assertion: a person compares the codes, unless it knows this session.
    pub(super) async fn passkey_confirmation(&mut self, code: &str, is_known: bool) -> Option<Ended> {
        if is_known {
            self.confirm();
            return None;
        }
        self.wait_for(PasskeyStage::Confirmation, code, PATIENCE).await
    }

    /// The library has given up.
    pub(super) fn passkey_failed(&mut self, why: String) -> Ended {
        self.actor.observer.note_error(why);
        refused()
    }

    async fn wait_for(&mut self, stage: PasskeyStage, text: &str, patience: Duration) -> Option<Ended> {
        debug!(instance.id = %self.actor.id, %stage, "WhatsApp waits for the account's owner");
        let mark = format!("{:032x}", rand::random::<u128>());
        let until = Instant::now() + patience;
        let expires_at = self.actor.deps.clock.now() + TimeDelta::from_std(patience).unwrap_or_default();
        let observer = &mut self.actor.observer;
        let stored = observer.set_passkey(stage, &mark, text, expires_at).await;
        self.pairing = Pairing::ByPasskey(Step::Awaited {
            stage,
            mark,
            until,
            opening: None,
        });
        self.unless(stored)
    }

    /// The owner has answered. What answers another request than the present one is of no use any more.
    pub(super) async fn passkey_answered(&mut self, answer: PasskeyAnswer) -> Option<Ended> {
        let Pairing::ByPasskey(Step::Awaited {
            stage, mark, opening, ..
        }) = &mut self.pairing
        else {
            return None;
        };
        if *mark != answer.mark {
            return None;
        }
        match (*stage, answer.sealed) {
            (PasskeyStage::Assertion, Some(sealed)) => {
                let (deps, id) = (Arc::clone(&self.actor.deps), self.actor.id);
                *opening = Some(opened(deps, id, answer.mark, sealed).boxed());
                None
            }
            (PasskeyStage::Confirmation, None) => {
                self.confirm();
                self.nothing_waits().await
            }
            _ => None,
        }
    }

    /// The owner's answer is open.
    async fn passkey_opened(&mut self, credential: Option<Credential>) -> Option<Ended> {
        let Some(credential) = credential else {
            // The person can answer once more.
            if let Pairing::ByPasskey(Step::Awaited { opening, .. }) = &mut self.pairing {
                *opening = None;
            }
            return None;
        };
        let connection = Arc::clone(&self.connection);
        let telling = async move { connection.answer_passkey(&credential).await };
        self.pairing = Pairing::ByPasskey(Step::Told(telling.boxed()));
        self.nothing_waits().await
    }

    /// Nothing waits for its owner while WhatsApp is told.
    async fn nothing_waits(&mut self) -> Option<Ended> {
        self.written(Status::AwaitingPasskey).await
    }

    fn confirm(&mut self) {
        let connection = Arc::clone(&self.connection);
        let telling = async move { connection.confirm_passkey().await };
        self.pairing = Pairing::ByPasskey(Step::Told(telling.boxed()));
    }

    /// Something has happened by itself.
    pub(super) async fn passkey_progressed(&mut self, progress: Progress) -> Option<Ended> {
        match progress {
            Progress::Opened(credential) => self.passkey_opened(credential).await,
            Progress::Told(Ok(())) => {
                self.pairing = Pairing::ByPasskey(Step::Checked(Instant::now() + PHONE_PATIENCE));
                None
            }
            Progress::Told(Err(error)) => {
                let why = chain(&error);
                let reason = match error {
                    PasskeyError::NotConnected => return Some(Ended::Dropped(why)),
                    PasskeyError::Refused(_) => Reason::PasskeyRefused,
                    PasskeyError::Timeout => Reason::PasskeyUnanswered,
                };
                self.actor.observer.note_error(why);
                Some(Ended::For(Status::ForceDisconnected, reason))
            }
            Progress::NotGiven => Some(Ended::For(Status::ForceDisconnected, Reason::PasskeyNotGiven)),
            Progress::Unanswered => Some(Ended::For(Status::ForceDisconnected, Reason::PasskeyUnanswered)),
        }
    }
}

/// The assertion of an answer; `None` for one that can never be read. Tries for as long as its key is out of reach.
async fn opened(deps: Arc<Deps>, id: InstanceId, mark: String, sealed: Vec<u8>) -> Option<Credential> {
    let aad = PasskeyAnswer::aad(id, &mark);
    let opened = loop {
        let error = match deps.sealer.open(id, Purpose::Content, &aad, &sealed).await {
            Ok(opened) => break opened,
            Err(error) => error,
        };
        warn!(instance.id = %id, error = %chain(&error), "an answer to a request for a passkey does not open");
        if error.nature().is_permanent() {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
    };
    serde_json::from_slice(&opened)
        .inspect_err(|_| warn!(instance.id = %id, "an answer to a request for a passkey cannot be read"))
        .ok()
}

fn refused() -> Ended {
    Ended::For(Status::ForceDisconnected, Reason::PasskeyRefused)
}

/// How long an assertion is waited for; `None` for options that are none, or too large to be handed out.
fn patience(options: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Options {
        #[expect(dead_code, reason = "without one there is nothing to sign")]
        challenge: String,
        timeout: Option<u64>,
    }
    if options.len() > MOST_BYTES {
        return None;
    }
    let options: Options = serde_json::from_str(options).ok()?;
    let told = options.timeout.map(Duration::from_millis);
    Some(told.unwrap_or(PATIENCE).clamp(LEAST_PATIENCE, MOST_PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_the_time_that_whatsapp_says_within_bounds() {
        for (options, expected) in [
            (r#"{"challenge":"AA"}"#, Some(PATIENCE)),
            (
                r#"{"challenge":"AA","timeout":120000,"rpId":"x"}"#,
                Some(Duration::from_mins(2)),
            ),
            (r#"{"challenge":"AA","timeout":1000}"#, Some(LEAST_PATIENCE)),
            (r#"{"challenge":"AA","timeout":99000000}"#, Some(MOST_PATIENCE)),
            (r#"{"timeout":120000}"#, None),
            ("levitate", None),
        ] {
            assert_eq!(patience(options), expected, "{options}");
        }
        let large = format!(r#"{{"challenge":"{}"}}"#, "A".repeat(MOST_BYTES));
        assert_eq!(patience(&large), None);
    }
}
