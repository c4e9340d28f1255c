//! Where a URL that a caller named may lead: nowhere but to the internet.
//!
//! Whoever names a URL has our machines call it. They stand in a network whose other addresses trust them, and one of
//! those addresses gives out the machine's own credentials. So an address is checked when it is connected to, since a name
//! may lead anywhere, and elsewhere the next time. This module says which addresses and URLs are fine; whoever connects
//! asks it for each address that a name leads to, and for each redirect. [`client`] makes the HTTP clients that do so.

pub mod client;
mod resolver;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest URL, in bytes.
pub const MAX_URL: usize = 2_048;

/// Why a URL is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    /// It is none.
    #[error("must be a whole URL, such as https://example.com/cat.jpg")]
    Malformed,
    /// The place of its host is empty.
    #[error("must name a host, as https://example.com/cat.jpg does")]
    NoHost,
    /// It is too long.
    #[error("must have at most {MAX_URL} bytes")]
    TooLong,
    /// Its scheme is another.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// Its port is one of another protocol.
    #[error("must have the port 80, 443, or one above 1023")]
    Port,
    /// Its host is an address of a private network, or one for special use.
    #[error("must lead to an address of the internet")]
    Address,
}

/// Where our machines may connect to on a caller's behalf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether addresses of private networks are fine as well, this machine's own among them.
    pub private: bool,
    /// Whether this machine's own are, and no other of them.
    pub loopback: bool,
}

impl Reach {
    /// The internet alone.
    pub const INTERNET: Self = Self {
        private: false,
        loopback: false,
    };
    /// The internet and this machine.
    pub const LOOPBACK: Self = Self {
        private: false,
        loopback: true,
    };
    /// Every address.
    pub const PRIVATE: Self = Self {
        private: true,
        loopback: true,
    };

    /// Whether this machine's own addresses may be connected to: then the deployment is one for tests, or a private one.
    pub const fn is_local(self) -> bool {
        self.private || self.loopback
    }

    /// A URL, as far as its text tells. Odd spellings of an address are read as browsers read them.
    pub fn url(self, text: &str) -> Result<Url, RefusedUrl> {
        let url = parse(text)?;
        self.check(&url)?;
        Ok(url)
    }

    /// Whether a URL may be called, as far as its text tells: the addresses of a name are asked for by
    /// [`Self::address`].
    pub fn check(self, url: &Url) -> Result<(), RefusedUrl> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RefusedUrl::Scheme);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !matches!(port, 80 | 443 | 1_024..) {
            return Err(RefusedUrl::Port);
        }
        let is_fine = match url.host() {
            Some(Host::Ipv4(address)) => self.address(address.into()),
            Some(Host::Ipv6(address)) => self.address(address.into()),
            Some(Host::Domain(name)) => !name.is_empty() && (self.is_local() || !is_this_machine(name)),
            None => return Err(RefusedUrl::Malformed),
        };
        if is_fine { Ok(()) } else { Err(RefusedUrl::Address) }
    }

    /// Whether this address may be connected to.
    pub fn address(self, address: IpAddr) -> bool {
        self.private || is_public(address) || self.is_local() && address.to_canonical().is_loopback()
    }
}

/// Reads a URL of http or https, wherever it leads.
pub fn parse(text: &str) -> Result<Url, RefusedUrl> {
    if text.len() > MAX_URL {
        return Err(RefusedUrl::TooLong);
    }
    let parsed = Url::parse(text);
    let is_of_another_scheme = |url: &Url| !matches!(url.scheme(), "http" | "https");
    if parsed.as_ref().is_ok_and(is_of_another_scheme) {
        return Err(RefusedUrl::Scheme);
    }
    if has_no_host(text) {
        return Err(RefusedUrl::NoHost);
    }
    parsed.map_err(|_| RefusedUrl::Malformed)
}

