//! A table, a sandbox, and an instance whose sessions one can begin and follow.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::Message as _;
use daemon::connection::{Connection, Connector, EVENTS_WAITING, InboundMessage, Session, SessionEvent};
use daemon::meter::Total;
use daemon::notice::Notice;
use daemon::stop::Answer;
use daemon::whatsapp::{Settings, WhatsAppConnector};
use sandbox::Sandbox;
use serde_json::{Value, json};
use shared::clock::SystemClock;
use shared::domain::content::{Content, Text};
use shared::domain::event::EventType;
use shared::domain::instance::Status;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::InstanceId;
use shared::session_state::{Fence, SessionState, TableSessionState};
use shared::storage::Table;
use testbed::table::Database;
use testbed::wait::{DEADLINE, in_time, until};
use testbed::world::Keys;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use waproto::whatsapp as wa;

use crate::sink::{Book, Heard, Seen, Sink};

pub struct World {
    pub sandbox: Sandbox,
    pub connector: WhatsAppConnector,
    pub tasks: TaskTracker,
    pub table: Table,
    admin: reqwest::Client,
    seen: Seen,
    keys: Keys,
    /// The account that the instance was paired with last.
    account: Mutex<Person>,
    pub database: Database,
}

impl World {
    pub async fn new() -> Self {
        let config = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        let settings = Settings {
            websocket_url: sandbox.ws_url(),
            root_certificates: Some(sandbox.ca_pem().to_owned()),
            ..Settings::default()
        };
        let tasks = TaskTracker::new();
        let connector =
            WhatsAppConnector::new(settings, Arc::new(SystemClock), tasks.clone()).expect("a connector");
        let database = Database::start().await;
        Self {
            sandbox,
            connector,
            tasks,
            table: database.table(),
            admin: reqwest::Client::new(),
            seen: Seen::default(),
            keys: Keys::new(),
            account: Mutex::default(),
            database,
        }
    }

    /// The instance's state as the holder of `token` has it, in a process of its own.
    pub fn state(&self, token: u64) -> Arc<dyn SessionState> {
        self.state_in(&self.table, token)
    }

    /// The same in the table as it is reached through `table`.
    pub fn state_in(&self, table: &Table, token: u64) -> Arc<dyn SessionState> {
        Arc::new(TableSessionState::new(
            table.clone(),
            Arc::new(self.keys.sealer(table)),
            Arc::new(SystemClock),
            InstanceId::from_bytes([1; 16]),
            Fence::new(token),
        ))
    }

    pub async fn begin(&self, token: u64) -> Running {
        self.begin_on(self.state(token)).await
    }

    pub async fn begin_on(&self, state: Arc<dyn SessionState>) -> Running {
        // The table of a busy machine may not answer in time.
        until("a session that begins", async || {
            self.try_to_begin(Arc::clone(&state)).await
        })
        .await
    }

    async fn try_to_begin(&self, state: Arc<dyn SessionState>) -> Option<Running> {
        let (sink, committed) = Sink::new(Arc::clone(&self.seen));
        let (sender, events) = mpsc::channel(EVENTS_WAITING);
        let book = Arc::new(Book::default());
        let (heard, notices) = mpsc::channel(10_000);
        let session = Session {
            instance: InstanceId::from_bytes([1; 16]),
            account: self.account.lock().expect("no holder panics").clone(),
            state,
            inbound: Arc::clone(&sink) as _,
            book: Arc::clone(&book) as _,
            notices: Arc::new(Heard(heard)),
            events: sender,
            receipts_lost: Total::default(),
        };
        let begun = self.connector.connect(session).await;
        let connection = begun.inspect_err(|error| println!("{error:?}")).ok()?;
        Some(Running {
            connection,
            events,
            book,
            sink,
            committed,
            notices,
            early: VecDeque::new(),
            scanned: false,
        })
    }

