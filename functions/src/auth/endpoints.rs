//! The list of this function's endpoints. Each is declared in its own file, whose path mirrors the endpoint's.

use super::{
    change_password, forgot_password, login, logout, me, refresh, register, resend_verification,
    reset_password, verify_email,
};
use crate::auth::AuthState;
use crate::endpoint::Endpoint;

/// Every endpoint of this function.
pub fn endpoints() -> Vec<Endpoint<AuthState>> {
    vec![
        register::endpoint(),
        login::endpoint(),
        refresh::endpoint(),
        logout::endpoint(),
        me::show::endpoint(),
        me::change::endpoint(),
        change_password::endpoint(),
        forgot_password::endpoint(),
        reset_password::endpoint(),
        verify_email::endpoint(),
        resend_verification::endpoint(),
    ]
}
