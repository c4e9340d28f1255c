//! `/admin/phones/{phone}/groups`, `join` and `leave`: what a person does with groups.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use wacore_binary::Jid;

use super::error::{ApiResult, Body};
use crate::directory::{self, Account};
use crate::error::{Error, Result};
use crate::groups::info::{self, Redescription, Setting};
use crate::groups::invites::{self, Joined};
use crate::groups::participants::{self, Change, Verdict};
use crate::groups::{self, Group, Settings, create, members};
use crate::network::Network;
use crate::phone::compose;
use crate::phone::inbox::rfc3339;
use crate::script::reachable;
use crate::store::Unit;

/// A group as its members see it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as on the wire"
)]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupView {
    /// Its JID.
    id: String,
    subject: String,
    description: Option<String>,
    /// The creator's number.
    creator: String,
    created_at: String,
    announce: bool,
    locked: bool,
    join_approval: bool,
    members_add: bool,
    ephemeral_seconds: u32,
    participants: Vec<ParticipantView>,
    /// Those whom an act named and that could not be added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<ChangeView>,
}

#[derive(Debug, Serialize)]
struct ParticipantView {
    phone: String,
    lid: String,
    /// `member`, `admin` or `superadmin`.
    role: &'static str,
}

/// What became of one whom an act named.
#[derive(Debug, Serialize)]
pub(super) struct ChangeView {
    /// The number; as it was named where that is nobody's.
    phone: String,
    /// 200, or the code that clients get.
    status: u16,
}

fn view(unit: &Unit<'_>, group: Group, refused: Vec<ChangeView>) -> Result<GroupView> {
    let participants = members(unit, &group.id)?
        .into_iter()
        .map(|member| ParticipantView {
            phone: member.account.phone,
            lid: member.account.lid,
            role: member.role.as_str(),
        })
        .collect();
    Ok(GroupView {
        id: group.jid().to_string(),
        subject: group.subject,
        description: group.description.map(|description| description.text),
        creator: group.creator,
        created_at: rfc3339(group.created_at * 1_000),
        announce: group.settings.announcement,
        locked: group.settings.locked,
        join_approval: group.settings.approval,
        members_add: group.settings.members_add,
        ephemeral_seconds: group.settings.ephemeral,
        participants,
        refused,
    })
}

fn changes(changes: Vec<Change>) -> Vec<ChangeView> {
    let views = changes.into_iter().map(|change| ChangeView {
        phone: change
            .account
            .map_or_else(|| change.jid.user.to_string(), |account| account.phone),
        status: match change.verdict {
            Verdict::Done => 200,
            Verdict::Refused(code) => code,
            Verdict::Invited { .. } => 403,
        },
    });
    views.collect()
}

/// A group by its JID or its digits.
fn group_jid(group: &str) -> Result<Jid> {
    if !group.contains('@') {
        return Ok(Jid::group(group));
    }
    group
        .parse()
        .map_err(|_| Error::Invalid("`group` is no JID of a group".into()))
}

fn jids(people: &[String]) -> Result<Vec<Jid>> {
    people
        .iter()
        .map(|person| compose::jid("participants", person))
        .collect()
}

/// `GET …/groups`: those that the phone is in.
pub(super) async fn list(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
) -> ApiResult<Json<Vec<GroupView>>> {
    let work = move |unit: &mut Unit<'_>| {
        directory::require(unit, &phone)?;
        let groups = members::groups_of(unit, &phone)?;
        groups
            .into_iter()
            .map(|group| view(unit, group, Vec::new()))
            .collect::<Result<Vec<_>>>()
    };
    Ok(Json(network.store.run(work).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRequest {
    subject: String,
    #[serde(default)]
    participants: Vec<String>,
    description: Option<String>,
}

/// `POST …/groups`
pub(super) async fn create(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<CreateRequest>,
) -> ApiResult<(StatusCode, Json<GroupView>)> {
    let work = move |unit: &mut Unit<'_>| {
        let account = reachable(unit, &phone)?;
        let draft = create::Draft {
            subject: request.subject,
            participants: jids(&request.participants)?,
            description: request.description.map(|text| (info::new_id(), text)),
            settings: Settings {
                members_add: true,
                ..Settings::default()
            },
        };
        let (group, changed) = create::create(unit, &account, draft)?;
        let refused = changed
            .into_iter()
            .filter(|change| change.verdict != Verdict::Done)
            .collect();
        view(unit, group, changes(refused))
    };
    Ok((StatusCode::CREATED, Json(network.store.run(work).await?)))
}

/// What changes about a group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EditRequest {
    subject: Option<String>,
    /// An empty one takes the description away.
    description: Option<String>,
    announce: Option<bool>,
    locked: Option<bool>,
    join_approval: Option<bool>,
    members_add: Option<bool>,
    ephemeral_seconds: Option<u32>,
}

