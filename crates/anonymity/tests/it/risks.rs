//! Risks by hand.

use crate::{grouped, rows, two_columns};
use anonymity::{Background, Classes, Config, Model, Refusal, Table, anonymise};
use std::sync::Arc;

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} {b}");
}

#[test]
fn of_the_prosecutor() {
    let table = two_columns("a 1/b 1/b 1/c 1/c 1/c 1");
    let classes = Classes::of(&table, &["class"]).expect("the column");
    let risk = classes.risk(Background::None, 0.4);
    assert_eq!((risk.records, risk.classes, risk.uniques), (6, 3, 1));
    near(risk.prosecutor.highest, 1.0);
    near(risk.prosecutor.average, 0.5);
    // One in a class of one, two in a class of two.
    near(risk.prosecutor.above, 0.5);
    assert_eq!(risk.journalist, None);
}

#[test]
fn of_the_journalist_who_knows_the_population() {
    let hierarchy = Arc::new(grouped(4, &[2]));
    let of = |text: &str| {
        let mut builder = Table::builder().quasi("q", Arc::clone(&hierarchy));
        for row in rows(text) {
            builder.push(&row).expect("a row");
        }
        builder.build().expect("a table")
    };
    let sample = of("v0/v1/v2/v2");
    let people = of("v0/v0/v0/v0/v1/v2/v2/v3");
    let config = Config {
        models: vec![Model::KMap { k: 1 }],
        population: Some(&people),
        ..Config::k_anonymity(1)
    };
    let made = anonymise(&sample, &config).expect("as it is");
    assert_eq!(made.classes().population(), Some([4, 1, 2].as_slice()));
    let risk = made.classes().risk(Background::Population, 0.4);
    let journalist = risk.journalist.expect("a population");
    near(journalist.highest, 1.0);
    near(journalist.average, (0.25 + 1.0 + 0.5 + 0.5) / 4.0);
    near(journalist.above, 0.75);
    near(risk.population_uniques.expect("a population"), 1.0);

    let config = Config {
        models: vec![Model::KMap { k: 3 }],
        ..config
    };
    let made = anonymise(&sample, &config).expect("by pairs");
    assert_eq!(made.classes().population(), Some([5, 3].as_slice()));
}

/// One of four, one of one and one of two match; a level up two of five and one of four; at last three of nine.
#[test]
fn few_enough_of_those_who_match_are_present() {
    let hierarchy = Arc::new(grouped(4, &[2]));
    let of = |text: &str| {
        let mut builder = Table::builder().quasi("q", Arc::clone(&hierarchy));
        for row in rows(text) {
            builder.push(&row).expect("a row");
        }
        builder.build().expect("a table")
    };
    let sample = of("v0/v1/v2");
    let people = of("v0/v0/v0/v0/v1/v2/v2/v3/v3");
    let shown = |most| {
        let config = Config {
            models: vec![Model::Presence { most }],
            population: Some(&people),
            ..Config::k_anonymity(1)
        };
        anonymise(&sample, &config).map(|made| made.to_delimited(';'))
    };
    assert_eq!(shown(1.0).as_deref(), Ok("q\nv0\nv1\nv2\n"));
    assert_eq!(shown(0.4).as_deref(), Ok("q\n2x0\n2x0\n2x1\n"));
    assert_eq!(shown(0.35).as_deref(), Ok("q\n*\n*\n*\n"));
    assert_eq!(shown(0.3), Err(Refusal::Unreachable { allowed: 0 }));
}

#[test]
fn of_the_journalist_who_knows_the_share_sampled() {
    let table = two_columns("a 1/b 1/b 1");
    let classes = Classes::of(&table, &["class"]).expect("the column");
    let all = classes.risk(Background::Fraction(1.0), 0.4);
    let journalist = all.journalist.expect("a fraction");
    near(journalist.average, all.prosecutor.average);
    let tenth = classes.risk(Background::Fraction(0.1), 0.4);
    let journalist = tenth.journalist.expect("a fraction");
    // Of one: 0.1 / 0.9 ln 10; of two: (0.1 / 0.9) (1 - that).
    let one = 0.1 / 0.9 * 10.0_f64.ln();
    let two = 0.1 / 0.9 * (1.0 - one);
    near(journalist.highest, one);
    near(journalist.average, (one + 2.0 * two) / 3.0);
    near(tenth.population_uniques.expect("a fraction"), 0.1);
}
