mod list;
mod update;
