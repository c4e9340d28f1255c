//! Who reaches the server, and which parts of it: it has no TLS of its own, and its metrics are for whoever runs it.

use std::net::{IpAddr, SocketAddr};

use shared::config::Base;

/// How a server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// Whether it listens to this machine alone.
    is_on_loopback: bool,
    /// Whether a proxy before it tells who asks.
    has_proxy: bool,
    called: Called,
}

/// Where callers reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Called {
    /// At an address that is this machine's alone.
    Here,
    /// From elsewhere, over TLS.
    OverTls,
    /// From elsewhere, without TLS.
    Plainly,
}

impl Called {
    fn by(url: &str) -> Self {
        if is_of_this_machine(url) {
            Self::Here
        } else if url.starts_with("http://") {
            Self::Plainly
        } else {
            Self::OverTls
        }
    }
}

impl Exposure {
    /// That of a server with these settings that listens here.
    pub fn of(listens: SocketAddr, base: &Base) -> Self {
        Self {
            is_on_loopback: is_loopback(listens.ip()),
            has_proxy: base.trusted_proxies > 0,
            called: Called::by(base.public_url.as_deref().unwrap_or_default()),
        }
    }

    /// Whether nobody but this machine's users reaches `/metrics`. What a proxy has passed on is refused there, by the header that the
    /// proxy adds. One that is not trusted may add none. So where callers come from elsewhere, a proxy must be trusted.
    pub fn keeps_metrics(self) -> bool {
        self.is_on_loopback && (self.has_proxy || self.called == Called::Here)
    }

    /// What whoever runs it should know.
    pub fn warnings(self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if !self.is_on_loopback && !self.has_proxy {
            warnings.push(
                "this server listens to other machines without TLS, and no proxy is trusted: passwords and keys can be read on their way. \
                 Put a proxy with TLS before it, listen on 127.0.0.1, and say --trusted-proxies 1",
            );
        }
        if self.called == Called::Plainly {
            warnings.push(
                "the public URL is http:// of another host than this machine: passwords and keys can be read on their way. Put a proxy \
                 with TLS before this server, and say its https:// in --public-url",
            );
        }
        warnings
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a URL leads to this machine wherever it is opened.
fn is_of_this_machine(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return is_loopback(address.ip());
    }
    let bare = authority.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return is_loopback(address);
    }
    let host = authority.split(':').next().unwrap_or_default();
    host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use shared::config::Wrapping;
    use shared::domain::network::Network;

    use super::*;

    fn exposure(listens: &str, trusted_proxies: usize, public_url: &str) -> Exposure {
        let usual = stack::usual(Network::Live, 1, Vec::new(), Wrapping::File("f".into()));
        let mut base = usual.base;
        base.trusted_proxies = trusted_proxies;
        base.public_url = Some(public_url.to_owned());
        Exposure::of(listens.parse().expect("an address"), &base)
    }

    /// Whether the metrics are served without being asked for, and how many warnings there are.
    fn told(listens: &str, trusted_proxies: usize, public_url: &str) -> (bool, usize) {
        let exposure = exposure(listens, trusted_proxies, public_url);
        (exposure.keeps_metrics(), exposure.warnings().len())
    }

    #[test]
    fn a_server_of_this_machine_or_behind_a_trusted_proxy_is_as_it_should_be() {
        assert_eq!(told("127.0.0.1:3000", 0, "http://127.0.0.1:3000"), (true, 0));
        assert_eq!(told("[::1]:3000", 0, "http://[::1]:3000"), (true, 0));
        assert_eq!(told("127.0.0.1:3000", 0, "http://localhost:3000"), (true, 0));
        assert_eq!(told("127.0.0.1:3000", 1, "https://a.example"), (true, 0));
    }

    #[test]
    fn behind_a_proxy_that_nobody_trusts_the_metrics_are_not_served() {
        assert_eq!(told("127.0.0.1:3000", 0, "https://a.example"), (false, 0));
    }

    #[test]
    fn what_listens_to_other_machines_warns_unless_a_proxy_is_trusted() {
        for listens in ["0.0.0.0:3000", "[::]:3000", "192.0.2.7:3000"] {
            assert_eq!(told(listens, 0, "https://a.example"), (false, 1), "{listens}");
            assert_eq!(told(listens, 1, "https://a.example"), (false, 0), "{listens}");
        }
        let warnings = exposure("0.0.0.0:3000", 0, "https://a.example").warnings();
        assert!(warnings[0].contains("listens to other machines"), "{warnings:?}");
    }

    #[test]
    fn a_public_url_without_tls_warns_unless_it_is_this_machine() {
        for url in [
            "http://a.example",
            "http://192.0.2.7:3000",
            "http://localhost.example",
        ] {
            assert_eq!(told("127.0.0.1:3000", 1, url), (true, 1), "{url}");
        }
        assert_eq!(told("0.0.0.0:3000", 0, "http://a.example"), (false, 2));
        let warnings = exposure("127.0.0.1:3000", 1, "http://a.example").warnings();
        assert!(warnings[0].contains("the public URL is http://"), "{warnings:?}");
    }
}
