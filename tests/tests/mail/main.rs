//! Mail through servers that we did not write. `tests/mail/run.sh` starts them and runs this.

mod ses;
mod smtp;

use shared::domain::account::{EmailAddress, PersonName};
use shared::mail::{Letter, Letters, Mail};

const CODE: &str = "a-code-that-nobody-else-has";

/// A letter with names that are no ASCII, and mean something in HTML.
fn invitation(to: &str) -> Mail {
    let to: EmailAddress = to.parse().expect("an address");
    let name: PersonName = "Zoë".parse().expect("a name");
    let inviter: PersonName = "Søren & <Søn>".parse().expect("a name");
    let code = CODE;
    let letter = Letter::Invitation {
        code,
        inviter: &inviter,
    };
    Letters::new("https://api.example.com").write(&to, &name, letter)
}

#[expect(clippy::disallowed_methods, reason = "the suite's settings")]
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} must be set: run tests/mail/run.sh"))
}
