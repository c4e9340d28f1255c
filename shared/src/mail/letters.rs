//! The letters that we write. Each has a subject and two templates, text and HTML.

use minijinja::{AutoEscape, Environment, context};

use super::Mail;
use crate::domain::account::{EmailAddress, PersonName};

/// Something to tell a person.
#[derive(Debug, Clone, Copy)]
pub enum Letter<'a> {
    /// Is this address yours?
    VerifyEmail {
        /// The code that shows it.
        code: &'a str,
    },
    /// You asked for a new password.
    ResetPassword {
        /// The code that sets it.
        code: &'a str,
    },
    /// Somebody invites you.
    Invitation {
        /// The code that sets a first password.
        code: &'a str,
        /// Who does.
        inviter: &'a PersonName,
    },
    /// Your password was changed.
    PasswordChanged,
}

/// Renders letters. Cheap to share.
#[derive(Debug)]
pub struct Letters {
    templates: Environment<'static>,
    public_url: String,
}

impl Letters {
    /// Letters whose links lead to `public_url`: the address of the API, or of the pages in front of it.
    pub fn new(public_url: &str) -> Self {
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|name| match name.rsplit_once('.') {
            Some((_, "html")) => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        for (name, source) in TEMPLATES {
            templates
                .add_template(name, source)
                .expect("the templates are part of the program and are tested");
        }
        Self {
            templates,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The mail that tells `letter` to a person.
    pub fn write(&self, to: &EmailAddress, name: &PersonName, letter: Letter<'_>) -> Mail {
        let (template, subject, code, inviter) = match letter {
            Letter::VerifyEmail { code } => ("verify_email", "Is this your e-mail address?", code, ""),
            Letter::ResetPassword { code } => ("reset_password", "Set a new password", code, ""),
            Letter::Invitation { code, inviter } => {
                ("invitation", "You are invited to Waxwing", code, inviter.as_str())
            }
            Letter::PasswordChanged => ("password_changed", "Your password was changed", "", ""),
        };
        let values = context! {
            name => name.as_str(),
            subject => subject,
            code => code,
            inviter => inviter,
            url => self.public_url.as_str(),
        };
        let render = |kind: &str| {
            self.templates
                .get_template(&format!("{template}.{kind}"))
                .and_then(|template| template.render(&values))
                .expect("the templates are part of the program and are tested")
        };
        Mail {
            to: to.clone(),
            subject: subject.to_owned(),
            text: render("txt"),
            html: render("html"),
        }
    }
}

macro_rules! templates {
    ($($name:literal),+) => {
        &[$(
            (concat!($name, ".txt"), include_str!(concat!("templates/", $name, ".txt"))),
            (concat!($name, ".html"), include_str!(concat!("templates/", $name, ".html"))),
        )+]
    };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "layout",
    "verify_email",
    "reset_password",
    "invitation",
    "password_changed"
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_has_its_code_in_both_forms_and_escapes_names_in_html() {
        let letters = Letters::new("https://api.example.com/");
        let to: EmailAddress = "ada@example.com".parse().expect("an address");
        let name: PersonName = "Ada <b>".parse().expect("a name");
        let code = "c0de";
        for letter in [
            Letter::VerifyEmail { code },
            Letter::ResetPassword { code },
            Letter::Invitation { code, inviter: &name },
        ] {
            let mail = letters.write(&to, &name, letter);
            for body in [&mail.text, &mail.html] {
                assert!(body.contains(code), "{body}");
                assert!(body.contains("https://api.example.com/api/auth/"), "{body}");
            }
            assert!(mail.text.contains("Ada <b>"), "{}", mail.text);
            assert!(!mail.html.contains("Ada <b>"), "{}", mail.html);
            assert!(mail.html.contains("Ada &lt;b&gt;"), "{}", mail.html);
        }
        let mail = letters.write(&to, &name, Letter::PasswordChanged);
        assert!(mail.text.contains("password"));
    }
}
