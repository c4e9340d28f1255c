mod create;
mod lifecycle;
mod rate;
