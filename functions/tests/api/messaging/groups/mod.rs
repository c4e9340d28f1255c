//! `/api/groups`, with the daemon played by the test.

mod create;
mod list;
mod participants;
mod refusals;
mod update;

/// The group that the tests are about.
const GROUP: &str = "120363021033254949@g.us";
