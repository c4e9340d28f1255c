//! Whom a request names, and what became of each of them.

use serde::{Deserialize, Serialize};
use shared::domain::question::{ChangeParticipants, ParticipantChange, Participated, Verdict};
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;
use utoipa::openapi::schema::Array;

use super::group::GroupRef;
use crate::http::caller::permission::GroupsWrite;
use crate::http::{ApiError, Fields, Replayable, Reply};
use crate::messaging::asking::{OnceSocket, Socket, Told};
use crate::messaging::contacts::contact::{self, Contact};

/// Most people of a request: a group has no more members.
pub const MOST: usize = 1_024;

/// The people whom a request is about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GroupParticipants)]
pub struct Request {
    #[schema(schema_with = schema)]
    pub participants: Vec<String>,
}

/// The schema of `participants`.
pub fn schema() -> Array {
    up_to(MOST)
}

/// The schema of `participants`, `most` of them at most.
pub fn up_to(most: usize) -> Array {
    contact::list_schema(
        most,
        "A phone number, `lid:` and digits, or a person's WhatsApp JID",
    )
}

/// People as they were named, and each of them once.
pub struct People {
    inputs: Vec<(String, usize)>,
    /// Each once, in the order in which they were named first.
    pub names: Vec<Recipient>,
}

impl People {
    /// Reads `participants`, `most` of them at most.
    pub fn parse(texts: Vec<String>, most: usize, fields: &mut Fields) -> Self {
        if !(1..=most).contains(&texts.len()) {
            fields.fault("participants", format!("must have 1 to {most} items"));
            return Self {
                inputs: Vec::new(),
                names: Vec::new(),
            };
        }
        let mut places = std::collections::HashMap::new();
        let mut names = Vec::new();
        let mut inputs = Vec::with_capacity(texts.len());
        for (n, text) in texts.into_iter().enumerate() {
            let Some(Contact(name)) = fields.parse::<Contact>(format!("participants[{n}]"), &text) else {
                continue;
            };
            let place = *places.entry(name.clone()).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            });
            inputs.push((text, place));
        }
        Self { inputs, names }
    }

    /// Each as it was named, as often as it was named.
    pub fn named(&self) -> Vec<&str> {
        self.inputs.iter().map(|(input, _)| input.as_str()).collect()
    }

    /// What became of each, in the order in which they were named.
    pub fn results(&self, of_names: &[Participated]) -> Vec<ResultView> {
        let results = self.inputs.iter().map(|(input, place)| {
            let unsaid = Participated {
                person: shared::domain::person::Person::of(&self.names[*place]),
                verdict: Verdict::Unsaid,
            };
            ResultView::new(input.clone(), of_names.get(*place).unwrap_or(&unsaid).clone())
        });
        results.collect()
    }
}

/// What became of those whom the request named.
#[derive(Serialize, ToSchema)]
#[schema(as = ParticipantResults)]
pub struct Response {
    /// One for each participant, in the order asked.
    pub results: Vec<ResultView>,
}

/// What became of one of them.
#[derive(Serialize, ToSchema)]
#[schema(as = ParticipantResult)]
pub struct ResultView {
    /// As it was asked.
    #[schema(example = "+15550100001")]
    input: String,
    /// The number as WhatsApp spells it; `null` where it gives none.
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    status: StatusView,
    /// What there is to say about it; `null` where it is done.
    #[schema(example = json!(null))]
    message: Option<&'static str>,
}

impl ResultView {
    fn new(input: String, Participated { person, verdict }: Participated) -> Self {
        let (status, message) = said(verdict);
        Self {
            input,
            phone: person.phone,
            lid: person.lid,
            status,
            message: Some(message).filter(|message| !message.is_empty()),
        }
    }
}

