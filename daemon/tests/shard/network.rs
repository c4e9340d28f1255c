//! A network that the test plays itself: it hears what a daemon sends and says what
//! happens.

mod line;
mod playing;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use async_trait::async_trait;
use daemon::connection::{
    AddressBook, AskError, ChatState, ConnectError, Connection, Connector, FetchedMedia, InboundSink,
    MediaError, PairingCode, PairingError, SendError, Session, SessionEvent, Unread,
};
use daemon::notice::NoticeSink;
use daemon::passkey::PasskeyError;
use daemon::stop::{Answer, Stop};
use shared::domain::content::{Came, Content};
use shared::domain::instance::Status;
use shared::domain::message::Failure;
use shared::domain::passkey::Credential;
use shared::domain::person::Person;
use shared::domain::phone::PhoneNumber;
use shared::domain::question::{self, Ask, Found};
use shared::domain::reason::Reason;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::session_state::SessionState;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Sessions and messages that wait for the test; more than any test has.
const WAITING: usize = 1_024;

/// Hands every session that a daemon begins to the test.
#[derive(Debug)]
pub struct Network {
    begun: mpsc::Sender<Playing>,
    answers_probes: Arc<Mutex<bool>>,
    members: Arc<Mutex<Vec<Person>>>,
}

/// A session as the network's side sees it.
#[derive(Debug)]
pub struct Playing {
    pub instance: InstanceId,
    pub state: Arc<dyn SessionState>,
    pub inbound: Arc<dyn InboundSink>,
    pub book: Arc<dyn AddressBook>,
    pub notices: Arc<dyn NoticeSink>,
    events: mpsc::Sender<SessionEvent>,
    sent: mpsc::Receiver<Sent>,
    asked: mpsc::Receiver<Asked>,
    questions: mpsc::Receiver<Questioned>,
    files: mpsc::Receiver<Wanted>,
    passkeys: mpsc::Receiver<Passkey>,
    pub line: Arc<Line>,
}

/// A daemon's request for a pairing code.
#[derive(Debug)]
pub struct Asked {
    pub phone: PhoneNumber,
    pub answer: oneshot::Sender<Result<PairingCode, PairingError>>,
}

/// What a daemon tells WhatsApp of a passkey: an assertion, or without one that the codes are the same.
#[derive(Debug)]
pub struct Passkey {
    pub credential: Option<Credential>,
    pub answer: oneshot::Sender<Result<(), PasskeyError>>,
}

/// What a daemon asks on somebody's behalf.
#[derive(Debug)]
pub struct Questioned {
    pub ask: Ask,
    pub answer: oneshot::Sender<Result<question::Answer, AskError>>,
}

/// A file that a daemon wants of WhatsApp.
#[derive(Debug)]
pub struct Wanted {
    pub came: Came,
    pub answer: oneshot::Sender<Result<FetchedMedia, MediaError>>,
}

/// A message that a daemon has sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    pub message: MessageId,
    pub to: Recipient,
    pub content: Content,
}

/// A text at which the library panics.
pub const PANICS: &str = "panic";

/// The connection that the daemon holds.
#[derive(Debug)]
pub struct Line {
    sent: mpsc::Sender<Sent>,
    asked: mpsc::Sender<Asked>,
    questions: mpsc::Sender<Questioned>,
    files: mpsc::Sender<Wanted>,
    passkeys: mpsc::Sender<Passkey>,
    /// What comes of the next looks for files that are forwarded, the last one first; the others are where they were.
    pub found_files: Mutex<Vec<Result<String, MediaError>>>,
    answers_probes: Arc<Mutex<bool>>,
    members: Arc<Mutex<Vec<Person>>>,
    refusals: Mutex<Vec<SendError>>,
    /// How long a send takes that fails.
    refuses_after: Mutex<Duration>,
    shown: Mutex<Vec<(Recipient, ChatState)>>,
    names: Mutex<Vec<(Recipient, Recipient)>>,
    explanations: Mutex<Vec<Option<Failure>>>,
    last_words: Mutex<Vec<SessionEvent>>,
    strangers: Mutex<Vec<Recipient>>,
    refreshed: Mutex<Vec<Recipient>>,
    /// Who is found by a name that is looked up before a send; nobody says anything of the others.
    pub found: Mutex<Vec<(Recipient, Found)>>,
    /// The names that were looked up so.
    pub looked_up: Mutex<Vec<Recipient>>,
    /// How look-ups fail, the last one first; then they succeed.
    pub look_up_refusals: Mutex<Vec<SendError>>,
    /// How uploads fail, the last one first; then they succeed.
    pub upload_refusals: Mutex<Vec<SendError>>,
    /// How many files were uploaded.
    pub uploads: AtomicUsize,
    /// How looks for those who see a status fail, the last one first; then the members are found.
    pub audience_refusals: Mutex<Vec<SendError>>,
    /// Whether such a look finds nobody and does not end.
    pub audience_hangs: watch::Sender<bool>,
    /// How many were begun.
    pub audiences: AtomicUsize,
    /// How agreements on keys fail, the last one first; then they succeed.
    pub key_refusals: Mutex<Vec<SendError>>,
    /// How looks at how many there are fail, the last one first; then they succeed.
    pub count_refusals: Mutex<Vec<SendError>>,
    /// Whether there are few in groups and to see statuses.
    pub are_few: AtomicBool,
    /// Whether such an agreement does not end.
    pub keys_hang: watch::Sender<bool>,
    /// How many were begun.
    pub agreements: AtomicUsize,
    /// What was marked as read.
    pub read: Mutex<Vec<(Recipient, Vec<Unread>)>>,
    pub disconnected: CancellationToken,
    pub logged_out: CancellationToken,
    pub abandoned: CancellationToken,
}

