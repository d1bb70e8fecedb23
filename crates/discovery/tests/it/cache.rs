//! When an answer is given again.

use codec::{Digest, InstitutionId, Millis, StudyId};
use discovery::{CacheKey, CachedAnswer, Drawn, EPOCH_MS, Epsilon, researcher};

fn key(query: u8, study: u8, who: &str, at: u64) -> CacheKey {
    CacheKey::new(
        Digest::new([query; 32]),
        StudyId::new([study; 16]),
        researcher(&InstitutionId::new([9; 16]), who),
        Millis::new(at),
    )
}

#[test]
fn the_same_question_of_the_same_researcher_on_the_same_day() {
    let first = key(1, 1, "dr-x", 10 * EPOCH_MS);
    assert_eq!(first, key(1, 1, "dr-x", 11 * EPOCH_MS - 1));
    assert_eq!(first.ends(), Millis::new(11 * EPOCH_MS));
    for other in [
        key(2, 1, "dr-x", 10 * EPOCH_MS),
        key(1, 2, "dr-x", 10 * EPOCH_MS),
        key(1, 1, "dr-y", 10 * EPOCH_MS),
        key(1, 1, "dr-x", 11 * EPOCH_MS),
        key(1, 1, "dr-x", 10 * EPOCH_MS - 1),
    ] {
        assert_ne!(first, other);
    }
}

#[test]
fn rows_keep_what_was_drawn() {
    let answer = CachedAnswer {
        drawn: Drawn {
            noisy: -3,
            epsilon: Epsilon::from_micro(500_000),
        },
        at: Millis::new(5),
    };
    let bytes = codec::to_vec(&answer);
    assert_eq!(codec::hex::encode(&bytes), "a201a20122021a0007a1200205");
    assert_eq!(codec::from_slice::<CachedAnswer>(&bytes), Ok(answer));
    assert_eq!(answer.cost().to_string(), "0.5");
    let key = key(1, 2, "dr-x", 20_000 * EPOCH_MS);
    assert_eq!(codec::from_slice::<CacheKey>(&codec::to_vec(&key)), Ok(key));
}
