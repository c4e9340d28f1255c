//! What a session's end is answered with: whether there is another one, and when.

use shared::domain::instance::Status;
use shared::domain::reason::Reason;

/// Why WhatsApp has ended or refused a session, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What is done.
    pub answer: Answer,
    /// What was said, for people.
    pub said: String,
    /// Whether what was on the wire may be the cause: nothing else is known to be.
    pub blames_wire: bool,
}

/// What is done about the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, until someone asks again: the instance has this status, for this reason.
    End(Status, Reason),
    /// Another session, after a pause.
    Return(Course),
}

/// Which pauses lie between sessions that end in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// The connection was lost, as connections are: seconds.
    Lost,
    /// WhatsApp asks for fewer requests: minutes to hours.
    RateLimited,
    /// Another client with the same keys took over: longer each time, and not for ever.
    Replaced,
    /// WhatsApp ended the connection with an error that is not known here: the same.
    Refused,
}

/// How a course goes on from one session to the next. Its pauses are kept with the instance: the
/// next session, and the shard's next owner, know of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Pauses {
    /// What the status says meanwhile.
    pub reason: Reason,
    /// The pauses in seconds, each as long as said or a quarter longer; the last one repeats.
    pub seconds: &'static [u32],
    /// How many of them there are in a row before the attempt ends as
    /// [`Status::ForceDisconnected`]; `None` for as many as it takes.
    pub most: Option<u32>,
    /// How long after a pause, in seconds, the next stop of this kind is still one in a row.
    pub remembered: i64,
    /// The least that is left of a pause where a person asks for a connection, in hundredths of it.
    pub floor: u32,
}

const MINUTE: u32 = 60;
const HOUR: i64 = 3_600;

/// 5, 10, 20, 40, 80 minutes, then 2 hours each. A number that goes on knocking is banned in the end.
const RATE_LIMITED: Pauses = Pauses {
    reason: Reason::RateLimited,
    seconds: &[
        5 * MINUTE,
        10 * MINUTE,
        20 * MINUTE,
        40 * MINUTE,
        80 * MINUTE,
        120 * MINUTE,
    ],
    most: None,
    remembered: 6 * HOUR,
    floor: 40,
};

/// 5 s, as a connection that a daemon without a lease has taken is its own again by then; 30 s, 2 and
/// 10 minutes. Then there is a second client, and two that throw each other out are a way to a ban.
const REPLACED: Pauses = Pauses {
    reason: Reason::Replaced,
    seconds: &[5, 30, 2 * MINUTE, 10 * MINUTE],
    most: Some(4),
    remembered: HOUR,
    floor: 0,
};

/// 30 s, 2, 10, 30 minutes, an hour: whatever it is, it does not pass by knocking.
const REFUSED: Pauses = Pauses {
    reason: Reason::ConnectionRefused,
    seconds: &[30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 60 * MINUTE],
    most: Some(5),
    remembered: 6 * HOUR,
    floor: 0,
};

impl Course {
    /// Its pauses, where they are kept with the instance. Those of a lost connection are not
    /// (`instance/backoff.rs`).
    pub const fn pauses(self) -> Option<&'static Pauses> {
        match self {
            Self::Lost => None,
            Self::RateLimited => Some(&RATE_LIMITED),
            Self::Replaced => Some(&REPLACED),
            Self::Refused => Some(&REFUSED),
        }
    }

    /// The pauses that have this reason.
    pub fn pauses_of(reason: &str) -> Option<&'static Pauses> {
        [&RATE_LIMITED, &REPLACED, &REFUSED]
            .into_iter()
            .find(|pauses| pauses.reason.as_str() == reason)
    }
}
