//! Looks names up, and answers only addresses that may be connected to.

use std::error::Error;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use shared::reach::{Reach, RefusedUrl};

/// The system's resolver, less what is out of reach. An address that a URL names itself is not asked for here: that is
/// checked with the URL.
#[derive(Debug)]
pub struct Resolver(pub Reach);

/// A name that has addresses, and none that may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct RefusedName(RefusedUrl);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            // The port is the URL's, whatever is looked up here.
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let fine: Vec<_> = found
                .iter()
                .copied()
                .filter(|address| reach.address(address.ip()))
                .collect();
            if fine.is_empty() && !found.is_empty() {
                return Err(Box::new(RefusedName(RefusedUrl::Address)) as _);
            }
            Ok(Box::new(fine.into_iter()) as Addrs)
        })
    }
}

/// Why a name was refused, where that is the cause of an error.
pub fn refused_name(error: &(dyn Error + 'static)) -> Option<RefusedUrl> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(RefusedName(refused)) = error.downcast_ref() {
            return Some(*refused);
        }
        cause = error.source();
    }
    None
}