    /// A session that was linked by scanning its QR code with `phone`, and is connected.
    pub async fn paired(&self, phone: &str, token: u64) -> Running {
        let mut running = self.begin(token).await;
        let code = running.until("a QR code", |event| match event {
            SessionEvent::Qr { code, .. } => Some(code),
            _ => None,
        });
        let code = code.await;
        self.scan(phone, code).await;
        running.scanned = true;
        let (phone, lid) = running.connected().await;
        *self.account.lock().expect("no holder panics") = Person { phone, lid };
        running
    }

    /// Lets a phone link the device that shows this QR code.
    pub async fn scan(&self, phone: &str, code: String) {
        let url = format!(
            "{}/admin/mock-phone/scan-qr?phone={phone}",
            self.sandbox.admin_url()
        );
        let answer = self.admin.post(url).body(code).send().await.expect("answered");
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.expect("a text")
        );
    }

    pub async fn phone(&self, name: &str) -> String {
        let made = self.admin("/admin/phones", json!({"name": name})).await;
        made["phone"].as_str().expect("a number").to_owned()
    }

    pub async fn admin(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sandbox.admin_url());
        let request = self
            .admin
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.expect("answered");
        let status = answer.status();
        let text = answer.text().await.expect("a text");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Changes something by the admin API.
    pub async fn patch(&self, path: &str, body: Value) {
        let url = format!("{}{path}", self.sandbox.admin_url());
        let request = self.admin.patch(url).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("answered");
        let status = answer.status();
        assert!(
            status.is_success(),
            "{path}: {status} {}",
            answer.text().await.expect("a text")
        );
    }

    /// A picture, of a person or a group; none takes it away.
    pub async fn picture(&self, path: &str, jpeg: &[u8]) {
        let url = format!("{}{path}/picture", self.sandbox.admin_url());
        let answer = self
            .admin
            .post(url)
            .body(jpeg.to_vec())
            .send()
            .await
            .expect("answered");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// What a phone shows, once `enough` says so.
    pub async fn inbox(&self, phone: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let path = format!("/admin/phones/{phone}/inbox");
        let inbox = self.until(&path, |inbox| inbox.as_array().is_some_and(|inbox| enough(inbox)));
        match inbox.await {
            Value::Array(inbox) => inbox,
            other => panic!("no list: {other}"),
        }
    }

    /// A message as a phone decrypted it.
    pub async fn shown(&self, phone: &str, id: &str) -> wa::Message {
        let path = format!("/admin/phones/{phone}/inbox/{id}");
        let shown = self.until(&path, |shown| shown["protobuf"].is_string()).await;
        let bytes = STANDARD.decode(shown["protobuf"].as_str().expect("a text"));
        wa::Message::decode_from_slice(&bytes.expect("base64")).expect("a message")
    }

    /// Waits until the server has nothing left for anyone.
    pub async fn nothing_queued(&self) {
        self.until("/admin/stats", |stats| stats["queued"] == 0).await;
    }

    /// What the admin API answers at `path`, once `enough` says so.
    pub async fn until(&self, path: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let url = format!("{}{path}", self.sandbox.admin_url());
        in_time(path, async {
            loop {
                let answer = self.admin.get(&url).send().await.expect("answered");
                let text = answer.text().await.expect("a text");
                let value = serde_json::from_str(&text).expect("JSON");
                if enough(&value) {
                    return value;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    pub async fn send(&self, from: &str, to: &str, text: &str) {
        self.admin(
            &format!("/admin/phones/{from}/send"),
            json!({"to": to, "kind": "text", "text": text}),
        )
        .await;
    }

    /// Waits until no session has a task left.
    pub async fn quiet(&self) {
        self.tasks.close();
        in_time("the end of every task", self.tasks.wait()).await;
        self.tasks.reopen();
    }
}

/// A session and what comes out of it.
pub struct Running {
    pub connection: Arc<dyn Connection>,
    pub events: mpsc::Receiver<Box<SessionEvent>>,
    pub book: Arc<Book>,
    pub sink: Arc<Sink>,
    pub committed: mpsc::Receiver<InboundMessage>,
    pub notices: mpsc::Receiver<Notice>,
    /// What came before an acknowledgement that a test waited for: the phone's word may be faster than the server's.
    early: VecDeque<SessionEvent>,
    scanned: bool,
}

impl Running {
    /// The next event that `wanted` takes; others are passed over.
    pub async fn until<T>(&mut self, what: &str, wanted: impl Fn(SessionEvent) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let found = tokio::time::timeout(DEADLINE, async {
            while let Some(event) = next(&mut self.early, &mut self.events).await {
                passed.push(event.clone());
                if let Some(found) = wanted(event) {
                    return Some(found);
                }
            }
            None
        });
        match found.await {
            Ok(Some(found)) => found,
            Ok(None) => panic!("the session ended before {what}: {passed:?}"),
            Err(late) => panic!("{what} did not come ({late}): {passed:?}"),
        }
    }

    /// Waits for a login on stored state, or after a scan. On stored state no code is shown.
    pub async fn connected(&mut self) -> (Option<String>, Option<String>) {
        let scanned = self.scanned;
        self.until("the login", |event| match event {
            SessionEvent::Connected { account, .. } => Some((account.phone, account.lid)),
            SessionEvent::Qr { .. } if !scanned => panic!("a code is shown"),
            _ => None,
        })
        .await
    }

    /// The server's word on a message. What comes before it is left to whoever waits next.
    pub async fn acknowledged(&mut self, id: &str) -> Option<u32> {
        self.acknowledged_in(id).await.0
    }

    /// The same, and the chat in which the server says it.
    pub async fn acknowledged_in(&mut self, id: &str) -> (Option<u32>, Option<Recipient>) {
        let early = RefCell::new(VecDeque::new());
        let said = self
            .until("the acknowledgement", |event| match event {
                SessionEvent::ServerAck {
                    whatsapp_id,
                    error,
                    chat,
                } if whatsapp_id == id => Some((error, chat)),
                other => {
                    early.borrow_mut().push_back(other);
                    None
                }
            })
            .await;
        self.early = early.into_inner();
        said
    }

    pub async fn committed(&mut self) -> InboundMessage {
        in_time("an incoming message", self.committed.recv())
            .await
            .expect("the sink lives")
    }

    /// The next notice of this type: its data. Others are passed over.
    pub async fn noticed(&mut self, kind: EventType) -> Value {
        let notice = self.notice(kind).await;
        serde_json::to_value(&notice.data).expect("plain data")
    }

    /// The next notice of this type, as it is.
    pub async fn notice(&mut self, kind: EventType) -> Notice {
        in_time(kind.as_str(), async {
            loop {
                let notice = self.notices.recv().await.expect("the session lives");
                if notice.data.kind() == kind {
                    return notice;
                }
            }
        })
        .await
    }

    /// Everything that is still told, to the end of the session.
    pub async fn rest(&mut self) -> Vec<SessionEvent> {
        in_time("the end of the session", async {
            let mut rest = Vec::new();
            while let Some(event) = self.events.recv().await {
                rest.push(*event);
            }
            rest
        })
        .await
    }
}

/// The next event: of those that came early, else of what comes.
async fn next(
    early: &mut VecDeque<SessionEvent>,
    events: &mut mpsc::Receiver<Box<SessionEvent>>,
) -> Option<SessionEvent> {
    match early.pop_front() {
        Some(event) => Some(event),
        None => events.recv().await.map(|event| *event),
    }
}

/// What a message says that is a text.
pub fn text_of(message: &InboundMessage) -> Option<String> {
    let Content::Text(Text { text, .. }) = &message.content else {
        return None;
    };
    Some(text.clone())
}

pub fn to(phone: &str) -> Recipient {
    Recipient::Phone(phone.to_owned())
}

/// Asserts that `value` is one of these events, naming it where it is not.
pub fn is<T: Debug>(value: &T, wanted: impl Fn(&T) -> bool) {
    assert!(wanted(value), "{value:?}");
}

/// Whether a session has ended for good, and leaves the instance in this status.
pub fn ends_as(event: &SessionEvent, status: Status) -> bool {
    matches!(event, SessionEvent::Stopped(stop) if matches!(stop.answer, Answer::End(as_is, _) if as_is == status))
}
