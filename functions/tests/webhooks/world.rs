//! A table, queues, a bucket, and the function `webhooks` over them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use functions::state::Base;
use functions::webhook_delivery::batch::{Attributes, Batch, Failures, Record};
use functions::webhook_delivery::slots::Limits;
use functions::webhook_delivery::transport::Settings as Transport;
use functions::webhook_delivery::{Settings, WebhooksState, slow};
use shared::clock::Clock;
use shared::domain::audit::Actor;
use shared::domain::content::{Content, Context, Excerpt};
use shared::domain::delivery::{Delivery, DeliveryState};
use shared::domain::event::{self, Data, Event, MessageReceived, Wants};
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::network::Network;
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::domain::shard::Shard;
use shared::domain::webhook::{Confidential, Headers, Health, Webhook, WebhookUrl};
use shared::ids::{DeliveryId, EventId, InstanceId, MessageId, SubscriptionId};
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue, QueueName, QueueNames, ReceiveOptions, Received};
use shared::reach::Reach;
use shared::seal::{Purpose, Sealer};
use shared::storage::instances::{Created, Instances};
use shared::storage::webhooks::{self, Changed, Webhooks};
use shared::storage::{Table, keys};
use testbed::queues::queues;
use testbed::wait::until;

pub const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bytes([9; 16]);

/// A deployment of one shard on the sandbox network. Time stands still unless the test moves it.
pub struct World {
    base: testbed::world::World,
    pub queue: Arc<EmbeddedQueue>,
    pub names: QueueNames,
    pub sealer: Arc<Sealer>,
    /// The function.
    pub state: WebhooksState,
}

