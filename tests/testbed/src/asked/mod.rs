//! What a daemon does with questions, played by a test of the API: it takes them from the shard's second queue, and answers as
//! the test says.

mod groups;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::question::{
    Ask, BlockList, Blocked, ChatRead, Done, Found, FoundPicture, GroupChanged, GroupCreated, GroupInvite,
    GroupJoined, GroupLeft, GroupShown, GroupsListed, JoinRequest, Looked, MediaFetched, MediaPlace, Outcome,
    ParticipantsChanged, Picture, PictureChanged, Question, RequestsListed, Shown,
};
use shared::domain::recipient::Recipient;
use shared::queue::{Queue, QueueName, ReceiveOptions};
use shared::seal::Sealer;
use shared::sealed;
use shared::storage::Table;
use shared::storage::answers::{Answers, Claim};
use shared::storage::keys;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What was asked so far. The daemon ends when it is dropped.
#[derive(Debug)]
pub struct Asked {
    questions: Arc<Mutex<Vec<Question>>>,
    _end: DropGuard,
}

/// What a daemon does with a question.
#[derive(Debug)]
pub enum Doing {
    /// It is answered so.
    Answer(Box<Outcome>),
    /// It is begun, and nothing more is heard.
    Begin,
    /// It is not begun.
    Nothing,
}

/// Somebody with this number.
fn person(phone: &str) -> Person {
    Person {
        phone: Some(phone.to_owned()),
        lid: Some(format!("9{phone}")),
    }
}

/// Everybody is there, and everything is done.
pub fn willing(ask: &Ask) -> Outcome {
    let named = |name: &Recipient| person(name.phone().unwrap_or("15550100099"));
    Ok(match ask {
        Ask::LookUp(ask) => {
            let found = ask.contacts.iter().map(|contact| Found::There {
                person: named(contact),
                business_name: None,
            });
            let found = found.collect();
            Looked { found }.into()
        }
        Ask::Show(ask) => Shown {
            person: named(&ask.contact),
            business_name: None,
            about: None,
            business: None,
        }
        .into(),
        Ask::Block(ask) => Blocked {
            person: named(&ask.contact),
        }
        .into(),
        Ask::CreateGroup(ask) => GroupCreated {
            group: groups::group(&groups::new_group()),
            results: groups::all_done(&ask.participants),
        }
        .into(),
        Ask::ListGroups(_) => GroupsListed {
            groups: vec![groups::group(&groups::new_group())],
            more: false,
        }
        .into(),
        Ask::ShowGroup(ask) => GroupShown {
            group: groups::group(&ask.group),
            description: Some("All about engines".to_owned()),
            participants: groups::members(),
        }
        .into(),
        Ask::ChangeGroup(ask) => GroupChanged {
            group: groups::group(&ask.group),
            description: ask.description.clone(),
            done: Vec::new(),
            refused: None,
        }
        .into(),
        Ask::ChangeParticipants(ask) => ParticipantsChanged {
            results: groups::all_done(&ask.participants),
        }
        .into(),
        Ask::ShowInvite(_) | Ask::ResetInvite(_) => GroupInvite {
            code: "AbCdEfGhIjKlMnOpQrStUv".to_owned(),
        }
        .into(),
        Ask::JoinGroup(_) => GroupJoined {
            group: groups::new_group(),
            pending: false,
        }
        .into(),
        Ask::LeaveGroup(_) => GroupLeft {}.into(),
        Ask::ListRequests(_) => RequestsListed {
            requests: vec![JoinRequest {
                name: Recipient::Lid("915550100002".to_owned()),
                person: person("15550100002"),
                at: 1_767_225_600,
            }],
            more: false,
        }
        .into(),
        Ask::ChangePicture(ask) => PictureChanged {
            id: ask.image.as_ref().map(|_| "1".to_owned()),
        }
        .into(),
        Ask::ListBlocked(_) => BlockList { people: Vec::new() }.into(),
        Ask::FindPicture(_) => FoundPicture {
            picture: Some(Picture {
                id: "1700000000".to_owned(),
                url: "https://pps.whatsapp.net/v/t61/1.jpg".to_owned(),
            }),
        }
        .into(),
        Ask::ShowActivity(_) | Ask::SetPresence(_) | Ask::ChangeChat(_) => Done {}.into(),
        Ask::FetchMedia(_) => MediaFetched {
            place: MediaPlace::Here,
        }
        .into(),
        Ask::ReadChat(_) => ChatRead { messages: 2 }.into(),
    })
}

impl Asked {
    /// A daemon that takes questions from this queue, and does this with each.
    pub fn by(
        (queue, name): (Arc<dyn Queue>, QueueName),
        table: &Table,
        sealer: Arc<Sealer>,
        mut act: impl FnMut(&Ask) -> Doing + Send + 'static,
    ) -> Self {
        let end = CancellationToken::new();
        let questions: Arc<Mutex<Vec<Question>>> = Arc::default();
        let (seen, answers) = (questions.clone(), Answers::new(table.clone()));
        let options = ReceiveOptions {
            max: 1,
            wait: Duration::from_secs(20),
            visibility: Duration::from_secs(30),
        };
        let serving = async move {
            loop {
                for message in queue.receive(&name, options).await.expect("received") {
                    let query = payload::decode::<Query>(&message.body).expect("ours");
                    queue.delete(&name, &message.receipt).await.expect("deleted");
                    let question = match query {
                        Query::Question(question) => question,
                        Query::SealedQuestion(question) => {
                            sealed::question::open(&sealer, question).await.expect("ours")
                        }
                        Query::Nudge { .. } | Query::Due { .. } | Query::Tell { .. } => continue,
                    };
                    seen.lock().expect("no holder panics").push(question.clone());
                    let doing = act(&question.ask);
                    answer(&answers, &sealer, &question, doing).await;
                }
            }
        };
        tokio::spawn(end.clone().run_until_cancelled_owned(serving));
        Self {
            questions,
            _end: end.drop_guard(),
        }
    }

    /// What was asked so far, in turn.
    pub fn asks(&self) -> Vec<Ask> {
        let questions = self.questions();
        questions.into_iter().map(|question| question.ask).collect()
    }

    /// The questions so far.
    pub fn questions(&self) -> Vec<Question> {
        self.questions.lock().expect("no holder panics").clone()
    }
}

async fn answer(answers: &Answers, sealer: &Sealer, question: &Question, doing: Doing) {
    let (instance, id, until) = (question.instance, question.id, question.keep_until);
    let mut claim: Option<Claim> = None;
    if question.ask.changes() && !matches!(doing, Doing::Nothing) {
        claim = answers.begin(instance, id, until).await.expect("stored");
        if claim.is_none() {
            return;
        }
    }
    if let Doing::Answer(outcome) = doing {
        let of = keys::answer(instance, id).path();
        let text = sealed::seal(sealer, instance, &of, &*outcome)
            .await
            .expect("sealed");
        // Whoever asked may have given it up.
        let stored = answers.answer(instance, id, claim.as_ref(), &text, until).await;
        stored.expect("stored");
    }
}
