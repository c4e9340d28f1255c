//! Looks names up, and answers only addresses that may be connected to.

use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Reach, RefusedUrl};

/// What names lead to.
#[async_trait]
pub trait Lookup: Debug + Send + Sync {
    /// The addresses of a name; an error, or none, where it has none.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// A resolver, less what is out of reach. It is asked for each connection, which goes to one of the addresses that it
/// answers. An address that a URL names itself is not asked for here: that is checked with the URL.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) reach: Reach,
    pub(super) lookup: Arc<dyn Lookup>,
}

/// A name that has addresses, and none that may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct RefusedName(RefusedUrl);

/// A name that has no addresses, or of which nobody knows them now.
#[derive(Debug, thiserror::Error)]
#[error("the name leads nowhere")]
struct Unnamed(#[source] Option<io::Error>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, lookup) = (self.reach, Arc::clone(&self.lookup));
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await;
            let found = found.map_err(|error| Unnamed(Some(error)))?;
            if found.is_empty() {
                return Err(Box::new(Unnamed(None)) as _);
            }
            let fine: Vec<_> = found
                .into_iter()
                .filter(|address| reach.address(*address))
                .collect();
            if fine.is_empty() {
                return Err(Box::new(RefusedName(RefusedUrl::Address)) as _);
            }
            // The port is the URL's, whatever is said here.
            let fine = fine.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(fine) as Addrs)
        })
    }
}

/// Why a name was refused, where that is the cause of an error.
pub(super) fn refused_name(error: &(dyn Error + 'static)) -> Option<RefusedUrl> {
    let refused = causes(error).find_map(|cause| cause.downcast_ref());
    refused.map(|RefusedName(refused)| *refused)
}

/// Whether a name that leads nowhere is the cause of an error.
pub(super) fn is_unnamed(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<Unnamed>)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that leads to these addresses.
    #[derive(Debug)]
    struct Leads(Vec<IpAddr>);

    #[async_trait]
    impl Lookup for Leads {
        async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    /// The addresses that are answered; else why the name was refused, and whether it leads nowhere.
    async fn resolved(addresses: &[&str]) -> Result<Vec<String>, (Option<RefusedUrl>, bool)> {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address"));
        let guarded = Guarded {
            reach: Reach::INTERNET,
            lookup: Arc::new(Leads(addresses.collect())),
        };
        match guarded.resolve("example.com".parse().expect("a name")).await {
            Ok(found) => Ok(found.map(|address| address.ip().to_string()).collect()),
            Err(error) => Err((refused_name(error.as_ref()), is_unnamed(error.as_ref()))),
        }
    }

    #[tokio::test]
    async fn a_name_leads_only_to_addresses_that_may_be_connected_to() {
        let mixed = resolved(&["10.0.0.1", "1.1.1.1", "::ffff:127.0.0.1"]).await;
        assert_eq!(mixed, Ok(vec!["1.1.1.1".to_owned()]));
        for refused in ["127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254", "::1"] {
            let address = Err((Some(RefusedUrl::Address), false));
            assert_eq!(resolved(&[refused]).await, address, "{refused}");
        }
        assert_eq!(
            resolved(&[]).await,
            Err((None, true)),
            "a name without any is not refused"
        );
    }
}
