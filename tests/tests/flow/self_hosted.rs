//! `waxwing-server`: the stack for real numbers, as who runs it at home has it. It connects to nobody here.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use testbed::caller::{Bases, Caller, PASSWORD};
use tests::folder::files;
use tests::process::Process;
use tokio::net::TcpSocket;
use tokio::process::Command;

use crate::STACK;

/// Passwords that are quick to check.
const QUICK: &[(&str, &str)] = &[("WAXWING_BCRYPT_COST", "4")];

/// A server on this data, and a caller of it.
async fn server(data_dir: &Path) -> (Process, Caller) {
    let server = Process::start_server(STACK, data_dir, &[], QUICK).await;
    let caller = Caller::over_http(Bases::one(&server.api));
    (server, caller)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path").to_owned()
}

/// Does what these arguments ask for, and what the program says of it.
async fn done(arguments: &[&str]) -> String {
    let output = Command::new(STACK)
        .arg("server")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    let refusal = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{refusal}");
    String::from_utf8(output.stdout).expect("text")
}

/// What the program says where it does not do what these arguments ask for.
async fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(STACK)
        .arg("server")
        .args(arguments)
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    said
}

#[tokio::test]
async fn a_server_keeps_users_and_live_instances_over_an_orderly_end() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let (process, caller) = server(&data).await;
    assert_eq!(caller.get("/health").await.data(200)["status"], "ok");
    let user = caller.register("ada@example.com").await;
    user.instance("first").await;
    let made = user.get("/api/instances/first").await.data(200);
    assert_eq!(
        (&made["network"], &made["status"]),
        (&"live".into(), &"DISCONNECTED".into())
    );

    let late = json!({"email": "late@example.com", "password": PASSWORD, "name": "Eve"});
    let late = caller.post("/api/auth/register", late).await;
    assert_eq!(
        late.code(),
        "403 FORBIDDEN",
        "the first user is the only one who registers"
    );

    assert_eq!(mode(&data), 0o700);
    for key in ["wrapping.key", "jwt.secret", "bucket/signing.key"] {
        assert_eq!(mode(&data.join(key)), 0o600, "{key}");
    }
    for store in ["table.db", "table.db-wal", "queues.db", "queues.db-wal"] {
        assert_eq!(mode(&data.join(store)), 0o600, "{store}");
    }
    assert!(process.database.is_empty(), "nobody else reaches the table");
    let metrics = caller.get("/metrics").await;
    let metrics = String::from_utf8(metrics.bytes).expect("text");
    assert!(metrics.contains(r#"network="live""#), "{metrics}");
    process.stop().await;
    let stores = ["table.db", "queues.db"];
    for store in stores {
        let wider = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(data.join(store), wider).expect("set");
    }

    let (process, caller) = server(&data).await;
    let user = caller.login("ada@example.com").await;
    let kept = user.get("/api/instances/first").await.data(200);
    assert_eq!(kept["id"], made["id"]);
    for store in stores {
        assert_eq!(mode(&data.join(store)), 0o600, "{store}");
    }
    process.stop().await;
}

/// Whether what a `check` with these arguments asks says that it lives.
async fn lives(arguments: &[&str]) -> bool {
    let output = Command::new(STACK)
        .args(arguments)
        .arg("check")
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    output.status.success()
}

/// The health checks of their images.
#[tokio::test]
async fn a_server_and_a_local_stack_can_be_asked_whether_they_live() {
    let [data, of_local] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let (process, _) = server(data.path()).await;
    let listens = process.api.trim_start_matches("http://").to_owned();
    assert!(lives(&["server", "--listen", &listens]).await);
    process.stop().await;

    let process = Process::start(STACK, of_local.path(), &["--sandbox-port", "0"], &[]).await;
    let (_, port) = process.api.rsplit_once(':').expect("a port");
    assert!(lives(&["--port", port]).await);
    process.stop().await;

    // Nobody listens on a socket's port that is bound and no more, and nobody else gets it.
    let bound = TcpSocket::new_v4().expect("a socket");
    bound
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let nobody = bound.local_addr().expect("bound");
    assert!(!lives(&["server", "--listen", &nobody.to_string()]).await);
    assert!(!lives(&["--port", &nobody.port().to_string()]).await);
}

#[tokio::test]
async fn no_proxy_passes_the_metrics_on() {
    let data = tempfile::tempdir().expect("a directory");
    let (process, caller) = server(data.path()).await;
    let passed_on = caller.with_header("x-forwarded-for", "203.0.113.7");
    assert_eq!(passed_on.get("/metrics").await.status, 404);
    process.stop().await;
}

/// As `docs/self-host.md` says it for whoever has no server for mails.
#[tokio::test]
async fn a_folder_of_mails_makes_an_administrator_without_a_server_for_mails() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let mails = data.join("mail");
    let mail = format!("folder:{}", text(&mails));
    let without = [QUICK[0], ("WAXWING_ADMIN_EMAIL", "ada@example.com")];
    let with = [without[0], without[1], ("WAXWING_MAIL", mail.as_str())];

    let process = Process::start_server(STACK, &data, &[], &without).await;
    let caller = Caller::over_http(Bases::one(&process.api));
    caller.register("ada@example.com").await;
    process.stop().await;
    assert!(!mails.exists(), "no mail goes out");

    let process = Process::start_server(STACK, &data, &[], &with).await;
    let user = Caller::over_http(Bases::one(&process.api))
        .login("ada@example.com")
        .await;
    user.post("/api/auth/resend-verification", ()).await.data(202);
    let code = files(&mails).iter().find_map(|file| {
        let mail: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
        testbed::mail::find_code(mail["text"].as_str().expect("a text"))
    });
    let code = code.expect("a mail with a code");
    let verified = user.post("/api/auth/verify-email", json!({"token": code})).await;
    assert_eq!(verified.data(200)["user"]["role"], "ADMINISTRATOR");
    process.stop().await;

    let process = Process::start_server(STACK, &data, &[], &without).await;
    let user = Caller::over_http(Bases::one(&process.api))
        .login("ada@example.com")
        .await;
    let role = user.get("/api/auth/me").await.data(200)["user"]["role"].clone();
    assert_eq!(role, "ADMINISTRATOR", "it stays one");
    process.stop().await;
}

