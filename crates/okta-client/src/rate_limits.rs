//! Okta's rate limit headers, and the wait that they ask for.

use std::time::Duration;

use jiff::Timestamp;

/// The rate limit headers of a response, and its `Date`.
///
/// The reset is compared with `date`, because this machine's clock may differ from Okta's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Requests allowed in a window (`X-Rate-Limit-Limit`). 0 if the limit on concurrent requests
    /// was hit.
    pub limit: Option<i64>,
    /// Requests left in the window (`X-Rate-Limit-Remaining`).
    pub remaining: Option<i64>,
    /// End of the window, in seconds since the Unix epoch (`X-Rate-Limit-Reset`).
    pub reset_s: Option<i64>,
    /// Time of the response by Okta's clock (`Date`).
    pub date: Option<Timestamp>,
}

impl RateLimits {
    /// Reads the headers through `header`, which returns a header by its lower-case name.
    pub(crate) fn read<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Self {
        let number = |name| header(name).and_then(|text| text.trim().parse().ok());
        Self {
            limit: number("x-rate-limit-limit"),
            remaining: number("x-rate-limit-remaining"),
            reset_s: number("x-rate-limit-reset"),
            date: header("date").and_then(http_date),
        }
    }

    /// Returns how long to wait after a 429, without jitter: one second past the end of the window.
    ///
    /// If the limit on concurrent requests was hit, the reset is only a suggestion; then, and
    /// without any header, the wait doubles with each attempt.
    pub(crate) fn wait(self, attempt: u32, now: Timestamp) -> Duration {
        let doubling = Duration::from_secs(1_u64 << attempt.min(6));
        let now_s = self.date.unwrap_or(now).as_second();
        match (self.limit, self.reset_s) {
            (Some(0), _) | (_, None) => doubling,
            (_, Some(reset_s)) => {
                let left = reset_s.saturating_sub(now_s).max(0).saturating_add(1);
                Duration::from_secs(u64::try_from(left).unwrap_or(1))
            }
        }
    }

    /// Returns whether less than a tenth of the window's requests is left.
    pub fn is_scarce(self) -> bool {
        self.limit
            .zip(self.remaining)
            .is_some_and(|(limit, remaining)| remaining.saturating_mul(10) < limit)
    }

    /// Returns the difference between `now` and Okta's clock in seconds; positive if `now` is
    /// ahead.
    ///
    /// Okta rejects the proofs and assertions of a service app whose clock is off by minutes.
    pub fn clock_skew_s(self, now: Timestamp) -> Option<i64> {
        self.date
            .map(|date| now.as_second().saturating_sub(date.as_second()))
    }
}

/// Parses `Tue, 24 Nov 2026 20:01:08 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(limit: &str, remaining: &str, reset: &str, date: &str) -> RateLimits {
        let given = [
            ("x-rate-limit-limit", limit),
            ("x-rate-limit-remaining", remaining),
            ("x-rate-limit-reset", reset),
            ("date", date),
        ];
        RateLimits::read(|name| {
            given
                .iter()
                .find(|(known, text)| *known == name && !text.is_empty())
                .map(|(_, text)| *text)
        })
    }

    #[test]
    fn waits() {
        let now = Timestamp::from_second(1_795_550_400).unwrap();
        let check = |limits: RateLimits, attempt, expected_s| {
            assert_eq!(
                limits.wait(attempt, now).as_secs(),
                expected_s,
                "{limits:?}"
            );
        };
        check(limits("100", "0", "1795550430", ""), 0, 31);
        // The time is Okta's, not this machine's.
        check(
            limits("100", "0", "1795550430", "Tue, 24 Nov 2026 20:00:20 GMT"),
            0,
            11,
        );
        check(limits("100", "0", "1795550000", ""), 0, 1);
        check(limits("0", "0", "1795550430", ""), 0, 1);
        check(limits("", "", "", ""), 0, 1);
        check(limits("", "", "", ""), 1, 2);
        check(limits("x", "y", "z", "soon"), 2, 4);
        check(limits("", "", "", ""), 6, 64);
        check(limits("", "", "", ""), 7, 64);
        check(limits("", "", "", ""), u32::MAX, 64);
        check(limits(" 100 ", "0", " 1795550430", ""), 0, 31);
    }

    #[test]
    fn scarce() {
        assert!(limits("100", "9", "", "").is_scarce());
        assert!(!limits("100", "10", "", "").is_scarce());
        assert!(!limits("0", "0", "", "").is_scarce());
        assert!(!limits("", "", "", "").is_scarce());
        assert!(!limits("100", "", "", "").is_scarce());
        assert!(limits("600", "59", "", "").is_scarce());
        assert!(limits("600", "0", "", "").is_scarce());
    }

    #[test]
    fn headers() {
        let date = "Tue, 24 Nov 2026 20:00:20 GMT";
        let read = limits("600", "599", "1795550460", date);
        assert_eq!(
            (read.limit, read.remaining, read.reset_s),
            (Some(600), Some(599), Some(1_795_550_460))
        );
        let skew_s = |now_s| read.clock_skew_s(Timestamp::from_second(now_s).unwrap());
        assert_eq!(skew_s(1_795_550_420), Some(0));
        assert_eq!(skew_s(1_795_550_400), Some(-20));
        assert_eq!(skew_s(1_795_550_720), Some(300));
        assert_eq!(
            RateLimits::default().clock_skew_s(Timestamp::UNIX_EPOCH),
            None
        );
        assert_eq!(limits("x", "-", "1e3", "soon"), RateLimits::default());
    }
}
