mod accept;
mod backlog;
mod idempotency;
mod people;
mod show;
mod text;
