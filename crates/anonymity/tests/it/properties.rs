//! Laws, on tables made up at random.

use crate::{grouped, naive};
use anonymity::{
    Background, Classes, Config, Distance, Hierarchy, Model, Recoding, Refusal, Table, anonymise,
    granularity_of,
};
use proptest::prelude::*;
use std::sync::Arc;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
struct Case {
    rows: Vec<(Vec<usize>, usize)>,
    people: Vec<Vec<usize>>,
    models: Vec<Model>,
    suppression: f64,
    average_risk: Option<f64>,
}

fn hierarchies() -> Vec<Arc<Hierarchy>> {
    let made = [grouped(8, &[2, 4]), grouped(5, &[3]), grouped(2, &[])];
    made.into_iter().map(Arc::new).collect()
}

fn table(rows: &[(Vec<usize>, usize)], hierarchies: &[Arc<Hierarchy>]) -> Table {
    let mut builder = Table::builder();
    for (name, hierarchy) in NAMES.iter().zip(hierarchies) {
        builder = builder.quasi(*name, Arc::clone(hierarchy));
    }
    let mut builder = builder.sensitive("s");
    for (leaves, value) in rows {
        let mut row: Vec<String> = leaves.iter().map(|leaf| format!("v{leaf}")).collect();
        row.push(value.to_string());
        builder.push(&row).expect("a row");
    }
    builder.build().expect("a table")
}

fn leaves() -> impl Strategy<Value = Vec<usize>> {
    // Some values are frequent, so that classes differ in size.
    (
        prop_oneof![Just(0_usize), 0..8_usize],
        0..5_usize,
        0..2_usize,
    )
        .prop_map(|(a, b, c)| vec![a, b, c])
}

