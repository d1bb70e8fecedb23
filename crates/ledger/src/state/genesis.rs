//! The state and header of block 0.

use super::leaf::{InstitutionLeaf, KeyLeaf, ValidatorHistory};
use super::tree::Value;
use super::{Agenda, Roster, State, StateKey};
use crate::entry::KeyId;
use crate::genesis::{Genesis, GenesisError};
use crate::header::Header;
use codec::Digest;
use std::collections::BTreeMap;

impl State {
    /// The state after block 0, and its header. Block 0 has no entries; its header is the log's
    /// first leaf.
    ///
    /// # Errors
    /// A genesis that cannot start a network.
    pub fn genesis(genesis: &Genesis) -> Result<(Self, Header), GenesisError> {
        genesis.check()?;
        let network = genesis.network_id();
        let values = values(genesis);
        let state = Self::from_values(network, 0, genesis.time_ms, &values)
            .map_err(|_| GenesisError::State)?;
        let header = Header {
            network,
            height: 0,
            parent: Digest::new([0; 32]),
            time_ms: genesis.time_ms,
            entries_root: keys::merkle::empty_root(),
            log_size: 0,
            log_root: keys::merkle::empty_root(),
            state_root: state.view().tip().state_root,
            // INVARIANT: an epoch has at least two blocks, so block 0 is never an epoch's last.
            next_validators: None,
        };
        Ok((state, header))
    }
}

fn values(genesis: &Genesis) -> BTreeMap<StateKey, Value> {
    let mut values = BTreeMap::new();
    let mut put = |key, value: Vec<u8>| values.insert(key, Value::from(value));
    put(StateKey::Parameters, codec::to_vec(&genesis.parameters));
    let history = ValidatorHistory {
        since: BTreeMap::from([(0, genesis.validators.clone())]),
    };
    put(StateKey::Validators, codec::to_vec(&history));
    let members = genesis.institutions.iter().map(|i| (i.id, i.kind));
    let roster = Roster {
        members: members.collect(),
    };
    put(StateKey::Roster, codec::to_vec(&roster));
    put(StateKey::Agenda, codec::to_vec(&Agenda::default()));
    for institution in &genesis.institutions {
        let key = KeyLeaf {
            institution: institution.id,
            key: institution.signing,
            since: 0,
            until: None,
        };
        let id = KeyId::of(&institution.signing);
        put(StateKey::InstitutionKey(id), codec::to_vec(&key));
        let leaf = InstitutionLeaf {
            institution: institution.clone(),
            since: 0,
            retired: None,
        };
        put(StateKey::Institution(institution.id), codec::to_vec(&leaf));
    }
    values
}
