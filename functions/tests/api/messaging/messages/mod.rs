mod accept;
mod backlog;
mod idempotency;
mod location;
mod people;
mod show;
mod text;
