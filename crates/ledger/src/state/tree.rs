//! The Jellyfish Merkle tree in memory: nodes of the finalised version, batches of newer ones.
//!
//! Values live beside the tree (their hashes are in its leaves). A node is named by its version
//! and path, so nodes of different speculative blocks never meet: a block's reader sees only its
//! own ancestors. Hashes cover no versions, so a tree rebuilt from rows has the same root.

use codec::Digest;
use jmt::storage::{LeafNode, Node, NodeBatch, NodeKey, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, SimpleHasher, Version};
use std::collections::{BTreeMap, HashMap};

/// SHA-256 from `keys` for `jmt`, which hashes mostly 77 and 80 bytes in pieces: those are gathered
/// and hashed at once, which spares a streaming state for each node.
pub(super) struct Hasher {
    short: [u8; 96],
    len: usize,
    long: Option<keys::Sha256Hasher>,
}

impl SimpleHasher for Hasher {
    fn new() -> Self {
        Self {
            short: [0; 96],
            len: 0,
            long: None,
        }
    }

    fn update(&mut self, data: &[u8]) {
        if let Some(long) = &mut self.long {
            long.update(data);
            return;
        }
        let end = self.len + data.len();
        if let Some(rest) = self.short.get_mut(self.len..end) {
            rest.copy_from_slice(data);
            self.len = end;
        } else {
            let mut long = keys::Sha256Hasher::new();
            long.update(&self.short[..self.len]);
            long.update(data);
            self.long = Some(long);
        }
    }

    fn finalize(self) -> [u8; 32] {
        match self.long {
            Some(long) => long.finalize(),
            None => keys::sha256(&[&self.short[..self.len]]).into_bytes(),
        }
    }
}

/// Nodes that are reachable from the finalised root, in borsh: `jmt` gives every inner node room for 16
/// children, and most have three or four.
#[derive(Clone, Default)]
pub(super) struct Nodes(HashMap<NodeKey, Box<[u8]>>);

impl Nodes {
    pub(super) fn get(&self, key: &NodeKey) -> Option<Node> {
        // INVARIANT: each was encoded by `fold`.
        borsh::from_slice(self.0.get(key)?).ok()
    }

    /// Makes a newer version the finalised one: what it replaced is gone.
    pub(super) fn fold(&mut self, update: Update) {
        for (key, node) in update.nodes {
            #[expect(clippy::expect_used, reason = "writing to memory")]
            let bytes = borsh::to_vec(&node).expect("a node is encoded in memory");
            self.0.insert(key, bytes.into_boxed_slice());
        }
        for key in &update.stale {
            self.0.remove(key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What a block changes in the tree.
#[derive(Clone)]
pub(super) struct Update {
    pub(super) version: Version,
    pub(super) root: Digest,
    /// New nodes.
    pub(super) nodes: BTreeMap<NodeKey, Node>,
    /// Nodes of ancestors that the new version no longer reaches.
    pub(super) stale: Vec<NodeKey>,
}

/// Reads nodes for `jmt`: any source of nodes by key.
pub(super) struct Reader<F>(pub(super) F);

impl<F: Fn(&NodeKey) -> Option<Node>> TreeReader for Reader<F> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok((self.0)(key))
    }

    fn get_value_option(&self, _: Version, _: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        // Values live beside the tree; `jmt` asks only to hand them back.
        Ok(Some(OwnedValue::new()))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("no restoration")
    }
}

/// The tree after writing `puts` and removing `removals`, which exist, in version `version`.
///
/// Removals take a second version, because `jmt` writes in bulk but removes one by one.
pub(super) fn update(
    nodes: &impl Fn(&NodeKey) -> Option<Node>,
    (version, root): (Option<Version>, Digest),
    puts: Vec<(Digest, Vec<u8>)>,
    removals: Vec<Digest>,
) -> anyhow::Result<Update> {
    let mut update = Update {
        version: version.unwrap_or_default(),
        root,
        nodes: BTreeMap::new(),
        stale: Vec::new(),
    };
    let mut next = version.map_or(0, |version| version + 1);
    if !puts.is_empty() {
        let puts = puts
            .into_iter()
            .map(|(key, value)| (KeyHash(key.into_bytes()), value))
            .collect();
        let reader = Reader(nodes);
        let tree = JellyfishMerkleTree::<_, Hasher>::new(&reader);
        let (roots, batch) = tree.batch_put_value_sets(vec![puts], None, next)?;
        update.absorb(next, &roots, batch.node_batch, batch.stale_node_index_batch);
        next += 1;
    }
    if !removals.is_empty() {
        let removals = removals
            .into_iter()
            .map(|key| (KeyHash(key.into_bytes()), None));
        let written = std::mem::take(&mut update.nodes);
        let reader = Reader(|key: &NodeKey| written.get(key).cloned().or_else(|| nodes(key)));
        let tree = JellyfishMerkleTree::<_, Hasher>::new(&reader);
        let (root, batch) = tree.put_value_set(removals, next)?;
        update.nodes = written;
        update.absorb(
            next,
            &[root],
            batch.node_batch,
            batch.stale_node_index_batch,
        );
    }
    Ok(update)
}

/// `jmt`'s proof of a key, in borsh, the only form it shows.
pub(super) fn path(
    reader: &impl TreeReader,
    key: Digest,
    version: Version,
) -> anyhow::Result<Vec<u8>> {
    let tree = JellyfishMerkleTree::<_, Hasher>::new(reader);
    let (_, proof) = tree.get_with_proof(KeyHash(key.into_bytes()), version)?;
    Ok(borsh::to_vec(&proof)?)
}

impl Update {
    fn absorb(
        &mut self,
        version: Version,
        roots: &[jmt::RootHash],
        batch: NodeBatch,
        stale: jmt::storage::StaleNodeIndexBatch,
    ) {
        self.version = version;
        if let Some(root) = roots.last() {
            self.root = Digest::new(root.0);
        }
        for index in stale {
            // A node written by this very update never reaches the finalised tree.
            if self.nodes.remove(&index.node_key).is_none() {
                self.stale.push(index.node_key);
            }
        }
        let nodes = batch.nodes().iter();
        self.nodes
            .extend(nodes.map(|(key, node)| (key.clone(), node.clone())));
    }
}
