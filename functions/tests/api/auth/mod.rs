mod login;
mod me;
mod passwords;
mod refresh;
mod register;
