//! JSON Web Tokens: signed by this node, or checked against somebody's public keys. The only module that
//! names the library.
//!
//! A signature is believed only if its algorithm is one of [`Algorithm`], the caller allows it, the key is of
//! the kind that the algorithm needs, and the key itself claims no other algorithm or use. There is no symmetric
//! algorithm and no `none`. Keys come from the caller alone: `jwk`, `jku` and `x5u` of a token's head are never
//! looked at, and a head with `crit` is refused (RFC 7515 section 4.1.11). Claims are read only after the
//! signature held; times, issuer and audience are [`Claims::check`]'s, with the caller's clock.
//!
//! Sources: RFC 7515, 7517, 7518, 7519, 8037, 8725.

use jsonwebtoken::{
    self as library, DecodingKey, EncodingKey, Header, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use keys::Zeroizing;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 << 10;
/// The largest key set, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 256 << 10;
/// The most keys of a set that are looked at.
pub const MAX_KEYS: usize = 100;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

/// What an access token or an identity token may be signed with.
pub const FOR_TOKENS: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Ps256,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];
/// What a client may sign its assertion with (SMART App Launch, "asymmetric client authentication").
pub const FOR_CLIENTS: &[Algorithm] = &[Algorithm::Rs384, Algorithm::Es384];

/// Why a token was not believed. It names no part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// See [`MAX_TOKEN_BYTES`].
    #[error("the token is too long")]
    TooLong,
    /// Not a signed JSON Web Token.
    #[error("the token is malformed")]
    Malformed,
    /// An algorithm that is not allowed, or not for this key.
    #[error("the token is signed in a way that is not allowed")]
    Algorithm,
    /// No key with its id.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// It does not verify.
    #[error("the token's signature is wrong")]
    Signature,
    /// Another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// Another audience.
    #[error("the token is meant for somebody else")]
    Audience,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before its `nbf`.
    #[error("the token is not good yet")]
    Early,
}

impl Algorithm {
    fn of(algorithm: library::Algorithm) -> Option<Self> {
        use library::Algorithm as Of;
        match algorithm {
            Of::RS256 => Some(Self::Rs256),
            Of::RS384 => Some(Self::Rs384),
            Of::PS256 => Some(Self::Ps256),
            Of::ES256 => Some(Self::Es256),
            Of::ES384 => Some(Self::Es384),
            Of::EdDSA => Some(Self::EdDsa),
            _ => None,
        }
    }

    const fn library(self) -> library::Algorithm {
        use library::Algorithm as To;
        match self {
            Self::Rs256 => To::RS256,
            Self::Rs384 => To::RS384,
            Self::Ps256 => To::PS256,
            Self::Es256 => To::ES256,
            Self::Es384 => To::ES384,
            Self::EdDsa => To::EdDSA,
        }
    }

    /// As in a head's `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What a token says of itself before anything of it is believed: for choosing keys, nothing else.
#[derive(Debug, Clone)]
pub struct Unverified {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `kid`.
    pub key_id: Option<String>,
}

/// Whether a text has the form of a signed token: three parts. Opaque tokens have no dots.
pub fn looks_like_one(token: &str) -> bool {
    token.bytes().filter(|b| *b == b'.').count() == 2
}

/// Reads what chooses the keys.
///
/// # Errors
/// [`Refused::TooLong`], [`Refused::Malformed`], [`Refused::Algorithm`].
pub fn peek(token: &str) -> Result<Unverified, Refused> {
    #[derive(Deserialize)]
    struct Peeked {
        iss: Option<String>,
        sub: Option<String>,
    }
    let head = head(token)?;
    let claims: Peeked =
        library::dangerous::insecure_decode_claims(token).map_err(|_| Refused::Malformed)?;
    Ok(Unverified {
        issuer: claims.iss,
        subject: claims.sub,
        key_id: head.kid,
    })
}

fn head(token: &str) -> Result<Header, Refused> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refused::TooLong);
    }
    if !looks_like_one(token) {
        return Err(Refused::Malformed);
    }
    // An algorithm that the library does not know, `none` among them, does not decode.
    let head = library::decode_header(token).map_err(|_| Refused::Malformed)?;
    if head.crit.is_some() || head.zip.is_some() || head.enc.is_some() {
        return Err(Refused::Malformed);
    }
    Ok(head)
}

/// Somebody's public keys.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<Jwk>);

/// Bytes that are no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON Web Key Set with a public key that may sign tokens")]
pub struct NoKeySet;

