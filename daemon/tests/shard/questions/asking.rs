//! Questions that tests ask, and what is answered.

use chrono::TimeDelta;
use daemon::connection::AskError;
use shared::domain::instance::Instance;
use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::question::{Answer, Ask, Block, Blocked, Found, LookUp, Looked, Outcome, Question};
use shared::domain::recipient::Recipient;
use shared::ids::QuestionId;
use shared::queue::{OutgoingMessage, Queue as _};
use shared::sealed;
use shared::storage::answers::{Answers, Progress};
use shared::storage::keys;
use testbed::wait::until;

use crate::network::Questioned;
use crate::world::World;

pub const ALICE: &str = "15550100001";

pub fn name(text: &str) -> Recipient {
    text.parse().expect("a name")
}

pub fn look_up() -> Ask {
    LookUp {
        contacts: vec![name(ALICE)],
    }
    .into()
}

pub fn block() -> Ask {
    Block {
        contact: name(ALICE),
        blocked: true,
    }
    .into()
}

pub fn alice() -> Person {
    Person {
        phone: Some(ALICE.to_owned()),
        lid: Some("200000000000001".to_owned()),
    }
}

pub fn found() -> Answer {
    Looked {
        found: vec![Found::There {
            person: alice(),
            business_name: Some("Engines of Alice".to_owned()),
        }],
    }
    .into()
}

pub fn blocked() -> Answer {
    Blocked { person: alice() }.into()
}

impl World {
    pub fn question(&self, instance: &Instance, ask: Ask) -> Question {
        Question {
            id: QuestionId::new(self.now()),
            instance: instance.id,
            answer_by: self.now() + TimeDelta::minutes(5),
            keep_until: self.now() + TimeDelta::minutes(10),
            ask,
        }
    }

    /// Puts a question into the shard's queue.
    pub async fn put(&self, instance: &Instance, question: &Question) {
        let body = payload::encode(&Query::Question(question.clone()));
        let queue = self.names.queries(instance.shard.0);
        let sent = self.queue.send(&queue, OutgoingMessage::standard(body));
        sent.await.expect("queued");
    }

    /// Asks the instance's socket.
    pub async fn ask(&self, instance: &Instance, ask: Ask) -> Question {
        let question = self.question(instance, ask);
        self.put(instance, &question).await;
        question
    }

    /// The same of somebody who waits no longer than this.
    pub async fn ask_within(&self, instance: &Instance, ask: Ask, patience: TimeDelta) -> Question {
        let question = Question {
            answer_by: self.now() + patience,
            ..self.question(instance, ask)
        };
        self.put(instance, &question).await;
        question
    }

    pub fn answers(&self) -> Answers {
        Answers::new(self.table.clone())
    }

    pub async fn progress(&self, question: &Question) -> Option<Progress> {
        let answers = self.answers();
        let found = answers.get(question.instance, question.id, self.now());
        found.await.expect("read")
    }

    pub async fn give_up(&self, question: &Question) -> Progress {
        let (keep_until, now) = (question.keep_until, self.now());
        let answers = self.answers();
        let given_up = answers.give_up(question.instance, question.id, keep_until, now);
        given_up.await.expect("stored")
    }

    pub async fn until_answered(&self, question: &Question) -> Outcome {
        let sealed = until("an answer", async || match self.progress(question).await {
            Some(Progress::Answered(sealed)) => Some(sealed),
            _ => None,
        })
        .await;
        let of = keys::answer(question.instance, question.id).path();
        let opened = sealed::open(&self.sealer, question.instance, &of, &sealed).await;
        opened.expect("it opens")
    }

    /// Waits until nothing is in the shard's second queue.
    pub async fn until_no_queries(&self) {
        until("the end of all queries", async || {
            let depth = self.queue.depth(&self.names.queries(0)).await.expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }
}

pub fn answer(asked: Questioned, with: Result<Answer, AskError>) {
    asked.answer.send(with).expect("the daemon waits for it");
}
