//! What the server is configured with: the command line goes before the environment, and that before what is usual.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use shared::config::{self, Functions, JwtSecret, Mail, Realtime, Registration, Wrapping};
use shared::domain::network::Network;
use shared::mail::{InvalidSmtp, SmtpMailer};
use stack::Place;

use crate::cli::{self, Cli};

/// Shards of the network, as many as a deployment has by itself. An instance keeps its shard, so they never become fewer.
const SHARDS: u32 = 4;

/// Reads the environment. A key or a secret that it does not name is in the data folder, and is made at the first start.
pub fn read(cli: &Cli, place: &Place, api: SocketAddr) -> anyhow::Result<(Functions, Realtime)> {
    let secrets = match config::jwt_secrets()? {
        Some(given) => given,
        None => vec![place.jwt_secret()?],
    };
    let wrapping = config::wrapping()?.unwrap_or_else(|| place.wrapping());
    let realtime = config::realtime_over(Realtime::new(secrets.clone()))?;
    let usual = usual(secrets, wrapping);
    over(cli, api, config::functions_over(usual)?, realtime)
}

/// What holds where the environment says nothing. Who runs a server for themselves has the first account, and invites the others.
fn usual(secrets: Vec<JwtSecret>, wrapping: Wrapping) -> Functions {
    let mut usual = stack::usual(Network::Live, SHARDS, secrets, wrapping);
    usual.auth.registration = Registration::First;
    usual
}

/// Puts the command line over what the environment says, and refuses what cannot be used.
fn over(
    cli: &Cli,
    api: SocketAddr,
    mut functions: Functions,
    mut realtime: Realtime,
) -> anyhow::Result<(Functions, Realtime)> {
    if let Wrapping::Kms(_) = functions.wrapping {
        bail!("WAXWING_KMS_KEY is not for this server, which wraps data keys under a key in a file");
    }
    check_mail(&functions.users.mail)?;
    let base = &mut functions.base;
    base.public_url = Some(public_url(cli, api, base.public_url.take())?);
    if let Some(proxies) = cli.trusted_proxies {
        base.trusted_proxies = usize::from(proxies);
    }
    realtime.trusted_proxies = base.trusted_proxies;
    Ok((functions, realtime))
}

/// Where callers reach the server. One that listens to other machines cannot know.
fn public_url(cli: &Cli, api: SocketAddr, of_environment: Option<String>) -> anyhow::Result<String> {
    if let Some(url) = &cli.public_url {
        return Ok(url.clone());
    }
    match of_environment {
        Some(url) => cli::public_url(&url)
            .map_err(anyhow::Error::msg)
            .context("WAXWING_PUBLIC_URL"),
        None if api.ip().is_loopback() => Ok(format!("http://{api}")),
        None => bail!("--public-url must say where callers reach this server, for links"),
    }
}

/// Refuses settings by which no mail can be sent. Whether the mail server answers is not looked at.
fn check_mail(mail: &Mail) -> anyhow::Result<()> {
    match mail {
        Mail::Off | Mail::Folder(_) => Ok(()),
        Mail::Ses { .. } => {
            bail!("WAXWING_MAIL cannot be `ses`: this server sends by SMTP, which SES takes too")
        }
        Mail::Smtp { url, from } => match SmtpMailer::new(url.expose(), from) {
            Ok(_) => Ok(()),
            Err(wrong @ InvalidSmtp::Url) => bail!("WAXWING_MAIL {wrong}"),
            Err(wrong @ InvalidSmtp::From) => bail!("WAXWING_MAIL_FROM {wrong}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use shared::config::Secret;

    use super::*;

    const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3000);
    const EVERYWHERE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 3000);

    fn given(
        arguments: &[&str],
        api: SocketAddr,
        change: impl FnOnce(&mut Functions),
    ) -> anyhow::Result<(Functions, Realtime)> {
        let cli = Cli::parse_from([&["waxwing-server"], arguments].concat());
        let secrets = vec![JwtSecret {
            kid: "test".to_owned(),
            secret: Secret::new("a secret for tests alone, of 32 bytes or more"),
        }];
        let realtime = Realtime::new(secrets.clone());
        let mut functions = usual(secrets, Wrapping::File("f".into()));
        change(&mut functions);
        over(&cli, api, functions, realtime)
    }

    fn refused(change: impl FnOnce(&mut Functions)) -> String {
        let refusal = given(&[], HERE, change).expect_err("refused");
        format!("{refusal:#}")
    }

    fn public(arguments: &[&str], api: SocketAddr, of_environment: Option<&str>) -> String {
        let of_environment = of_environment.map(str::to_owned);
        match given(arguments, api, |functions| {
            functions.base.public_url = of_environment;
        }) {
            Ok((functions, _)) => functions.base.public_url.expect("one"),
            Err(refusal) => format!("{refusal:#}"),
        }
    }

    #[test]
    fn the_command_line_goes_before_the_environment() {
        let arguments = ["--public-url", "https://a.example", "--trusted-proxies", "1"];
        let (functions, realtime) = given(&arguments, HERE, |functions| {
            functions.base.trusted_proxies = 3;
        })
        .expect("fine");
        assert_eq!((functions.base.trusted_proxies, realtime.trusted_proxies), (1, 1));
        assert_eq!(functions.base.networks, [Network::Live]);
        assert_eq!(functions.auth.registration, Registration::First);
        let (functions, realtime) = given(&[], HERE, |functions| {
            functions.base.trusted_proxies = 3;
        })
        .expect("fine");
        assert_eq!((functions.base.trusted_proxies, realtime.trusted_proxies), (3, 3));

        let said = ["--public-url", "https://a.example"];
        assert_eq!(
            public(&said, EVERYWHERE, Some("https://b.example")),
            "https://a.example"
        );
        assert_eq!(
            public(&[], EVERYWHERE, Some("https://b.example/")),
            "https://b.example"
        );
    }

    #[test]
    fn whoever_listens_to_other_machines_says_where_links_lead() {
        assert_eq!(public(&[], HERE, None), "http://127.0.0.1:3000");
        assert_eq!(
            public(&[], EVERYWHERE, None),
            "--public-url must say where callers reach this server, for links"
        );
        assert_eq!(
            public(&[], HERE, Some("b.example")),
            "WAXWING_PUBLIC_URL: must be http:// or https:// and a host, perhaps with a port"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_refused_by_its_name() {
        let smtp = |url: &str, from: &str| Mail::Smtp {
            url: Secret::new(url),
            from: from.to_owned(),
        };
        let mail = |mail: Mail| refused(|functions| functions.users.mail = mail);
        assert_eq!(
            mail(Mail::Ses {
                from: "a@example.com".to_owned()
            }),
            "WAXWING_MAIL cannot be `ses`: this server sends by SMTP, which SES takes too"
        );
        let told = mail(smtp("http://mail.example.com", "a@example.com"));
        assert!(
            told.starts_with("WAXWING_MAIL must be smtp:// or smtps://"),
            "{told}"
        );
        let told = mail(smtp("smtps://ada:secret@mail.example.com", "nobody"));
        assert!(
            told.starts_with("WAXWING_MAIL_FROM must be") && !told.contains("secret"),
            "{told}"
        );
        let told = refused(|functions| functions.wrapping = Wrapping::Kms("alias/waxwing".to_owned()));
        assert!(
            told.starts_with("WAXWING_KMS_KEY is not for this server"),
            "{told}"
        );
        let good = smtp("smtps://ada:secret@mail.example.com", "Waxwing <a@example.com>");
        assert!(given(&[], HERE, |functions| functions.users.mail = good).is_ok());
    }
}
