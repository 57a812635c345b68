//! The text of `Date` (RFC 9110 §5.6.7), made from seconds since 1970, since a pure crate has no clock.

use core::fmt;

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The last second that four digits for the year can say.
const LAST: u64 = 253_402_300_799;

/// A date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// ```
/// use glowplug_http::HttpDate;
/// assert_eq!(HttpDate::from_unix(784_111_777).as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HttpDate([u8; 29]);

impl HttpDate {
    /// The date `seconds` after the start of 1970 (UTC); years end with 9999.
    pub fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.min(LAST);
        let days = seconds / 86_400;
        let (year, month, day) = civil(days);
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        text[..3].copy_from_slice(DAYS[(days % 7) as usize]);
        two(&mut text, 5, day);
        text[8..11].copy_from_slice(MONTHS[month as usize]);
        two(&mut text, 12, year / 100);
        two(&mut text, 14, year % 100);
        two(&mut text, 17, seconds / 3600 % 24);
        two(&mut text, 20, seconds / 60 % 60);
        two(&mut text, 23, seconds % 60);
        Self(text)
    }

    /// The 29 characters.
    pub fn as_str(&self) -> &str {
        // Made of ASCII above.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The same, as bytes: what goes out.
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}

impl fmt::Debug for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes a date once a second, however often it is asked.
#[derive(Clone, Copy, Debug)]
pub struct DateCache {
    second: u64,
    date: HttpDate,
}

impl DateCache {
    /// A cache that holds the date of `seconds`.
    pub fn new(seconds: u64) -> Self {
        Self { second: seconds, date: HttpDate::from_unix(seconds) }
    }

    /// The date `seconds` after the start of 1970.
    #[inline]
    pub fn at(&mut self, seconds: u64) -> HttpDate {
        if seconds != self.second {
            *self = Self::new(seconds);
        }
        self.date
    }
}

fn two(text: &mut [u8; 29], at: usize, number: u64) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month (from 0) and day of the month (from 1) of the day `days` after the start of 1970. The calendar is
/// counted in eras of 400 years that begin with March, where leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate::from_unix(seconds).as_str(), text);
        }
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..292_194 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                1 => 28 + u64::from(leap),
                3 | 5 | 8 | 10 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month == 12 {
                (month, year) = (0, year + 1);
            }
        }
    }

    #[test]
    fn a_cache_tells_the_second_it_is_asked_for() {
        let mut cache = DateCache::new(5);
        for second in [5, 5, 6, 4, 5] {
            assert_eq!(cache.at(second), HttpDate::from_unix(second));
        }
    }
}
