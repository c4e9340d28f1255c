mod instance;
mod messages;
mod stats;
