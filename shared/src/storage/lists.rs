//! Lists over all subscriptions, newest first. Each is spread over several keys of an index ([`keys::list`]), whose
//! entries are merged here.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::Select;
use futures::future::try_join_all;

use super::error::{StorageError, classify};
use super::item::{Item, Reader, s};
use super::keys;
use super::table::{LIST_INDEX, Table};

impl Table {
    /// Up to `limit` items of a list over all subscriptions, newest first, whose `listSort` is below `before`. The
    /// index is eventually consistent.
    ///
    /// At least one query for each key, which costs half a read unit for 4 KiB of items.
    pub async fn list_page(
        &self,
        list: &str,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<Item>, StorageError> {
        let mut runs: Vec<Run> = keys::list::keys(list)
            .map(|key| Run::new(key, before.clone()))
            .collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // Entries are spread evenly, so a key's share of a page and some more is mostly enough.
        let share = limit / usize::from(keys::list::SPREAD) * 3 / 2 + 2;
        let mut page: Vec<(String, Item)> = Vec::new();
        while page.len() < limit {
            // A key whose entries are used up here may have the newest entry of all.
            let empty = runs.iter_mut().filter(|run| run.items.is_empty() && run.has_more);
            try_join_all(empty.map(|run| self.read_on(run, share.min(limit)))).await?;
            if runs.iter().any(|run| run.items.is_empty() && run.has_more) {
                continue;
            }
            let newest = runs.iter_mut().max_by(|a, b| a.next().cmp(&b.next()));
            let Some((sort, item)) = newest.and_then(|run| run.items.pop_front()) else {
                break;
            };
            // An entry that has just moved is there twice for a moment.
            if page.last().is_none_or(|(last, _)| *last != sort) {
                page.push((sort, item));
            }
        }
        Ok(page.into_iter().map(|(_, item)| item).collect())
    }

    /// Whether a list over all subscriptions has an entry, as it was a moment ago. It counts and reads no entry, since the policy of the
    /// function that asks this allows nothing else. It makes a query for each of the list's keys.
    pub async fn has_listed(&self, list: &str) -> Result<bool, StorageError> {
        let counting = keys::list::keys(list).map(|key| async move {
            let request = self.client().query().table_name(self.name());
            let counted = request
                .index_name(LIST_INDEX)
                .key_condition_expression("listKey = :list")
                .expression_attribute_values(":list", s(key))
                .select(Select::Count)
                .limit(1)
                .send()
                .await
                .map_err(classify)?;
            Ok::<_, StorageError>(counted.count > 0)
        });
        Ok(try_join_all(counting).await?.contains(&true))
    }

    /// The items of one entry of a list, as they were a moment ago. There are two for a moment after the entry has
    /// moved.
    pub async fn listed(&self, list: &str, id: &str) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::new();
        for key in [keys::list::key(list, id), list.to_owned()] {
            let request = self.client().query().table_name(self.name());
            let page = request
                .index_name(LIST_INDEX)
                .key_condition_expression("listKey = :list AND listSort = :id")
                .expression_attribute_values(":list", s(key))
                .expression_attribute_values(":id", s(id))
                .send()
                .await
                .map_err(classify)?;
            found.extend(page.items.unwrap_or_default());
        }
        Ok(found)
    }

    async fn read_on(&self, run: &mut Run, limit: usize) -> Result<(), StorageError> {
        let condition = match &run.before {
            Some(_) => "listKey = :list AND listSort < :before",
            None => "listKey = :list",
        };
        let mut values = Item::from([(":list".to_owned(), s(&run.key))]);
        values.extend(run.before.clone().map(|before| (":before".to_owned(), s(before))));
        let read = self
            .client()
            .query()
            .table_name(self.name())
            .index_name(LIST_INDEX)
            .key_condition_expression(condition)
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(classify)?;
        run.has_more = read.last_evaluated_key.is_some();
        for item in read.items.unwrap_or_default() {
            let sort = Reader::new("list", &item).str("listSort")?.to_owned();
            run.before = Some(sort.clone());
            run.items.push_back((sort, item));
        }
        Ok(())
    }
}

/// What is read of one key, newest first.
struct Run {
    key: String,
    items: VecDeque<(String, Item)>,
    /// The next read begins below this.
    before: Option<String>,
    has_more: bool,
}

impl Run {
    fn new(key: String, before: Option<String>) -> Self {
        Self {
            key,
            items: VecDeque::new(),
            before,
            has_more: true,
        }
    }

    fn next(&self) -> Option<&str> {
        self.items.front().map(|(sort, _)| &**sort)
    }
}
