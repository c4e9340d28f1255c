mod idempotency;
mod show;
mod text;
