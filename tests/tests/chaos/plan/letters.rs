//! The messages of a run.

use std::fmt;

use shared::domain::message::Kind;
use testbed::dice::Dice;

use super::{Moment, PEOPLE};
use crate::size::Size;

/// Texts of one request.
pub const BULK: usize = 3;

/// Where a file is until it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// In the request.
    Inline,
    /// At a URL.
    Url,
    /// Among the uploads.
    Upload,
}

/// A sort of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Text,
    Image(Source),
    Video,
    Audio,
    Voice,
    Document(Source),
    Sticker,
    Location,
    Contact,
    Poll,
    /// Several texts in one request.
    Bulk,
    /// A text that is due seconds later.
    Scheduled,
    /// A text that is shown to all contacts.
    Status,
    /// A text, and a reaction to it.
    Reaction,
    /// A text, and another in its place.
    Edit,
    /// A text that is taken back.
    Revoke,
}

/// Whom a chat is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    /// One of the people who write with the instance.
    Person(usize),
    /// All contacts of the account, who are its first person.
    Contacts,
}

/// A chat of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    pub with: With,
    /// What goes out, one after the other.
    pub out: Vec<Step>,
    /// When a text comes in.
    pub back: Vec<Moment>,
}

/// Something that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub when: Moment,
    pub what: What,
}

impl What {
    /// Every sort.
    pub const ALL: [Self; 20] = [
        Self::Text,
        Self::Image(Source::Inline),
        Self::Image(Source::Url),
        Self::Image(Source::Upload),
        Self::Video,
        Self::Audio,
        Self::Voice,
        Self::Document(Source::Inline),
        Self::Document(Source::Url),
        Self::Document(Source::Upload),
        Self::Sticker,
        Self::Location,
        Self::Contact,
        Self::Poll,
        Self::Bulk,
        Self::Scheduled,
        Self::Status,
        Self::Reaction,
        Self::Edit,
        Self::Revoke,
    ];

    /// What is said about a text of before.
    const ABOUT: [Self; 3] = [Self::Reaction, Self::Edit, Self::Revoke];

    /// Whether it is in the chats that have all sorts. The others are in chats of their own.
    const fn is_mixed(self) -> bool {
        !matches!(
            self,
            Self::Scheduled | Self::Status | Self::Reaction | Self::Edit | Self::Revoke
        )
    }

    /// How many messages it is.
    pub const fn messages(self) -> usize {
        match self {
            Self::Bulk => BULK,
            Self::Reaction | Self::Edit | Self::Revoke => 2,
            _ => 1,
        }
    }

    /// The kind of its last message.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Text | Self::Bulk | Self::Scheduled => Kind::Text,
            Self::Image(_) => Kind::Image,
            Self::Video => Kind::Video,
            Self::Audio => Kind::Audio,
            Self::Voice => Kind::Voice,
            Self::Document(_) => Kind::Document,
            Self::Sticker => Kind::Sticker,
            Self::Location => Kind::Location,
            Self::Contact => Kind::Contact,
            Self::Poll => Kind::Poll,
            Self::Status => Kind::Status,
            Self::Reaction => Kind::Reaction,
            Self::Edit => Kind::Edit,
            Self::Revoke => Kind::Revoke,
        }
    }

    /// Whether it brings a file.
    pub const fn has_file(self) -> bool {
        matches!(
            self.kind(),
            Kind::Image | Kind::Video | Kind::Audio | Kind::Voice | Kind::Document | Kind::Sticker
        )
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(source) | Self::Document(source) => write!(f, "{} {source:?}", self.kind()),
            Self::Bulk => write!(f, "bulk"),
            Self::Scheduled => write!(f, "schedule"),
            _ => write!(f, "{}", self.kind()),
        }
    }
}

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person) => write!(f, "person {person}"),
            Self::Contacts => write!(f, "all contacts"),
        }
    }
}

/// The chats of an instance: two with all sorts, one with what is said about texts, one with what is due later, and its statuses.
pub fn line(size: &Size, dice: &mut Dice) -> Vec<Chat> {
    let messages = size.out / size.instances;
    let tenth = messages / 10;
    let about = (0..tenth).map(|n| What::ABOUT[n % What::ABOUT.len()]);
    let mut about: Vec<What> = about.collect();
    dice.shuffle(&mut about);
    let (later, statuses) = (vec![What::Scheduled; tenth], vec![What::Status; tenth]);
    let rest = messages - 4 * tenth;
    let mixed = [mixed(rest / 2, dice), mixed(rest - rest / 2, dice)];
    let [first, second] = mixed;
    let of_people = [first, second, about, later];
    let texts = size.back / size.instances;
    let mut chats = Vec::new();
    for (person, out) in of_people.into_iter().enumerate() {
        let mine = (person..texts).step_by(PEOPLE);
        chats.push(Chat {
            with: With::Person(person),
            out: steps(&out, size, dice),
            back: mine.map(|n| Moment::of(n, texts, size, dice)).collect(),
        });
    }
    chats.push(Chat {
        with: With::Contacts,
        out: steps(&statuses, size, dice),
        back: Vec::new(),
    });
    chats
}

/// So many messages of all sorts, which come out of a deck. It has three texts, and one of each other sort.
fn mixed(messages: usize, dice: &mut Dice) -> Vec<What> {
    let (mut deck, mut mixed, mut left) = (Vec::new(), Vec::new(), messages);
    while left > 0 {
        if deck.is_empty() {
            deck.extend([What::Text; 2]);
            deck.extend(What::ALL.into_iter().filter(|what| what.is_mixed()));
            dice.shuffle(&mut deck);
        }
        let drawn = deck.pop().filter(|what| what.messages() <= left);
        let what = drawn.unwrap_or(What::Text);
        left -= what.messages();
        mixed.push(what);
    }
    mixed
}

fn steps(all: &[What], size: &Size, dice: &mut Dice) -> Vec<Step> {
    let count = all.len();
    let steps = all.iter().enumerate().map(|(n, what)| Step {
        when: Moment::of(n, count, size, dice),
        what: *what,
    });
    steps.collect()
}
