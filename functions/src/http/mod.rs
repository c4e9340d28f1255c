//! What all endpoints share: the envelope, errors, strict bodies, callers.

mod audit;
pub(crate) mod body;
pub mod caller;
mod context;
mod deleted;
pub(crate) mod envelope;
mod error;
mod fields;
pub(crate) mod headers;
pub(crate) mod json;
pub mod log;
mod page;
mod path;
mod query;
pub mod rate_limit;
mod replay;
pub(crate) mod request_id;
pub(crate) mod source_address;
mod timestamp;
mod whole;

pub use audit::{Changes, Record, Trail};
pub use body::{BodyTimes, MAX_BODY_BYTES, MAX_FORM_BYTES, is_form};
pub use context::RequestContext;
pub use deleted::Deleted;
pub use envelope::{Listing, Reply};
pub use error::{ApiError, Code};
pub use fields::Fields;
pub use headers::PAGE_POLICY;
pub use json::{Given, JsonBody, OptionalJsonBody, knows};
pub use page::{List, Page, PageCursor, PageLimit, PageQuery, Pagination};
pub use path::{Path, Spelt};
pub use query::Query;
pub use rate_limit::{AuthGate, AuthLimit};
pub use replay::Replayable;
pub use timestamp::{Date, Timestamp};
pub use whole::Whole;
