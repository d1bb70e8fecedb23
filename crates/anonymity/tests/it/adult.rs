//! The Adult data, whose figures by ARX are known: five-anonymity of eight quasi-identifiers, at most 5 % left out.

use crate::naive;
use anonymity::{
    Background, Config, Distance, Hierarchy, Model, Recoding, Table, adult, anonymise,
    granularity_of,
};
use std::sync::LazyLock;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = zstd::decode_all(adult::RECORDS_ZST).expect("zstd");
    String::from_utf8(text).expect("UTF-8")
});

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut builder = Table::builder();
    for (column, hierarchy) in adult::HIERARCHIES {
        builder = match column {
            adult::SENSITIVE => builder.sensitive(column),
            _ => builder.quasi(column, Hierarchy::parse(hierarchy).expect("a hierarchy")),
        };
    }
    builder.push_delimited(&TEXT, ';').expect("the records");
    builder.build().expect("a table")
});

fn config(recoding: Recoding) -> Config<'static> {
    Config {
        recoding,
        suppression: 0.05,
        ..Config::k_anonymity(5)
    }
}

/// What ARX chose, by its own weighing of suppression: its levels give the figures that it reports.
#[test]
fn the_measure_is_that_of_arx() {
    let levels = [0, 3, 0, 0, 1, 1, 1, 2];
    let quasi: Vec<_> = TABLE.quasi().zip(levels).collect();
    let key = |row: usize| -> Vec<&str> {
        let each = quasi.iter();
        each.map(|((c, h), level)| h.text(*level, c.codes()[row]))
            .collect()
    };
    let mut groups = std::collections::BTreeMap::<_, u64>::new();
    for row in 0..TABLE.rows() {
        *groups.entry(key(row)).or_default() += 1;
    }
    groups.retain(|_, rows| *rows >= 5);
    let released: u64 = groups.values().sum();
    assert_eq!(TABLE.rows() as u64 - released, 1_458);
    let names: Vec<_> = TABLE.quasi().map(|(c, _)| c.name()).collect();
    let mut text = names.join(";") + "\n";
    for (key, rows) in &groups {
        for _ in 0..*rows {
            text.push_str(&key.join(";"));
            text.push('\n');
        }
    }
    let granularity = granularity_of(&TABLE, &text, ';').expect("its texts");
    assert!((granularity - 0.700).abs() < 0.000_5, "{granularity}");
    let average = groups.len() as f64 / released as f64;
    assert!((average - 0.0139).abs() < 0.000_05, "{average}");
}

#[test]
fn more_is_left_than_by_arx_at_no_greater_risk() {
    let check = |config: Config<'_>, granularity: f64, average: f64, suppressed: u64| {
        let made = anonymise(&TABLE, &config).expect("reachable");
        let risk = made.classes().risk(Background::None, 0.2).prosecutor;
        assert!(made.granularity() > granularity, "{}", made.granularity());
        assert!(risk.average <= average && risk.highest <= 0.2, "{risk:?}");
        assert!(made.suppressed() <= suppressed, "{}", made.suppressed());
        assert!(naive::holds(
            &Model::KAnonymity { k: 5 },
            &TABLE,
            None,
            &naive::groups(&TABLE, &made)
        ));
    };
    check(config(Recoding::Global), 0.700, 0.0139, 1_458);
    let local = Config {
        suppression: 0.0,
        average_risk: Some(0.0275),
        ..config(Recoding::Local)
    };
    check(local, 0.814, 0.0275, 0);
}

#[test]
fn diversity_and_closeness_hold_of_many_records() {
    let column = || adult::SENSITIVE.to_owned();
    let models = [
        Model::EntropyDiversity {
            column: column(),
            l: 1.5,
        },
        Model::Closeness {
            column: column(),
            t: 0.15,
            distance: Distance::Equal,
        },
    ];
    for recoding in [Recoding::Global, Recoding::Local] {
        for model in &models {
            let config = Config {
                models: vec![Model::KAnonymity { k: 5 }, model.clone()],
                ..config(recoding)
            };
            let made = anonymise(&TABLE, &config).expect("reachable");
            let groups = naive::groups(&TABLE, &made);
            assert!(naive::holds(model, &TABLE, None, &groups), "{model:?}");
            assert!(made.suppressed() <= 1_508);
        }
    }
}
