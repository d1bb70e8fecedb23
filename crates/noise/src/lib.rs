//! Noise for counts: the discrete Laplace mechanism of OpenDP, the only crate that names it.
//!
//! - In: a count, and the privacy loss that may be spent on it, in millionths.
//! - Out: the count plus noise `Z` with `P(Z = z) = (1 - a) / (1 + a) * a^|z|`, `a = e^-epsilon`: the
//!   two-sided geometric distribution. May be negative. What one person adds to a count is at most 1,
//!   and for that the library's privacy map says the loss; a mechanism that loses more than was asked
//!   for is not used.
//! - Entropy: OpenDP is built without OpenSSL, so it draws from `rand` 0.7's thread generator: ChaCha20,
//!   seeded by the operating system (`getrandom`) in each thread and again every 64 KiB. OpenDP itself calls this build
//!   not secure, and OpenSSL's generator secure; a generator in Rust is its open issue 830. It samples by
//!   exact rational arithmetic, not by rounding floats (Canonne, Kamath and Steinke, "The discrete
//!   Gaussian for differential privacy", section 5.2), so there is no loss by floating point.
//!
//! - Panics: `rand` panics where the operating system has no entropy when a thread first draws. Nothing
//!   was drawn then.
//! - What is drawn depends on no seed of ours: a simulation that must be repeatable puts its own
//!   noise in this one's place.
//!
//! It knows no budgets, no queries, and does not keep what it drew.

use opendp::{
    core::Measurement, domains::AtomDomain, measurements::make_laplace, measures::MaxDivergence,
    metrics::AbsoluteDistance,
};

/// The least loss of one count, in millionths: below, the noise (a thousand either way) leaves nothing.
pub const LEAST_EPSILON_MICRO: u64 = 1_000;

/// The largest loss of one count, in millionths: above, the noise hides nobody.
pub const MOST_EPSILON_MICRO: u64 = 10_000_000;

/// The largest count, so that no noise that will ever be drawn leaves the range of the answer.
pub const MOST_COUNT: u64 = 1 << 40;

/// Why a count got no noise, and so must not be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoiseError {
    /// The loss is out of bounds.
    #[error(
        "a privacy loss of {0} millionths is not between {LEAST_EPSILON_MICRO} and {MOST_EPSILON_MICRO}"
    )]
    Epsilon(u64),
    /// The count is out of bounds. It is not repeated.
    #[error("the count is above {MOST_COUNT}")]
    Count,
    /// No scale was found whose loss is within what was asked for.
    #[error("the mechanism would lose more than {0} millionths")]
    Loss(u64),
    /// The library failed: no entropy, or a fault of ours.
    #[error("the mechanism failed")]
    Mechanism,
}

/// The count plus discrete Laplace noise that loses at most `epsilon_micro` millionths.
///
/// # Errors
/// [`NoiseError`]. Then nothing was drawn that could be shown.
pub fn noisy_count(true_count: u64, epsilon_micro: u64) -> Result<i64, NoiseError> {
    let count = i64::try_from(true_count.min(MOST_COUNT + 1)).map_err(|_| NoiseError::Count)?;
    if true_count > MOST_COUNT {
        return Err(NoiseError::Count);
    }
    mechanism(epsilon_micro)?
        .invoke(&count)
        .map_err(|_| NoiseError::Mechanism)
}

/// The loss that the library's privacy map says for one person more or less, as a multiple of 1.
///
/// # Errors
/// As [`noisy_count`].
pub fn loss(epsilon_micro: u64) -> Result<f64, NoiseError> {
    mechanism(epsilon_micro)?
        .map(&1)
        .map_err(|_| NoiseError::Mechanism)
}

type Mechanism = Measurement<AtomDomain<i64>, AbsoluteDistance<i64>, MaxDivergence, i64>;

fn mechanism(epsilon_micro: u64) -> Result<Mechanism, NoiseError> {
    if !(LEAST_EPSILON_MICRO..=MOST_EPSILON_MICRO).contains(&epsilon_micro) {
        return Err(NoiseError::Epsilon(epsilon_micro));
    }
    let epsilon = u32::try_from(epsilon_micro).map_err(|_| NoiseError::Epsilon(epsilon_micro))?;
    let asked = f64::from(epsilon) / 1_000_000.0;
    let mut scale = 1_000_000.0 / f64::from(epsilon);
    // A quotient of floats may have been rounded down: a few steps up, at most.
    for _ in 0..8 {
        let made = make_laplace::<_, _, MaxDivergence>(
            AtomDomain::<i64>::default(),
            AbsoluteDistance::<i64>::default(),
            scale,
            None,
        )
        .map_err(|_| NoiseError::Mechanism)?;
        if made.map(&1).map_err(|_| NoiseError::Mechanism)? <= asked {
            return Ok(made);
        }
        scale = scale.next_up();
    }
    Err(NoiseError::Loss(epsilon_micro))
}