fn model() -> impl Strategy<Value = Model> {
    let column = || "s".to_owned();
    let distance = prop_oneof![Just(Distance::Equal), Just(Distance::Numeric)];
    prop_oneof![
        (1..6_u32).prop_map(|k| Model::KAnonymity { k }),
        (1..12_u32).prop_map(|k| Model::KMap { k }),
        (0.1..1.0_f64).prop_map(|most| Model::Presence { most }),
        (1..4_u32).prop_map(move |l| Model::DistinctDiversity {
            column: column(),
            l
        }),
        (1.0..3.0_f64).prop_map(move |l| Model::EntropyDiversity {
            column: column(),
            l
        }),
        (0.5..3.0_f64, 1..4_u32).prop_map(move |(c, l)| Model::RecursiveDiversity {
            column: column(),
            c,
            l
        }),
        (0.05..0.6_f64, distance).prop_map(move |(t, distance)| Model::Closeness {
            column: column(),
            t,
            distance
        }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec((leaves(), 0..4_usize), 1..60),
        prop::collection::vec(leaves(), 0..60),
        prop::collection::vec(model(), 1..4),
        prop_oneof![Just(0.0), 0.0..0.4_f64],
        prop::option::of(0.05..0.6_f64),
    )
        .prop_map(|(rows, people, models, suppression, average_risk)| Case {
            rows,
            people,
            models,
            suppression,
            average_risk,
        })
}

/// The best granularity of one level for each column, by trying all; `None` where none is allowed.
fn best_by_trying(case: &Case, table: &Table, people: &Table) -> Option<f64> {
    let hierarchies: Vec<_> = table.quasi().map(|(_, h)| Arc::clone(h)).collect();
    let allowed = case.suppression * table.rows() as f64;
    let mut best: Option<f64> = None;
    let levels: Vec<usize> = hierarchies.iter().map(|h| h.levels()).collect();
    for node in 0..levels.iter().product::<usize>() {
        let mut left = node;
        let of: Vec<usize> = levels
            .iter()
            .map(|levels| {
                let level = left % levels;
                left /= levels;
                level
            })
            .collect();
        let mut groups = naive::Groups::new();
        for row in 0..table.rows() {
            let quasi = table.quasi().zip(&of);
            let key = quasi.map(|((c, h), level)| h.text(*level, c.codes()[row]).to_owned());
            groups.entry(key.collect()).or_default().push(row);
        }
        groups.retain(|key, rows| {
            let holds = |model| naive::holds_of(model, table, Some(people), key, rows);
            case.models.iter().all(holds)
        });
        let kept: usize = groups.values().map(Vec::len).sum();
        let risk = groups.len() as f64 <= case.average_risk.unwrap_or(1.0) * kept as f64;
        if (table.rows() - kept) as f64 > allowed || !risk {
            continue;
        }
        let mut text = "a;b;c\n".to_owned();
        for (key, rows) in &groups {
            text.push_str(&format!("{}\n", key.join(";")).repeat(rows.len()));
        }
        let granularity = granularity_of(table, &text, ';').expect("texts of the hierarchies");
        best = Some(best.map_or(granularity, |best| best.max(granularity)));
    }
    best
}

fn check(case: &Case) {
    let hierarchies = hierarchies();
    let table = table(&case.rows, &hierarchies);
    // The population has everybody who is in the table.
    let own = case.rows.iter().map(|(leaves, _)| leaves);
    let people: Vec<_> = own
        .chain(&case.people)
        .map(|leaves| (leaves.clone(), 0))
        .collect();
    let people = self::table(&people, &hierarchies);
    let config = |recoding| Config {
        models: case.models.clone(),
        recoding,
        suppression: case.suppression,
        average_risk: case.average_risk,
        population: Some(&people),
        ..Config::k_anonymity(1)
    };
    let best = best_by_trying(case, &table, &people);
    let mut so_far = 0.0;
    for recoding in [Recoding::Global, Recoding::Local] {
        let config = config(recoding);
        let presence = |model: &Model| matches!(model, Model::Presence { .. });
        if recoding == Recoding::Local && case.models.iter().any(presence) {
            let refusal = anonymise(&table, &config).err();
            assert_eq!(refusal, Some(Refusal::PresenceLocally));
            continue;
        }
        let made = match anonymise(&table, &config) {
            Ok(made) => made,
            Err(refusal) => {
                assert!(
                    matches!(
                        refusal,
                        Refusal::TooFew { .. } | Refusal::Unreachable { .. }
                    ),
                    "{refusal}"
                );
                assert_eq!(best, None, "{recoding:?} is refused: {refusal}");
                continue;
            }
        };
        let groups = naive::groups(&table, &made);
        for model in &case.models {
            assert!(
                naive::holds(model, &table, Some(&people), &groups),
                "{model:?} does not hold of {groups:?}"
            );
        }
        assert!(made.suppressed() as f64 <= case.suppression * table.rows() as f64);
        let kept: usize = groups.values().map(Vec::len).sum();
        assert_eq!(made.suppressed(), (table.rows() - kept) as u64);
        assert_eq!(made.classes().sizes().len(), groups.len());
        if let Some(most) = case.average_risk {
            let risk = made.classes().risk(Background::None, 0.2);
            assert!(risk.prosecutor.average <= most + 1e-12);
        }
        let text = made.to_delimited(';');
        let read = granularity_of(&table, &text, ';').expect("own texts");
        assert!((read - made.granularity()).abs() < 1e-7);
        if recoding == Recoding::Global {
            let best = best.expect("not refused");
            assert!(made.proven());
            assert!(
                (made.granularity() - best).abs() < 1e-7,
                "{} is not {best}",
                made.granularity()
            );
            so_far = made.granularity();
        }
        assert!(made.granularity() >= so_far, "local is worse than global");
        let again = anonymise(&table, &config).expect("as before");
        assert_eq!(again.to_delimited(';'), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_released_meets_what_was_asked(case in case()) {
        check(&case);
    }

    #[test]
    fn generalising_further_never_lowers_k(
        rows in prop::collection::vec((leaves(), 0..4_usize), 1..60),
        low in (0..4_usize, 0..3_usize, 0..2_usize),
        up in (0..4_usize, 0..3_usize, 0..2_usize),
    ) {
        let hierarchies = hierarchies();
        let table = table(&rows, &hierarchies);
        let k = |levels: [usize; 3]| {
            let mut builder = Table::builder();
            for name in NAMES {
                builder = builder.insensitive(name);
            }
            for row in 0..table.rows() {
                let of = table.quasi().zip(levels);
                let row: Vec<&str> = of
                    .map(|((c, h), level)| h.text(level.min(h.levels() - 1), c.codes()[row]))
                    .collect();
                builder.push(&row).expect("a row");
            }
            let made = builder.build().expect("a table");
            Classes::of(&made, &NAMES).expect("columns").k()
        };
        let lower = [low.0, low.1, low.2];
        let upper = [low.0 + up.0, low.1 + up.1, low.2 + up.2];
        prop_assert!(k(lower) <= k(upper));
    }
}
