mod login;
mod me;
mod register;
