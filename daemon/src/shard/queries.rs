//! The shard's second queue: nudges and questions. Neither waits for the other.

use std::sync::Arc;

use futures::future::join_all;
use shared::domain::job::Query;
use shared::domain::news::News;
use shared::domain::payload::{self, PayloadError};
use shared::ids::InstanceId;
use shared::queue::Received;
use shared::queue::consumer::{Consumer, Done};
use shared::queue::deployment::QUERIES_VISIBILITY;
use shared::telemetry::chain;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::agenda::Agenda;
use super::pace;
use super::questions::Questions;
use super::reconcile::Reconciler;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;

/// What is left to do for a nudge.
enum Hint {
    /// Look at this instance.
    Look(InstanceId),
    /// Show this in the realtime feed.
    Show(News),
    /// Nothing.
    Noted,
}

/// Takes from the queue until the shard is given up. Questions are answered in `tasks`.
pub async fn consume(
    deps: &Arc<Deps>,
    hold: &Hold,
    links: &Arc<Links>,
    reconciler: &Arc<Reconciler>,
    agenda: &Agenda,
    tasks: &TaskTracker,
) {
    let queue = deps.names.queries(hold.shard.0);
    let consumer = Consumer::new(deps.queue.clone(), queue, QUERIES_VISIBILITY);
    let questions = Questions::new(
        deps.clone(),
        consumer.clone(),
        hold.clone(),
        links.clone(),
        tasks.clone(),
    );
    let take = |messages: Vec<Received>| {
        let (consumer, questions) = (&consumer, &questions);
        async move {
            let mut others = Vec::new();
            for message in messages {
                match payload::decode(&message.body) {
                    Ok(Query::Question(question)) => questions.take(message, question),
                    Ok(Query::SealedQuestion(question)) => questions.take_sealed(message, question),
                    Ok(Query::Nudge { instance }) => others.push((message, Ok(Hint::Look(instance)))),
                    Ok(Query::Due { at }) => {
                        agenda.note(at);
                        others.push((message, Ok(Hint::Noted)));
                    }
                    Ok(Query::Tell { news }) => others.push((message, Ok(Hint::Show(news)))),
                    Err(error) => others.push((message, Err(error))),
                }
            }
            let following = others.iter().map(|(message, nudge)| {
                let following = follow(deps, reconciler, message.receive_count, nudge);
                consumer.finish(message, following)
            });
            join_all(following).await;
        }
    };
    consumer.run(super::over(hold), take).await;
}

/// Follows a nudge. What cannot be followed now waits for this daemon or for a newer one as long as the queue keeps it,
/// and is received too seldom to be taken for poison.
async fn follow(
    deps: &Deps,
    reconciler: &Arc<Reconciler>,
    receive_count: u32,
    nudge: &Result<Hint, PayloadError>,
) -> Done {
    let leave = Done::LeaveFor(pace::nudge(receive_count));
    match nudge {
        Ok(Hint::Noted) => Done::Delete,
        Ok(Hint::Look(instance)) => match reconciler.look_at_nudged(*instance).await {
            Ok(()) => Done::Delete,
            Err(error) => {
                // The sweep finds it too.
                warn!(instance.id = %instance, error = %chain(&error), "could not follow a nudge");
                leave
            }
        },
        Ok(Hint::Show(news)) => match deps.announcer.news(news).await {
            Ok(()) => Done::Delete,
            Err(error) if error.nature().is_permanent() => {
                error!(error = %chain(&error), "what a function has done can never be shown in the realtime feed");
                Done::Delete
            }
            Err(error) => {
                // Its caller was told that it is on its way. What is shown again has the same id, and is shown once.
                warn!(error = %chain(&error), "could not show in the realtime feed what a function has done");
                leave
            }
        },
        Err(PayloadError::Newer(version)) => {
            warn!(version, "left a query of a newer version");
            leave
        }
        Err(error) => {
            error!(error = %chain(error), "dropped a malformed query");
            Done::Delete
        }
    }
}
