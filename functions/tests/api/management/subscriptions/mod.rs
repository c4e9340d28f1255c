mod list;
mod suspension;
mod update;
