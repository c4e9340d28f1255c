//! A network that the test plays itself: it hears what a daemon sends and says what
//! happens.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use daemon::connection::{
    AddressBook, AskError, Audience, ChatState, Chosen, ConnectError, Connection, Connector, Crowd,
    FetchedMedia, InboundSink, MediaError, PairingCode, PairingError, ReceiptKind, SendError, Session,
    SessionEvent, Unread,
};
use daemon::notice::NoticeSink;
use daemon::passkey::PasskeyError;
use daemon::stop::{Answer, Stop};
use daemon::whatsapp::Spool;
use shared::domain::content::{Bytes, Came, Content, Kind, Remote, Said, Whence};
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

use testbed::wait::{in_time, until};

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

#[async_trait]
impl Connection for Line {
    async fn send(&self, message: MessageId, to: &Recipient, said: &Said) -> Result<(), SendError> {
        assert_ne!(said, &Said::text(PANICS), "as a defect of the library would");
        let refusal = self.refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            let after = *self.refuses_after.lock().expect("no holder panics");
            tokio::time::sleep(after).await;
            return Err(refusal);
        }
        let sent = Sent {
            message,
            to: to.clone(),
            content: said.content.clone(),
        };
        self.sent.send(sent).await.map_err(|_| SendError::NotConnected)
    }

    async fn send_status(
        &self,
        message: MessageId,
        said: &Said,
        audience: &Audience,
    ) -> Result<(), SendError> {
        let members = self.members.lock().expect("no holder panics").clone();
        assert_eq!(audience.people, members, "those who were found");
        self.send(message, &Recipient::Status, said).await
    }

    async fn audience(&self) -> Result<Audience, SendError> {
        self.audiences.fetch_add(1, Ordering::Relaxed);
        let refusal = self.audience_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let mut hangs = self.audience_hangs.subscribe();
        let freed = hangs.wait_for(|hangs| !hangs).await;
        freed.map_err(|_| SendError::NotConnected)?;
        Ok(Audience {
            people: self.members.lock().expect("no holder panics").clone(),
            chosen: Chosen::Contacts,
        })
    }

    async fn are_many(&self, _crowd: &Crowd) -> Result<bool, SendError> {
        // It takes longer than a message to many waits for its keys.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let refusal = self.count_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        Ok(!self.are_few.load(Ordering::Relaxed))
    }

    async fn agree_on_keys(&self, _crowd: &Crowd) -> Result<(), SendError> {
        self.agreements.fetch_add(1, Ordering::Relaxed);
        let refusal = self.key_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let mut hangs = self.keys_hang.subscribe();
        tokio::select! {
            biased;
            () = self.disconnected.cancelled() => Err(SendError::NotConnected),
            () = self.abandoned.cancelled() => Err(SendError::NotConnected),
            freed = hangs.wait_for(|hangs| !hangs) => freed.map(drop).map_err(|_| SendError::NotConnected),
        }
    }

    async fn upload(&self, file: &Spool) -> Result<Remote, SendError> {
        let refusal = self.upload_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Ok(Remote {
            direct_path: "/v/t62".to_owned(),
            url: None,
            key: Bytes(vec![1; 32]),
            key_at: None,
            encrypted_sha256: Bytes(vec![2; 32]),
            sha256: Bytes(file.sha256().to_vec()),
            size: file.size(),
            sidecar: None,
            thumbnail: None,
            waveform: None,
            whence: None,
        })
    }

    async fn show(&self, to: &Recipient, state: ChatState) -> Result<(), SendError> {
        let shown = (to.clone(), state);
        self.shown.lock().expect("no holder panics").push(shown);
        Ok(())
    }

    async fn other_name(&self, name: &Recipient) -> Option<Recipient> {
        let names = self.names.lock().expect("no holder panics");
        let pair = names.iter().find(|(one, other)| one == name || other == name)?;
        Some(if pair.0 == *name { &pair.1 } else { &pair.0 }.clone())
    }

    async fn has_written_to(&self, to: &Recipient) -> bool {
        !self.strangers.lock().expect("no holder panics").contains(to)
    }

    async fn refresh_trust(&self, to: &Recipient) -> Result<(), SendError> {
        self.refreshed.lock().expect("no holder panics").push(to.clone());
        Ok(())
    }

    async fn explain(&self, _to: &Recipient, _error: Option<u32>) -> Result<Option<Failure>, SendError> {
        Ok(self
            .explanations
            .lock()
            .expect("no holder panics")
            .pop()
            .flatten())
    }

    async fn pairing_code(&self, phone: &PhoneNumber) -> Result<PairingCode, PairingError> {
        let (answer, answered) = oneshot::channel();
        let phone = phone.clone();
        let asked = self.asked.send(Asked { phone, answer }).await;
        asked.map_err(|_| PairingError::NotConnected)?;
        answered.await.unwrap_or(Err(PairingError::NotConnected))
    }

    async fn answer_passkey(&self, credential: &Credential) -> Result<(), PasskeyError> {
        self.tell_passkey(Some(credential.clone())).await
    }

    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        self.tell_passkey(None).await
    }

    async fn ask(&self, ask: &Ask) -> Result<question::Answer, AskError> {
        let (answer, answered) = oneshot::channel();
        let ask = ask.clone();
        let asked = self.questions.send(Questioned { ask, answer }).await;
        asked.map_err(|_| AskError::NotConnected)?;
        answered
            .await
            .expect("the test answers, or this panics as a defect of the library would")
    }

    async fn fetch_media(&self, came: &Came, _: Option<&Path>) -> Result<FetchedMedia, MediaError> {
        let (answer, answered) = oneshot::channel();
        let came = came.clone();
        let wanted = self.files.send(Wanted { came, answer }).await;
        wanted.map_err(|_| MediaError::NotConnected)?;
        answered.await.unwrap_or(Err(MediaError::NotConnected))
    }

    async fn find_media(&self, remote: &Remote, _: Kind, _: &Whence) -> Result<String, MediaError> {
        let found = self.found_files.lock().expect("no holder panics").pop();
        found.unwrap_or_else(|| Ok(remote.direct_path.clone()))
    }

    async fn look_up(&self, name: &Recipient) -> Result<Found, SendError> {
        self.looked_up
            .lock()
            .expect("no holder panics")
            .push(name.clone());
        let refusal = self.look_up_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let found = self.found.lock().expect("no holder panics");
        let found = found.iter().find(|(known, _)| known == name);
        Ok(found.map_or(Found::Unsaid, |(_, found)| found.clone()))
    }

    async fn mark_read(&self, chat: &Recipient, messages: &[Unread]) -> Result<(), AskError> {
        let mut read = self.read.lock().expect("no holder panics");
        read.push((chat.clone(), messages.to_vec()));
        Ok(())
    }

    async fn group_members(&self, _group: &Recipient) -> Result<Vec<Person>, SendError> {
        Ok(self.members.lock().expect("no holder panics").clone())
    }

    async fn probe(&self, _deadline: Duration) -> Result<(), SendError> {
        if *self.answers_probes.lock().expect("no holder panics") {
            Ok(())
        } else {
            Err(SendError::Timeout)
        }
    }

    async fn disconnect(&self) {
        self.disconnected.cancel();
    }

    async fn logout(&self) -> Result<(), SendError> {
        self.disconnected.cancel();
        if *self.answers_probes.lock().expect("no holder panics") {
            self.logged_out.cancel();
            Ok(())
        } else {
            Err(SendError::Timeout)
        }
    }

    fn abandon(&self) {
        self.abandoned.cancel();
    }
}

