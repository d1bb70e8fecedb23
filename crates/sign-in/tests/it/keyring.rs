//! Keys of strangers, and tokens signed with them.

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

/// A key pair: its private half for the library, and its public half as a JSON Web Key.
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) private: EncodingKey,
    pub(crate) public: Value,
    pub(crate) id: String,
}

impl Key {
    fn new(id: &str, algorithm: Algorithm, private: EncodingKey) -> Self {
        let jwk = Jwk::from_encoding_key(&private, algorithm).unwrap();
        let mut public = serde_json::to_value(jwk).unwrap();
        public["kid"] = json!(id);
        Self {
            algorithm,
            private,
            public,
            id: id.to_owned(),
        }
    }

    pub(crate) fn es256(id: &str) -> Self {
        let der = keys::p256_generate().unwrap();
        Self::new(id, Algorithm::ES256, EncodingKey::from_ec_der(&der))
    }

    pub(crate) fn es384(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        Self::new(id, Algorithm::ES384, EncodingKey::from_ec_der(der.as_ref()))
    }

    pub(crate) fn eddsa(id: &str) -> Self {
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        Self::new(id, Algorithm::EdDSA, EncodingKey::from_ed_der(der.as_ref()))
    }

    pub(crate) fn rsa(id: &str, algorithm: Algorithm) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = pair.as_der().unwrap();
        // The library takes the PKCS #1 key inside the PKCS #8 one.
        let inner = &der.as_ref()[26..];
        Self::new(id, algorithm, EncodingKey::from_rsa_der(inner))
    }

    pub(crate) fn head(&self) -> Header {
        let mut head = Header::new(self.algorithm);
        head.kid = Some(self.id.clone());
        head
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        encode(&self.head(), claims, &self.private).unwrap()
    }
}

/// A key set's bytes.
pub(crate) fn set(keys: &[&Key]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| &key.public).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}
