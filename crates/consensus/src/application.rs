//! What the engine replicates: the seam between agreement and the thing agreed upon.
//!
//! The engine orders blocks and keeps them; an [`Application`] makes, judges and applies them.
//! The ledger is one; [`NullApplication`](crate::null::NullApplication) does next to nothing, so
//! that a benchmark can tell the engine's cost from the ledger's.

use std::sync::Arc;

use bytes::Bytes;
use commonware_consensus::marshal::ancestry::{Ancestry, BoxedAncestry};
use commonware_consensus::simplex::types::Context;
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::{Digested, Digestible, sha256};
use futures::future::BoxFuture;

use crate::block::Block;
use crate::certificates::Scheme;
use crate::rows::RowError;

/// A block's ancestry, newest first: for a proposal from its parent on, for a verification from
/// the block itself on.
pub type Ancestors = BoxedAncestry<Block>;

/// Something replicated by the engine. Futures may be dropped at any await.
pub trait Application: Send + Sync + 'static {
    /// The block at height zero.
    fn genesis(&self) -> Arc<Block>;

    /// The height of the last block applied durably.
    fn applied_height(&self) -> u64;

    /// The validators of an epoch; none while they are not known.
    fn validators(&self, epoch: u64) -> Option<Vec<keys::PublicKey>>;

    /// A block on top of the newest ancestor. May wait, and is dropped when the view ends; none
    /// gives the view up at once.
    fn propose(&self, ancestors: Ancestors) -> BoxFuture<'_, Option<Block>>;

    /// Whether the newest ancestor is a valid child of the next. Waits for as long as the answer
    /// may change: `false` means never.
    fn verify(&self, ancestors: Ancestors) -> BoxFuture<'_, bool>;

    /// Applies the next finalised block durably; a block applied before is ignored.
    ///
    /// # Errors
    /// When it could not be made durable: the node stops.
    fn finalise(
        &self,
        block: Digested<Block>,
        certificate: Option<Bytes>,
    ) -> BoxFuture<'_, Result<(), Halt>>;

    /// Keeps a certificate that arrived after its block was applied.
    ///
    /// # Errors
    /// When it could not be made durable: the node stops.
    fn certified(&self, height: u64, certificate: Bytes) -> BoxFuture<'_, Result<(), Halt>>;

    /// Told once when the engine stops for good.
    fn halted(&self, why: &Halt);

    /// Whether the node is being stopped on purpose: whatever ends now ends because of that.
    fn is_stopping(&self) -> bool {
        false
    }
}

/// Why a node stopped taking part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// The store did not take a finalised block.
    #[error("the store did not take finalised block {height}: {source}")]
    Store {
        /// The block's height.
        height: u64,
        /// What the store said.
        source: store::Error,
    },
    /// A finalised block does not follow from what is stored.
    #[error("finalised block {height} contradicts the stored ledger: {what}")]
    Contradiction {
        /// The block's height.
        height: u64,
        /// What does not fit.
        what: String,
    },
    /// Stored rows could not be read, or are not what they must be.
    #[error("the stored ledger could not be read")]
    Unreadable(#[source] RowError),
    /// The genesis cannot start a network, or the store holds another one.
    #[error("the genesis does not fit: {0}")]
    Genesis(String),
    /// The engine or its network ended.
    #[error("the engine stopped: {0}")]
    Engine(&'static str),
    /// The runtime was asked to stop.
    #[error("the node was shut down")]
    Shutdown,
}

/// An [`Application`] in the shape the engine's wrapper asks for.
#[derive(Clone)]
pub(crate) struct Adapter(pub(crate) Arc<dyn Application>);

impl<E: Send + 'static> commonware_consensus::Application<E> for Adapter {
    type SigningScheme = Scheme;
    type Context = Context<sha256::Digest, PublicKey>;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        _context: (E, Self::Context),
        ancestry: impl Ancestry<Block>,
        _input: (),
    ) -> Option<Digested<Block>> {
        let block = self.0.propose(BoxedAncestry::new(ancestry)).await?;
        let digest = block.digest();
        Some(Digested::precomputed(block, digest))
    }

    async fn verify(
        &mut self,
        _context: (E, Self::Context),
        ancestry: impl Ancestry<Block>,
    ) -> bool {
        self.0.verify(BoxedAncestry::new(ancestry)).await
    }
}