impl Deref for World {
    type Target = testbed::world::World;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

/// Attempts that reach this machine. On a busy one they take long: that makes no endpoint a slow one, nor one that fails.
pub fn settings() -> Settings {
    let transport = Transport {
        deadline: Duration::from_mins(1),
        ..Transport::new(Reach::LOOPBACK)
    };
    let slow = slow::Limits {
        after: Duration::from_hours(1),
        ..slow::Limits::default()
    };
    Settings {
        transport,
        limits: Limits::default(),
        slow,
        forgets_for: Duration::from_secs(15),
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(settings()).await
    }

    /// A deployment whose function has other settings.
    pub async fn with(settings: Settings) -> Self {
        let base = testbed::world::World::new().await;
        let mut subscription = keys::subscription(SUBSCRIPTION).attributes();
        subscription.insert("active".to_owned(), AttributeValue::Bool(true));
        base.put_item(subscription).await;
        let (queue, names) = queues(Arc::new(base.clock.clone()), Network::Sandbox, 1).await;
        let queue = Arc::new(queue);
        let state = state(&base, &base.table, queue.clone(), settings);
        Self {
            sealer: Arc::new(base.sealer()),
            queue,
            names,
            state,
            base,
        }
    }

    /// Another process of the function, over this table and these queues.
    pub fn another(&self, table: &Table, queue: Arc<dyn Queue>, settings: Settings) -> WebhooksState {
        state(&self.base, table, queue, settings)
    }

    /// An instance of this name.
    pub async fn instance(&self, name: &str) -> Instance {
        let (now, name) = (self.now(), name.parse().expect("a name"));
        let (id, network) = (InstanceId::new(now), Network::Sandbox);
        let mut instance = Instance::new(id, SUBSCRIPTION, name, network, Shard(0), now);
        instance.metadata.insert("shop".to_owned(), "7".to_owned());
        instance.desired.wanted = Wanted::Connected;
        instance.observed.status = Status::Connected;
        let created = Instances::new(self.table.clone()).create(&instance, 10_000).await;
        assert_eq!(created.expect("stored"), Created::Created);
        instance
    }

    /// An instance whose webhook leads there and wants everything.
    pub async fn hooked(&self, name: &str, url: &str) -> Instance {
        let instance = self.instance(name).await;
        self.webhook(
            &instance,
            url,
            Confidential::new(Headers::default()),
            Wants::everything(),
        )
        .await;
        instance
    }

    /// A webhook of an instance.
    pub async fn webhook(
        &self,
        instance: &Instance,
        url: &str,
        confidential: Confidential,
        events: Wants,
    ) -> Webhook {
        let sealed = webhooks::seal(&self.sealer, instance.id, &confidential).await;
        let webhook = Webhook {
            instance: instance.id,
            subscription: SUBSCRIPTION,
            // Where it leads is for the attempt to check.
            url: WebhookUrl::parse(url, Reach::PRIVATE).expect("a URL"),
            events,
            header_names: confidential.headers.names(),
            enabled: true,
            disabled: None,
            health: Health::default(),
            earlier_until: confidential.earlier_until(self.now()),
            rotated_at: None,
            set_by: Actor::System,
            made_under: None,
            created_at: self.now(),
            updated_at: self.now(),
            version: 1,
            sealed: sealed.expect("sealed"),
        };
        let put = self.webhooks().put(&webhook, None, None).await;
        assert_eq!(put.expect("stored"), Changed::Done);
        webhook
    }

    pub fn webhooks(&self) -> Webhooks {
        Webhooks::new(self.table.clone())
    }

    /// An instance's webhook as it is now.
    pub async fn read(&self, instance: &Instance) -> Webhook {
        let found = self.webhooks().get(SUBSCRIPTION, instance.id).await;
        found.expect("read").expect("it is there")
    }

    /// An event that a text has come in from a number.
    pub async fn event(&self, instance: &Instance, from: &str, text: &str) -> (Event, String) {
        let chat: Recipient = from.parse().expect("a number");
        let message = MessageReceived {
            id: MessageId::new(self.now()),
            from: Person::of(&chat),
            chat: chat.clone(),
            from_me: false,
            push_name: Some("Ada".to_owned()),
            content: Excerpt::Content(Content::text(text)),
            context: Context::default(),
            timestamp: self.now(),
            received_at: Some(self.now()),
            truncated: false,
            truncation_reason: None,
        };
        let data = Data::MessageReceived(Box::new(message));
        let id = EventId::derived(self.now(), &[&instance.id.to_string(), from, text]);
        let event = Event {
            id,
            kind: data.kind(),
            timestamp: self.now(),
            instance: instance.id,
            subscription: instance.subscription,
            needs: data.needs(),
            trace: None,
            data: shared::sealed::seal(&self.sealer, instance.id, &id, &data)
                .await
                .expect("sealed"),
        };
        (event, event::message_group_of_chat(instance.id, &chat))
    }

    /// A text has come in, and is to be told.
    pub async fn tell(&self, instance: &Instance, from: &str, text: &str) -> EventId {
        let (event, group) = self.event(instance, from, text).await;
        self.push(&payload::encode(&event), &group, &event.id.to_string())
            .await;
        event.id
    }

    /// Puts this into the queue of events.
    pub async fn push(&self, body: &str, group: &str, id: &str) {
        let message = OutgoingMessage::fifo(body, group, id);
        let sent = self.queue.send(&self.names.events(), message).await;
        sent.expect("queued");
    }

    /// What a queue has, up to ten messages.
    pub async fn receive(&self, name: &QueueName) -> Vec<Received> {
        let options = ReceiveOptions {
            max: 10,
            wait: Duration::ZERO,
            visibility: Duration::from_mins(3),
        };
        self.queue.receive(name, options).await.expect("received")
    }

    /// Calls the function as Lambda does with what a queue has, and deletes what it does not name. `None` where the queue has
    /// nothing.
    pub async fn invoke(&self, state: &WebhooksState, name: &QueueName) -> Option<Failures> {
        let received = self.receive(name).await;
        if received.is_empty() {
            return None;
        }
        Some(self.hand(state, name, received).await)
    }

    /// The same with these messages.
    pub async fn hand(&self, state: &WebhooksState, name: &QueueName, received: Vec<Received>) -> Failures {
        let failures = state.take(batch(name, &received)).await;
        for message in received {
            let stays = failures
                .batch_item_failures
                .iter()
                .any(|failure| failure.item_identifier == message.message_id);
            if !stays {
                // It may be deleted already.
                let _ = self.queue.delete(name, &message.receipt).await;
            }
        }
        failures
    }

    /// Does what the queues have to do now, until there is nothing.
    pub async fn work(&self) {
        loop {
            let events = self.invoke(&self.state, &self.names.events()).await;
            let errands = self.invoke(&self.state, &self.names.events_retry()).await;
            if events.is_none() && errands.is_none() {
                return;
            }
        }
    }

    /// Lets time pass, and does what comes up in it, a step at a time.
    pub async fn pass(&self, time: TimeDelta, step: TimeDelta) {
        let end = self.now() + time;
        while self.now() < end {
            self.clock.advance(step.min(end - self.now()));
            self.work().await;
        }
    }

    /// The delivery of an event.
    pub async fn delivery(&self, instance: &Instance, event: EventId) -> Option<Delivery> {
        let found = self
            .state
            .deliveries
            .find(instance.id, DeliveryId::of(event), self.now())
            .await;
        found.expect("read")
    }

    /// The same, once it is there.
    pub async fn recorded(&self, instance: &Instance, event: EventId) -> Delivery {
        until("the delivery", async || self.delivery(instance, event).await).await
    }

    /// How the delivery of an event goes.
    pub async fn progress(&self, instance: &Instance, event: EventId) -> DeliveryState {
        let delivery = self.delivery(instance, event).await;
        delivery.expect("it is in the log").progress.state
    }

    /// How many messages both queues hold, hidden ones included.
    pub async fn left(&self) -> (u64, u64) {
        let held = async |name: &QueueName| {
            let depth = self.queue.depth(name).await.expect("read");
            depth.visible + depth.in_flight + depth.delayed
        };
        (
            held(&self.names.events()).await,
            held(&self.names.events_retry()).await,
        )
    }

    /// Whether an event's body is in the bucket.
    pub async fn is_kept(&self, instance: &Instance, event: EventId) -> bool {
        use shared::bucket::{Area, ObjectName};

        let name = ObjectName::new(Area::Event, instance.id, DeliveryId::of(event));
        self.state.bucket.size(&name).await.expect("read").is_some()
    }
}

/// What Lambda hands on of these messages.
pub fn batch(name: &QueueName, received: &[Received]) -> Batch {
    let records = received.iter().map(|message| Record {
        message_id: message.message_id.clone(),
        receipt_handle: message.receipt.as_str().to_owned(),
        body: message.body.clone(),
        attributes: Attributes {
            approximate_receive_count: Some(message.receive_count.to_string()),
            message_group_id: message.group.clone(),
            sent_timestamp: message.sent_at.map(|at| at.timestamp_millis().to_string()),
        },
        source: format!("arn:aws:sqs:eu-central-1:123456789012:{name}"),
    });
    Batch {
        records: records.collect(),
    }
}

fn state(
    base: &testbed::world::World,
    table: &Table,
    queue: Arc<dyn Queue>,
    settings: Settings,
) -> WebhooksState {
    let config = testbed::config::functions(1, base.keys.file());
    let clock: Arc<dyn Clock> = Arc::new(base.clock.clone());
    let of_all = Base::new(&config.base, table.clone(), queue, clock.clone()).expect("a queue prefix");
    let sealer = base
        .keys
        .sealer(table)
        .restricted_to(&[Purpose::Content])
        .making_no_keys();
    let sealer = Arc::new(sealer);
    let bucket = testbed::bucket::in_directory(
        base.keys.directory(),
        "http://127.0.0.1:1",
        Arc::clone(&sealer),
        clock,
    );
    WebhooksState::new(of_all, sealer, bucket, settings).expect("a client")
}

/// Headers of this name and value.
pub fn headers(pairs: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in pairs {
        headers.add(name, value).expect("fine");
    }
    headers
}

/// Attempts of a delivery: when each was made after the first, in seconds.
pub fn times(delivery: &Delivery) -> Vec<i64> {
    let first = delivery.attempts[0].at;
    let since = |at: DateTime<Utc>| (at - first).num_seconds();
    delivery
        .attempts
        .iter()
        .map(|attempt| since(attempt.at))
        .collect()
}
