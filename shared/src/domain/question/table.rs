//! The table of asks: a row ties what is asked to what is answered, and says which version a daemon must be of.
//!
//! An ask is a type of its own, and so is its answer. On the wire each is one variant of [`Ask`] or [`Answer`], whose tag is the
//! type's name. Everything that depends on which ask it is derives from the rows.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::chats::{ChangeChat, ChatRead, Done, ReadChat, SetPresence, ShowActivity};
use super::contacts::{
    Block, BlockList, Blocked, FindPicture, Found, FoundPicture, ListBlocked, LookUp, Looked, Show, Shown,
};
use super::groups::{
    ChangeGroup, ChangeParticipants, ChangePicture, CreateGroup, GroupChanged, GroupCreated, GroupInvite,
    GroupJoined, GroupLeft, GroupShown, GroupsListed, JoinGroup, LeaveGroup, ListGroups, ListRequests,
    ParticipantsChanged, PictureChanged, RequestsListed, ResetInvite, ShowGroup, ShowInvite,
};
use super::media::{FetchMedia, MediaFetched};
use super::{Outcome, Refusal};
use crate::domain::payload::newest;
use crate::domain::recipient::Recipient;

/// One thing that can be asked of a socket.
pub trait Asks: Into<Ask> + Serialize + DeserializeOwned + Send + Sync {
    /// What is answered.
    type Answer: Into<Answer> + TryFrom<Answer> + Serialize + DeserializeOwned + Send + Sync;

    /// The version of [`Query`](crate::domain::job::Query) that a daemon must know to answer it.
    const NEEDS: u32;

    /// Whether it changes something: then it is done once at most.
    const CHANGES: bool;

    /// Whether it holds content, and rests sealed in the queue.
    const SEALED: bool;
}

/// Another ask's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is that of another ask")]
pub struct AnotherAnswer;

/// Whether the word in a row says that the ask changes something.
macro_rules! changes {
    (reads) => {
        false
    };
    (changes) => {
        true
    };
}

/// Whether `sealed` is among the words in a row.
macro_rules! is_sealed {
    () => {
        false
    };
    (sealed $($more:ident)*) => {
        true
    };
    ($other:ident $($more:ident)*) => {
        is_sealed!($($more)*)
    };
}

/// What a row's outcome teaches of people: the ask itself says so where `teaches` is among the row's words.
macro_rules! lessons {
    ($ask:ident, $answer:ident, $told:expr) => {{
        let (_, _): (_, Result<&$answer, Refusal>) = ($ask, $told);
        Vec::new()
    }};
    ($ask:ident, $answer:ident, $told:expr, teaches $(, $more:ident)*) => {
        $ask.lessons($told)
    };
    ($ask:ident, $answer:ident, $told:expr, $other:ident $(, $more:ident)*) => {
        lessons!($ask, $answer, $told $(, $more)*)
    };
}

