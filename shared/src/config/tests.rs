use super::*;
use crate::domain::network::Network;

const SECRET: &str = "an-access-token-secret-for-tests-alone";

fn get(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    |name| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    }
}

#[test]
fn a_live_network_comes_first_however_it_is_listed() {
    let lookup = get(&[
        ("WAXWING_NETWORKS", "sandbox, live"),
        ("WAXWING_KMS_KEY", "alias/waxwing"),
        (
            "WAXWING_JWT_SECRET",
            "b:another-access-token-secret-for-tests,a:an-access-token-secret-for-tests-alone",
        ),
    ]);
    let config = functions::read(Function::Auth, &lookup).expect("complete");
    assert_eq!(config.networks, [Network::Live, Network::Sandbox]);
    assert_eq!(config.jwt_secrets[1].secret.expose(), SECRET);
    assert_eq!(config.jwt_secrets[0].kid, "b");
    assert_eq!(config.common.shards, 4);
}

#[test]
fn a_function_that_serves_no_users_reads_no_secret_of_theirs() {
    let lookup = get(&[
        ("WAXWING_KMS_KEY", "alias/waxwing"),
        ("WAXWING_JWT_SECRET", "short-and-never-read"),
        ("WAXWING_ADMIN_EMAIL", "ada@example.com"),
        ("WAXWING_MAIL", "smtps://ada:secret@mail.example.com"),
        ("WAXWING_MAIL_FROM", "waxwing@example.com"),
    ]);
    let config = functions::read(Function::Messaging, &lookup).expect("complete");
    assert!(config.jwt_secrets.is_empty());
    assert_eq!((config.admin_email, config.mail), (None, Mail::Off));
    for function in [Function::Auth, Function::Management] {
        functions::read(function, &lookup).expect_err("its secret is too short");
    }
}

#[test]
fn mail_is_off_a_folder_ses_or_a_server_and_wants_a_sender() {
    assert_eq!(mail::read(&get(&[])), Ok(None));
    assert_eq!(
        mail::read(&get(&[("WAXWING_MAIL", "folder:/tmp/mail")])),
        Ok(Some(Mail::Folder("/tmp/mail".into())))
    );
    let told = |pairs| mail::read(&get(pairs)).expect_err("not complete").to_string();
    assert_eq!(told(&[("WAXWING_MAIL", "ses")]), "WAXWING_MAIL_FROM must be set");
    assert_eq!(
        told(&[("WAXWING_MAIL", "smtps://ada:secret@mail.example.com")]),
        "WAXWING_MAIL_FROM must be set"
    );
    assert_eq!(
        told(&[("WAXWING_MAIL", "sendmail")]),
        "WAXWING_MAIL must be `off`, `ses`, `folder:<path>`, or an smtp:// or smtps:// URL"
    );
}

#[test]
fn the_environment_goes_over_what_a_stack_has_by_itself() {
    let lookup = get(&[
        ("WAXWING_ADMIN_EMAIL", "ada@example.com"),
        ("WAXWING_USER_RATE", "7"),
    ]);
    let common = common_from(&get(&[("WAXWING_KEY_FILE", "f")])).expect("complete");
    let usual = Functions {
        bcrypt_cost: 5,
        mail: Mail::Folder("mails".into()),
        ..Functions::new(common, vec![Network::Sandbox], Vec::new())
    };
    let config = functions::read_over(usual, &lookup).expect("fine");
    assert_eq!(
        config.admin_email,
        Some("ada@example.com".parse().expect("an address"))
    );
    assert_eq!((config.user_rate, config.bcrypt_cost), (7, 5));
    assert_eq!(config.mail, Mail::Folder("mails".into()));
}

#[test]
fn a_fault_names_the_variable_and_not_its_value() {
    let error = functions::read(
        Function::Management,
        &get(&[("WAXWING_KMS_KEY", "k"), ("WAXWING_JWT_SECRET", "short-secret")]),
    )
    .expect_err("too short");
    assert_eq!(error.to_string(), "WAXWING_JWT_SECRET must have 32 bytes or more");
    let error = daemon::read(&get(&[("WAXWING_KEY_FILE", "f"), ("WAXWING_SHARDS", "0")])).expect_err("zero");
    assert_eq!(
        error.to_string(),
        "WAXWING_SHARDS must be a number from 1 to 4096"
    );
    assert!(daemon::read(&get(&[])).is_err());
    assert!(daemon::read(&get(&[("WAXWING_KEY_FILE", "f"), ("WAXWING_KMS_KEY", "k")])).is_err());
}
