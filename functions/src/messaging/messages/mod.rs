//! `/api/messages`.

mod accept;
pub mod backlog;
mod idempotency;
mod options;
pub mod show;
pub mod text;
mod view;

pub use accept::Accepted;
pub use idempotency::IdempotencyKey;
pub use view::AcceptedView;
