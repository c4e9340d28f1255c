//! Registration, login, and who is logged in.

mod administrator;
mod change_password;
mod cookie;
mod endpoints;
mod forgot_password;
mod invitation;
mod lock;
mod login;
mod logout;
pub(crate) mod mails;
mod me;
mod refresh;
mod register;
mod resend_verification;
mod reset_password;
mod state;
mod tokens;
mod verify_email;
pub(crate) mod view;

pub use endpoints::endpoints;
pub use state::AuthState;
