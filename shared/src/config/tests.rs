use std::cell::RefCell;
use std::collections::BTreeSet;

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
    let (base, _, secrets, _) = functions::auth(&lookup).expect("complete");
    assert_eq!(base.networks, [Network::Live, Network::Sandbox]);
    let JwtSecrets::Given(secrets) = secrets else {
        panic!("they are here");
    };
    assert_eq!(secrets[1].secret.expose(), SECRET);
    assert_eq!(secrets[0].kid, "b");
    assert_eq!(base.common.shards, 4);
}

/// What a function asks its environment for.
fn asked<T>(read: impl Fn(Lookup<'_>) -> Result<T, ConfigError>) -> BTreeSet<String> {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        match name {
            "WAXWING_JWT_SECRET" => Some(SECRET.to_owned()),
            "WAXWING_KMS_KEY" => Some("alias/waxwing".to_owned()),
            "WAXWING_BUCKET" => Some("waxwing".to_owned()),
            "WAXWING_MAIL" => Some("ses".to_owned()),
            "WAXWING_MAIL_FROM" => Some("waxwing@example.com".to_owned()),
            _ => None,
        }
    };
    read(&lookup).map(drop).expect("complete");
    asked.into_inner()
}

/// The same of a function of the deployment.
fn asked_by(function: Function) -> BTreeSet<String> {
    match function {
        Function::Auth => asked(functions::auth),
        Function::Management => asked(functions::management),
        Function::Messaging => asked(functions::messaging),
    }
}

/// The variables that the template gives a function, those of all functions among them.
fn given(function: Function) -> BTreeSet<String> {
    let template = include_str!("../../../template.yaml");
    let resource = format!("{}function:", function.as_str());
    let (mut block, mut given) = (String::new(), BTreeSet::new());
    for line in template.lines() {
        if !line.trim_start().starts_with('#') && line.len() - line.trim_start().len() == 2 {
            block = line.trim().to_ascii_lowercase();
        }
        let name = line.trim().split(':').next().unwrap_or_default();
        if name.starts_with("WAXWING_") && (block == "function:" || block == resource) {
            given.insert(name.to_owned());
        }
    }
    given
}

#[test]
fn the_template_gives_each_function_what_it_needs_alone() {
    let needed = [
        "WAXWING_TABLE",
        "WAXWING_NETWORKS",
        "WAXWING_SHARDS",
        "WAXWING_QUEUE_PREFIX",
    ];
    for function in Function::ALL {
        let (given, asked) = (given(function), asked_by(function));
        // Every process asks for this when its log begins, before its configuration is read.
        let log = BTreeSet::from(["WAXWING_LOG".to_owned()]);
        let unread: Vec<_> = given.difference(&(&asked | &log)).cloned().collect();
        assert!(unread.is_empty(), "`{}` reads no {unread:?}", function.as_str());
        let of_some = [
            "WAXWING_BUCKET",
            "WAXWING_JWT_SECRET_ARN",
            "WAXWING_KMS_KEY",
            "WAXWING_PUBLIC_URL",
        ];
        for name in needed.into_iter().chain(of_some) {
            if asked.contains(name) {
                assert!(given.contains(name), "`{}` is given no {name}", function.as_str());
            }
        }
    }
}

#[test]
fn each_function_asks_for_what_it_needs_alone() {
    let of_all = [
        "WAXWING_CORS_ORIGINS",
        "WAXWING_NETWORKS",
        "WAXWING_PRIVATE_ADDRESSES",
        "WAXWING_PUBLIC_URL",
        "WAXWING_QUEUE_PREFIX",
        "WAXWING_SHARDS",
        "WAXWING_TABLE",
        "WAXWING_TRUSTED_PROXIES",
    ];
    let of_users = [
        "WAXWING_BCRYPT_COST",
        "WAXWING_JWT_SECRET",
        "WAXWING_JWT_SECRET_ARN",
        "WAXWING_MAIL",
        "WAXWING_MAIL_FROM",
        "WAXWING_USER_RATE",
    ];
    let of_keys = ["WAXWING_KEY_FILE", "WAXWING_KMS_KEY"];
    let all =
        |lists: &[&[&str]]| -> BTreeSet<String> { lists.concat().into_iter().map(str::to_owned).collect() };
    let own: &[&str] = &[
        "WAXWING_ADMIN_EMAIL",
        "WAXWING_AUTH_RATE",
        "WAXWING_JWT_MINUTES",
        "WAXWING_REGISTRATION",
    ];
    assert_eq!(asked_by(Function::Auth), all(&[&of_all, &of_users, own]));
    assert_eq!(
        asked_by(Function::Management),
        all(&[&of_all, &of_users, &of_keys, &["WAXWING_REALTIME_URL"]])
    );
    let own: &[&str] = &[
        "WAXWING_BUCKET",
        "WAXWING_OFFLINE_QUEUE_LIMIT",
        "WAXWING_QUEUE_LIMIT",
        "WAXWING_SCHEDULE_LIMIT",
        "WAXWING_SHARD_QUEUE_LIMIT",
    ];
    assert_eq!(asked_by(Function::Messaging), all(&[&of_all, &of_keys, own]));
}

