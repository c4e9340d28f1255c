//! The thread that owns the connection, and commits for many callers at once.
//!
//! A commit costs an fsync. The worker takes whatever commands are waiting, up to `GROUP`, runs them in one
//! transaction and answers all of them after its commit, so throughput grows with the number of callers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::store::{self, Millis, Taken};
use super::waiters::Waiters;
use crate::clock::Clock;
use crate::queue::{
    Depth, OutgoingMessage, QueueAttributes, QueueError, QueueName, Receipt, ReceiveOptions, SendOutcome,
};

/// Most commands that share a transaction: enough that an fsync is a small part of their cost, and few enough
/// that the first of them does not wait long.
const GROUP: usize = 256;

/// Where an answer goes. A caller that went away does not want it.
type Reply<T> = oneshot::Sender<Result<T, QueueError>>;

/// A call on its way to the worker.
#[derive(Debug)]
pub(super) enum Command {
    Send(QueueName, OutgoingMessage, Reply<SendOutcome>),
    Receive(QueueName, ReceiveOptions, Reply<Taken>),
    Extend(QueueName, Receipt, Duration, Reply<()>),
    Delete(QueueName, Receipt, Reply<()>),
    Depth(QueueName, Reply<Depth>),
    Ensure(QueueName, QueueAttributes, Reply<()>),
}

/// An answer that waits for the commit.
enum Answer {
    Send(Reply<SendOutcome>, Result<SendOutcome, QueueError>),
    Receive(Reply<Taken>, Result<Taken, QueueError>),
    Done(Reply<()>, Result<(), QueueError>),
    Depth(Reply<Depth>, Result<Depth, QueueError>),
}

/// What all operations of one transaction share.
#[derive(Debug, Clone, Copy)]
struct Rules {
    now: Millis,
    looked_at: u32,
}

/// Works until every sender of `commands` is gone; what was accepted is done before the thread ends.
pub(super) fn run(
    mut db: Connection,
    mut commands: mpsc::Receiver<Command>,
    clock: &Arc<dyn Clock>,
    waiters: &Waiters,
    looked_at: u32,
) {
    let mut group = Vec::with_capacity(GROUP);
    while commands.blocking_recv_many(&mut group, GROUP) > 0 {
        let rules = Rules {
            now: clock.now().timestamp_millis(),
            looked_at,
        };
        let mut changed = BTreeSet::new();
        let mut answers = Vec::with_capacity(group.len());
        match work(&mut db, group.drain(..), rules, &mut changed, &mut answers) {
            Ok(()) => {
                answers.into_iter().for_each(Answer::give);
                waiters.wake(&changed);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the embedded queue could not commit"
                );
                let text = error.to_string();
                for answer in answers {
                    answer.refuse(&text);
                }
            }
        }
    }
    // Moves the log into the database, so that one file is all. A failure loses nothing, since the log stays.
    if let Err((_, error)) = db.close() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the embedded queue did not close cleanly"
        );
    }
}

fn work(
    db: &mut Connection,
    commands: impl Iterator<Item = Command>,
    rules: Rules,
    changed: &mut BTreeSet<QueueName>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    let mut commands = commands;
    let tx = match db.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => tx,
        Err(error) => {
            answers.extend(commands.map(Answer::not_begun));
            return Err(error);
        }
    };
    answers.extend(
        commands
            .by_ref()
            .map(|command| execute(&tx, command, rules, changed)),
    );
    tx.commit()
}

fn execute(db: &Connection, command: Command, rules: Rules, changed: &mut BTreeSet<QueueName>) -> Answer {
    let Rules { now, looked_at } = rules;
    match command {
        Command::Send(queue, message, reply) => {
            let outcome = store::send(db, &queue, &message, now);
            changed.insert(queue);
            Answer::Send(reply, outcome)
        }
        Command::Receive(queue, options, reply) => {
            // The caller gave up while the command waited. Messages received for it would be hidden for nothing.
            if reply.is_closed() {
                return Answer::Receive(reply, Ok(Taken::default()));
            }
            let mut taken = store::receive(db, &queue, options, now, looked_at);
            if let Ok(taken) = &mut taken {
                changed.extend(taken.dead_letters_to.take());
            }
            Answer::Receive(reply, taken)
        }
        Command::Extend(queue, receipt, visibility, reply) => {
            let outcome = store::extend(db, &queue, &receipt, visibility, now);
            changed.insert(queue);
            Answer::Done(reply, outcome)
        }
        Command::Delete(queue, receipt, reply) => {
            let outcome = store::delete(db, &queue, &receipt, now);
            changed.insert(queue);
            Answer::Done(reply, outcome)
        }
        Command::Depth(queue, reply) => Answer::Depth(reply, store::depth(db, &queue, now)),
        Command::Ensure(queue, attributes, reply) => {
            Answer::Done(reply, store::ensure(db, &queue, &attributes))
        }
    }
}

impl Answer {
    fn not_begun(command: Command) -> Self {
        let error = || QueueError::unavailable("no transaction");
        match command {
            Command::Send(_, _, reply) => Self::Send(reply, Err(error())),
            Command::Receive(_, _, reply) => Self::Receive(reply, Err(error())),
            Command::Extend(_, _, _, reply) | Command::Delete(_, _, reply) | Command::Ensure(_, _, reply) => {
                Self::Done(reply, Err(error()))
            }
            Command::Depth(_, reply) => Self::Depth(reply, Err(error())),
        }
    }

    // A reply that cannot be given belongs to a caller that dropped its future: nobody is left to tell.
    fn give(self) {
        match self {
            Self::Send(reply, outcome) => drop(reply.send(outcome)),
            Self::Receive(reply, outcome) => drop(reply.send(outcome)),
            Self::Done(reply, outcome) => drop(reply.send(outcome)),
            Self::Depth(reply, outcome) => drop(reply.send(outcome)),
        }
    }

    /// The transaction was rolled back: what the operations found does not hold.
    fn refuse(self, why: &str) {
        let error = QueueError::unavailable(why);
        match self {
            Self::Send(reply, _) => drop(reply.send(Err(error))),
            Self::Receive(reply, _) => drop(reply.send(Err(error))),
            Self::Done(reply, _) => drop(reply.send(Err(error))),
            Self::Depth(reply, _) => drop(reply.send(Err(error))),
        }
    }
}
