mod create;
mod delete;
mod last;
mod list;
mod update;
