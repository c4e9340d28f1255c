//! Why a session ends, gathered from all that tells of it: the library's events, the server's stanzas and the socket.

use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt as _;
use shared::domain::instance::Status;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::stops::Signal;
use crate::stop::{Answer, Course, Stop};

/// How long a stream error that need not end the connection counts as the cause of an end.
const BLAMED: Duration = Duration::from_secs(30);

/// Why a session ends, as far as known, and what else its task must know.
#[derive(Debug, Default)]
pub struct Ending {
    /// The phone has linked the session: the stream's end is followed by a login.
    paired: Notify,
    /// Why the session ends, as far as known.
    noted: Mutex<Option<Noted>>,
    /// Something has ended the session, but the library goes on.
    hang_up: Notify,
}

#[derive(Debug)]
struct Noted {
    stop: Stop,
    at: Instant,
}

impl Ending {
    /// Notes that the phone has linked the session.
    pub fn note_paired(&self) {
        self.paired.notify_one();
    }

    /// Whether the session was linked since this was last called, or is linked within `patience`.
    pub async fn take_paired(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.paired.notified())
            .await
            .is_ok()
    }

    /// Whether there is no other session until someone asks for it.
    pub fn is_over(&self) -> bool {
        let noted = self.noted.lock().expect("no holder panics");
        noted
            .as_ref()
            .is_some_and(|noted| matches!(noted.stop.answer, Answer::End(..)))
    }

    /// Whether the session's device is off its account.
    pub fn is_logged_out(&self) -> bool {
        let noted = self.noted.lock().expect("no holder panics");
        noted
            .as_ref()
            .is_some_and(|noted| matches!(noted.stop.answer, Answer::End(Status::LoggedOut, _)))
    }

    /// Waits until we are to end the connection.
    pub async fn hung_up(&self) {
        self.hang_up.notified().await;
    }

    /// Why the session has ended. A cause that ends it for good outweighs all others, and one with a pause of its own
    /// outweighs a loss. Of equal causes the first counts.
    pub fn take_stop(&self) -> Option<Stop> {
        let noted = self.noted.lock().expect("no holder panics").take()?;
        noted.counts(Instant::now()).then_some(noted.stop)
    }

    /// Forgets what was noted of a stream, since the session goes on after it.
    pub fn forget(&self) {
        self.noted.lock().expect("no holder panics").take();
        // A request to end the last stream must not end the next one.
        let _ = self.hang_up.notified().now_or_never();
    }

    /// Notes something that ends the session, or may.
    pub fn note(&self, signal: &Signal) {
        if signal.row().hangs_up {
            self.hang_up.notify_one();
        }
        self.note_stop(signal.stop());
    }

    /// The same for a stop that was made already.
    pub fn note_stop(&self, stop: Stop) {
        let at = Instant::now();
        let mut noted = self.noted.lock().expect("no holder panics");
        let outweighs = noted
            .as_ref()
            .is_some_and(|before| before.counts(at) && weight(&before.stop) >= weight(&stop));
        if !outweighs {
            *noted = Some(Noted { stop, at });
        }
    }
}

impl Noted {
    /// Whether it counts as the cause of an end at `now`.
    fn counts(&self, now: Instant) -> bool {
        matches!(self.stop.answer, Answer::End(..)) || now - self.at < BLAMED
    }
}

fn weight(stop: &Stop) -> u8 {
    match stop.answer {
        Answer::Return(Course::Lost) => 0,
        Answer::Return(_) => 1,
        Answer::End(..) => 2,
    }
}

#[cfg(test)]
mod tests {
    use wacore::net::DisconnectReason;
    use wacore::types::events::ConnectFailureReason;

    use super::super::stops::StreamError;
    use super::*;

    fn answer_to(signals: &[Signal]) -> Answer {
        let ending = Ending::default();
        for signal in signals {
            ending.note(signal);
        }
        ending.take_stop().expect("noted").answer
    }

    #[test]
    fn what_ends_a_session_for_good_outweighs_what_brings_it_back() {
        let lost = Signal::Transport(DisconnectReason::StreamEnded);
        let limited = Signal::Stream(StreamError::Code(429));
        let unlinked = Signal::Failure(ConnectFailureReason::LoggedOut);
        let locked = Signal::Failure(ConnectFailureReason::AccountLocked);
        let limit = Answer::Return(Course::RateLimited);
        assert_eq!(answer_to(&[limited.clone(), lost.clone()]), limit);
        assert_eq!(answer_to(&[lost.clone(), limited.clone()]), limit);
        let out = unlinked.row().answer;
        assert_eq!(answer_to(&[lost, limited, unlinked.clone()]), out);
        assert_eq!(answer_to(&[unlinked, locked]), out, "the first of two ends");
        assert_eq!(Ending::default().take_stop(), None);
    }

    #[test]
    fn a_stream_that_was_to_be_ended_does_not_end_the_next() {
        let ending = Ending::default();
        let unavailable = Signal::Stream(StreamError::Code(503));
        ending.note(&unavailable);
        assert!(
            ending.hung_up().now_or_never().is_some(),
            "the stream is to be ended"
        );
        ending.note(&unavailable);
        ending.forget();
        assert!(ending.hung_up().now_or_never().is_none());
    }

    #[test]
    fn a_stream_that_is_followed_by_a_login_has_not_ended_the_session() {
        let ending = Ending::default();
        ending.note(&Signal::Stream(StreamError::Code(515)));
        assert!(!ending.is_over());
        ending.forget();
        assert_eq!(ending.take_stop(), None);
        ending.note(&Signal::Failure(ConnectFailureReason::CatExpired));
        assert!(ending.is_over());
    }

    /// Where the server says 429 or 503 the library waits for it to close the connection.
    #[test]
    fn a_connection_that_nobody_else_ends_is_hung_up() {
        for (code, hangs_up) in [(429, true), (503, true), (500, false), (413, false)] {
            let ending = Ending::default();
            assert_eq!(ending.hung_up().now_or_never(), None);
            ending.note(&Signal::Stream(StreamError::Code(code)));
            assert_eq!(ending.hung_up().now_or_never().is_some(), hangs_up, "{code}");
        }
    }

    #[test]
    fn an_error_that_the_connection_outlives_is_not_blamed_for_a_later_end() {
        let ending = Ending::default();
        let refused = Signal::Stream(StreamError::Code(999));
        let lost = Signal::Transport(DisconnectReason::StreamEnded);
        let long_ago = |stop| Noted {
            stop,
            at: Instant::now()
                .checked_sub(BLAMED)
                .expect("the machine runs longer"),
        };
        *ending.noted.lock().expect("no panic") = Some(long_ago(refused.stop()));
        assert_eq!(ending.take_stop(), None);
        *ending.noted.lock().expect("no panic") = Some(long_ago(refused.stop()));
        ending.note(&lost);
        assert_eq!(ending.take_stop(), Some(lost.stop()));
        let locked = Signal::Failure(ConnectFailureReason::AccountLocked);
        *ending.noted.lock().expect("no panic") = Some(long_ago(locked.stop()));
        assert_eq!(ending.take_stop(), Some(locked.stop()), "an end stays one");
    }
}