/// Whether the place of the host is empty, as in `https:///hook`. Browsers take what follows for the host; but whoever names such
/// a URL has forgotten it.
fn has_no_host(text: &str) -> bool {
    let Some((scheme, rest)) = text.trim_start().split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    // A colon may follow a host that is empty, or a user's name that is.
    let is_empty = authority.is_empty() || (authority.starts_with(':') && !authority.contains('@'));
    is_empty && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether a name means the machine itself wherever it is looked up (RFC 6761, 6.3).
fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether an address is one of the internet's, by IANA's registries of special addresses (RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            // Carriers' own networks (RFC 6598).
            | (100, 64..=127, _)
            // Link-local: clouds give out credentials there.
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // An IPv4 address in another spelling, or one that a translator (RFC 6052) or a relay of 6to4 (RFC 3056) connects to.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // Protocols' own, Teredo among them; documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // All addresses that are given out lie here.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERNET: Reach = Reach::INTERNET;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            let address: IpAddr = text.parse().expect("an address");
            assert!(!INTERNET.address(address), "{text}");
            assert!(Reach::PRIVATE.address(address), "{text}");
        }
        for text in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2001:4860:4860::8888",
            "2002:101:101::1",
            "2606:4700::1111",
        ] {
            let address: IpAddr = text.parse().expect("an address");
            assert!(INTERNET.address(address), "{text}");
        }
    }

    #[test]
    fn this_machine_may_be_fine_without_its_neighbours() {
        for text in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "1.1.1.1"] {
            assert!(
                Reach::LOOPBACK.address(text.parse().expect("an address")),
                "{text}"
            );
        }
        for text in [
            "0.0.0.0",
            "10.0.0.1",
            "169.254.169.254",
            "::",
            "::ffff:10.0.0.1",
            "fe80::1",
        ] {
            assert!(
                !Reach::LOOPBACK.address(text.parse().expect("an address")),
                "{text}"
            );
        }
    }

    #[test]
    fn odd_spellings_of_an_address_are_that_address() {
        for host in [
            "127.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "127.1",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[0:0:0:0:0:ffff:a00:1]",
            "\u{ff11}27.0.0.1",
            "127.0.0.1.",
            "169.254.169.254",
        ] {
            let text = format!("http://{host}/latest/meta-data/");
            assert_eq!(INTERNET.url(&text), Err(RefusedUrl::Address), "{text}");
        }
        let url = INTERNET
            .url("https://user:word@1.1.1.1:8443/x")
            .expect("the internet's");
        assert_eq!(url.port(), Some(8443));
    }

    #[test]
    fn other_urls_are_refused_by_their_rule() {
        for (text, refused) in [
            ("file:///etc/passwd", RefusedUrl::Scheme),
            ("ftp://example.com/x", RefusedUrl::Scheme),
            ("data:text/plain,x", RefusedUrl::Scheme),
            ("cat.jpg", RefusedUrl::Malformed),
            ("//example.com/cat.jpg", RefusedUrl::Malformed),
            ("http://", RefusedUrl::NoHost),
            ("https:///cat.jpg", RefusedUrl::NoHost),
            (" https://:443/cat.jpg", RefusedUrl::NoHost),
            ("https://?cat.jpg", RefusedUrl::NoHost),
            ("example.com/?from=https:///cat.jpg", RefusedUrl::Malformed),
            ("http://example.com:99999/", RefusedUrl::Malformed),
            ("http://example.com:22/", RefusedUrl::Port),
            ("https://example.com:25/", RefusedUrl::Port),
        ] {
            assert_eq!(INTERNET.url(text), Err(refused), "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        assert_eq!(INTERNET.url(&long), Err(RefusedUrl::TooLong));
    }

    #[test]
    fn what_a_url_says_stays_as_it_is() {
        for (text, called) in [
            ("https://example.com/a b.jpg", "https://example.com/a%20b.jpg"),
            (
                "https://example.com/a%20b%2Bc?d=%2B+e",
                "https://example.com/a%20b%2Bc?d=%2B+e",
            ),
        ] {
            assert_eq!(INTERNET.url(text).expect("fine").as_str(), called);
        }
    }
}