impl Network {
    /// A network, and where its sessions come.
    pub fn new() -> (Arc<Self>, mpsc::Receiver<Playing>) {
        let (begun, sessions) = mpsc::channel(WAITING);
        let network = Self {
            begun,
            answers_probes: Arc::new(Mutex::new(true)),
            members: Arc::default(),
        };
        (Arc::new(network), sessions)
    }

    /// Who is in every group from now on, besides the account.
    pub fn set_members(&self, members: Vec<Person>) {
        *self.members.lock().expect("no holder panics") = members;
    }

    /// Whether round trips succeed from now on.
    pub fn set_answers_probes(&self, answers: bool) {
        *self.answers_probes.lock().expect("no holder panics") = answers;
    }
}

#[async_trait]
impl Connector for Network {
    async fn connect(&self, session: Session) -> Result<Arc<dyn Connection>, ConnectError> {
        let (sender, sent) = mpsc::channel(WAITING);
        let (asking, asked) = mpsc::channel(WAITING);
        let (questioning, questions) = mpsc::channel(WAITING);
        let (wanting, files) = mpsc::channel(WAITING);
        let (telling, passkeys) = mpsc::channel(WAITING);
        let line = Arc::new(Line {
            sent: sender,
            asked: asking,
            questions: questioning,
            files: wanting,
            passkeys: telling,
            found_files: Mutex::default(),
            answers_probes: self.answers_probes.clone(),
            members: self.members.clone(),
            refusals: Mutex::default(),
            refuses_after: Mutex::default(),
            shown: Mutex::default(),
            names: Mutex::default(),
            explanations: Mutex::default(),
            last_words: Mutex::default(),
            strangers: Mutex::default(),
            refreshed: Mutex::default(),
            found: Mutex::default(),
            looked_up: Mutex::default(),
            look_up_refusals: Mutex::default(),
            upload_refusals: Mutex::default(),
            uploads: AtomicUsize::new(0),
            audience_refusals: Mutex::default(),
            audience_hangs: watch::Sender::new(false),
            audiences: AtomicUsize::new(0),
            key_refusals: Mutex::default(),
            count_refusals: Mutex::default(),
            are_few: AtomicBool::new(false),
            keys_hang: watch::Sender::new(false),
            agreements: AtomicUsize::new(0),
            read: Mutex::default(),
            disconnected: CancellationToken::new(),
            logged_out: CancellationToken::new(),
            abandoned: CancellationToken::new(),
        });
        let (events, told) = mpsc::channel(WAITING);
        tokio::spawn(forward(told, session.events, line.clone()));
        let playing = Playing {
            instance: session.instance,
            state: session.state,
            inbound: session.inbound,
            book: session.book,
            notices: session.notices,
            events,
            sent,
            asked,
            questions,
            files,
            passkeys,
            line: line.clone(),
        };
        self.begun
            .send(playing)
            .await
            .map_err(|error| ConnectError(error.to_string().into()))?;
        Ok(line)
    }
}

/// Hands on what a session tells. Once its end was asked for nothing more goes in, and what is in
/// comes out: a session tells all that it has received.
async fn forward(
    mut told: mpsc::Receiver<SessionEvent>,
    events: mpsc::Sender<Box<SessionEvent>>,
    line: Arc<Line>,
) {
    loop {
        let event = tokio::select! {
            biased;
            () = line.disconnected.cancelled() => {
                told.close();
                told.recv().await
            }
            () = line.abandoned.cancelled() => {
                told.close();
                told.recv().await
            }
            event = told.recv() => event,
        };
        let Some(event) = event else { break };
        if events.send(Box::new(event)).await.is_err() {
            return;
        }
    }
    let last_words = std::mem::take(&mut *line.last_words.lock().expect("no holder panics"));
    for event in last_words {
        // The daemon may want nothing more.
        let _ = events.send(Box::new(event)).await;
    }
}

/// The account behind every session.
pub fn account() -> Person {
    Person {
        phone: Some("15550100000".to_owned()),
        lid: Some("100000000000000".to_owned()),
    }
}

/// WhatsApp ends a session, as the phone has unlinked it.
pub fn unlinked(said: &str) -> SessionEvent {
    stopped(Answer::End(Status::LoggedOut, Reason::LoggedOut), said)
}

/// WhatsApp ends a session, and this is to be done about it.
pub fn stopped(answer: Answer, said: &str) -> SessionEvent {
    SessionEvent::Stopped(Stop {
        answer,
        said: said.to_owned(),
        blames_wire: false,
    })
}
