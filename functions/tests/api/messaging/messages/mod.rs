mod accept;
mod backlog;
mod contact;
mod idempotency;
mod location;
mod people;
mod show;
mod text;
