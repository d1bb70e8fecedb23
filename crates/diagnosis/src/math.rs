//! Arithmetic that gives the same bits everywhere: the platform's `logf` does not.

/// Natural logarithm of a positive, normal `x`, to about 1e-6 (Cephes `logf`), without a branch.
#[inline]
pub(crate) fn ln(x: f32) -> f32 {
    debug_assert!(x > 0.0);
    // Mantissa between the roots of one half and of two, and its exponent.
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let offset = x.to_bits().wrapping_sub(ROOT_HALF);
    let exponent = offset.cast_signed() >> 23;
    let m = f32::from_bits((offset & 0x007f_ffff) + ROOT_HALF) - 1.0;
    let z = m * m;
    let mut y = 7.037_684e-2_f32;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        y = y * m + c;
    }
    let e = exponent as f32;
    m + (m * z * y - 0.5 * z - 2.121_944_4e-4 * e) + 0.693_359_4 * e
}

/// A score in whole numbers of 1/65,536, so that sums do not depend on their order.
pub(crate) const ONE: f32 = 65_536.0;

/// Rounds to whole numbers of 1/65,536; `x` lies between -63 and 63.
#[inline]
pub(crate) fn fixed(x: f32) -> i32 {
    // One and a half times 2^23: added to it, a float is rounded to a whole number in its low bits.
    const MAGIC: f32 = 12_582_912.0;
    (x * ONE + MAGIC).to_bits().cast_signed() - MAGIC.to_bits().cast_signed()
}

/// Shares from scores: `exp(scale * (s - max))`, summing to 1.
pub(crate) fn shares(scores: &[f64], scale: f64) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut out: Vec<f64> = scores.iter().map(|s| (scale * (s - top)).exp()).collect();
    let sum: f64 = out.iter().sum();
    for share in &mut out {
        *share /= sum;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_agrees_with_the_platforms() {
        let mut x = 1e-6_f32;
        while x < 1e6 {
            assert!((ln(x) - x.ln()).abs() < 2e-6, "{x}");
            x *= 1.0137;
        }
    }

    #[test]
    fn whole_numbers_are_the_nearest() {
        for (x, expect) in [(0.0, 0), (1.0, 65_536), (-4.5, -294_912), (9.75, 638_976)] {
            assert_eq!(fixed(x), expect);
        }
    }

    #[test]
    fn shares_add_up_to_one() {
        let sum: f64 = shares(&[900.0, 901.0, -4.0], 0.7).iter().sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
}
