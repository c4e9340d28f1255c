mod connect;
mod create;
mod keys;
mod list;
mod qr;
mod status;
