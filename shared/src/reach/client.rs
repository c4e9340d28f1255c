//! HTTP clients that connect to nothing but what is within [`Reach`].
//!
//! A name is resolved for each connection, its addresses are checked, and the connection goes to one of those that were: a
//! name that leads elsewhere the next time is found out then. Redirects are not followed: whoever follows them checks each
//! URL with [`Reach::check`], as it checks the first. The environment's proxies are not used, since they would connect
//! unchecked.

use std::error::Error;
use std::sync::Arc;

use reqwest::{Certificate, Client, ClientBuilder};

use super::resolver::{self, Guarded, refused_name};
pub use super::resolver::{Lookup, System};
use super::{Reach, RefusedUrl};

/// What hosts are told of us.
pub const USER_AGENT: &str = concat!("Waxwing/", env!("CARGO_PKG_VERSION"));

/// A builder of such clients, on the system's root certificates or, where there are `roots` (PEM), on those alone. Whoever
/// goes on with it sets no resolver, no proxy and no redirects.
pub fn builder(reach: Reach, roots: Option<&str>) -> reqwest::Result<ClientBuilder> {
    builder_over(reach, roots, Arc::new(System))
}

/// The same with another resolver than the system's.
pub fn builder_over(
    reach: Reach,
    roots: Option<&str>,
    lookup: Arc<dyn Lookup>,
) -> reqwest::Result<ClientBuilder> {
    // Another part of the process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder();
    if let Some(roots) = roots {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(roots.as_bytes())?);
    }
    Ok(builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Guarded { reach, lookup })
        .user_agent(USER_AGENT))
}

/// Why a URL's name was refused, where that is the cause of an error of such a client.
pub fn refused(error: &(dyn Error + 'static)) -> Option<RefusedUrl> {
    refused_name(error)
}

/// Whether an error of such a client comes of a name that leads nowhere.
pub fn is_unnamed(error: &(dyn Error + 'static)) -> bool {
    resolver::is_unnamed(error)
}
