//! Tables and numbers of the papers that defined the models.

use crate::{rows, two_columns};
use anonymity::{Classes, Config, Distance, Hierarchy, Model, Recoding, Table, anonymise};
use std::sync::Arc;

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} {b}");
}

fn classes(table: &Table) -> Classes {
    Classes::of(table, &["class"]).expect("the column")
}

/// Machanavajjhala et al.: four-anonymous inpatients, of whom those in their thirties all have cancer, and their
/// three-diverse table.
#[test]
fn diversity_of_the_inpatients() {
    let anonymous = two_columns(
        "a heart/a heart/a viral/a viral/b cancer/b heart/b viral/b viral/c cancer/c cancer/c cancer/c cancer",
    );
    let made = classes(&anonymous);
    assert_eq!(made.k(), 4);
    let diversity = made.diversity(&anonymous, "value").expect("sensitive");
    assert_eq!(diversity.map(|d| d.distinct), Some(1));

    let diverse = two_columns(
        "a heart/a viral/a cancer/a cancer/b cancer/b heart/b viral/b viral/c heart/c viral/c cancer/c cancer",
    );
    let made = classes(&diverse);
    let diversity = made.diversity(&diverse, "value").expect("sensitive");
    let diversity = diversity.expect("three classes");
    assert_eq!((made.k(), diversity.distinct), (4, 3));
    near(diversity.entropy, 2.0_f64.powf(1.5));
    // Two of four are the most frequent; one is from the third on, two from the second.
    near(
        made.recursive(&diverse, "value", 3).expect("sensitive"),
        2.0,
    );
    near(
        made.recursive(&diverse, "value", 2).expect("sensitive"),
        1.0,
    );
}

/// Li et al.: salaries from 3k to 11k in three classes; the first has the lowest three.
#[test]
fn closeness_of_the_salaries() {
    let check = |text: &str, expect: f64| {
        let table = two_columns(text);
        let made = classes(&table);
        near(
            made.closeness(&table, "value", &Distance::Numeric)
                .expect("numbers"),
            expect,
        );
    };
    check("a 3/a 4/a 5/b 6/b 11/b 8/c 7/c 9/c 10", 0.375);
    check("a 3/a 5/a 9/b 6/b 11/b 8/c 4/c 7/c 10", 1.0 / 6.0);
}

/// Li et al.: flu is a third from bronchitis, two from pulmonary embolism, and as far as can be from stomach cancer.
#[test]
fn closeness_of_the_diseases() {
    let hierarchy = Arc::new(
        Hierarchy::from_rows(&rows(
            "flu infection respiratory any/bronchitis infection respiratory any/\
             embolism vascular respiratory any/cancer stomach digestive any",
        ))
        .expect("nested"),
    );
    let check = |other: &str, expect: f64| {
        let table = two_columns(&format!("a flu/b {other}"));
        let distance = Distance::Hierarchy(Arc::clone(&hierarchy));
        let made = classes(&table).closeness(&table, "value", &distance);
        // The whole is half of each.
        near(made.expect("in the hierarchy"), expect / 2.0);
    };
    check("bronchitis", 1.0 / 3.0);
    check("embolism", 2.0 / 3.0);
    check("cancer", 1.0);
}

#[test]
fn listed_distance_is_by_the_places_of_values_that_occur() {
    let table = two_columns("a mild/a mild/b severe/b severe");
    let listed =
        |list: &[&str]| Distance::Listed(list.iter().map(|value| (*value).to_owned()).collect());
    let full = listed(&["mild", "moderate", "severe"]);
    near(
        classes(&table)
            .closeness(&table, "value", &full)
            .expect("listed"),
        0.5,
    );
    assert!(
        classes(&table)
            .closeness(&table, "value", &listed(&["mild"]))
            .is_err()
    );
}

/// By hand: sixteen codes of four digits' worth, two of each; only pairs can be told apart.
#[test]
fn granularity_by_hand() {
    let hierarchy = Hierarchy::from_rows(&rows("a ab any/b ab any/c cd any/d cd any")).expect("ok");
    let mut builder = Table::builder().quasi("q", hierarchy);
    for row in ["a", "b", "c", "c"] {
        builder.push(&[row]).expect("a row");
    }
    let table = builder.build().expect("a table");
    let global = anonymise(&table, &Config::k_anonymity(2)).expect("reachable");
    // Every cell covers two of four values: (1/2 - 1/4) of 3/4 is lost.
    near(global.granularity(), 2.0 / 3.0);
    let config = Config {
        recoding: Recoding::Local,
        ..Config::k_anonymity(2)
    };
    let local = anonymise(&table, &config).expect("reachable");
    // Only two of the four records lose that.
    near(local.granularity(), 5.0 / 6.0);
    let texts: Vec<_> = (0..4).map(|row| local.row(row).expect("kept")[0]).collect();
    assert_eq!(texts, ["ab", "ab", "c", "c"]);
}

#[test]
fn a_model_that_growing_can_break_is_held_by_the_rest_too() {
    let hierarchy = Hierarchy::from_rows(&rows("a any/b any/c any")).expect("ok");
    let mut builder = Table::builder().quasi("q", hierarchy).sensitive("s");
    for row in rows("a x/a y/b x/b y/c x/c x/c x") {
        builder.push(&row).expect("a row");
    }
    let table = builder.build().expect("a table");
    let config = Config {
        models: vec![Model::EntropyDiversity {
            column: "s".into(),
            l: 1.7,
        }],
        recoding: Recoding::Local,
        ..Config::k_anonymity(1)
    };
    let made = anonymise(&table, &config).expect("all as one have 1.82");
    let diversity = made.classes().diversity(&table, "s").expect("sensitive");
    assert!(diversity.expect("released").entropy >= 1.7);
    assert_eq!(made.suppressed(), 0);
}
