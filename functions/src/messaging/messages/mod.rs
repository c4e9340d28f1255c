//! `/api/messages`.
//!
//! | endpoints | |
//! | --- | --- |
//! | [`kinds`] | `POST /api/messages/<kind>`, a file each |
//! | [`bulk`] | a hundred in one request |
//! | [`reaction`], [`update`], [`delete`] | about another message: a reaction, another text, taking it back |
//! | [`list`], [`show`], [`timeline`] | what became of messages |
//!
//! | what a send says | |
//! | --- | --- |
//! | `sending`, `unaddressed` | who may send, the idempotency key, whom to; the same of what names nobody |
//! | `members`, `options`, `form` | the body: its kind's members, everybody's options, and both in a form |
//! | [`legible`] | whether a text shows anything |
//! | `about`, `revoking` | which message it is about; the one revoke of a message |
//! | `kept` | contents that are used again: for forwarding and quoting |
//! | `files` | where its file rests |
//!
//! | how it is accepted | |
//! | --- | --- |
//! | `fingerprint`, `replay` | whether it was asked for before, and the answer then |
//! | `accept` | the promise, step by step |
//! | [`backlog`] | the caps on messages that wait |
//! | `enqueue`, `scheduling` | its job into the queue, or its entry into the due index |
//! | `settle` | what becomes of it where nobody knows whether that is in |
//! | [`view`] | messages as the API shows them |

mod about;
mod accept;
pub mod backlog;
pub mod bulk;
pub mod delete;
mod enqueue;
mod files;
mod fingerprint;
mod form;
mod kept;
pub mod kinds;
pub mod legible;
pub mod list;
mod members;
mod options;
pub mod reaction;
mod replay;
mod revoking;
mod scheduling;
mod sending;
mod settle;
pub mod show;
pub mod timeline;
mod unaddressed;
pub mod update;
pub mod view;
