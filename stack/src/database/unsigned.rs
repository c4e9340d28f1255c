//! Requests to the engine carry no signature. They stay in this process, and the engine looks at none. A signature is
//! some sixteenth of the processors' time of a message.

use aws_sdk_dynamodb::config::auth::{Params, ResolveAuthScheme};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::{
    AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, AuthSchemeOption, AuthSchemeOptionsFuture, Sign,
};
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityCacheLocation, IdentityFuture, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{GetIdentityResolver, RuntimeComponents};
use aws_smithy_types::config_bag::ConfigBag;

/// The SDK's name of it. Of a scheme with this name it asks nothing of the endpoint.
const SCHEME: AuthSchemeId = AuthSchemeId::new("noAuth");

/// The way to authenticate that adds nothing to a request, and the choice of it for every request.
#[derive(Debug)]
pub struct Unsigned {
    nobody: SharedIdentityResolver,
}

impl Default for Unsigned {
    fn default() -> Self {
        Self {
            nobody: SharedIdentityResolver::new(Nobody),
        }
    }
}

impl ResolveAuthScheme for Unsigned {
    fn resolve_auth_scheme<'a>(
        &'a self,
        _: &'a Params,
        _: &'a ConfigBag,
        _: &'a RuntimeComponents,
    ) -> AuthSchemeOptionsFuture<'a> {
        AuthSchemeOptionsFuture::ready(Ok(vec![AuthSchemeOption::from(SCHEME)]))
    }
}

impl AuthScheme for Unsigned {
    fn scheme_id(&self) -> AuthSchemeId {
        SCHEME
    }

    fn identity_resolver(&self, _: &dyn GetIdentityResolver) -> Option<SharedIdentityResolver> {
        Some(self.nobody.clone())
    }

    fn signer(&self) -> &dyn Sign {
        self
    }
}

impl Sign for Unsigned {
    fn sign_http_request(
        &self,
        _: &mut HttpRequest,
        _: &Identity,
        _: AuthSchemeEndpointConfig<'_>,
        _: &RuntimeComponents,
        _: &ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Who asks, which nobody wants to know.
#[derive(Debug)]
struct Nobody;

impl ResolveIdentity for Nobody {
    fn resolve_identity<'a>(&'a self, _: &'a RuntimeComponents, _: &'a ConfigBag) -> IdentityFuture<'a> {
        IdentityFuture::ready(Ok(Identity::new((), None)))
    }

    fn cache_location(&self) -> IdentityCacheLocation {
        // There is nothing to remember.
        IdentityCacheLocation::IdentityResolver
    }
}
