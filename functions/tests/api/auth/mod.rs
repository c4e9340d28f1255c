mod login;
mod me;
mod refresh;
mod register;
