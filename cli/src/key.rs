//! API keys and access tokens. They are secrets: nothing prints them.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// An API key or an access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// What is shown to the deployment, and to nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let token: Token = " wak_test_secret\n".parse().expect("any text");
        assert_eq!(token.reveal(), "wak_test_secret");
        assert!(!format!("{token:?}").contains("secret"));
    }
}
