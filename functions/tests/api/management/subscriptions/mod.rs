mod list;
mod update;
mod suspension;
