//! Cards (vCard: RFC 2426, RFC 6350), as far as messages need them: whether a text is some, whose they are, and which numbers
//! they have.

use crate::domain::phone::PhoneNumber;

/// Why a text is no list of cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCards {
    /// It has anything beside whole cards.
    #[error("must be one or more vCards, each from BEGIN:VCARD to END:VCARD on lines of their own")]
    Framing,
    /// A card does not say whose it is.
    #[error("must have an FN in each vCard: the name to show")]
    Nameless,
    /// There are more than WhatsApp's apps send at once.
    #[error("must have {} vCards at most", super::MAX_CONTACTS)]
    TooMany,
    /// No card has any such (RFC 6350, 3.3).
    #[error("must have no control characters but line breaks and tabs")]
    Control,
}

/// The card of somebody who is on WhatsApp. `waid` is what lets the recipient's app offer a chat with them.
pub fn of(name: &str, phone: &PhoneNumber) -> String {
    let name = escaped(name);
    let lines = [
        "BEGIN:VCARD",
        "VERSION:3.0",
        &format!("N:;{name};;;"),
        &format!("FN:{name}"),
        &format!("TEL;type=CELL;type=VOICE;waid={phone}:+{phone}"),
        "END:VCARD",
    ];
    lines.join("\n")
}

/// The cards of a text, each as it stands there.
pub fn split(text: &str) -> Result<Vec<String>, InvalidCards> {
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'))
    {
        return Err(InvalidCards::Control);
    }
    let mut cards = Vec::new();
    let mut open: Option<String> = None;
    for line in text.split_inclusive('\n') {
        let word = line.trim_end();
        let (begins, ends) = (
            word.eq_ignore_ascii_case("BEGIN:VCARD"),
            word.eq_ignore_ascii_case("END:VCARD"),
        );
        match &mut open {
            None if begins => open = Some(line.to_owned()),
            None if word.is_empty() => {}
            Some(card) if ends => {
                cards.push(format!("{card}{word}"));
                open = None;
            }
            Some(card) if !begins => card.push_str(line),
            _ => return Err(InvalidCards::Framing),
        }
    }
    if cards.is_empty() || open.is_some() {
        return Err(InvalidCards::Framing);
    }
    Ok(cards)
}

/// The properties of a card.
pub struct Properties(Vec<Property>);

struct Property {
    /// In capitals, without the group before it.
    name: String,
    parameters: Vec<String>,
    value: String,
}

impl Properties {
    /// Those of this card. Lines that are none are left out.
    pub fn of(vcard: &str) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for line in vcard.lines() {
            // A line that begins with white space goes on with the one before (RFC 6350, 3.2).
            match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
                (Some(more), Some(last)) => last.push_str(more),
                _ => lines.push(line.to_owned()),
            }
        }
        Self(lines.iter().filter_map(|line| Property::of(line)).collect())
    }

    /// The name that is shown.
    pub fn name(&self) -> Option<String> {
        let mut names = self.0.iter().filter(|property| property.name == "FN");
        names.next().map(|property| unescaped(&property.value))
    }

    /// The numbers, each once.
    pub fn phones(&self) -> Vec<String> {
        let mut phones = Vec::new();
        for property in self.0.iter().filter(|property| property.name == "TEL") {
            let phone = property.whatsapp_id().unwrap_or_else(|| {
                let value = unescaped(&property.value);
                value.strip_prefix("tel:").unwrap_or(&value).trim().to_owned()
            });
            if !phone.is_empty() && !phones.contains(&phone) {
                phones.push(phone);
            }
        }
        phones
    }
}

impl Property {
    fn of(line: &str) -> Option<Self> {
        // What stands in quotes may have colons (RFC 6350, 3.3).
        let mut quoted = false;
        let (end, _) = line.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == ':' && !quoted
        })?;
        let mut parts = line[..end].split(';');
        let name = parts.next()?;
        let name = name.rsplit('.').next().unwrap_or(name);
        Some(Self {
            name: name.to_ascii_uppercase(),
            parameters: parts.map(str::to_owned).collect(),
            value: line[end + 1..].to_owned(),
        })
    }

    /// The number by which the contact is on WhatsApp.
    fn whatsapp_id(&self) -> Option<String> {
        let ids = self.parameters.iter().filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.eq_ignore_ascii_case("waid").then_some(value)
        });
        let mut digits = ids.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
        digits.next().map(str::to_owned)
    }
}

/// A text as a value of a card (RFC 6350, 3.4).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ',' | ';' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A value of a card as the text that it means.
fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('n' | 'N') => text.push('\n'),
                Some(c) => text.push(c),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_taken_apart_however_they_are_written() {
        let card = concat!(
            "begin:vcard\r\nVERSION:4.0\r\nN:Lovelace;Ada;;;\r\nFN;charset=UTF-8:Ada\\, Countess of\r\n",
            "  Lovelace\r\nitem1.TEL;waid=15550100001:+1 555-010-0001\r\nitem1.X-ABLabel:Mobile\r\n",
            "TEL;VALUE=uri;TYPE=\"voice:home\":tel:+1-555-010-0002\r\nTEL;waid=15550100001:again\r\nTEL:\r\n",
            "TEL;waid=none:(555) 3\r\nnothing\r\nend:vcard",
        );
        let properties = Properties::of(card);
        assert_eq!(properties.name().as_deref(), Some("Ada, Countess of Lovelace"));
        assert_eq!(properties.phones(), ["15550100001", "+1-555-010-0002", "(555) 3"]);
        let two = format!("\n{card}\r\n\r\n{card}\n");
        assert_eq!(split(&two), Ok(vec![card.to_owned(), card.to_owned()]));
    }

    #[test]
    fn what_is_no_card_is_refused() {
        for (text, fault) in [
            ("", InvalidCards::Framing),
            ("FN:Ada", InvalidCards::Framing),
            ("BEGIN:VCARD\nFN:Ada", InvalidCards::Framing),
            (
                "BEGIN:VCARD\nBEGIN:VCARD\nEND:VCARD\nEND:VCARD",
                InvalidCards::Framing,
            ),
            ("END:VCARD", InvalidCards::Framing),
            ("BEGIN:VCARD\nFN:Ada\nEND:VCARD\nmore", InvalidCards::Framing),
            ("BEGIN:VCARD\nFN:A\u{0}da\nEND:VCARD", InvalidCards::Control),
        ] {
            assert_eq!(split(text), Err(fault), "{text:?}");
        }
    }
}
