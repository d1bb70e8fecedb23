//! Tests of noise. They draw from the operating system's entropy, so each states how often a right
//! mechanism would fail it.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use noise::{LEAST_EPSILON_MICRO, MOST_COUNT, MOST_EPSILON_MICRO, NoiseError, loss, noisy_count};

const DRAWS: u32 = 20_000;

/// The library's own privacy map says the loss that was asked for: never more, and not visibly less.
#[test]
fn the_loss_is_what_was_asked_for() {
    let mut asked: Vec<u64> = (0..2_000)
        .map(|step| LEAST_EPSILON_MICRO + step * 4_999)
        .collect();
    asked.extend([
        LEAST_EPSILON_MICRO,
        100_000,
        300_000,
        700_000,
        1_000_000,
        MOST_EPSILON_MICRO,
    ]);
    for micro in asked
        .into_iter()
        .filter(|micro| *micro <= MOST_EPSILON_MICRO)
    {
        let lost = loss(micro).expect("a mechanism");
        let wanted = f64::from(u32::try_from(micro).expect("small")) / 1e6;
        assert!(lost <= wanted, "{micro}: {lost} is more");
        assert!(lost > wanted * (1.0 - 1e-12), "{micro}: {lost} is less");
    }
}

#[test]
fn what_cannot_be_hidden_is_refused() {
    for micro in [0, LEAST_EPSILON_MICRO - 1, MOST_EPSILON_MICRO + 1, u64::MAX] {
        assert_eq!(noisy_count(3, micro), Err(NoiseError::Epsilon(micro)));
        assert_eq!(loss(micro), Err(NoiseError::Epsilon(micro)));
    }
    for count in [MOST_COUNT + 1, u64::MAX] {
        assert_eq!(noisy_count(count, 1_000_000), Err(NoiseError::Count));
    }
    assert!(noisy_count(MOST_COUNT, LEAST_EPSILON_MICRO).is_ok());
    assert!(
        !NoiseError::Count
            .to_string()
            .contains(&(MOST_COUNT + 1).to_string())
    );
}

/// Chi-square of 20 000 draws against the two-sided geometric distribution, at four losses.
///
/// At most 39 cells, 38 degrees of freedom: above 153 with a probability of less than 1e-11 each
/// (Laurent and Massart: P(X >= k + 2 sqrt(k t) + 2 t) <= e^-t, with t = 25.4). A loss that is off by a
/// tenth is far above, which is tried too: below 153 it would be with a similar probability.
#[test]
fn draws_are_distributed_as_the_loss_says() {
    for (micro, wrong) in [
        (250_000, false),
        (500_000, false),
        (1_000_000, false),
        (500_000, true),
    ] {
        let claimed = if wrong { micro * 11 / 10 } else { micro };
        let square = chi_square(micro, claimed);
        if wrong {
            assert!(
                square > BOUND,
                "a loss that is off by a tenth is not seen: {square}"
            );
        } else {
            assert!(square <= BOUND, "{micro}: {square}");
        }
    }
}

const BOUND: f64 = 153.0;

/// Draws at one loss, measured against another.
fn chi_square(drawn_at: u64, claimed: u64) -> f64 {
    const COUNT: u64 = 1_000;
    let a = (-f64::from(u32::try_from(claimed).expect("small")) / 1e6).exp();
    let p = |z: i32| (1.0 - a) / (1.0 + a) * a.powi(z.abs());
    // A cell for each value with at least 100 expected draws, one for each tail.
    let width = (0..=18)
        .take_while(|z| p(*z) * f64::from(DRAWS) >= 100.0)
        .last()
        .expect("the middle is drawn often");
    let middle: f64 = (-width..=width).map(p).sum();
    let mut seen = std::collections::BTreeMap::<i32, f64>::new();
    for _ in 0..DRAWS {
        let noisy = noisy_count(COUNT, drawn_at).expect("a draw");
        let noise = i32::try_from(noisy - 1_000).expect("no such noise is ever drawn");
        *seen.entry(noise.clamp(-width - 1, width + 1)).or_default() += 1.0;
    }
    (-width - 1..=width + 1)
        .map(|z| {
            let share = if z.abs() > width {
                (1.0 - middle) / 2.0
            } else {
                p(z)
            };
            let expected = share * f64::from(DRAWS);
            let off = seen.get(&z).copied().unwrap_or_default() - expected;
            off * off / expected
        })
        .sum()
}

/// The mean distance and the mean of 20 000 draws.
///
/// |Z| and Z have standard deviations of at most 1.5 times the scale; the mean of n draws is off by
/// more than 8 standard errors with a probability of less than 1e-13.
#[test]
fn draws_are_as_far_off_as_the_loss_says_and_lean_to_no_side() {
    for micro in [100_000_u32, 1_000_000] {
        let epsilon = f64::from(micro) / 1e6;
        let a = (-epsilon).exp();
        let (mut distance, mut sum) = (0.0, 0.0);
        for _ in 0..DRAWS {
            let noise = noisy_count(50, u64::from(micro)).expect("a draw") - 50;
            let noise = f64::from(i32::try_from(noise).expect("no such noise is ever drawn"));
            distance += noise.abs();
            sum += noise;
        }
        let draws = f64::from(DRAWS);
        let error = 8.0 * 1.5 / epsilon / draws.sqrt();
        assert!((distance / draws - 2.0 * a / (1.0 - a * a)).abs() < error);
        assert!((sum / draws).abs() < error);
    }
}

/// No two runs of draws are the same: each of 64 is equal to its other with a probability below 1/2,
/// so all are with one below 2^-64. Threads do not share a generator.
#[test]
fn threads_draw_by_themselves() {
    let run = || {
        (0..64)
            .map(|_| noisy_count(0, 100_000).expect("a draw"))
            .collect::<Vec<_>>()
    };
    let other = std::thread::spawn(run).join().expect("the other thread");
    assert_ne!(run(), other);
}