/// A proxy that adds no header would pass anybody on to them.
#[tokio::test]
async fn behind_a_proxy_that_nobody_trusts_the_metrics_are_served_where_that_is_said() {
    let data = tempfile::tempdir().expect("a directory");
    let public = ["--public-url", "https://waxwing.example.com"];
    let cases: [(&[&str], u16); 3] = [
        (&[], 404),
        (&["--metrics"], 200),
        (&["--trusted-proxies", "1"], 200),
    ];
    for (more, status) in cases {
        let arguments = [&public[..], more].concat();
        let process = Process::start_server(STACK, data.path(), &arguments, QUICK).await;
        let caller = Caller::over_http(Bases::one(&process.api));
        let answer = caller.get("/metrics").await;
        assert_eq!(answer.status, status, "{arguments:?}");
        process.stop().await;
    }
}

#[tokio::test]
async fn a_server_refuses_settings_that_it_cannot_use_and_a_folder_in_use() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().to_str().expect("a path");
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", data];
    let smtp = ("WAXWING_MAIL", "smtps://ada:secret@mail.example.com");
    let said = refused(&arguments, &[smtp]).await;
    assert!(said.contains("WAXWING_MAIL_FROM must be set"), "{said}");
    let said = refused(&arguments, &[smtp, ("WAXWING_MAIL_FROM", "nobody")]).await;
    assert!(
        said.contains("WAXWING_MAIL_FROM must be an e-mail address"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");

    let (process, _) = server(folder.path()).await;
    let said = refused(&arguments, &[]).await;
    assert!(said.contains("another Waxwing works on"), "{said}");
    process.stop().await;
}

#[tokio::test]
async fn a_backup_of_a_running_server_restores_to_one_in_which_its_users_log_in() {
    let folder = tempfile::tempdir().expect("a directory");
    let [data, copy, restored] = ["data", "copy", "restored"].map(|name| folder.path().join(name));
    let (data_dir, copy_dir, restored_dir) = (text(&data), text(&copy), text(&restored));
    let open = [QUICK[0], ("WAXWING_REGISTRATION", "open")];
    let process = Process::start_server(STACK, &data, &[], &open).await;
    let caller = Caller::over_http(Bases::one(&process.api));
    let ada = caller.register("ada@example.com").await;
    let id = ada.instance("first").await;

    let said = done(&["--data-dir", &data_dir, "backup", &copy_dir]).await;
    assert!(said.contains("Keys are too") && !said.contains("NOT"), "{said}");
    assert_eq!(mode(&copy), 0o700);
    for name in ["wrapping.key", "table.db", "queues.db"] {
        assert_eq!(mode(&copy.join(name)), 0o600, "{name}");
    }
    caller.register("late@example.com").await;
    let again = refused(&["--data-dir", &data_dir, "backup", &copy_dir], &[]).await;
    assert!(again.contains("is not empty"), "{again}");
    let in_use = refused(&["--data-dir", &data_dir, "restore", &copy_dir], &[]).await;
    assert!(in_use.contains("another Waxwing works on"), "{in_use}");
    process.stop().await;
    let not_empty = refused(&["--data-dir", &data_dir, "restore", &copy_dir], &[]).await;
    assert!(not_empty.contains("is not empty"), "{not_empty}");

    done(&["--data-dir", &restored_dir, "restore", &copy_dir]).await;
    let (process, caller) = server(&restored).await;
    let before = ada.at(&Bases::one(&process.api));
    assert_eq!(before.get("/api/instances/first").await.data(200)["id"], id);
    let user = caller.login("ada@example.com").await;
    assert_eq!(user.get("/api/instances/first").await.data(200)["id"], id);
    let late = json!({"email": "late@example.com", "password": PASSWORD});
    let late = caller.post("/api/auth/login", late).await;
    assert_eq!(late.status, 401, "nobody knew of this user yet");
    process.stop().await;
}

#[tokio::test]
async fn a_key_that_was_elsewhere_is_asked_for_after_a_restore_and_never_made_anew() {
    let folder = tempfile::tempdir().expect("a directory");
    let [data, copy, restored, key, typo, other] =
        ["data", "copy", "restored", "key", "typo", "other"].map(|name| folder.path().join(name));
    let (key_file, typo_file, other_file) = (text(&key), text(&typo), text(&other));
    let variables = [QUICK[0], ("WAXWING_KEY_FILE", key_file.as_str())];
    let process = Process::start_server(STACK, &data, &[], &variables).await;
    process.stop().await;
    assert!(key.is_file(), "made, since there was no table");

    let said = done(&["--data-dir", &text(&data), "backup", &text(&copy)]).await;
    assert!(
        said.contains("seals messages and sessions is NOT in it"),
        "{said}"
    );
    let said = done(&["--data-dir", &text(&restored), "restore", &text(&copy)]).await;
    assert!(
        said.contains("seals messages and sessions is NOT in this backup"),
        "{said}"
    );

    let restored_dir = text(&restored);
    let start = ["--listen", "127.0.0.1:0", "--data-dir", restored_dir.as_str()];
    let said = refused(&start, &[]).await;
    assert!(said.contains(&text(&restored.join("wrapping.key"))), "{said}");
    let said = refused(&start, &[("WAXWING_KEY_FILE", typo_file.as_str())]).await;
    assert!(said.contains(&typo_file), "{said}");
    std::fs::write(&other, [7; 32]).expect("written");
    let said = refused(&start, &[("WAXWING_KEY_FILE", other_file.as_str())]).await;
    assert!(said.contains("is not the one"), "{said}");
    assert!(!restored.join("wrapping.key").exists() && !typo.exists());

    let process = Process::start_server(STACK, &restored, &[], &variables).await;
    process.stop().await;
}

#[tokio::test]
async fn a_server_leaves_the_local_stacks_folder_as_it_is() {
    let data = tempfile::tempdir().expect("a directory");
    let local = ["--sandbox-port", "0"];
    Process::start(STACK, data.path(), &local, &[]).await.stop().await;
    let data_dir = text(data.path());
    let start = ["--listen", "127.0.0.1:0", "--data-dir", data_dir.as_str()];
    // Older versions noted no network.
    for is_noted in [true, false] {
        let mark = data.path().join("network");
        if !is_noted {
            std::fs::remove_file(&mark).expect("it was noted");
        }
        let said = refused(&start, &[]).await;
        assert!(said.contains("is of the network `sandbox`"), "{said}");
        // Its table has no more shards than before.
        Process::start(STACK, data.path(), &local, &[]).await.stop().await;
        assert!(mark.is_file());
    }
}
