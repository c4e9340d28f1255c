//! What a test reads in mails.

/// The code in a mail's text.
#[track_caller]
pub fn code(text: &str) -> String {
    find_code(text).expect("a code")
}

/// The same, where there is one.
pub fn find_code(text: &str) -> Option<String> {
    let code = text.split(r#""token": ""#).nth(1)?;
    code.split('"').next().map(str::to_owned)
}
