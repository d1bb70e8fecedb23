//! An institution's data folder: founding it, and opening it.
//!
//! ```text
//! data/genesis.cbor   the network: all that a verifier of receipts needs
//! data/founding.cbor  the same, signed by every founder: the record of the founding
//! data/institution    which of its institutions this is
//! data/custody/       sealed keys (the root key under the passphrase)
//! data/key-tables/    the subjects' sealed keys
//! data/store/         the key-value store
//! data/engine/        the consensus engine's journals
//! ```
//!
//! `create` founds a network of one, `create_all` one of several in one place. For a network of several
//! places, each institution runs `prepare` and hands
//! its [`Card`] over; one of them runs `found` on all cards, and each runs `adopt` on the result.

use crate::ambient::Ambient;
use codec::id::{InstitutionId, NetworkId};
use codec::record;
use keys::{HybridSecretKey, PasswordParams, PqSigningKey, PublicKey, Signature, SigningKey};
use ledger::genesis::{GenesisError, SignedGenesis};
use ledger::{Genesis, Institution, Kind, Parameters, Validators};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vault::{Custody, CustodyError, FileCustody, Identity, Keychain};

/// The files of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// What an institution is called and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// Its name, public on the ledger.
    pub name: String,
    /// What it does.
    pub kind: Kind,
}

record! {
    /// An institution's public part, to be handed to whoever founds the network.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Card {
        /// The institution and its public keys.
        1 => pub institution: Institution,
        /// Its key in the consensus engine, if it is to be a validator.
        2 => pub validator: Option<PublicKey>,
        /// By the institution's signing key over the rest: somebody holds it.
        3 => pub signature: Signature,
    }
}

/// An opened data folder: what [`crate::Node::start`] needs besides a store.
#[derive(Debug)]
pub struct Opened {
    /// The network.
    pub genesis: Genesis,
    /// This institution in it.
    pub institution: InstitutionId,
    /// The keys, unsealed in memory.
    pub keychain: Keychain,
    /// Where the rest is.
    pub layout: Layout,
}

/// Why a data folder could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum InstitutionError {
    /// The keys.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The genesis starts no network.
    #[error("the genesis starts no network")]
    Genesis(#[from] GenesisError),
    /// A file could not be read or written.
    #[error("{doing} {} failed: {kind}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// There is a network already.
    #[error("{} belongs to a network already; choose another folder", .0.display())]
    Exists(PathBuf),
    /// The file is not what its name says.
    #[error("{} is damaged or not what it should be", .0.display())]
    Malformed(PathBuf),
    /// Keys could not be made from a backup.
    #[error("the backup could not be restored: {0}")]
    Restore(String),
    /// The bytes are no application for membership.
    #[error("the application is damaged or of another kind; ask for it again")]
    Application,
    /// A card that somebody else made.
    #[error("the card of {0} is not signed by its own key; ask for it again")]
    Card(String),
}

impl Layout {
    /// The layout below a folder.
    pub fn of(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The network's genesis.
    pub fn genesis(&self) -> PathBuf {
        self.root.join("genesis.cbor")
    }

    /// The genesis with the founders' signatures.
    pub fn founding(&self) -> PathBuf {
        self.root.join("founding.cbor")
    }

    /// Below it, the sealed keys.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The institution's id.
    pub fn institution(&self) -> PathBuf {
        self.root.join("institution")
    }

    /// The key-value store.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The consensus engine's journals: the runtime's storage directory.
    pub fn engine(&self) -> PathBuf {
        self.root.join("engine")
    }
}

/// A founder of a network whose data folders are all made in one place.
#[derive(Clone, Copy)]
pub struct Founder<'a> {
    /// Its data folder.
    pub folder: &'a Path,
    /// What it is called and does.
    pub founding: &'a Founding,
    /// Whether it validates.
    pub validator: bool,
    /// Seals its keys.
    pub passphrase: &'a [u8],
}

/// A network that was founded in one place.
#[derive(Debug)]
pub struct Founded {
    /// The genesis, signed by every founder.
    pub genesis: SignedGenesis,
    /// For each founder, in the order given: its public part, and the key by which peers know its node,
    /// whether it validates or not.
    pub members: Vec<(Card, PublicKey)>,
}

/// Makes a data folder for the one institution of a new network.
///
/// # Errors
/// [`InstitutionError::Exists`] if there is one.
pub fn create(
    folder: &Path,
    founding: &Founding,
    parameters: Parameters,
    passphrase: &[u8],
    params: PasswordParams,
    ambient: &Ambient,
) -> Result<Card, InstitutionError> {
    let founder = Founder {
        folder,
        founding,
        validator: true,
        passphrase,
    };
    let founded = create_all(&[founder], parameters, params, ambient)?;
    let first = founded.members.into_iter().next();
    let (card, _) = first.ok_or(GenesisError::NoValidator)?;
    Ok(card)
}

