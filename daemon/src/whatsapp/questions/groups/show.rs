//! What a group is, and which groups there are.

use std::cmp::Reverse;

use chrono::DateTime;
use shared::domain::question::{
    Group, GroupRole, GroupShown, GroupsListed, ListGroups, MAX_MEMBERS, ShowGroup,
};
use shared::domain::recipient::Recipient;
use whatsapp_rust::Client;
use whatsapp_rust::features::GroupMetadata;

use super::super::{Put, Socket, of_query};
use super::people::{is_same, members, own};
use super::{metadata, of_group};
use crate::connection::AskError;
use crate::whatsapp::people;

impl Put for ShowGroup {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupShown, AskError> {
        let told = metadata(client, &self.group).await?;
        let group = group(client, &told).ok_or(AskError::NoGroup)?;
        let mut participants = members(&told);
        participants.truncate(MAX_MEMBERS);
        Ok(GroupShown {
            group,
            description: description(&told),
            participants,
        })
    }
}

impl Put for ListGroups {
    /// WhatsApp tells all at once, so each page is cut from the whole.
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupsListed, AskError> {
        let told = client.groups().get_participating().await;
        let told = told.map_err(|error| of_group(error, of_query))?;
        let groups = told.values().filter_map(|told| group(client, told));
        let (groups, more) = page(groups.collect(), self.after.clone(), self.limit, |group| {
            (seconds(group), group.group.clone())
        });
        Ok(GroupsListed { groups, more })
    }
}

/// When a group was made, in Unix seconds.
fn seconds(group: &Group) -> i64 {
    group.created_at.map_or(0, |at| at.timestamp())
}

/// The things after `after`, newest first: `limit` at most, and whether there are more.
pub fn page<T>(
    mut things: Vec<T>,
    after: Option<(i64, Recipient)>,
    limit: u32,
    place: impl Fn(&T) -> (i64, Recipient),
) -> (Vec<T>, bool) {
    let order = |(at, name): (i64, Recipient)| (Reverse(at), name.to_jid());
    things.sort_by_cached_key(|thing| order(place(thing)));
    if let Some(after) = after {
        let after = order(after);
        things.retain(|thing| order(place(thing)) > after);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = things.len() > limit;
    things.truncate(limit);
    (things, more)
}

/// A group as it is told of; `None` where its name is none.
pub fn group(client: &Client, told: &GroupMetadata) -> Option<Group> {
    let own = own(client);
    let me = members(told)
        .into_iter()
        .find(|member| is_same(&member.person, &own));
    let creator = people::person(
        [told.creator.as_ref(), told.creator_pn.as_ref()]
            .into_iter()
            .flatten(),
    );
    let created_at = told.creation_time.and_then(|at| i64::try_from(at).ok());
    Some(Group {
        group: people::chat(&told.id)?,
        subject: told.subject.clone(),
        creator: Some(creator).filter(|creator| !creator.is_nobody()),
        created_at: created_at.and_then(|at| DateTime::from_timestamp(at, 0)),
        announce: told.is_announcement,
        locked: told.is_locked,
        join_approval: told.membership_approval,
        ephemeral_seconds: ephemeral_seconds(told),
        size: told
            .size
            .unwrap_or_else(|| u32::try_from(told.participants.len()).unwrap_or(u32::MAX)),
        role: me.map_or(GroupRole::Member, |me| me.role),
    })
}

/// After how many seconds a group's messages disappear.
pub fn ephemeral_seconds(told: &GroupMetadata) -> u32 {
    told.ephemeral.and_then(|timer| timer.expiration).unwrap_or(0)
}

/// What a group is about.
pub fn description(told: &GroupMetadata) -> Option<String> {
    told.description.clone().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_newest_first() {
        let name = |n: u32| Recipient::Group(format!("12036302103325{n:04}"));
        // Several were made in the same second.
        let all: Vec<(i64, Recipient)> = (0..25).map(|n| (i64::from(n / 4), name(n))).collect();
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let (part, more) = page(all.clone(), after.clone(), 7, Clone::clone);
            assert!(part.len() <= 7);
            after = part.last().cloned();
            seen.extend(part);
            if !more {
                break;
            }
        }
        assert!(seen.is_sorted_by(|one, next| one.0 >= next.0));
        assert_eq!(seen.len(), all.len());
        assert!(all.iter().all(|one| seen.contains(one)));
    }
}