impl Line {
    async fn tell_passkey(&self, credential: Option<Credential>) -> Result<(), PasskeyError> {
        let (answer, answered) = oneshot::channel();
        let told = self.passkeys.send(Passkey { credential, answer }).await;
        told.map_err(|_| PasskeyError::NotConnected)?;
        answered.await.unwrap_or(Err(PasskeyError::NotConnected))
    }
}

impl Playing {
    /// Tells the daemon what happens.
    pub async fn tell(&self, event: SessionEvent) {
        in_time("room for an event", self.events.send(event))
            .await
            .expect("the session goes on");
    }

    pub async fn show_qr(&self, code: &str) {
        self.tell(SessionEvent::Qr {
            code: code.to_owned(),
            valid_for: Duration::from_mins(1),
        })
        .await;
    }

    /// Logs the session in.
    pub async fn log_in(&self) {
        self.log_in_as(account()).await;
    }

    /// Logs the session in as this account.
    pub async fn log_in_as(&self, account: Person) {
        self.tell(SessionEvent::Connected {
            account,
            display_name: Some("Owner".to_owned()),
        })
        .await;
    }

    /// The daemon's next request for a pairing code.
    pub async fn asked_for_code(&mut self) -> Asked {
        in_time("a request for a pairing code", self.asked.recv())
            .await
            .expect("the connection lives")
    }

