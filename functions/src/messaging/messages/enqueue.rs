//! Brings a job into its shard's queue, and finds out whether it is in.

use std::time::Duration;

use shared::domain::job::{Job, SendJob};
use shared::domain::payload;
use shared::domain::shard::lane;
use shared::fault;
use shared::queue::{OutgoingMessage, QueueError, QueueName};
use shared::trace;
use tokio::time::{Instant, timeout_at};

use crate::messaging::MessagingState;

/// The pause before a send is repeated at first; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Where a job is.
#[derive(Debug)]
pub enum Queued {
    /// In the queue: its message will be sent.
    In,
    /// Certainly not in the queue.
    NotIn(QueueError),
    /// The queue did not answer as long as a request can wait: nobody knows.
    Unknown(QueueError),
}

/// Sends a job. A send that is not answered is repeated under the same deduplication id, by which the queue drops a
/// job that it has.
pub async fn enqueue(state: &MessagingState, sends: &QueueName, job: &SendJob) -> Queued {
    let mut span = trace::queues::sending(sends);
    span.show("waxwing.message.id", &job.message);
    let job = SendJob {
        trace: span.context(),
        ..job.clone()
    };
    let queued = send(state, sends, job).await;
    match &queued {
        Queued::In => {}
        Queued::NotIn(_) => span.fail("not_queued"),
        Queued::Unknown(_) => span.fail("unknown"),
    }
    queued
}

async fn send(state: &MessagingState, sends: &QueueName, job: SendJob) -> Queued {
    let group = lane(job.instance, job.chat());
    let id = job.message.to_string();
    let message = OutgoingMessage::fifo(payload::encode(&Job::Send(job)), group, id);
    let deadline = Instant::now() + state.queue_answer;
    let (mut pause, mut may_be_in) = (FIRST_PAUSE, false);
    loop {
        let sent = timeout_at(deadline, state.queue.send(sends, message.clone())).await;
        let error = match sent {
            Ok(Ok(_)) => {
                fault::point("after-queue-write");
                return Queued::In;
            }
            Ok(Err(error)) => error,
            Err(_) => QueueError::Timeout { operation: "send" },
        };
        match error {
            // These errors mean that the queue has not taken the job, unless an earlier attempt had no answer.
            QueueError::NoSuchQueue(_)
            | QueueError::TooLarge { .. }
            | QueueError::Invalid(_)
            | QueueError::StaleReceipt
                if !may_be_in =>
            {
                return Queued::NotIn(error);
            }
            // A refusal for too many requests is of the client's last attempt; the outcome of earlier ones is not
            // known.
            _ => may_be_in = true,
        }
        if Instant::now() + pause >= deadline {
            return Queued::Unknown(error);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
