use futures::executor::block_on;
use store_fjall::{Config, FjallStore};

use crate::rows::small;

fn check(config: &Config) {
    let folder = tempfile::tempdir().unwrap();
    block_on(store::conformance::run(async || {
        FjallStore::open(folder.path(), config).unwrap()
    }));
}

#[test]
fn conforms() {
    check(&Config::default());
}

#[test]
fn conforms_while_flushing_and_compacting() {
    check(&small());
}
