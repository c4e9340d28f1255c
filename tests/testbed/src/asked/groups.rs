//! What a willing daemon answers to questions about groups.

use chrono::DateTime;
use shared::domain::person::Person;
use shared::domain::question::{Group, GroupRole, Member, Participated, Verdict};
use shared::domain::recipient::Recipient;

/// A group of the account and one other.
pub fn group(name: &Recipient) -> Group {
    Group {
        group: name.clone(),
        subject: "Engines".to_owned(),
        creator: Some(owner()),
        created_at: DateTime::from_timestamp(1_767_225_600, 0),
        announce: false,
        locked: false,
        join_approval: false,
        ephemeral_seconds: 0,
        size: 2,
        role: GroupRole::Owner,
    }
}

/// The account, as a group's owner.
pub fn owner() -> Person {
    Person {
        phone: Some("15550100001".to_owned()),
        lid: Some("915550100001".to_owned()),
    }
}

/// Who is in it.
pub fn members() -> Vec<Member> {
    let other = Person {
        phone: None,
        lid: Some("915550100002".to_owned()),
    };
    vec![
        Member {
            person: owner(),
            role: GroupRole::Owner,
        },
        Member {
            person: other,
            role: GroupRole::Member,
        },
    ]
}

/// It was done to each of them.
pub fn all_done(participants: &[Recipient]) -> Vec<Participated> {
    let results = participants.iter().map(|name| Participated {
        person: super::person(name.phone().unwrap_or("15550100099")),
        verdict: Verdict::Done,
    });
    results.collect()
}

/// A group that was not there before.
pub fn new_group() -> Recipient {
    Recipient::Group("120363021033254949".to_owned())
}
