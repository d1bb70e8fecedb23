//! Instants as people read them, in UTC.

use codec::Millis;

/// "2 March 2027, 14:05 UTC".
pub(crate) fn moment(at: Millis) -> String {
    let minutes = at.get() / 60_000;
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    format!("{}, {hour:02}:{minute:02} UTC", day(at))
}

/// "until the end of 2 March 2027" for the midnight after it, else "until" the moment.
pub(crate) fn until(end: Millis) -> String {
    const DAY_MS: u64 = 86_400_000;
    if end.get() > 0 && end.get().is_multiple_of(DAY_MS) {
        format!("until the end of {}", day(end.saturating_sub(1)))
    } else {
        format!("until {}", moment(end))
    }
}

/// "2 March 2027".
pub(crate) fn day(at: Millis) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let named = at.date().and_then(|date| {
        let month = MONTHS.get(usize::from(date.month()).checked_sub(1)?)?;
        Some(format!("{} {month} {}", date.day(), date.year()))
    });
    named.unwrap_or_else(|| at.to_string())
}
