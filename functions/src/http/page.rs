//! Lists in pages, newest first. A cursor names the last entry of the page before, and its list. A cursor of another
//! list, of another tenant or with other filters is refused.
//!
//! A hash without a secret binds a cursor to its list. Whoever makes one up by our rule gets a list that they may
//! read anyway, from an id that they chose: whose list it is comes from the caller.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
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

/// Bytes of a cursor's seal.
const SEAL_BYTES: usize = 8;

/// Which list is read: its name, its owner and its filters. A cursor is good for one list only.
#[derive(Debug, Clone)]
pub struct List(Sha256);

impl List {
    /// The list of this name.
    pub fn new(name: &str) -> Self {
        Self(Sha256::new()).of(name)
    }

    /// The same list of one owner, or with one filter more. The order counts.
    #[must_use]
    pub fn of(mut self, what: impl Display) -> Self {
        let what = what.to_string();
        self.0.update(what.len().to_be_bytes());
        self.0.update(what.as_bytes());
        self
    }

    /// The same with a filter that may not be there.
    #[must_use]
    pub fn filter(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.of("some").of(text),
            None => self.of("none"),
        }
    }

    /// What a cursor of this list carries beside its id.
    fn seal(&self, id: &str) -> [u8; SEAL_BYTES] {
        let hash = self.clone().of(id).0.finalize();
        std::array::from_fn(|index| hash[index])
    }

    fn cursor(&self, id: &str) -> String {
        URL_SAFE_NO_PAD.encode([&self.seal(id), id.as_bytes()].concat())
    }

    fn read<I: FromStr>(&self, cursor: &str) -> Option<I> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (seal, id) = bytes.split_at_checked(SEAL_BYTES)?;
        let id = std::str::from_utf8(id).ok()?;
        (seal == self.seal(id)).then(|| id.parse().ok()).flatten()
    }
}

/// Which page is wanted, of things whose ids are `I`.
#[derive(Debug, Clone)]
pub struct Page<I> {
    /// How many things.
    pub limit: u32,
    /// After which.
    pub after: Option<I>,
    list: List,
}

impl PageQuery {
    /// The same from a query that has more parameters.
    pub fn new(limit: Option<String>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The page of this list that is asked for.
    pub fn parse<I: FromStr>(&self, list: List) -> Result<Page<I>, ApiError> {
        let mut fields = Fields::default();
        let page = self.check(&mut fields, list);
        fields.finish()?;
        Ok(page)
    }

    /// The same where more is checked; faults go to `fields`.
    pub fn check<I: FromStr>(&self, fields: &mut Fields, list: List) -> Page<I> {
        let limit = self.limit.as_deref().map(|text| {
            let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.unwrap_or_else(|| {
                fields.fault("limit", format!("must be a whole number from 1 to {MAX_LIMIT}"));
                DEFAULT_LIMIT
            })
        });
        let after = self.cursor.as_deref().and_then(|text| {
            let cursor = list.read(text);
            if cursor.is_none() {
                fields.fault("cursor", "must be a `nextCursor` of this list");
            }
            cursor
        });
        Page {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after,
            list,
        }
    }
}

impl<I: Display> Page<I> {
    /// Cuts a list to the page's length, and answers what `meta` says of it. The list was read with one entry more
    /// than is shown, which tells whether there is another page.
    pub fn cut<T>(&self, mut things: Vec<T>, id: impl Fn(&T) -> I) -> (Vec<T>, Pagination) {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = things.len() > shown;
        things.truncate(shown);
        let pagination = self.pagination(more, things.last().map(id));
        (things, pagination)
    }

    /// `meta.pagination` of this page. `more` tells whether entries come after it; `last` is the last entry that it
    /// shows.
    pub fn pagination(&self, more: bool, last: Option<I>) -> Pagination {
        Pagination {
            limit: self.limit,
            next_cursor: last.filter(|_| more).map(|id| self.list.cursor(&id.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::ids::{InstanceId, UserId};

    use super::*;

    fn query(cursor: &str) -> PageQuery {
        PageQuery::new(Some("2".into()), Some(cursor.into()))
    }

    #[test]
    fn a_cursor_leads_on_and_a_forged_one_is_refused() {
        let list = || List::new("instances").of("sub_1").filter(None);
        let id = InstanceId::new(DateTime::UNIX_EPOCH);
        let page: Page<InstanceId> = PageQuery::default().parse(list()).expect("fine");
        let cursor = page.pagination(true, Some(id)).next_cursor;
        let cursor = cursor.expect("there is more");
        assert_eq!(page.pagination(false, Some(id)).next_cursor, None);
        let next = query(&cursor).parse::<InstanceId>(list()).expect("ours");
        assert_eq!(next.after, Some(id));
        for other in [
            List::new("instances").of("sub_2").filter(None),
            List::new("keys").of("sub_1").filter(None),
            List::new("instances").of("sub_1").filter(Some("x")),
            List::new("instances").of("sub_1"),
            List::new("instancess").of("ub_1").filter(None),
        ] {
            assert!(query(&cursor).parse::<InstanceId>(other).is_err());
        }
        let bare = URL_SAFE_NO_PAD.encode(id.to_string());
        let other = list().cursor(&UserId::new(DateTime::UNIX_EPOCH).to_string());
        for forged in ["", "abc", "%%%", &bare, &other] {
            assert!(query(forged).parse::<InstanceId>(list()).is_err(), "{forged}");
        }
    }

    #[test]
    fn a_page_has_its_bounds() {
        let limit =
            |text: &str| PageQuery::new(Some(text.into()), None).parse::<InstanceId>(List::new("instances"));
        assert_eq!(limit("100").expect("fine").limit, 100);
        for text in ["0", "101", "-1", "x", ""] {
            assert!(limit(text).is_err(), "{text}");
        }
        let default = PageQuery::default().parse::<InstanceId>(List::new("instances"));
        assert_eq!(default.expect("fine").limit, DEFAULT_LIMIT);
    }
}