    /// What the daemon tells next of a passkey.
    pub async fn told_of_passkey(&mut self) -> Passkey {
        in_time("an answer to a request for a passkey", self.passkeys.recv())
            .await
            .expect("the connection lives")
    }

    /// Whether it has told something that nobody has taken.
    pub fn has_told_of_passkey(&mut self) -> bool {
        self.passkeys.try_recv().is_ok()
    }

    /// Whether it has asked for one that nobody has taken.
    pub fn has_asked_for_code(&mut self) -> bool {
        self.asked.try_recv().is_ok()
    }

    /// The daemon's next question.
    pub async fn questioned(&mut self) -> Questioned {
        in_time("a question", self.questions.recv())
            .await
            .expect("the connection lives")
    }

    /// The next file that the daemon wants.
    pub async fn wanted(&mut self) -> Wanted {
        in_time("a file that is wanted", self.files.recv())
            .await
            .expect("the connection lives")
    }

    /// Whether it wants one that nobody has given.
    pub fn wants_more(&mut self) -> bool {
        self.files.try_recv().is_ok()
    }

    /// The questions that nobody has taken yet.
    pub fn questions(&mut self) -> Vec<Questioned> {
        std::iter::from_fn(|| self.questions.try_recv().ok()).collect()
    }

    /// The next message that comes over the wire.
    pub async fn sent(&mut self) -> Sent {
        in_time("a message on the wire", self.sent.recv())
            .await
            .expect("the connection lives")
    }

    /// The next message, for as long as it takes.
    pub async fn sent_or_never(&mut self) -> Sent {
        match self.sent.recv().await {
            Some(sent) => sent,
            None => std::future::pending().await,
        }
    }

    /// What has come over the wire besides; empty where nothing has.
    pub fn sent_besides(&mut self) -> Vec<Sent> {
        std::iter::from_fn(|| self.sent.try_recv().ok()).collect()
    }

    /// What the account was shown to do in chats.
    pub fn shown(&self) -> Vec<(Recipient, ChatState)> {
        self.line.shown.lock().expect("no holder panics").clone()
    }

    /// The server's answer to a message.
    pub async fn acknowledge(&self, message: MessageId, error: Option<u32>) {
        self.tell(SessionEvent::ServerAck {
            whatsapp_id: message.to_whatsapp(),
            error,
            chat: None,
        })
        .await;
    }

    pub async fn receipt(&self, message: MessageId, kind: ReceiptKind, at: DateTime<Utc>) {
        self.tell(SessionEvent::Receipt {
            whatsapp_ids: vec![message.to_whatsapp()],
            kind,
            at,
            group: None,
            reader: Person::default(),
        })
        .await;
    }

    /// The session has learnt that these are one person's names.
    pub fn knows(&self, one: &Recipient, other: &Recipient) {
        let mut names = self.line.names.lock().expect("no holder panics");
        names.push((one.clone(), other.clone()));
    }

    /// The account has never written to this person.
    pub fn is_new_to(&self, stranger: &Recipient) {
        let mut strangers = self.line.strangers.lock().expect("no holder panics");
        strangers.push(stranger.clone());
    }

    /// Whose tokens of trust were refreshed.
    pub fn refreshed(&self) -> Vec<Recipient> {
        self.line.refreshed.lock().expect("no holder panics").clone()
    }

    /// The answer to the next question for what stands behind a failure; the one given last comes
    /// first, and nothing does behind the others.
    pub fn explain_next(&self, failure: Option<Failure>) {
        self.line
            .explanations
            .lock()
            .expect("no holder panics")
            .push(failure);
    }

    /// The session tells this when it has been ended: it was on its way by then.
    pub fn tell_at_its_end(&self, event: SessionEvent) {
        let mut last_words = self.line.last_words.lock().expect("no holder panics");
        last_words.push(event);
    }

    /// Waits until every send has failed that was to.
    pub async fn refused(&self) {
        until("the failure of a send", async || {
            let refusals = self.line.refusals.lock().expect("no holder panics");
            refusals.is_empty().then_some(())
        })
        .await;
    }

    /// Sends that fail take this long.
    pub fn refuse_after(&self, time: Duration) {
        *self.line.refuses_after.lock().expect("no holder panics") = time;
    }

    /// Lets the next send fail like this; the one given last fails first.
    pub fn refuse_next(&self, error: SendError) {
        self.line.refusals.lock().expect("no holder panics").push(error);
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
