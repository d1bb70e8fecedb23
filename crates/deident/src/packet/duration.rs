//! Ages as ISO 8601 durations.

use crate::fates::Fate;

/// An age in whole years from two years on, in whole months from one month on, else in days; pooled from so many
/// years on. `None` for anything that is no age.
pub(super) fn coarse(text: &str, pooled_years: u32) -> Option<(String, Fate)> {
    let [years, months, weeks, days] = parts(text)?;
    let months = years * 12 + months + (weeks * 7 + days) / 30;
    let days = weeks * 7 + days;
    let age = if months >= u64::from(pooled_years) * 12 {
        format!("P{pooled_years}Y")
    } else if months >= 24 {
        format!("P{}Y", months / 12)
    } else if months >= 1 {
        match (years, months % 12) {
            (1, 0) => "P1Y".to_owned(),
            _ => format!("P{months}M"),
        }
    } else {
        format!("P{days}D")
    };
    let pooled = months >= u64::from(pooled_years) * 12;
    let fate = if age == text && !pooled {
        Fate::Kept
    } else {
        Fate::Banded
    };
    Some((age, fate))
}

/// Years, months, weeks and days of `PnYnMnWnD`, and of a time behind it nothing.
fn parts(text: &str) -> Option<[u64; 4]> {
    let text = text.strip_prefix('P')?;
    let (mut date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut found = [0; 4];
    let mut any = false;
    for (at, letter) in ['Y', 'M', 'W', 'D'].into_iter().enumerate() {
        if let Some((number, rest)) = date.split_once(letter) {
            *found.get_mut(at)? = count(number)?;
            (date, any) = (rest, true);
        }
    }
    // Hours, minutes and seconds are less than a day and are left out.
    let plain = |byte: u8| byte.is_ascii_digit() || b"HMS.".contains(&byte);
    let timed = text.contains('T');
    let fits =
        date.is_empty() && time.len() <= 16 && time.bytes().all(plain) && timed != time.is_empty();
    (fits && (any || timed)).then_some(found)
}

/// A number of at most five digits.
fn count(text: &str) -> Option<u64> {
    let fits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_coarse() {
        let check = |text, expect: &str, fate| {
            assert_eq!(coarse(text, 90), Some((expect.to_owned(), fate)), "{text}");
        };
        check("P34Y", "P34Y", Fate::Kept);
        check("P34Y5M12D", "P34Y", Fate::Banded);
        check("P1Y6M", "P18M", Fate::Banded);
        check("P8M", "P8M", Fate::Kept);
        check("P3D", "P3D", Fate::Kept);
        check("P2W", "P14D", Fate::Banded);
        check("P0D", "P0D", Fate::Kept);
        check("PT5H", "P0D", Fate::Banded);
        check("P1Y", "P1Y", Fate::Kept);
        check("P90Y", "P90Y", Fate::Banded);
        check("P97Y2M", "P90Y", Fate::Banded);
        check("P89Y11M", "P89Y", Fate::Banded);
    }

    #[test]
    fn other_texts_are_no_ages() {
        for text in [
            "", "P", "34Y", "P34", "PY", "P123456Y", "P3X", "P3D4Y", "PT", "P3YTx", "P3.5Y",
            "P3Y MRN",
        ] {
            assert_eq!(coarse(text, 90), None, "{text}");
        }
    }
}
