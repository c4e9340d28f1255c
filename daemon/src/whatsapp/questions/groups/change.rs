//! What a group is called, what it is about, and its settings.

use shared::domain::question::{ChangeGroup, Group, GroupChanged, GroupSetting};
use whatsapp_rust::features::{
    GroupDescription, GroupError, GroupMetadata, GroupSubject, MembershipApprovalMode,
};
use whatsapp_rust::{Client, IqError};

use super::super::{Put, Socket};
use super::words::{SetDescription, SetSubject};
use super::{before, changed, show};
use crate::connection::AskError;

impl Put for ChangeGroup {
    /// Each change is a request of its own, in the order of the contract. What is so already is not asked for.
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupChanged, AskError> {
        let told = before(client, &self.group).await?;
        let mut group = show::group(client, &told).ok_or(AskError::NoGroup)?;
        let mut description = show::description(&told);
        let mut done = Vec::new();
        for setting in self.wanted(&group, description.as_deref()) {
            if !client.is_logged_in() && done.is_empty() {
                return Err(AskError::NotConnected);
            }
            let made = self.make(client, setting, &told).await;
            match changed(client, &self.group, made).await {
                Ok(()) => {
                    self.note(setting, &mut group, &mut description);
                    done.push(setting);
                }
                Err(AskError::InDoubt) => return Err(AskError::InDoubt),
                Err(error) if done.is_empty() => return Err(error),
                Err(error) => {
                    let code = match error {
                        AskError::NotAnAdmin | AskError::NotAMember => Some(403),
                        AskError::NoGroup => Some(404),
                        AskError::Throttled { .. } => Some(429),
                        AskError::Refused { code, .. } => code,
                        _ => None,
                    };
                    return Ok(GroupChanged {
                        group,
                        description,
                        done,
                        refused: Some((setting, code)),
                    });
                }
            }
        }
        Ok(GroupChanged {
            group,
            description,
            done,
            refused: None,
        })
    }
}

/// The changes of an ask, one by one.
trait Changes {
    /// What is not so yet.
    fn wanted(&self, group: &Group, description: Option<&str>) -> Vec<GroupSetting>;

    /// Has WhatsApp make one of them.
    async fn make(
        &self,
        client: &Client,
        setting: GroupSetting,
        told: &GroupMetadata,
    ) -> Result<(), GroupError>;

    /// Notes that it is made.
    fn note(&self, setting: GroupSetting, group: &mut Group, description: &mut Option<String>);
}

impl Changes for ChangeGroup {
    fn wanted(&self, group: &Group, description: Option<&str>) -> Vec<GroupSetting> {
        fn differs<T: PartialEq>(wanted: Option<&T>, is: &T) -> bool {
            wanted.is_some_and(|wanted| wanted != is)
        }
        let about = self.description.as_deref();
        let all = [
            (
                GroupSetting::Subject,
                differs(self.subject.as_ref(), &group.subject),
            ),
            (
                GroupSetting::Description,
                about.is_some_and(|about| about != description.unwrap_or_default()),
            ),
            (
                GroupSetting::Announce,
                differs(self.announce.as_ref(), &group.announce),
            ),
            (GroupSetting::Locked, differs(self.locked.as_ref(), &group.locked)),
            (
                GroupSetting::EphemeralSeconds,
                differs(self.ephemeral_seconds.as_ref(), &group.ephemeral_seconds),
            ),
            (
                GroupSetting::JoinApproval,
                differs(self.join_approval.as_ref(), &group.join_approval),
            ),
        ];
        all.into_iter()
            .filter_map(|(setting, wanted)| wanted.then_some(setting))
            .collect()
    }

    async fn make(
        &self,
        client: &Client,
        setting: GroupSetting,
        told: &GroupMetadata,
    ) -> Result<(), GroupError> {
        let (groups, group) = (client.groups(), &told.id);
        match setting {
            GroupSetting::Subject => {
                let subject = GroupSubject::new(self.subject.as_deref().unwrap_or_default())
                    .map_err(|error| GroupError::InvalidRequest(error.to_string()))?;
                let set = SetSubject {
                    group: group.clone(),
                    subject: subject.as_str().to_owned(),
                };
                Ok(client.execute(set).await?)
            }
            GroupSetting::Description => {
                let text = self.description.as_deref().filter(|text| !text.is_empty());
                let text = text
                    .map(GroupDescription::new)
                    .transpose()
                    .map_err(|error| GroupError::InvalidRequest(error.to_string()))?;
                let set = SetDescription {
                    group: group.clone(),
                    text: text.map(|text| text.as_str().to_owned()),
                    former: told.description_id.clone(),
                };
                client.execute(set).await.map_err(|error| match error {
                    IqError::ServerError { code: 409, .. } => GroupError::DescriptionConflict,
                    error => error.into(),
                })
            }
            GroupSetting::Announce => {
                groups
                    .set_announce(group, self.announce.unwrap_or_default())
                    .await
            }
            GroupSetting::Locked => groups.set_locked(group, self.locked.unwrap_or_default()).await,
            GroupSetting::EphemeralSeconds => {
                let seconds = self.ephemeral_seconds.unwrap_or_default();
                groups.set_ephemeral(group, seconds).await
            }
            GroupSetting::JoinApproval => {
                let mode = if self.join_approval.unwrap_or_default() {
                    MembershipApprovalMode::On
                } else {
                    MembershipApprovalMode::Off
                };
                groups.set_membership_approval(group, mode).await
            }
        }
    }

    fn note(&self, setting: GroupSetting, group: &mut Group, description: &mut Option<String>) {
        match setting {
            GroupSetting::Subject => group.subject = self.subject.clone().unwrap_or_default(),
            GroupSetting::Description => {
                *description = self.description.clone().filter(|text| !text.is_empty());
            }
            GroupSetting::Announce => group.announce = self.announce.unwrap_or_default(),
            GroupSetting::Locked => group.locked = self.locked.unwrap_or_default(),
            GroupSetting::EphemeralSeconds => {
                group.ephemeral_seconds = self.ephemeral_seconds.unwrap_or_default();
            }
            GroupSetting::JoinApproval => group.join_approval = self.join_approval.unwrap_or_default(),
        }
    }
}
