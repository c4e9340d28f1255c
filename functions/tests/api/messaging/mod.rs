mod chats;
mod contacts;
mod groups;
mod instance;
mod media;
mod messages;
mod stats;
mod webhook;
