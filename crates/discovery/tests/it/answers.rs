//! What is shown of noisy counts, and how far they are off.

use discovery::{Accuracy, Display, Epsilon, Policy, Shown};
use proptest::prelude::*;

#[test]
fn floor_and_step() {
    let check = |floor, step, noisy, expect: Option<u64>| {
        let shown = Display { floor, step }.show(noisy);
        let expect = expect.map_or(Shown::BelowFloor, Shown::About);
        assert_eq!(shown, expect, "{noisy} at {floor}, {step}");
    };
    check(5, 1, 4, None);
    check(5, 1, 5, Some(5));
    check(5, 1, -1, None);
    check(5, 1, i64::MIN, None);
    check(1, 1, 0, None);
    check(1, 1, 1, Some(1));
    check(0, 0, 0, None); // as 1, 1: a count of none is never a yes
    check(5, 5, 7, Some(5));
    check(5, 5, 8, Some(10));
    check(5, 10, 5, Some(10));
    check(3, 10, 3, Some(3)); // not rounded below the floor
    check(5, 4, 10, Some(12)); // half up
    check(5, 10, i64::MAX, Some(9_223_372_036_854_775_810));
}

proptest! {
    /// Yes and number never disagree; more is never shown as less; nothing between 0 and the floor.
    #[test]
    fn shown_counts_agree_with_the_yes(
        floor in 1_u64..50, step in 1_u64..50, noisy in -100_i64..1_000,
    ) {
        let display = Display { floor, step };
        let shown = display.show(noisy);
        prop_assert_eq!(shown.exists(), noisy >= i64::try_from(floor).expect("small"));
        prop_assert_eq!(shown.exists(), shown.count() > 0);
        prop_assert!(shown.count() == 0 || shown.count() >= floor);
        prop_assert!(display.show(noisy + 1).count() >= shown.count());
        if noisy >= 0 && shown.exists() {
            let (shown, noisy) = (shown.count(), noisy.unsigned_abs());
            prop_assert!(shown.abs_diff(noisy) <= step.max(floor));
        }
    }
}

/// By adding up the distribution itself, in place of the closed forms.
fn summed(epsilon: f64, from: i64, to: i64) -> f64 {
    let a = (-epsilon).exp();
    let p = |z: i64| {
        let power = i32::try_from(z.abs()).expect("small");
        (1.0 - a) / (1.0 + a) * a.powi(power)
    };
    (from..=to).map(p).sum()
}

#[test]
fn the_closed_forms_are_those_of_the_distribution() {
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
    for micro in [100_000, 500_000, 1_000_000, 2_000_000] {
        let accuracy = Accuracy::at(Epsilon::from_micro(micro));
        let epsilon = f64::from(u32::try_from(micro).expect("small")) / 1e6;
        let far = 2_000;
        let mean: f64 = (1..=far)
            .map(|z| 2.0 * f64::from(i32::try_from(z).expect("small")) * summed(epsilon, z, z))
            .sum();
        near(accuracy.mean_error(), mean);
        for truly in [0_u64, 1, 4, 5, 6, 20] {
            let lack = 5 - i64::try_from(truly).expect("small");
            near(accuracy.yes(truly, 5), summed(epsilon, lack, far));
        }
        let margin = i64::try_from(accuracy.margin(0.95)).expect("small");
        assert!(summed(epsilon, -margin, margin) >= 0.95);
        assert!(margin == 0 || summed(epsilon, 1 - margin, margin - 1) < 0.95);
    }
}

/// The settings of `docs/discovery.md` are read, and are the defaults.
#[test]
fn the_settings_of_the_documentation_are_the_defaults() {
    let page = include_str!("../../../../docs/discovery.md");
    let (_, rest) = page.split_once("```toml\n").expect("settings");
    let (settings, _) = rest.split_once("```").expect("an end");
    assert_eq!(toml::from_str(settings), Ok(Policy::default()));
    assert!(settings.contains("[subject]"));
    assert!(toml::from_str::<Policy>("floor = 3").is_err());
}

/// The table of `docs/discovery.md` is what the code says.
#[test]
fn the_table_of_errors_is_true() {
    let mut table = String::new();
    for epsilon in ["0.1", "0.25", "0.5", "1", "2"] {
        let accuracy = Accuracy::at(epsilon.parse().expect("an epsilon"));
        let percent = |share: f64| match share {
            share if share < 0.001 => "< 0.1 %".to_owned(),
            share => format!("{:.1} %", share * 100.0),
        };
        let no = |truly| percent(1.0 - accuracy.yes(truly, 5));
        table.push_str(&format!(
            "| {epsilon} | {:.1} | ±{} | ±{} | {} | {} | {} | {} |\n",
            accuracy.mean_error(),
            accuracy.margin(0.95),
            accuracy.margin(0.99),
            percent(accuracy.yes(0, 5)),
            no(5),
            no(10),
            no(20),
        ));
    }
    let page = include_str!("../../../../docs/discovery.md");
    assert!(
        page.contains(&table),
        "docs/discovery.md should have:\n{table}"
    );
}
