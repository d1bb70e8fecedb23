//! What a put and a get cost beside the store. Run with `-- --ignored --nocapture` and optimisation.

use crate::memory::MemoryStore;
use crate::world::{Rng, World, ms, new_record, one, record, run, subject};
use bytes::Bytes;
use keys::Zeroizing;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;
use store::{Batch, DumpError, Error, Order, Range, Store, Table, dump};
use vault::{Keychain, Parts, Vault};

/// Commits nothing; reads from the rows that were there.
#[derive(Clone)]
struct NullStore(MemoryStore);

impl Store for NullStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.0.get(table, key).await
    }

    async fn range(
        &self,
        table: Table,
        range: Range,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.0.range(table, range, limit, order).await
    }

    async fn commit(&self, _: Batch) -> Result<(), Error> {
        Ok(())
    }

    async fn export<W: Write + Send + 'static>(
        &self,
        sink: W,
    ) -> Result<(W, dump::Summary), DumpError> {
        self.0.export(sink).await
    }
}

#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn a_put_of_one_kilobyte() {
    let mut world = World::new(1);
    let alice = subject(1, 1);
    world.open(alice);
    world.put(alice, new_record(1, "one two three"));
    let keychain = Keychain::open(Arc::new(world.custody.clone()), crate::world::PASSPHRASE);
    let store = NullStore(world.store.clone());
    let mut settings = crate::world::settings();
    settings.outbox_max = usize::MAX;
    let vault = run(Vault::open(store, keychain.unwrap(), settings)).unwrap();
    let mut new = new_record(2, "HP:0001250 HP:0001251 HP:0001252 HP:0001253 HP:0001254");
    new.stored_form = Zeroizing::new(vec![7; 1_024]);
    for projection in &mut new.projections {
        projection.bytes = crate::world::projected(projection.category, &new.stored_form);
    }
    let put = one(alice, new);
    let mut rng = Rng::new(2);
    // As cheap as the system's generator for small requests.
    let mut state = 1_u64;
    let mut entropy = move |out: &mut [u8]| {
        for byte in out {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    };
    for round in 0..3 {
        let start = Instant::now();
        let count = 5_000_u32;
        for _ in 0..count {
            run(vault.record_put(&put, ms(3), &mut entropy)).unwrap();
        }
        println!("round {round}: put {:?}", start.elapsed() / count);
        let start = Instant::now();
        for _ in 0..count {
            run(vault.record_get(&alice, &record(1), Some(1), &Parts::All)).unwrap();
        }
        println!("round {round}: get {:?}", start.elapsed() / count);
        let start = Instant::now();
        for n in 0..count {
            let id = codec::DisclosureId::new(rng.bytes());
            let refusal = crate::world::refusal(alice, id, n.into());
            run(vault.disclosure_log(&refusal, &mut entropy)).unwrap();
        }
        println!("round {round}: disclosure {:?}", start.elapsed() / count);
    }
}