impl KeySet {
    /// Reads a JSON Web Key Set. Keys that cannot check a signature of ours are left out.
    ///
    /// # Errors
    /// [`NoKeySet`], also when none is left.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoKeySet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        if bytes.len() > MAX_KEY_SET_BYTES {
            return Err(NoKeySet);
        }
        let set: Set = serde_json::from_slice(bytes).map_err(|_| NoKeySet)?;
        let keys: Vec<Jwk> = set
            .keys
            .into_iter()
            .take(MAX_KEYS)
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .filter(|key| !algorithms(key).is_empty())
            .collect();
        if keys.is_empty() {
            return Err(NoKeySet);
        }
        Ok(Self(keys))
    }

    /// Whether a key has this id.
    pub fn has(&self, key_id: &str) -> bool {
        self.0
            .iter()
            .any(|key| key.common.key_id.as_deref() == Some(key_id))
    }

    /// Checks a token's signature with one of `allowed`; gives its claims and its `typ`.
    ///
    /// # Errors
    /// [`Refused`], of the signature. What the claims say is not looked at.
    pub fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        allowed: &[Algorithm],
    ) -> Result<Verified<T>, Refused> {
        let head = head(token)?;
        let algorithm = Algorithm::of(head.alg)
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or(Refused::Algorithm)?;
        let key = self.key(head.kid.as_deref(), algorithm)?;
        let key = DecodingKey::from_jwk(key).map_err(|_| Refused::UnknownKey)?;
        let mut validation = Validation::new(algorithm.library());
        // The claims are checked with our own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let data = library::decode::<T>(token, &key, &validation).map_err(|error| {
            use library::errors::ErrorKind;
            match error.kind() {
                ErrorKind::InvalidSignature => Refused::Signature,
                ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refused::Algorithm,
                _ => Refused::Malformed,
            }
        })?;
        Ok(Verified {
            kind: data.header.typ,
            claims: data.claims,
        })
    }

    /// The key of this id; without an id, the only one that fits the algorithm.
    fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&Jwk, Refused> {
        let fits = |key: &&Jwk| algorithms(key).contains(&algorithm);
        let Some(id) = id else {
            let mut fitting = self.0.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(Refused::UnknownKey),
            };
        };
        if !self.has(id) {
            return Err(Refused::UnknownKey);
        }
        self.0
            .iter()
            .filter(|key| key.common.key_id.as_deref() == Some(id))
            .find(fits)
            .ok_or(Refused::Algorithm)
    }
}

/// What a key may check.
fn algorithms(key: &Jwk) -> Vec<Algorithm> {
    let by_kind: &[Algorithm] = match &key.algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Ps256],
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => &[Algorithm::Es256],
            EllipticCurve::P384 => &[Algorithm::Es384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
            EllipticCurve::Ed25519 => &[Algorithm::EdDsa],
            _ => &[],
        },
        _ => &[],
    };
    let for_signing = matches!(
        key.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    by_kind
        .iter()
        .copied()
        .filter(|_| for_signing)
        .filter(|a| {
            key.common
                .key_algorithm
                .is_none_or(|own| own == KeyAlgorithm::from(a.library()))
        })
        .collect()
}

/// A token whose signature held.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    /// `typ`.
    pub kind: Option<String>,
    /// What it claims.
    pub claims: T,
}

/// The registered claims, and all others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is about.
    #[serde(default)]
    pub sub: String,
    /// Whom it is for.
    pub aud: OneOrMany,
    /// From then on it is no longer good, in seconds since 1970.
    pub exp: u64,
    /// Before then it is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The others.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// Whether it is among them.
    pub fn has(&self, text: &str) -> bool {
        match self {
            Self::One(one) => one == text,
            Self::Many(many) => many.iter().any(|one| one == text),
        }
    }
}

impl Claims {
    /// Issuer, audience and times; clocks may differ by `skew_s`.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check(
        &self,
        issuer: &str,
        audiences: &[&str],
        now_ms: u64,
        skew_s: u64,
    ) -> Result<(), Refused> {
        if self.iss != issuer {
            return Err(Refused::Issuer);
        }
        if !audiences.iter().any(|audience| self.aud.has(audience)) {
            return Err(Refused::Audience);
        }
        let now_s = now_ms / 1000;
        if self.exp.saturating_add(skew_s) <= now_s {
            return Err(Refused::Expired);
        }
        if self
            .nbf
            .is_some_and(|nbf| nbf > now_s.saturating_add(skew_s))
        {
            return Err(Refused::Early);
        }
        Ok(())
    }
}

/// The key with which this node signs tokens: ES256.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    public: Value,
    id: String,
    set: KeySet,
}

/// Bytes that are no signing key, or a claim that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key that signs tokens is damaged")]
pub struct BadSigner;

impl Signer {
    /// A fresh key in PKCS #8, for [`Self::new`].
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn fresh() -> Result<Zeroizing<Vec<u8>>, BadSigner> {
        keys::p256_generate().map_err(|_| BadSigner)
    }

    /// The signer with this P-256 key in PKCS #8.
    ///
    /// # Errors
    /// [`BadSigner`].
    pub fn new(pkcs8: &[u8]) -> Result<Self, BadSigner> {
        let key = EncodingKey::from_ec_der(pkcs8);
        let mut jwk =
            Jwk::from_encoding_key(&key, library::Algorithm::ES256).map_err(|_| BadSigner)?;
        let id = jwk
            .thumbprint(library::jwk::ThumbprintHash::SHA256)
            .map_err(|_| BadSigner)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public = serde_json::to_value(&jwk).map_err(|_| BadSigner)?;
        let set = KeySet(vec![jwk]);
        let signer = Self {
            key,
            public,
            id,
            set,
        };
        // The library looks at the key no earlier.
        signer.sign("JWT", &Map::new())?;
        Ok(signer)
    }

    /// Its public key as a JSON Web Key Set.
    pub fn key_set(&self) -> Value {
        serde_json::json!({ "keys": [self.public] })
    }

    /// The same, to check with.
    pub fn keys(&self) -> &KeySet {
        &self.set
    }

    /// Signs claims.
    ///
    /// # Errors
    /// [`BadSigner`].
    pub fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String, BadSigner> {
        let mut head = Header::new(library::Algorithm::ES256);
        head.typ = Some(kind.to_owned());
        head.kid = Some(self.id.clone());
        library::encode(&head, claims, &self.key).map_err(|_| BadSigner)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}
