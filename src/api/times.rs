//! Points in time as they go over the wire.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What "forever" is to a client: as far as a signed 64-bit number of nanoseconds goes.
const FOREVER: Duration = Duration::from_nanos(i64::MAX as u64);

/// Now, in UTC with as many digits of a second as it takes.
pub(crate) fn now() -> String {
    Timestamp::now().to_string()
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    Timestamp::now().as_second()
}

/// Seconds since 1970 of another point in time.
pub(crate) fn unix(time: SystemTime) -> i64 {
    Timestamp::try_from(time).map_or(0, Timestamp::as_second)
}

/// A point in time with this machine's offset from UTC.
pub(crate) fn local(time: SystemTime) -> String {
    let time = Timestamp::try_from(time)
        .unwrap_or_default()
        .to_zoned(TimeZone::system());
    if time.offset().is_zero() {
        return time.timestamp().to_string();
    }
    time.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

/// When a model goes; `None` is never.
pub(crate) fn expiry(time: Option<SystemTime>) -> String {
    local(time.unwrap_or_else(|| SystemTime::now() + FOREVER))
}

/// Nanoseconds for a metric.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_reach_beyond_2300() {
        assert!(now().ends_with('Z'));
        assert!(now().parse::<Timestamp>().is_ok());
        let never = expiry(None);
        assert!(never.starts_with("23"), "{never}");
        assert!(never.parse::<Timestamp>().is_ok(), "{never}");
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(
            local(time).parse::<Timestamp>().unwrap().as_millisecond(),
            1_500
        );
        assert_eq!(unix(time), 1);
    }
}
