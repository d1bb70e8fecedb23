//! Every context string of the system, in one place.
//!
//! A hash, HMAC, signature, key derivation or sealed byte string is made under exactly one domain,
//! so that bytes made for one use are never accepted for another. A tag never changes meaning; a
//! new meaning gets a new tag.

macro_rules! domains {
    ($( $(#[$meta:meta])* $name:ident = $tag:literal ),* $(,)?) => {
        /// What a digest, MAC, signature, derived key or ciphertext is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Domain {
            $( $(#[$meta])* $name, )*
        }

        impl Domain {
            /// Every domain.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The context string, `ithaca/v1/<name>`.
            pub const fn tag(self) -> &'static [u8] {
                match self {
                    $( Self::$name => concat!("ithaca/v1/", $tag).as_bytes(), )*
                }
            }
        }
    };
}

domains! {
    // Ledger.
    /// Digest of a genesis: the network id.
    NetworkId = "network-id",
    /// Digest of an entry's meaning: the entry id.
    EntryId = "entry-id",
    /// External authenticated data of an entry's signature.
    EntrySignature = "entry-signature",
    /// Controller slot's signature over the opening of a subject.
    SlotSignature = "slot-signature",
    /// Second institution's signature over a recovery.
    RecoverySignature = "recovery-signature",
    /// Founder's signature over a genesis.
    GenesisSignature = "genesis-signature",
    /// Digest of a public key: its key id.
    KeyId = "key-id",
    /// Digest of a header: the block id.
    Header = "header",
    /// Digest over the entries of a block.
    EntriesRoot = "entries-root",
    /// Digest of a validator set.
    ValidatorSet = "validator-set",
    /// Digest of a governance proposal.
    Proposal = "proposal",
    /// ML-DSA signature over a governance entry.
    GovernancePqSignature = "governance-pq-signature",
    /// Validator's signature by which it claims its place for an institution.
    ValidatorClaim = "validator-claim",
    /// Cosignature on a checkpoint.
    CheckpointCosignature = "checkpoint-cosignature",
    /// Consensus engine's certificate namespace.
    CertificateNamespace = "certificate-namespace",
    /// Peer-to-peer handshake namespace.
    PeerNamespace = "peer-namespace",
    /// Evidence of a misbehaving validator.
    Evidence = "evidence",

    // Authenticated state.
    /// State key of the network's parameters.
    StateParameters = "state/parameters",
    /// State key of an institution.
    StateInstitution = "state/institution",
    /// State key of an institution's key.
    StateInstitutionKey = "state/institution-key",
    /// State key of a proposal.
    StateProposal = "state/proposal",
    /// State key of a subject.
    StateSubject = "state/subject",
    /// State key of a pending recovery.
    StateRecovery = "state/recovery",
    /// State key of an entry that was seen.
    StateEntrySeen = "state/entry-seen",
    /// State key of a custodian's last disclosure period.
    StatePeriod = "state/period",
    /// State key of a validator set.
    StateValidators = "state/validators",
    /// State key of a study.
    StateStudy = "state/study",
    /// State key of a release.
    StateRelease = "state/release",
    /// State key of a device.
    StateDevice = "state/device",
    /// State key of a custodian's record batches.
    StateBatch = "state/batch",
    /// Digest of a state value.
    StateValue = "state/value",

    // Consent and records.
    /// Commitment to a complete consent state.
    ConsentState = "consent-state",
    /// Salt of a leaf of a record commitment.
    RecordSalt = "record-salt",
    /// Leaf of a record commitment.
    RecordLeaf = "record-leaf",
    /// Inner node of a record commitment.
    RecordNode = "record-node",
    /// Leaf of a record batch.
    BatchLeaf = "batch-leaf",
    /// Inner node of a record batch.
    BatchNode = "batch-node",
    /// Salted commitment of a device enrolment.
    DeviceCommitment = "device-commitment",
    /// Digest of a study's policy.
    StudyPolicy = "study-policy",
    /// Digest of a release's content.
    ReleaseContent = "release-content",
    /// Digest of a release's risk certificate.
    ReleaseCertificate = "release-certificate",

    // Disclosures.
    /// A period's number under a subject's audit key.
    DisclosurePeriod = "disclosure/period",
    /// Key of a subject in a period's map.
    DisclosureKey = "disclosure/key",
    /// Leaf of a period's map.
    DisclosureMapLeaf = "disclosure/map-leaf",
    /// Inner node of a period's map.
    DisclosureMapNode = "disclosure/map-node",
    /// Leaf of one subject's disclosures in a period.
    DisclosureLeaf = "disclosure/leaf",
    /// Inner node of one subject's disclosures in a period.
    DisclosureNode = "disclosure/node",
    /// Salts of a period.
    DisclosureSalt = "disclosure/salt",

    // Sealing at rest.
    /// Root key sealed under a passphrase.
    RootSeal = "seal/root",
    /// Anything sealed under a passphrase.
    PasswordSeal = "seal/password",
    /// Ring of table keys sealed under the root key.
    RingSeal = "seal/ring",
    /// Table key sealed under the root key.
    TableKeySeal = "seal/table-key",
    /// Key table sealed under its table key.
    KeyTableSeal = "seal/key-table",
    /// Audit key table sealed under its table key.
    AuditKeyTableSeal = "seal/audit-key-table",
    /// Node's own identity keys sealed under the root key.
    IdentitySeal = "seal/identity",
    /// Record sealed under its data key.
    RecordSeal = "seal/record",
    /// Record's data key wrapped under the compartment key.
    RecordKeyWrap = "seal/record-key",
    /// Compartment's index row.
    IndexSeal = "seal/index",
    /// Compartment's consent states.
    ConsentSeal = "seal/consent",
    /// Compartment's salts.
    SaltSeal = "seal/salt",
    /// Audit compartment's row.
    AuditSeal = "seal/audit",
    /// Outbox row.
    OutboxSeal = "seal/outbox",
    /// Visitor compartment's row.
    VisitorSeal = "seal/visitor",
    /// Posting of the cross-subject index.
    PostingSeal = "seal/posting",
    /// Row that belongs to the node and to no subject.
    NodeSeal = "seal/node",
    /// Account row.
    AccountSeal = "seal/account",
    /// Re-contact token of a subject in a study.
    RecontactSeal = "seal/recontact",
    /// Backup file.
    BackupSeal = "seal/backup",

    // Derived keys.
    /// Sub-key of the root key.
    RootKey = "key/root",
    /// Sub-key of a compartment key.
    CompartmentKey = "key/compartment",
    /// Sub-key of an audit key.
    AuditKey = "key/audit",
    /// Key of the cross-subject index.
    IndexKey = "key/index",
    /// Key of a backup.
    BackupKey = "key/backup",
    /// Ed25519 seed.
    SigningSeed = "key/signing-seed",
    /// ML-DSA seed.
    PqSigningSeed = "key/pq-signing-seed",
    /// X-Wing seed.
    HybridSeed = "key/hybrid-seed",
    /// Validator's seed.
    ValidatorSeed = "key/validator-seed",
    /// Controller slot's seed.
    SlotSeed = "key/slot-seed",
    /// Key of a study at a custodian.
    StudyKey = "key/study",
    /// Key of a study's re-contact tokens.
    RecontactKey = "key/recontact",
    /// Seed of one run of a simulation.
    SimulationSeed = "key/simulation-seed",

    // Tokens and names.
    /// Blind token of the cross-subject index.
    BlindToken = "blind-token",
    /// Pseudonym of a subject in a study.
    Pseudonym = "pseudonym",
    /// Pseudonym of a resource or other identifier in a study.
    ReleaseId = "release/id",
    /// By how many weeks a subject's dates are shifted in a study.
    DateShift = "release/date-shift",
    /// Digest of a de-identification rule file.
    ReleaseRules = "release/rules",
    /// Digest of a bearer token.
    TokenHash = "token-hash",
    /// Digest of an idempotency key.
    IdempotencyKey = "idempotency-key",
    /// Entity tag of a stored form.
    EntityTag = "entity-tag",
    /// Digest of a discovery query in its canonical form.
    DiscoveryQuery = "discovery/query",
    /// Digest of who asks discovery queries: institution and practitioner.
    DiscoveryResearcher = "discovery/researcher",
    /// Checksum of a stored value.
    StoreChecksum = "store-checksum",

    // Across institutions.
    /// Signed pointer that lets another institution ask.
    SharePointer = "share/pointer",
    /// Signed request of another institution.
    ShareRequest = "share/request",
    /// Signed answer to another institution.
    ShareAnswer = "share/answer",
    /// Leaves sealed to another institution.
    ShareSeal = "share/seal",
    /// Data package of a subject, sealed to the subject's key.
    SubjectExport = "subject-export",
    /// Signed statement of an erasure.
    ErasureStatement = "erasure-statement",
}
