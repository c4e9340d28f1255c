mod backlog;
mod idempotency;
mod show;
mod text;
