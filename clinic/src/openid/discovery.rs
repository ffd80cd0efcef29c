//! What the provider says of itself (OpenID Connect Discovery, RFC 8414, SMART App Launch).

use serde_json::{Value, json};

use super::clients::{Auth, Strength};
use super::{Provider, Rules};

impl Rules {
    /// The address of one of the provider's paths.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

impl Provider {
    /// The document of `/.well-known/openid-configuration`.
    pub fn discovery(&self) -> Value {
        let url = |path: &str| self.rules.url(path);
        let acr: Vec<_> = Strength::ALL.iter().map(|strength| self.rules.acr(*strength)).collect();
        let methods: Vec<_> = Auth::ALL.iter().map(|method| method.as_str()).collect();
        let proving: Vec<_> = methods.iter().copied().filter(|method| *method != "none").collect();
        let signing = ["ES256", "ES384", "RS256", "RS384"];
        json!({
            "issuer": self.rules.issuer,
            "authorization_endpoint": url("/openid/authorize"),
            "token_endpoint": url("/openid/token"),
            "userinfo_endpoint": url("/openid/userinfo"),
            "jwks_uri": url("/openid/jwks"),
            "end_session_endpoint": url("/openid/end"),
            "introspection_endpoint": url("/openid/introspect"),
            "revocation_endpoint": url("/openid/revoke"),
            "backchannel_authentication_endpoint": url("/openid/ciba"),
            "scopes_supported": ["openid", "profile", "fhirUser", "launch"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "urn:openid:params:grant-type:ciba"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": signing,
            "introspection_endpoint_auth_methods_supported": proving,
            "introspection_endpoint_auth_signing_alg_values_supported": signing,
            "revocation_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_signing_alg_values_supported": signing,
            "acr_values_supported": acr,
            "prompt_values_supported": ["none", "login", "select_account"],
            "ui_locales_supported": ["en", "ru"],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
                "fhirUser", "preferred_username"],
            "claims_parameter_supported": false,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "authorization_response_iss_parameter_supported": true,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "backchannel_token_delivery_modes_supported": ["ping", "poll"],
            "backchannel_user_code_parameter_supported": false,
            "capabilities": ["launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric",
                "client-confidential-asymmetric", "context-ehr-patient", "context-ehr-encounter", "sso-openid-connect"],
        })
    }
}