/// The `Debug` of what names people or holds content: its name alone.
macro_rules! unspoken {
    ($name:ident) => {
        /// Names and content stay out of logs.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

macro_rules! asks {
    (
        $d:tt
        answers { $($told:ident,)+ }
        asks { $($ask:ident -> $answer:ident: needs $needs:literal, $changes:ident $(, $word:ident)*;)+ }
    ) => {
        /// What is asked, whichever it is. An ask names people as a send's job does, in the clear.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "camelCase")]
        pub enum Ask {
            $(#[doc = concat!("See [`", stringify!($ask), "`]. Answered by [`", stringify!($answer), "`].")]
            $ask($ask),)+
        }

        impl Ask {
            /// The version of the newest ask: the highest that a row needs.
            pub const NEWEST: u32 = newest(&[$($needs),+]);

            /// The version of [`Query`](crate::domain::job::Query) that a daemon must know to answer it.
            pub const fn needs(&self) -> u32 {
                match self {
                    $(Self::$ask(_) => $ask::NEEDS,)+
                }
            }

            /// Whether it changes something: then it is done once at most.
            pub const fn changes(&self) -> bool {
                match self {
                    $(Self::$ask(_) => $ask::CHANGES,)+
                }
            }

            /// Whether it holds content, and rests sealed in the queue.
            pub const fn is_sealed(&self) -> bool {
                match self {
                    $(Self::$ask(_) => $ask::SEALED,)+
                }
            }

            /// What came of it teaches this of people.
            pub fn lessons(&self, outcome: &Outcome) -> Vec<(Recipient, Found)> {
                match (self, outcome) {
                    $((Self::$ask(ask), Ok(Answer::$answer(answer))) => lessons!(ask, $answer, Ok(answer) $(, $word)*),
                    (Self::$ask(ask), Err(refusal)) => lessons!(ask, $answer, Err(*refusal) $(, $word)*),)+
                    _ => Vec::new(),
                }
            }
        }

        /// What is answered, whichever it is.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "camelCase")]
        pub enum Answer {
            $(#[doc = concat!("See [`", stringify!($told), "`].")]
            $told($told),)+
        }

        $(impl From<$told> for Answer {
            fn from(answer: $told) -> Self {
                Self::$told(answer)
            }
        }

        impl TryFrom<Answer> for $told {
            type Error = AnotherAnswer;

            fn try_from(answer: Answer) -> Result<Self, AnotherAnswer> {
                match answer {
                    Answer::$told(answer) => Ok(answer),
                    _ => Err(AnotherAnswer),
                }
            }
        }

        unspoken!($told);)+

        $(impl From<$ask> for Ask {
            fn from(ask: $ask) -> Self {
                Self::$ask(ask)
            }
        }

        impl Asks for $ask {
            type Answer = $answer;
            const NEEDS: u32 = $needs;
            const CHANGES: bool = changes!($changes);
            const SEALED: bool = is_sealed!($($word)*);
        }

        unspoken!($ask);)+

        /// Which one it is; names and content stay out of logs.
        impl std::fmt::Debug for Ask {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$ask(ask) => ask.fmt(f),)+
                }
            }
        }

        /// Which one it is; names and content stay out of logs.
        impl std::fmt::Debug for Answer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$told(answer) => answer.fmt(f),)+
                }
            }
        }

        /// Does something with an [`Ask`] as the type that it is: `with_ask!(ask, typed => typed.put(socket))`.
        #[macro_export]
        macro_rules! with_ask {
            ($d ask:expr, $d typed:ident => $d act:expr) => {
                match $d ask {
                    $($crate::domain::question::Ask::$ask($d typed) => $d act,)+
                }
            };
        }
    };
}

// A new ask needs the version after the newest of all queries, and takes its place at the end of its family. `teaches`: its file says what
// its outcome teaches of people. `sealed`: it holds content.
asks! {
    $
    answers {
        Looked,
        Shown,
        Blocked,
        BlockList,
        FoundPicture,
        Done,
        ChatRead,
        GroupCreated,
        GroupsListed,
        GroupShown,
        GroupChanged,
        ParticipantsChanged,
        GroupInvite,
        GroupJoined,
        GroupLeft,
        RequestsListed,
        PictureChanged,
        MediaFetched,
    }
    asks {
        LookUp -> Looked: needs 2, reads, teaches;
        Show -> Shown: needs 2, reads, teaches;
        Block -> Blocked: needs 2, changes, teaches;
        ListBlocked -> BlockList: needs 15, reads;
        FindPicture -> FoundPicture: needs 15, reads;
        ShowActivity -> Done: needs 15, changes;
        SetPresence -> Done: needs 15, changes;
        ChangeChat -> Done: needs 15, changes;
        ReadChat -> ChatRead: needs 15, changes;

        CreateGroup -> GroupCreated: needs 4, changes, sealed;
        ListGroups -> GroupsListed: needs 5, reads;
        ShowGroup -> GroupShown: needs 6, reads;
        ChangeGroup -> GroupChanged: needs 7, changes, sealed;
        ChangeParticipants -> ParticipantsChanged: needs 8, changes;
        ShowInvite -> GroupInvite: needs 9, reads;
        ResetInvite -> GroupInvite: needs 10, changes;
        JoinGroup -> GroupJoined: needs 11, changes, sealed;
        LeaveGroup -> GroupLeft: needs 12, changes;
        ListRequests -> RequestsListed: needs 13, reads;
        ChangePicture -> PictureChanged: needs 14, changes, sealed;

        FetchMedia -> MediaFetched: needs 26, reads;
    }
}
