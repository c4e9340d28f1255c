//! Pages of an instance's message log, as management and programs read it.

use chrono::{DateTime, Utc};
use shared::domain::message::{Direction, Kind, MessageRecord, State};
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::storage::StorageError;
use shared::storage::messages::Messages;

use crate::http::{Page, Pagination};

/// Which messages are wanted; by default all.
#[derive(Debug, Default)]
pub struct Filter {
    /// Those of a chat, by each of its names.
    pub chat: Option<Vec<Recipient>>,
    /// Those in this state.
    pub status: Option<State>,
    /// Those that came in, or that went out.
    pub direction: Option<Direction>,
    /// Those of this kind.
    pub kind: Option<Kind>,
}

impl Filter {
    fn is_for_all(&self) -> bool {
        let Self {
            chat,
            status,
            direction,
            kind,
        } = self;
        chat.is_none() && status.is_none() && direction.is_none() && kind.is_none()
    }

    fn takes(&self, record: &MessageRecord) -> bool {
        let chat = self.chat.as_ref();
        chat.is_none_or(|names| names.contains(&record.chat))
            && self.status.is_none_or(|status| record.state == status)
            && self
                .direction
                .is_none_or(|direction| record.direction == direction)
            && self.kind.is_none_or(|kind| record.kind == kind)
    }
}

/// A page of the log, newest first, as it reads at `now`. With a filter it may show fewer messages than it has room for
/// while there are more to come.
pub async fn read(
    messages: &Messages,
    instance: InstanceId,
    filter: &Filter,
    page: &Page<MessageId>,
    now: DateTime<Utc>,
) -> Result<(Vec<MessageRecord>, Pagination), StorageError> {
    if filter.is_for_all() {
        let records = messages.list(instance, page.after, page.limit + 1).await?;
        let (records, pagination) = page.cut(records, |record| record.id);
        let records = records.into_iter().map(|record| record.as_of(now));
        return Ok((records.collect(), pagination));
    }
    let wanted = |record: MessageRecord| Some(record.as_of(now)).filter(|record| filter.takes(record));
    let looked = messages.look_through(instance, page.after, page.limit + 1, wanted);
    let looked = looked.await?;
    let (records, pagination) = page.cut(looked.records, |record| record.id);
    let pagination = match looked.stopped_at {
        Some(stopped_at) => page.pagination(true, Some(stopped_at)),
        None => pagination,
    };
    Ok((records, pagination))
}
