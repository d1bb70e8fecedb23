//! From bytes to an answer, whatever the bytes.

#![expect(clippy::expect_used, reason = "tests")]

mod damaged;
mod lists;

use answer::{Answer, Options};
use diagnosis::{CaseCounts, Model, Weights};
use ontology::{Ontology, Shipped};
use serde_json::Value;
use std::sync::LazyLock;

static ONTOLOGY: LazyLock<Ontology> = LazyLock::new(|| {
    Ontology::from_sources(&Shipped::unpack().sources()).expect("the shipped originals")
});

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let weights = Weights::shipped().expect("the shipped weights");
    Model::new(&ONTOLOGY, weights, &CaseCounts::default())
});

const LIMIT: usize = 7;

/// The answer to a case of any form, as JSON, after what must hold of every answer; `None` where the
/// case is refused in a sentence.
fn answered(source: &[u8]) -> Option<Value> {
    let case = match findings::read(source, &ONTOLOGY) {
        Ok(case) => case,
        Err(error) => {
            let text = error.to_string();
            assert!(
                !text.contains('\n') && (20..600).contains(&text.len()),
                "{text}"
            );
            return None;
        }
    };
    let options = Options {
        limit: LIMIT,
        genes: true,
        aside: &[],
    };
    let answer = match Answer::new(&ONTOLOGY, &MODEL, &case, &options) {
        Ok(answer) => answer,
        Err(refused) => {
            assert!(refused.to_string().contains(':'), "what to do is said");
            return None;
        }
    };
    sane(&answer);
    Some(serde_json::to_value(&answer).expect("JSON"))
}

fn sane(answer: &Answer) {
    let share = |p: f64| (0.0..=1.0).contains(&p);
    let understood = &answer.understood;
    let shown: f64 = answer.candidates.iter().map(|c| c.probability).sum();
    assert!(answer.candidates.len() <= LIMIT && share(answer.others));
    assert!((shown + answer.others - 1.0).abs() < 1e-9, "{shown}");
    assert_eq!(
        answer.candidates.is_empty(),
        understood.observed.is_empty(),
        "something seen, something suggested"
    );
    for pair in answer.candidates.windows(2) {
        assert!(pair[0].probability >= pair[1].probability);
    }
    for candidate in &answer.candidates {
        let why = &candidate.evidence;
        assert!(share(candidate.probability));
        let weighed = why.supporting.len() + why.opposing.len();
        assert!(weighed >= understood.observed.len());
        assert!(weighed <= understood.observed.len() + understood.excluded.len());
        let weights = why.supporting.iter().chain(&why.opposing);
        let mut weights = weights.map(|evidence| evidence.log_likelihood_ratio);
        assert!(weights.all(f32::is_finite) && why.missing.len() <= diagnosis::MAX_MISSING);
    }
    for way in ["examine", "ask", "test"] {
        assert!(answer.next.iter().filter(|next| next.way == way).count() <= 6);
    }
    for next in &answer.next {
        assert!(share(next.gain_bits) && share(next.probability));
    }
    let panel: f64 = answer.genes.iter().map(|gene| gene.probability).sum();
    assert!(answer.genes.len() <= 50 && panel <= 1.0 + 1e-9);
    let best = answer.candidates.first().map_or(0.0, |c| c.probability);
    assert_eq!(
        answer.abstained.is_some(),
        best < diagnosis::Abstained::UNDER
    );
}

/// The same numbers for the same seed, anywhere (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a length");
        usize::try_from(self.roll() % end).expect("below a length")
    }

    fn one_of<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}