/// `PATCH …/groups/{group}`
pub(super) async fn edit(
    State(network): State<Arc<Network>>,
    Path((phone, group)): Path<(String, String)>,
    Body(request): Body<EditRequest>,
) -> ApiResult<Json<GroupView>> {
    let work = move |unit: &mut Unit<'_>| {
        let account = reachable(unit, &phone)?;
        let jid = group_jid(&group)?;
        change(unit, &account, &jid, request)?;
        let group = groups::require(unit, &jid)?;
        view(unit, group, Vec::new())
    };
    Ok(Json(network.store.run(work).await?))
}

fn change(unit: &mut Unit<'_>, account: &Account, jid: &Jid, request: EditRequest) -> Result<()> {
    if let Some(subject) = request.subject {
        info::set_subject(unit, account, jid, subject)?;
    }
    if let Some(text) = request.description {
        let current = groups::require(unit, jid)?.description;
        let change = Redescription {
            id: info::new_id(),
            previous: current.map(|description| description.id),
            text: (!text.is_empty()).then_some(text),
        };
        info::set_description(unit, account, jid, change)?;
    }
    let settings = [
        request.announce.map(Setting::Announcement),
        request.locked.map(Setting::Locked),
        request.join_approval.map(Setting::Approval),
        request.members_add.map(Setting::MembersAdd),
        request
            .ephemeral_seconds
            .map(|seconds| Setting::Ephemeral(seconds, None)),
    ];
    for setting in settings.into_iter().flatten() {
        info::set(unit, account, jid, setting)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Add,
    Remove,
    Promote,
    Demote,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParticipantsRequest {
    action: Action,
    participants: Vec<String>,
}

/// `POST …/groups/{group}/participants`; answers a result for each.
pub(super) async fn change_participants(
    State(network): State<Arc<Network>>,
    Path((phone, group)): Path<(String, String)>,
    Body(request): Body<ParticipantsRequest>,
) -> ApiResult<Json<Vec<ChangeView>>> {
    let work = move |unit: &mut Unit<'_>| {
        let account = reachable(unit, &phone)?;
        let (jid, people) = (group_jid(&group)?, jids(&request.participants)?);
        let (_, changed) = match request.action {
            Action::Add => participants::add(unit, &account, &jid, &people)?,
            Action::Remove => participants::remove(unit, &account, &jid, &people)?,
            Action::Promote => participants::promote(unit, &account, &jid, &people)?,
            Action::Demote => participants::demote(unit, &account, &jid, &people)?,
        };
        Ok(changes(changed))
    };
    Ok(Json(network.store.run(work).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaveRequest {
    group: String,
}

/// `POST …/leave`
pub(super) async fn leave(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<LeaveRequest>,
) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        let account = reachable(unit, &phone)?;
        participants::leave(unit, &account, &group_jid(&request.group)?)
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinRequest {
    code: String,
}

/// The group of an invite link.
#[derive(Debug, Serialize)]
pub(super) struct JoinResponse {
    group: String,
    /// Whether the admins have to let the person in.
    pending: bool,
}

/// `POST …/join`: follows an invite link; `code` is its end.
pub(super) async fn join(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<JoinRequest>,
) -> ApiResult<Json<JoinResponse>> {
    let work = move |unit: &mut Unit<'_>| {
        let account = reachable(unit, &phone)?;
        let (group, pending) = match invites::join(unit, &account, &request.code)? {
            Joined::Member(group) => (group, false),
            Joined::Requested(group) => (group, true),
        };
        Ok(JoinResponse {
            group: group.jid().to_string(),
            pending,
        })
    };
    Ok(Json(network.store.run(work).await?))
}
