//! Sizes and times as people read them.

use jiff::Timestamp;

const SECONDS_PER_HOUR: i64 = 3600;
const SECONDS_PER_YEAR: i64 = 365 * 24 * SECONDS_PER_HOUR;

/// Decimal units: `17 B`, `1.5 KB`, `2.0 GB`, `43 GB`.
pub(crate) fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        1_000_000_000_000.. => (1e12, "TB"),
        1_000_000_000.. => (1e9, "GB"),
        1_000_000.. => (1e6, "MB"),
        1_000.. => (1e3, "KB"),
        _ => return format!("{bytes} B"),
    };
    let value = bytes as f64 / unit;
    match value >= 10.0 || value.fract() == 0.0 {
        true => format!("{} {name}", value as u64),
        false => format!("{value:.1} {name}"),
    }
}

/// `3 weeks ago`, `4 minutes from now`; more than twenty years ahead is `Forever`.
pub(crate) fn time(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    match seconds {
        ..0 if -seconds / SECONDS_PER_YEAR > 20 => "Forever".to_owned(),
        ..0 => format!("{} from now", span(-seconds)),
        _ => format!("{} ago", span(seconds)),
    }
}

fn span(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Rounded, as everything above an hour is an estimate.
    let hours = (seconds + SECONDS_PER_HOUR / 2) / SECONDS_PER_HOUR;
    let days = hours / 24;
    match (seconds, minutes, hours) {
        (..1, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        _ if days < 14 => format!("{days} days"),
        _ if days < 60 => format!("{} weeks", days / 7),
        _ if days < 730 => format!("{} months", days / 30),
        _ => format!("{} years", seconds / SECONDS_PER_YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1 KB"),
            (1_500, "1.5 KB"),
            (2_019_393_189, "2.0 GB"),
            (9_990_000, "10.0 MB"),
            (10_500_000, "10 MB"),
            (42_520_000_000, "42 GB"),
            (1_000_000_000_000, "1 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_are_rough() {
        let now = Timestamp::from_second(4_000_000_000).unwrap();
        let hour = 3600;
        for (seconds, text) in [
            (0, "Less than a second ago"),
            (1, "1 second ago"),
            (59, "59 seconds ago"),
            (60, "About a minute ago"),
            (180, "3 minutes ago"),
            (hour, "About an hour ago"),
            (47 * hour, "47 hours ago"),
            (48 * hour, "2 days ago"),
            (13 * 24 * hour, "13 days ago"),
            (14 * 24 * hour, "2 weeks ago"),
            (60 * 24 * hour, "2 months ago"),
            (730 * 24 * hour, "2 years ago"),
            (-299, "4 minutes from now"),
            (-292 * 365 * 24 * hour, "Forever"),
        ] {
            let then = Timestamp::from_second(4_000_000_000 - seconds).unwrap();
            assert_eq!(time(then, now), text);
        }
    }
}
