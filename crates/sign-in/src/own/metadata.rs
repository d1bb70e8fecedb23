//! What the issuer says of itself (RFC 8414, OpenID Connect Discovery 1.0, SMART App Launch "conformance").

use crate::own::OwnIssuer;
use serde_json::{Value, json};

impl OwnIssuer {
    /// Its public keys.
    pub fn key_set(&self) -> Value {
        self.signer.key_set()
    }

    /// `/.well-known/openid-configuration`.
    pub fn openid_configuration(&self) -> Value {
        let mut all = self.endpoints();
        for (name, value) in [
            ("subject_types_supported", json!(["public"])),
            ("id_token_signing_alg_values_supported", json!(["ES256"])),
            (
                "claims_supported",
                json!([
                    "iss",
                    "sub",
                    "aud",
                    "exp",
                    "iat",
                    "auth_time",
                    "nonce",
                    "fhirUser"
                ]),
            ),
            ("request_parameter_supported", json!(false)),
            ("request_uri_parameter_supported", json!(false)),
        ] {
            all[name] = value;
        }
        all
    }

    /// `/.well-known/smart-configuration`.
    pub fn smart_configuration(&self) -> Value {
        let mut all = self.endpoints();
        all["capabilities"] = json!([
            "launch-ehr",
            "launch-standalone",
            "client-public",
            "client-confidential-symmetric",
            "client-confidential-asymmetric",
            "sso-openid-connect",
            "context-banner",
            "context-ehr-patient",
            "context-standalone-patient",
            "permission-offline",
            "permission-online",
            "permission-patient",
            "permission-user",
            "permission-v1",
            "permission-v2",
        ]);
        all
    }

    fn endpoints(&self) -> Value {
        let at = |path: &str| format!("{}/auth/{path}", self.url);
        let ways = [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "tls_client_auth",
        ];
        json!({
            "issuer": self.url,
            "jwks_uri": at("jwks"),
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "introspection_endpoint": at("introspect"),
            "revocation_endpoint": at("revoke"),
            "token_endpoint_auth_methods_supported": ways,
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "scopes_supported": [
                "openid", "fhirUser", "launch", "launch/patient", "offline_access", "online_access",
                "patient/*.cruds", "user/*.cruds", "system/*.cruds", "ithaca",
            ],
        })
    }
}
