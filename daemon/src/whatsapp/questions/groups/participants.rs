//! Who comes in and goes out, and who is an admin.

use shared::domain::person::Person;
use shared::domain::question::{
    ChangeParticipants, GroupRole, ParticipantChange, ParticipantsChanged, Verdict,
};
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::features::{GroupError, GroupMetadata, ParticipantChangeResponse};

use super::super::{Put, Socket, before_change};
use super::people::{Named, is_same, jid_of, members, own};
use super::{before, changed, invitations, requests};
use crate::connection::AskError;
use crate::whatsapp::people;

impl Put for ChangeParticipants {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<ParticipantsChanged, AskError> {
        let group = before(client, &self.group).await?;
        let mut named = named(client, self, &group).await?;
        if !client.is_logged_in() {
            return Err(AskError::NotConnected);
        }
        if self.change == ParticipantChange::Add {
            add(client, &group, &mut named).await?;
        } else {
            let open = named.open();
            let jids: Vec<Jid> = open.iter().filter_map(jid_of).collect();
            if !jids.is_empty() {
                let told = act(client, &group.id, self.change, &jids).await;
                let told = changed(client, &self.group, told).await?;
                named.judge(|person| verdict_of(&told, person, verdict));
            }
        }
        Ok(ParticipantsChanged {
            results: named.results(),
        })
    }
}

/// Whom the ask names. Those for whom it is so already, or cannot be, have a verdict: WhatsApp is not asked for them.
async fn named(client: &Client, ask: &ChangeParticipants, group: &GroupMetadata) -> Result<Named, AskError> {
    let inside = members(group);
    let role = |person: &Person| {
        let member = inside.iter().find(|member| is_same(&member.person, person));
        member.map(|member| member.role)
    };
    let people: Vec<Person> = inside.iter().map(|member| member.person.clone()).collect();
    let own = own(client);
    Ok(match ask.change {
        ParticipantChange::Add => {
            let mut named = before_change(Named::on_whatsapp(client, &ask.participants).await)?;
            named.judge(|person| role(person).map(|_| Verdict::Already));
            named
        }
        ParticipantChange::Approve | ParticipantChange::Reject => {
            let asking = requests::asking(client, &ask.group).await;
            let asking: Vec<Person> = before_change(asking)?
                .into_iter()
                .map(|request| request.person)
                .collect();
            before_change(Named::among(client, &ask.participants, &asking).await)?
        }
        change => {
            let mut named = before_change(Named::among(client, &ask.participants, &people).await)?;
            named.judge(|person| match (change, role(person)) {
                // WhatsApp wants one to leave.
                (ParticipantChange::Remove, _) if is_same(person, &own) => Some(Verdict::Impossible),
                (ParticipantChange::Promote, Some(GroupRole::Owner | GroupRole::Admin))
                | (ParticipantChange::Demote, Some(GroupRole::Member)) => Some(Verdict::Already),
                _ => None,
            });
            named
        }
    })
}

async fn act(
    client: &Client,
    group: &Jid,
    change: ParticipantChange,
    jids: &[Jid],
) -> Result<Vec<ParticipantChangeResponse>, GroupError> {
    let groups = client.groups();
    match change {
        ParticipantChange::Add => groups.add_participants(group, jids).await,
        ParticipantChange::Remove => groups.remove_participants(group, jids).await,
        ParticipantChange::Promote => groups.promote_participants(group, jids).await,
        ParticipantChange::Demote => groups.demote_participants(group, jids).await,
        ParticipantChange::Approve => groups.approve_membership_requests(group, jids).await,
        ParticipantChange::Reject => groups.reject_membership_requests(group, jids).await,
    }
}

/// Takes those in who have no verdict yet. Whom their privacy settings keep out is invited.
pub async fn add(client: &Client, group: &GroupMetadata, named: &mut Named) -> Result<(), AskError> {
    let open = named.open();
    let jids: Vec<Jid> = open.iter().filter_map(jid_of).collect();
    if jids.is_empty() {
        return Ok(());
    }
    let of = people::chat(&group.id).ok_or(AskError::NoGroup)?;
    let told = act(client, &group.id, ParticipantChange::Add, &jids).await;
    let told = changed(client, &of, told).await?;
    let invited = invitations::send(client, group, &open, &told).await;
    named.judge(|person| {
        if invited.iter().any(|invited| is_same(invited, person)) {
            return Some(Verdict::Invited);
        }
        verdict_of(&told, person, added)
    });
    Ok(())
}

/// What WhatsApp says of one person.
pub fn told_of<'a>(
    told: &'a [ParticipantChangeResponse],
    person: &Person,
) -> Option<&'a ParticipantChangeResponse> {
    told.iter().find(|told| {
        let names = [Some(&told.jid), told.phone_number.as_ref()];
        is_same(&people::person(names.into_iter().flatten()), person)
    })
}

fn verdict_of(
    told: &[ParticipantChangeResponse],
    person: &Person,
    of: fn(&str) -> Verdict,
) -> Option<Verdict> {
    let told = told_of(told, person)?;
    Some(told.error.as_deref().map_or(Verdict::Done, of))
}

/// What a refusal to take somebody in means.
fn added(error: &str) -> Verdict {
    match error {
        "401" => Verdict::Blocked,
        "403" => Verdict::NotInvited,
        "404" => Verdict::NotOnWhatsapp,
        "408" => Verdict::LeftRecently,
        "409" => Verdict::Already,
        "419" => Verdict::Full,
        _ => Verdict::Unsaid,
    }
}

/// What any other refusal means.
fn verdict(error: &str) -> Verdict {
    match error {
        "404" => Verdict::NotMember,
        "406" => Verdict::Impossible,
        "409" => Verdict::Already,
        "419" => Verdict::Full,
        _ => Verdict::Unsaid,
    }
}
