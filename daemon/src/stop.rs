//! What follows a session's end: whether there is another session, and when.

use shared::domain::instance::Status;
use shared::domain::reason::Reason;

/// Why a session has ended or was refused, and what comes of it.
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
    /// Another client with the same keys took over: pauses that grow, and an end.
    Replaced,
    /// WhatsApp ended the connection with an unknown error: the same.
    Refused,
    /// An entry of the session's state cannot be read, and others can: pauses that grow.
    Unreadable,
}

/// The pauses of a course. They are kept with the instance, so that the next session and the shard's next owner know
/// of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Pauses {
    /// What the status says meanwhile.
    pub reason: Reason,
    /// The pauses in seconds, each as long as said or a quarter longer; the last one repeats.
    pub seconds: &'static [u32],
    /// After this many pauses in a row the attempt ends as [`Status::ForceDisconnected`]; `None` where it never does.
    pub most: Option<u32>,
    /// A stop of this kind that comes within so many seconds after a pause counts as in a row with it.
    pub remembered: i64,
    /// How much of a pause remains when a person asks for a connection, in hundredths of the whole.
    pub floor: u32,
}

const MINUTE: u32 = 60;
const HOUR: i64 = 3_600;

/// 5, 10, 20, 40, 80 minutes, then 2 hours each. WhatsApp bans a number that goes on knocking.
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

/// 5 s, 30 s, 2 and 10 minutes. After 5 s a daemon whose lease was lost has found out and gone. Whoever is still
/// there after all of them is a second client, and two that throw each other out are a way to a ban.
const REPLACED: Pauses = Pauses {
    reason: Reason::Replaced,
    seconds: &[5, 30, 2 * MINUTE, 10 * MINUTE],
    most: Some(4),
    remembered: HOUR,
    floor: 0,
};

/// 30 s, 2, 10, 30 minutes, an hour: knocking often does not help.
const REFUSED: Pauses = Pauses {
    reason: Reason::ConnectionRefused,
    seconds: &[30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 60 * MINUTE],
    most: Some(5),
    remembered: 6 * HOUR,
    floor: 0,
};

/// 10 s, 30 s, 1 minute, then 2 minutes each. They are short, since all other chats of the instance wait meanwhile. A session stands until
/// a message comes that needs the entry, so how long it stood says nothing. Pauses begin anew when the entry was not needed for hours.
const UNREADABLE: Pauses = Pauses {
    reason: Reason::StateUnreadable,
    seconds: &[10, 30, MINUTE, 2 * MINUTE],
    most: None,
    remembered: 6 * HOUR,
    floor: 0,
};

impl Course {
    /// Every course.
    pub const ALL: &'static [Self] = &[
        Self::Lost,
        Self::RateLimited,
        Self::Replaced,
        Self::Refused,
        Self::Unreadable,
    ];

    /// Its pauses, if they are kept with the instance. Those of a lost connection are not (`instance/backoff.rs`).
    pub const fn pauses(self) -> Option<&'static Pauses> {
        match self {
            Self::Lost => None,
            Self::RateLimited => Some(&RATE_LIMITED),
            Self::Replaced => Some(&REPLACED),
            Self::Refused => Some(&REFUSED),
            Self::Unreadable => Some(&UNREADABLE),
        }
    }

    /// The course whose pauses have this reason.
    pub fn paused_for(reason: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|course| {
            let pauses = course.pauses();
            pauses.is_some_and(|pauses| pauses.reason.as_str() == reason)
        })
    }

    /// The pauses that have this reason.
    pub fn pauses_of(reason: &str) -> Option<&'static Pauses> {
        Self::paused_for(reason)?.pauses()
    }
}
