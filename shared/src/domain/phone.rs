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

/// How WhatsApp may spell a number otherwise; `None` where it has one form alone. People write the numbers of mobile phones
/// with or without a digit that the country has added to them, and WhatsApp knows each by one of the two:
///
/// | country | the digit | example |
/// | --- | --- | --- |
/// | Brazil (55) | a 9 after the area code, of mobile phones | 55 11 9 8765 4321, 55 11 8765 4321 |
/// | Mexico (52) | a 1 after the country code | 52 1 55 1234 5678, 52 55 1234 5678 |
/// | Argentina (54) | a 9 after the country code | 54 9 11 2345 6789, 54 11 2345 6789 |
///
/// Source: the countries' numbering plans, as the ITU publishes them (E.129).
pub fn other_spelling(digits: &str) -> Option<String> {
    let country = digits.get(..2)?;
    let national = &digits[2..];
    // Length of a national number without the digit, and how many digits stand before that.
    let (length, before, digit) = match country {
        "55" => (10, 2, '9'),
        "52" => (10, 0, '1'),
        "54" => (10, 0, '9'),
        _ => return None,
    };
    let (area, rest) = national.split_at_checked(before)?;
    // A number of Brazil that begins lower is no mobile phone's.
    let may_have_it = |rest: &str| country != "55" || rest.starts_with(['6', '7', '8', '9']);
    if national.len() == length && may_have_it(rest) {
        return Some(format!("{country}{area}{digit}{rest}"));
    }
    let bare = rest.strip_prefix(digit).filter(|rest| may_have_it(rest))?;
    (national.len() == length + 1).then(|| format!("{country}{area}{bare}"))
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
    fn a_number_has_another_spelling_where_its_country_added_a_digit() {
        for (long, short) in [
            ("5511987654321", "551187654321"),
            ("5215512345678", "525512345678"),
            ("5491123456789", "541123456789"),
        ] {
            assert_eq!(other_spelling(long).as_deref(), Some(short), "{long}");
            assert_eq!(other_spelling(short).as_deref(), Some(long), "{short}");
        }
        for one in [
            "15550100001",
            // Phones that are not mobile, and numbers of no length that there is.
            "551132654321",
            "5511932654321",
            "55118765432",
            "55119876543210",
            "52155123456",
            "55",
            "5",
        ] {
            assert_eq!(other_spelling(one), None, "{one}");
        }
    }

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
