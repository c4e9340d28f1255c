//! A change of a delivery's item, put together of what it sets and of what has to hold.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};

use super::written;
use crate::domain::delivery::{Attempt, DeliveryState, MAX_ATTEMPTS, Progress};
use crate::storage::error::StorageError;
use crate::storage::item::{n, s, text, time};
use crate::storage::keys;
use crate::storage::outcome::held;

/// A change of a delivery that is there.
pub(super) struct Change {
    update: UpdateItemFluentBuilder,
    set: Vec<String>,
    remove: Vec<&'static str>,
    conditions: Vec<String>,
}

impl Change {
    /// One of the item that this update names.
    pub(super) fn of(update: UpdateItemFluentBuilder) -> Self {
        Self {
            update,
            set: Vec::new(),
            remove: Vec::new(),
            conditions: vec!["attribute_exists(pk)".to_owned()],
        }
    }

    /// Sets an attribute.
    pub(super) fn set(&mut self, name: &'static str, value: AttributeValue) {
        self.set.push(format!("{name} = :{name}"));
        self.value(format!(":{name}"), value);
    }

    /// Adds an attempt, as long as there is room for it.
    pub(super) fn attempt(&mut self, attempt: &Attempt) {
        self.set.push("attempts.#at = :attempt".to_owned());
        self.conditions
            .push("(size(attempts) < :most OR attribute_exists(attempts.#at))".to_owned());
        self.name("#at", keys::delivery_time(attempt.at));
        self.value(":attempt".to_owned(), s(written(attempt)));
        self.value(":most".to_owned(), n(MAX_ATTEMPTS));
    }

    /// Sets how far it is. Its row stays the one that it is.
    pub(super) fn progress(&mut self, progress: &Progress) {
        self.set.push("#state = :state".to_owned());
        self.name("#state", "state".to_owned());
        self.value(":state".to_owned(), text(progress.state));
        for (name, at) in [
            ("nextAt", progress.next_attempt_at),
            ("bodyUntil", progress.body_until),
        ] {
            match at {
                Some(at) => self.set(name, time(at)),
                None => self.remove.push(name),
            }
        }
        if let Some(made) = progress.row.made {
            self.set("made", n(made));
        }
    }

    /// Only where it has not succeeded.
    pub(super) fn is_not_over(&mut self) {
        self.conditions.push("#state <> :over".to_owned());
        self.name("#state", "state".to_owned());
        self.value(":over".to_owned(), text(DeliveryState::Succeeded));
    }

    /// Only where a time is as it was read.
    pub(super) fn is_as_read(&mut self, name: &'static str, read: Option<DateTime<Utc>>) {
        if let Some(at) = read {
            self.conditions.push(format!("{name} = :{name}WasRead"));
            self.value(format!(":{name}WasRead"), time(at));
        } else {
            self.conditions.push(format!("attribute_not_exists({name})"));
        }
    }

    /// Makes the change: `false` where something does not hold.
    pub(super) async fn send(self) -> Result<bool, StorageError> {
        let mut expression = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            expression = format!("{expression} REMOVE {}", self.remove.join(", "));
        }
        let answer = self
            .update
            .update_expression(expression)
            .condition_expression(self.conditions.join(" AND "))
            .send()
            .await;
        held(answer)
    }

    fn name(&mut self, placeholder: &'static str, name: String) {
        self.update = self.update.clone().expression_attribute_names(placeholder, name);
    }

    fn value(&mut self, placeholder: String, value: AttributeValue) {
        self.update = self
            .update
            .clone()
            .expression_attribute_values(placeholder, value);
    }
}