/// Makes the data folders of all founders of a new network, under one genesis that all of them sign.
///
/// # Errors
/// [`InstitutionError::Exists`] if a folder has a network; [`InstitutionError::Genesis`].
pub fn create_all(
    founders: &[Founder<'_>],
    parameters: Parameters,
    params: PasswordParams,
    ambient: &Ambient,
) -> Result<Founded, InstitutionError> {
    let mut cards = Vec::new();
    let mut keychains = Vec::new();
    for founder in founders {
        let Founder {
            folder,
            founding,
            validator,
            passphrase,
        } = founder;
        let (keychain, card) =
            prepare_keys(folder, founding, *validator, passphrase, params, ambient)?;
        cards.push(card);
        keychains.push(keychain);
    }
    let genesis = found(&cards, parameters, ambient)?;
    let mut members = Vec::new();
    let mut signatures = BTreeMap::new();
    for (card, keychain) in cards.into_iter().zip(&keychains) {
        signatures.insert(card.institution.id, sign_genesis(&genesis, keychain));
        let seed = keychain.identity().validator_seed;
        let peer = consensus::engine::public_key(&seed).ok_or(GenesisError::State)?;
        members.push((card, peer));
    }
    let signed = signed_genesis(genesis, signatures)?;
    let bytes = codec::to_vec(&signed.genesis);
    for founder in founders {
        adopt(founder.folder, &bytes)?;
        let path = Layout::of(founder.folder).founding();
        write(founder.folder, &path, &codec::to_vec(&signed))?;
    }
    Ok(Founded {
        genesis: signed,
        members,
    })
}

/// Makes a data folder with keys, without a network yet.
///
/// # Errors
/// [`InstitutionError::Exists`] if there is one.
pub fn prepare(
    folder: &Path,
    founding: &Founding,
    validator: bool,
    passphrase: &[u8],
    params: PasswordParams,
    ambient: &Ambient,
) -> Result<Card, InstitutionError> {
    let (_, card) = prepare_keys(folder, founding, validator, passphrase, params, ambient)?;
    Ok(card)
}

pub(crate) fn prepare_keys(
    folder: &Path,
    founding: &Founding,
    validator: bool,
    passphrase: &[u8],
    params: PasswordParams,
    ambient: &Ambient,
) -> Result<(Keychain, Card), InstitutionError> {
    let layout = Layout::of(folder);
    if layout.genesis().exists() {
        return Err(InstitutionError::Exists(folder.to_owned()));
    }
    make(folder)?;
    let custody = Arc::new(FileCustody::open(layout.root())?);
    let made = keychain_create(custody, founding, validator, passphrase, params, ambient)?;
    name(&layout, &made.1.institution.id)?;
    Ok(made)
}

/// Makes a folder, if it is not there.
pub(crate) fn make(folder: &Path) -> Result<(), InstitutionError> {
    std::fs::create_dir_all(folder).map_err(|error| io("making", folder, &error))
}

/// Writes down which institution a folder is of.
pub(crate) fn name(layout: &Layout, id: &InstitutionId) -> Result<(), InstitutionError> {
    write(
        layout.root(),
        &layout.institution(),
        format!("{id}\n").as_bytes(),
    )
}

/// Makes the keys of an institution in any custody, with the card that shows their public part.
///
/// # Errors
/// [`CustodyError::Exists`] if there are keys already.
pub fn keychain_create(
    custody: Arc<dyn Custody>,
    founding: &Founding,
    validator: bool,
    passphrase: &[u8],
    params: PasswordParams,
    ambient: &Ambient,
) -> Result<(Keychain, Card), InstitutionError> {
    let mut entropy = ambient.entropy();
    let identity = Identity::generate(&mut entropy);
    let institution = Institution {
        id: InstitutionId::new(ambient.random()),
        name: founding.name.clone(),
        kind: founding.kind,
        signing: SigningKey::from_seed(identity.signing_seed.clone()).public(),
        governance: PqSigningKey::from_seed(identity.pq_signing_seed.clone()).public(),
        sealing: HybridSecretKey::from_seed(identity.hybrid_seed.clone()).public(),
    };
    let key = validator
        .then(|| consensus::engine::public_key(&identity.validator_seed))
        .flatten();
    let signing = SigningKey::from_seed(identity.signing_seed.clone());
    let card = Card {
        signature: signing.sign(&card_message(&institution, key.as_ref())),
        institution,
        validator: key,
    };
    let keychain = Keychain::create(custody, passphrase, params, identity, &mut entropy)?;
    Ok((keychain, card))
}

/// The genesis of a network of these institutions.
///
/// # Errors
/// [`InstitutionError::Card`], [`InstitutionError::Genesis`].
pub fn found(
    cards: &[Card],
    parameters: Parameters,
    ambient: &Ambient,
) -> Result<Genesis, InstitutionError> {
    let mut validators = BTreeMap::new();
    for card in cards {
        let message = card_message(&card.institution, card.validator.as_ref());
        card.institution
            .signing
            .verify(&message, &card.signature)
            .map_err(|_| InstitutionError::Card(card.institution.name.clone()))?;
        if let Some(key) = card.validator {
            validators.insert(card.institution.id, key);
        }
    }
    let mut institutions: Vec<Institution> =
        cards.iter().map(|card| card.institution.clone()).collect();
    institutions.sort_by_key(|institution| institution.id);
    let genesis = Genesis {
        institutions,
        validators: Validators::new(validators),
        parameters,
        time_ms: ambient.now_ms(),
        nonce: ambient.random(),
    };
    genesis.check()?;
    Ok(genesis)
}

/// Makes a network's genesis this folder's. It is the root of all trust: compare its network id with the
/// other founders' by another way first.
///
/// # Errors
/// [`InstitutionError::Exists`] if the folder has another one.
pub fn adopt(folder: &Path, genesis: &[u8]) -> Result<NetworkId, InstitutionError> {
    let path = Layout::of(folder).genesis();
    let id = genesis_of(&path, genesis)?.network_id();
    match std::fs::read(&path) {
        Ok(there) if there == genesis => return Ok(id),
        Ok(_) => return Err(InstitutionError::Exists(folder.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("reading", &path, &error)),
    }
    write(folder, &path, genesis)?;
    Ok(id)
}

/// Opens a data folder.
///
/// # Errors
/// [`CustodyError::WrongPassphrase`], and whatever is missing or does not fit.
pub fn open(folder: &Path, passphrase: &[u8]) -> Result<Opened, InstitutionError> {
    let layout = Layout::of(folder);
    let path = layout.genesis();
    let bytes = std::fs::read(&path).map_err(|error| io("reading", &path, &error))?;
    let genesis = genesis_of(&path, &bytes)?;
    let path = layout.institution();
    let id = std::fs::read_to_string(&path).map_err(|error| io("reading", &path, &error))?;
    let institution = id
        .trim()
        .parse()
        .map_err(|_| InstitutionError::Malformed(path))?;
    let custody = Arc::new(FileCustody::open(layout.root())?);
    let keychain = Keychain::open(custody, passphrase)?;
    Ok(Opened {
        genesis,
        institution,
        keychain,
        layout,
    })
}

/// A founder's signature under the genesis, for the record of the founding.
pub fn sign_genesis(genesis: &Genesis, keychain: &Keychain) -> Signature {
    genesis.sign(&SigningKey::from_seed(keychain.identity().signing_seed))
}

/// Puts founders' signatures under a genesis.
///
/// # Errors
/// [`GenesisError::Signature`] names who is missing.
pub fn signed_genesis(
    genesis: Genesis,
    signatures: BTreeMap<InstitutionId, Signature>,
) -> Result<SignedGenesis, GenesisError> {
    let signed = SignedGenesis {
        genesis,
        signatures,
    };
    signed.verify()?;
    Ok(signed)
}

fn card_message(institution: &Institution, validator: Option<&PublicKey>) -> [u8; 32] {
    let validator = validator.map(|key| *key.as_bytes()).unwrap_or_default();
    let digest = keys::digest(
        codec::Domain::GenesisSignature,
        &[b"card", &codec::to_vec(institution), &validator],
    );
    digest.into_bytes()
}

fn genesis_of(path: &Path, bytes: &[u8]) -> Result<Genesis, InstitutionError> {
    let genesis: Genesis =
        codec::from_slice(bytes).map_err(|_| InstitutionError::Malformed(path.to_owned()))?;
    genesis.check()?;
    Ok(genesis)
}

/// Writes a file of a folder: all of it or nothing, durable when it returns.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), InstitutionError> {
    let draft = path.with_extension("draft");
    let written = std::fs::File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| io("writing", &draft, &error))?;
    std::fs::rename(&draft, path).map_err(|error| io("renaming", &draft, &error))?;
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| io("syncing", folder, &error))
}

fn io(doing: &'static str, path: &Path, error: &std::io::Error) -> InstitutionError {
    InstitutionError::Io {
        doing,
        path: path.to_owned(),
        kind: error.kind(),
    }
}