/// How it went with one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ParticipantStatus)]
pub enum StatusView {
    /// It is done.
    Done,
    /// They do not let everybody add them, and have got an invitation instead.
    Invited,
    /// WhatsApp did not do it; the message says why.
    NotAllowed,
    /// Not on WhatsApp.
    NotOnWhatsapp,
    /// Not in the group, or not among those who ask to be let in.
    NotMember,
    /// It was so already.
    Already,
}

fn said(verdict: Verdict) -> (StatusView, &'static str) {
    match verdict {
        Verdict::Done => (StatusView::Done, ""),
        Verdict::Invited => (
            StatusView::Invited,
            "They do not let this account add them to groups, and have got an invitation instead",
        ),
        Verdict::NotInvited => (
            StatusView::NotAllowed,
            "They do not let this account add them to groups, and no invitation could be sent: send them the group's link",
        ),
        Verdict::Blocked => (StatusView::NotAllowed, "They have blocked this account"),
        Verdict::LeftRecently => (
            StatusView::NotAllowed,
            "They left the group a short time ago: WhatsApp lets nobody add them now",
        ),
        Verdict::Full => (StatusView::NotAllowed, "The group has as many members as it may"),
        Verdict::NotOnWhatsapp => (StatusView::NotOnWhatsapp, "They are not on WhatsApp"),
        Verdict::NotMember => (
            StatusView::NotMember,
            "They are not in the group, or do not ask to be let in",
        ),
        Verdict::Already => (StatusView::Already, "It was so already"),
        Verdict::Impossible => (
            StatusView::NotAllowed,
            "WhatsApp does not do this to them: they made the group, or are the account itself",
        ),
        Verdict::Unsaid => (
            StatusView::NotAllowed,
            "WhatsApp does not say that it is done: look at the group",
        ),
    }
}

/// A change to the people of a group.
pub struct Change {
    /// The group.
    pub group: GroupRef,
    /// What is done.
    pub what: ParticipantChange,
    /// To whom.
    pub participants: Vec<String>,
}

impl Change {
    fn ask(self) -> Result<(People, ChangeParticipants), ApiError> {
        let mut fields = Fields::default();
        let people = People::parse(self.participants, MOST, &mut fields);
        fields.finish()?;
        let ask = ChangeParticipants {
            group: self.group.0,
            change: self.what,
            participants: people.names.clone(),
        };
        Ok((people, ask))
    }

    /// Has it made, once for a request with an idempotency key.
    pub async fn make_once(self, socket: &OnceSocket<GroupsWrite>) -> Result<Replayable<Response>, ApiError> {
        let said = (self.group.0.to_jid(), self.what);
        let (people, ask) = self.ask()?;
        let told: Told<_> = socket.ask(&(said, people.named()), Ok(ask)).await?;
        Ok(told.reply(|changed| Response {
            results: people.results(&changed.results),
        }))
    }

    /// Has it made.
    pub async fn make(self, socket: &Socket<GroupsWrite>) -> Result<Reply<Response>, ApiError> {
        let (people, ask) = self.ask()?;
        let changed = socket.ask(ask).await?;
        Ok(Reply::ok(Response {
            results: people.results(&changed.results),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_named_twice_is_asked_once_and_answered_twice() {
        let texts = ["+15550100001", "15550100002", "15550100001@s.whatsapp.net"];
        let mut fields = Fields::default();
        let people = People::parse(texts.map(str::to_owned).into(), MOST, &mut fields);
        assert!(fields.is_empty());
        assert_eq!(people.names.len(), 2);
        let of_names = people.names.iter().map(|name| Participated {
            person: shared::domain::person::Person::of(name),
            verdict: Verdict::Done,
        });
        let results = people.results(&of_names.collect::<Vec<_>>());
        let shown: Vec<_> = results
            .iter()
            .map(|result| (result.input.as_str(), result.phone.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                (texts[0], Some("15550100001")),
                (texts[1], Some("15550100002")),
                (texts[2], Some("15550100001")),
            ]
        );
    }
}
