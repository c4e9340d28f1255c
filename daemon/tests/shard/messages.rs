//! Messages as the API accepts them, and what becomes of them.

use std::time::Duration;

use chrono::TimeDelta;
use shared::domain::content::Content;
use shared::domain::instance::Instance;
use shared::domain::job::{Job, SendJob};
use shared::domain::message::{Failure, FailureCode, Kind, MessageRecord, State};
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::domain::shard::lane;
use shared::ids::MessageId;
use shared::queue::{OutgoingMessage, Queue as _, QueueName, ReceiveOptions, Received};
use shared::sealed;
use shared::storage::counters::Counts;
use shared::storage::messages::{Put, Withdrawn};
use testbed::wait::until;

use crate::network::account;
use crate::world::World;

impl World {
    /// A job of a text as the API makes it.
    pub async fn job(&self, instance: &Instance, to: &str, text: &str) -> SendJob {
        let message = MessageId::new(self.now());
        let content = Content::text(text);
        let sealing = sealed::seal(&self.sealer, instance.id, &message, &content);
        let content = sealing.await.expect("sealed");
        SendJob {
            message,
            instance: instance.id,
            to: to.parse::<Recipient>().expect("a number"),
            chat: None,
            person: Person::default(),
            account: Some(account()),
            kind: Kind::Text,
            reference: Some("order 7".to_owned()),
            accepted_at: self.now(),
            scheduled_at: None,
            put_off: None,
            expires_at: self.now() + TimeDelta::hours(24),
            needs: 1,
            trace: None,
            typing_ms: None,
            file: None,
            counted_by: None,
            content,
        }
    }

    /// Whom a message that was accepted goes to, and a job of it.
    pub async fn job_of(&self, instance: &Instance, message: MessageId) -> (Recipient, String) {
        let record = self.messages.get(instance.id, message).await.expect("read");
        let chat = record.expect("a record").chat;
        let job = self.job(instance, &chat.to_jid(), "again").await;
        let body = payload::encode(&Job::Send(SendJob { message, ..job }));
        (chat, body)
    }

    /// Stores a job's record.
    pub async fn record(&self, job: &SendJob) {
        assert_eq!(
            self.messages.put(&job.record()).await.expect("stored"),
            Put::Created
        );
    }

    /// Queues a job.
    pub async fn enqueue(&self, instance: &Instance, job: &SendJob) {
        let body = payload::encode(&Job::Send(job.clone()));
        self.enqueue_raw(instance, &job.to, body, &job.message.to_string())
            .await;
    }

    pub async fn enqueue_raw(&self, instance: &Instance, to: &Recipient, body: String, dedup: &str) {
        let message = OutgoingMessage::fifo(body, lane(instance.id, to), dedup);
        self.queue
            .send(&self.names.sends(instance.shard.0), message)
            .await
            .expect("queued");
    }

    /// Accepts a text as the API does: its record and its job.
    pub async fn accept(&self, instance: &Instance, to: &str, text: &str) -> MessageId {
        let job = self.job(instance, to, text).await;
        self.record(&job).await;
        self.enqueue(instance, &job).await;
        job.message
    }

    /// Takes a message back, as the API does where it does not know whether its job is queued.
    pub async fn take_back(&self, instance: &Instance, message: MessageId) {
        let record = self.messages.get(instance.id, message).await.expect("read");
        let failure = Failure::of(FailureCode::NotAccepted);
        let taken = self.messages.withdraw(&record.expect("there"), &failure).await;
        assert_eq!(taken.expect("stored"), Withdrawn::Done);
    }

    pub async fn until_state(&self, instance: &Instance, message: MessageId, state: State) -> MessageRecord {
        until(&format!("{state} of {message}"), async || {
            let record = self.messages.get(instance.id, message).await.expect("read")?;
            (record.state == state).then_some(record)
        })
        .await
    }

    /// Waits until the first shard's sends are all done.
    pub async fn until_no_sends(&self) {
        until("an empty queue of sends", async || {
            let depth = self.queue.depth(&self.names.sends(0)).await.expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }

    /// Today's counters, once they are `wanted`: they are counted after the state that a
    /// test has waited for.
    pub async fn until_counted(&self, instance: &Instance, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let mut last = Counts::default();
        let found = tokio::time::timeout(Duration::from_mins(1), async {
            loop {
                last = self.counts(instance).await;
                if wanted(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let found = found.await;
        assert!(found.is_ok(), "counted {last:?}");
        last
    }

    /// The counters of all days.
    pub async fn counts(&self, instance: &Instance) -> Counts {
        let day = |days| (self.now() + TimeDelta::days(days)).date_naive();
        let days = self
            .counters
            .list_days(instance.id, day(-7), day(7))
            .await
            .expect("read");
        let mut sum = Counts::default();
        for (_, counts) in &days {
            sum.add(counts);
        }
        sum
    }

    /// The FIFO messages that wait in a queue, taken from it.
    pub async fn taken(&self, queue: &QueueName) -> Vec<Received> {
        let options = ReceiveOptions {
            max: 10,
            wait: Duration::ZERO,
            visibility: Duration::from_mins(10),
        };
        self.queue.receive(queue, options).await.expect("received")
    }
}
