//! Local recoding held to an average risk, on tables large enough that sweeps are repeated and classes joined.

use crate::{grouped, naive};
use anonymity::{Background, Config, Model, Recoding, Table, anonymise};

/// Values that follow no order; the smaller the number the more often.
fn table(rows: usize, seed: u64) -> Table {
    let mut state = seed;
    let mut below = |end: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 31)) % end
    };
    let mut builder = Table::builder()
        .quasi("a", grouped(60, &[3, 15]))
        .quasi("b", grouped(40, &[4]))
        .quasi("c", grouped(25, &[5]))
        .quasi("d", grouped(2, &[]))
        .sensitive("s");
    for _ in 0..rows {
        let mut skewed = |end| {
            let most = below(end) + 1;
            below(most)
        };
        let quasi = [skewed(60), skewed(40), skewed(25), skewed(2)];
        let mut row: Vec<String> = quasi.iter().map(|leaf| format!("v{leaf}")).collect();
        row.push(skewed(9).to_string());
        builder.push(&row).expect("a row");
    }
    builder.build().expect("a table")
}

/// The models hold by their definitions, the bound is kept to and used, nothing is worse than with one level a column,
/// and the same input gives the same output.
fn check(table: &Table, models: Vec<Model>, average_risk: f64) {
    let config = |recoding| Config {
        models: models.clone(),
        recoding,
        suppression: 0.03,
        average_risk: Some(average_risk),
        population: Some(table),
        ..Config::k_anonymity(1)
    };
    let global = anonymise(table, &config(Recoding::Global)).expect("global");
    let local = anonymise(table, &config(Recoding::Local)).expect("local");
    let groups = naive::groups(table, &local);
    for model in &models {
        assert!(
            naive::holds(model, table, Some(table), &groups),
            "{model:?}"
        );
    }
    let risk = local.classes().risk(Background::None, 0.2);
    assert!(risk.prosecutor.average <= average_risk);
    assert!(risk.prosecutor.average >= average_risk * 0.9, "{risk:?}");
    assert_eq!(groups.len() as u64, risk.classes);
    assert!(local.suppressed() as f64 <= 0.03 * table.rows() as f64);
    assert!(local.granularity() >= global.granularity());
    let again = anonymise(table, &config(Recoding::Local)).expect("as before");
    assert_eq!(again.to_delimited(';'), local.to_delimited(';'));
}

#[test]
fn an_average_risk_is_kept_to_and_used() {
    let k = |k| Model::KAnonymity { k };
    let column = || "s".to_owned();
    let (large, small) = (table(3000, 1), table(500, 2));
    for average_risk in [0.1, 0.03, 0.01] {
        check(&large, vec![k(3)], average_risk);
    }
    check(&small, vec![k(2)], 0.05);
    let l = 3;
    let column_l = Model::DistinctDiversity {
        column: column(),
        l,
    };
    check(&large, vec![k(3), column_l], 0.03);
    let l = 2.5;
    check(
        &large,
        vec![Model::EntropyDiversity {
            column: column(),
            l,
        }],
        0.03,
    );
    check(&small, vec![k(2), Model::KMap { k: 6 }], 0.05);
}

/// Where no size of classes makes as many as are allowed, those that the models need are made.
#[test]
fn a_bound_that_does_not_bind_changes_nothing() {
    let table = table(1500, 3);
    let config = |average_risk| Config {
        recoding: Recoding::Local,
        average_risk,
        ..Config::k_anonymity(4)
    };
    let free = anonymise(&table, &config(None)).expect("free");
    let bound = anonymise(&table, &config(Some(0.9))).expect("bound");
    assert_eq!(free.to_delimited(';'), bound.to_delimited(';'));
    let risk = free.classes().risk(Background::None, 0.2);
    let just = config(Some(risk.prosecutor.average + 1e-9));
    let just = anonymise(&table, &just).expect("just");
    assert!(just.granularity() >= free.granularity());
}
