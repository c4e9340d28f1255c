//! Phone numbers.

use std::fmt;
use std::str::FromStr;

use super::recipient::Recipient;

/// A phone number: 7 to 15 digits of E.164 (ITU-T E.164, 6.1), without `+`.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

/// Why a text is no phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a phone number in E.164: 7 to 15 digits with the country code, an optional + before them")]
pub struct InvalidPhoneNumber;

impl PhoneNumber {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        match text.parse() {
            Ok(Recipient::Phone(digits)) if !text.contains('@') => Ok(Self(digits)),
            _ => Err(InvalidPhoneNumber),
        }
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Numbers stay out of logs.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_digits_and_nothing_else_names_a_phone() {
        for text in ["15550100001", "+15550100001"] {
            assert_eq!(
                text.parse::<PhoneNumber>().expect("a number").as_str(),
                "15550100001"
            );
        }
        for text in [
            "",
            "123456",
            "0155501000",
            "15550100001@s.whatsapp.net",
            "lid:100000012345678",
        ] {
            assert_eq!(text.parse::<PhoneNumber>(), Err(InvalidPhoneNumber), "{text}");
        }
    }
}
