//! Numbers with few digits, and ages.

/// What becomes of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Amount<'t> {
    /// It is short enough as it is written.
    Kept(&'t str),
    /// A fraction with fewer digits.
    Rounded(String),
    /// A whole number with too many digits, or no plain number.
    Dropped,
}

/// The most digits of a number without its point that are looked at, and the largest exponent.
const LONGEST: usize = 40;

/// Cuts a JSON number to so many significant digits.
pub(crate) fn amount(text: &str, significant: usize) -> Amount<'_> {
    let plain = text.bytes().all(|byte| b"0123456789.-".contains(&byte));
    if !plain {
        // An exponent: FHIR allows it, nobody measures so, and it hides how many digits there are.
        return Amount::Dropped;
    }
    let digits = text.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if digits.len() > LONGEST || whole.is_empty() {
        return Amount::Dropped;
    }
    let leading = whole.trim_start_matches('0');
    let whole_digits = leading.trim_end_matches('0').len();
    if whole_digits > significant || leading.len() > 2 * significant {
        return Amount::Dropped;
    }
    let fraction_leading = match leading.is_empty() {
        true => fraction.len() - fraction.trim_start_matches('0').len(),
        false => 0,
    };
    let room = significant.saturating_sub(leading.len()) + fraction_leading;
    if fraction.len() <= room {
        return Amount::Kept(text);
    }
    if fraction_leading > 2 * significant {
        return Amount::Dropped;
    }
    match text.parse::<f64>() {
        Ok(value) => Amount::Rounded(format!("{value:.room$}")),
        Err(_) => Amount::Dropped,
    }
}

/// An age in whole units, and the unit: years from two years on, else months from a month on, else as it is.
pub(crate) fn coarse_age(value: f64, unit: &str, years: f64) -> (f64, &'static str) {
    if years >= 2.0 {
        return (years.floor(), "a");
    }
    let months = years * 12.0;
    match unit {
        "a" if value.fract() == 0.0 => (value, "a"),
        _ if months >= 1.0 => ((months + 1e-9).floor(), "mo"),
        "wk" => (value.floor(), "wk"),
        _ => ((years * 365.25 + 1e-9).floor(), "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_few() {
        let check = |text, expect: Amount<'_>| assert_eq!(amount(text, 6), expect, "{text}");
        for kept in [
            "0",
            "7.20",
            "-1.5",
            "250000",
            "4500000",
            "0.000123456",
            "123.456",
            "1000000000",
        ] {
            check(kept, Amount::Kept(kept));
        }
        check("76.06321934726436", Amount::Rounded("76.0632".into()));
        check("123456.7", Amount::Rounded("123457".into()));
        check("0.00012345678", Amount::Rounded("0.000123457".into()));
        check("-99.999999", Amount::Rounded("-100.0000".into()));
        for dropped in [
            "9041723586",
            "1234567",
            "1e5",
            "1.5E-3",
            "1000000000000000",
            "0.00000000000001234567",
        ] {
            check(dropped, Amount::Dropped);
        }
    }

    #[test]
    fn ages_are_coarse() {
        assert_eq!(coarse_age(52.7, "a", 52.7), (52.0, "a"));
        assert_eq!(coarse_age(30.0, "mo", 2.5), (2.0, "a"));
        assert_eq!(coarse_age(8.0, "mo", 8.0 / 12.0), (8.0, "mo"));
        assert_eq!(coarse_age(3.0, "d", 3.0 / 365.25), (3.0, "d"));
        assert_eq!(coarse_age(400.0, "d", 400.0 / 365.25), (13.0, "mo"));
        assert_eq!(coarse_age(1.0, "a", 1.0), (1.0, "a"));
    }
}