#[test]
fn a_daemon_corrects_its_clock_unless_it_is_told_not_to() {
    let corrects = |clock: Option<&str>| {
        let lookup = |name: &str| match name {
            "WAXWING_KEY_FILE" | "WAXWING_BUCKET" => Some("waxwing".to_owned()),
            "WAXWING_CLOCK" => clock.map(str::to_owned),
            _ => None,
        };
        daemon::read(&lookup).map(|config| config.corrects_clock)
    };
    assert_eq!(corrects(None), Ok(true));
    assert_eq!(corrects(Some("table")), Ok(true));
    assert_eq!(corrects(Some("machine")), Ok(false));
    let error = corrects(Some("sundial")).expect_err("no such clock").to_string();
    assert_eq!(error, "WAXWING_CLOCK must be `table` or `machine`");
}

#[test]
fn the_secrets_of_access_tokens_are_here_or_in_secrets_manager() {
    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:waxwing-jwt-a1b2c3";
    const NAME: &str = "WAXWING_JWT_SECRET_ARN";
    let read = |pairs: &'static [(&'static str, &'static str)]| {
        functions::auth(&get(pairs)).map(|(_, _, secrets, _)| secrets)
    };
    assert_eq!(read(&[(NAME, ARN)]), Ok(JwtSecrets::Kept(ARN.to_owned())));
    let told = |pairs: &'static [(&'static str, &'static str)]| read(pairs).expect_err("refused").to_string();
    assert_eq!(
        told(&[]),
        "WAXWING_JWT_SECRET or WAXWING_JWT_SECRET_ARN must be set"
    );
    assert_eq!(
        told(&[(NAME, ARN), ("WAXWING_JWT_SECRET", SECRET)]),
        "WAXWING_JWT_SECRET_ARN cannot be set beside WAXWING_JWT_SECRET"
    );
    for no_arn in [
        &[(NAME, SECRET)],
        &[(NAME, "arn:aws:secretsmanager:eu-central-1:123456789012:secret:")],
        &[(NAME, "arn:aws:kms:eu-central-1:123456789012:key/1")],
    ] {
        let told = told(no_arn);
        assert!(
            told.starts_with("WAXWING_JWT_SECRET_ARN must be the ARN"),
            "{told}"
        );
        assert!(!told.contains(SECRET));
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
    let common = common_from(&get(&[])).expect("complete");
    let wrapping = Wrapping::File("f".into());
    let mut usual = Functions::new(common, vec![Network::Sandbox], Vec::new(), wrapping);
    usual.users.bcrypt_cost = 5;
    usual.users.mail = Mail::Folder("mails".into());
    let config = usual.over(&lookup).expect("fine");
    assert_eq!(
        config.auth.admin_email,
        Some("ada@example.com".parse().expect("an address"))
    );
    assert_eq!((config.users.user_rate, config.users.bcrypt_cost), (7, 5));
    assert_eq!(config.users.mail, Mail::Folder("mails".into()));
}

#[test]
fn the_realtime_feed_is_on_where_a_daemon_has_secret_and_address() {
    const BASE: [(&str, &str); 2] = [("WAXWING_KEY_FILE", "f"), ("WAXWING_BUCKET", "waxwing")];
    const NOWHERE: &[(&str, &str)] = &[BASE[0], BASE[1], ("WAXWING_JWT_SECRET", SECRET)];
    const ON: &[(&str, &str)] = &[
        BASE[0],
        BASE[1],
        ("WAXWING_JWT_SECRET", SECRET),
        ("WAXWING_LISTEN", "0.0.0.0:3002"),
        ("WAXWING_REDIS_URL", "rediss://user:password@cache:6379"),
    ];
    const KEPT: &[(&str, &str)] = &[
        BASE[0],
        BASE[1],
        (
            "WAXWING_JWT_SECRET_ARN",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:waxwing-jwt-a1b2c3",
        ),
        ("WAXWING_LISTEN", "0.0.0.0:3002"),
    ];
    const ODD: &[(&str, &str)] = &[BASE[0], BASE[1], ("WAXWING_LISTEN", "3002")];
    let off = daemon::read(&get(&BASE)).expect("complete");
    assert!(off.realtime.is_none() && off.listen.is_none());
    let nowhere = daemon::read(&get(NOWHERE)).expect("complete");
    assert!(nowhere.realtime.is_none(), "it would be nowhere");
    let on = daemon::read(&get(ON)).expect("complete");
    let realtime = on.realtime.expect("on");
    assert_eq!((realtime.sockets, realtime.trusted_proxies), (2_000, 0));
    assert!(!format!("{realtime:?}").contains("password"));
    let kept = daemon::read(&get(KEPT)).expect("complete").realtime.expect("on");
    assert!(matches!(kept.jwt_secrets, JwtSecrets::Kept(_)));
    assert!(daemon::read(&get(ODD)).is_err());
}

