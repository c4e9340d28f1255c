//! Lists in pages, newest first. A cursor names the last thing of the page before.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::error::ApiError;
use super::fields::Fields;

/// Things on a page where the caller names no number.
const DEFAULT_LIMIT: u32 = 25;

/// Most things on a page.
const MAX_LIMIT: u32 = 100;

/// `meta.pagination`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    #[schema(example = 25)]
    limit: u32,
    /// The `cursor` of the next page; `null` on the last one.
    #[schema(example = json!(null))]
    next_cursor: Option<String>,
}

/// `?limit=&cursor=`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    #[schema(value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[schema(value_type = Option<PageCursor>)]
    cursor: Option<String>,
}

/// `limit` as the document tells of it.
pub struct PageLimit;

impl PartialSchema for PageLimit {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT))
            .default(Some(DEFAULT_LIMIT.into()))
            .description(Some("How many things a page has at most"))
            .into()
    }
}

impl ToSchema for PageLimit {}

/// `cursor` as the document tells of it.
pub struct PageCursor;

impl PartialSchema for PageCursor {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The `nextCursor` of the page before"))
            .into()
    }
}

impl ToSchema for PageCursor {}

/// Which page is wanted, of things whose ids are `I`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<I> {
    /// How many things.
    pub limit: u32,
    /// After which.
    pub after: Option<I>,
}

impl PageQuery {
    /// The same from a query that has more parameters.
    pub fn new(limit: Option<String>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The page that is asked for.
    pub fn parse<I: FromStr>(&self) -> Result<Page<I>, ApiError> {
        let mut fields = Fields::default();
        let limit = self.limit.as_deref().map(|text| {
            let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.unwrap_or_else(|| {
                fields.fault("limit", format!("must be a number from 1 to {MAX_LIMIT}"));
                DEFAULT_LIMIT
            })
        });
        let after = self.cursor.as_deref().and_then(|text| {
            let cursor = decode(text);
            if cursor.is_none() {
                fields.fault("cursor", "must be a `nextCursor` of this list");
            }
            cursor
        });
        fields.finish()?;
        Ok(Page {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after,
        })
    }
}

impl<I: Display> Page<I> {
    /// Cuts a list that was read with one thing more than is shown, which tells whether
    /// there is another page, and answers what `meta` says of it.
    pub fn cut<T>(&self, mut things: Vec<T>, id: impl Fn(&T) -> I) -> (Vec<T>, Pagination) {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = things.len() > shown;
        things.truncate(shown);
        let pagination = self.pagination(more, things.last().map(id));
        (things, pagination)
    }

    /// `meta.pagination` of this page: `more` tells whether things come after it, the last
    /// of which it shows is `last`.
    pub fn pagination(&self, more: bool, last: Option<I>) -> Pagination {
        Pagination {
            limit: self.limit,
            next_cursor: last
                .filter(|_| more)
                .map(|id| URL_SAFE_NO_PAD.encode(id.to_string())),
        }
    }
}

fn decode<I: FromStr>(cursor: &str) -> Option<I> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::ids::{InstanceId, UserId};

    use super::*;

    #[test]
    fn a_cursor_leads_on_and_a_forged_one_is_refused() {
        let id = InstanceId::new(DateTime::UNIX_EPOCH);
        let page = Page::<InstanceId> {
            limit: 2,
            after: None,
        };
        let cursor = page
            .pagination(true, Some(id))
            .next_cursor
            .expect("there is more");
        assert_eq!(page.pagination(false, Some(id)).next_cursor, None);
        let query = |cursor: &str| PageQuery {
            limit: Some("2".into()),
            cursor: Some(cursor.into()),
        };
        assert_eq!(
            query(&cursor).parse::<InstanceId>().expect("ours").after,
            Some(id)
        );
        let other = Page::<UserId> {
            limit: 2,
            after: None,
        }
        .pagination(true, Some(UserId::new(DateTime::UNIX_EPOCH)))
        .next_cursor
        .expect("there is more");
        for forged in ["", "abc", "%%%", &other] {
            assert!(query(forged).parse::<InstanceId>().is_err(), "{forged}");
        }
    }

    #[test]
    fn a_page_has_its_bounds() {
        let limit = |text: &str| {
            PageQuery {
                limit: Some(text.into()),
                cursor: None,
            }
            .parse::<InstanceId>()
        };
        assert_eq!(limit("100").expect("fine").limit, 100);
        for text in ["0", "101", "-1", "x", ""] {
            assert!(limit(text).is_err(), "{text}");
        }
        let default = PageQuery::default().parse::<InstanceId>().expect("fine");
        assert_eq!(default.limit, DEFAULT_LIMIT);
    }
}
