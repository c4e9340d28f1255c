mod contacts;
mod instance;
mod media;
mod messages;
mod stats;