#[test]
fn a_fault_names_the_variable_and_not_its_value() {
    let short = get(&[("WAXWING_KMS_KEY", "k"), ("WAXWING_JWT_SECRET", "short-secret")]);
    let error = functions::management(&short).expect_err("too short");
    assert_eq!(error.to_string(), "WAXWING_JWT_SECRET must have 32 bytes or more");
    let error = daemon::read(&get(&[("WAXWING_KEY_FILE", "f"), ("WAXWING_SHARDS", "0")])).expect_err("zero");
    assert_eq!(
        error.to_string(),
        "WAXWING_SHARDS must be a number from 1 to 4096"
    );
    assert!(daemon::read(&get(&[])).is_err());
    assert!(daemon::read(&get(&[("WAXWING_KEY_FILE", "f"), ("WAXWING_KMS_KEY", "k")])).is_err());
}

#[test]
fn the_bucket_is_one_of_s3_or_a_folder_with_the_address_of_its_links() {
    let read = |pairs| bucket::read(&get(pairs));
    assert_eq!(
        read(&[("WAXWING_BUCKET", "waxwing-live.media")]),
        Ok(Bucket::S3("waxwing-live.media".to_owned()))
    );
    let folder = |public_url: &str| Bucket::Folder {
        path: "/tmp/x".into(),
        public_url: public_url.to_owned(),
    };
    assert_eq!(
        read(&[("WAXWING_BUCKET", "folder:/tmp/x")]),
        Ok(folder("http://localhost:3000"))
    );
    assert_eq!(
        read(&[
            ("WAXWING_BUCKET", "folder:/tmp/x"),
            ("WAXWING_PUBLIC_URL", "https://api.example.com"),
        ]),
        Ok(folder("https://api.example.com"))
    );
    let told = |text| {
        let lookup = move |name: &str| (name == "WAXWING_BUCKET").then(|| String::from(text));
        bucket::read(&lookup).expect_err("refused").to_string()
    };
    for text in ["folder:", "s3://bucket", "Upper", "ab", "a/b"] {
        assert_eq!(
            told(text),
            "WAXWING_BUCKET must be the name of an S3 bucket, or `folder:<path>`",
            "{text}"
        );
    }
    assert_eq!(
        read(&[]).expect_err("missing").to_string(),
        "WAXWING_BUCKET must be set"
    );
}

#[test]
fn how_far_urls_of_callers_reach_is_one_of_three() {
    let of = |said: &str| {
        let lookup = |name: &str| {
            let value = match name {
                "WAXWING_KEY_FILE" => "f",
                "WAXWING_BUCKET" => "folder:/tmp/x",
                "WAXWING_PRIVATE_ADDRESSES" => said,
                _ => "",
            };
            (!value.is_empty()).then(|| value.to_owned())
        };
        daemon::read(&lookup).map(|config| config.reach)
    };
    assert_eq!(of(""), Ok(Reach::INTERNET));
    assert_eq!(of("refuse"), Ok(Reach::INTERNET));
    assert_eq!(of("loopback"), Ok(Reach::LOOPBACK));
    assert_eq!(of("allow"), Ok(Reach::PRIVATE));
    assert_eq!(
        of("yes").expect_err("none of them").to_string(),
        "WAXWING_PRIVATE_ADDRESSES must be `allow`, `loopback` or `refuse`"
    );
}

#[test]
fn who_may_register_is_one_of_three() {
    let nothing = |_: &str| None;
    let read = |value: &'static str, usual: Registration| {
        let lookup = move |name: &str| (name == "WAXWING_REGISTRATION").then(|| value.to_owned());
        let mut functions = Functions::new(
            common_from(&nothing).expect("defaults"),
            vec![Network::Live],
            Vec::new(),
            Wrapping::File("f".into()),
        );
        functions.auth.registration = usual;
        functions
            .over(&lookup)
            .map(|functions| functions.auth.registration)
    };
    assert_eq!(read("open", Registration::First), Ok(Registration::Open));
    assert_eq!(read("first", Registration::Open), Ok(Registration::First));
    assert_eq!(read("closed", Registration::Open), Ok(Registration::Closed));
    assert_eq!(
        read("no", Registration::Open)
            .expect_err("none of them")
            .to_string(),
        "WAXWING_REGISTRATION must be `open`, `first` or `closed`"
    );
    assert_eq!(Auth::default().registration, Registration::Open);
}

#[test]
fn a_daemon_prints_metrics_for_cloudwatch_where_it_is_told_to() {
    let of = |said: &'static str| {
        let lookup = move |name: &str| match name {
            "WAXWING_KEY_FILE" => Some("f".to_owned()),
            "WAXWING_BUCKET" => Some("waxwing".to_owned()),
            "WAXWING_EMF" => Some(said.to_owned()).filter(|said| !said.is_empty()),
            _ => None,
        };
        daemon::read(&lookup).map(|config| config.emf)
    };
    assert_eq!(of(""), Ok(false));
    assert_eq!(of("off"), Ok(false));
    assert_eq!(of("on"), Ok(true));
    assert_eq!(
        of("1").expect_err("neither").to_string(),
        "WAXWING_EMF must be `on` or `off`"
    );
}
