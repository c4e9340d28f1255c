mod contacts;
mod instance;
mod messages;
mod stats;
