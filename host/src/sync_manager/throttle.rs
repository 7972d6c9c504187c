//! The rate limit of reports.

/// Allows `per_second` reports per second, and a burst of the same size.
#[derive(Debug)]
pub(super) struct Throttle {
    per_second: u64,
    left: u64,
    since: u64,
}

impl Throttle {
    pub(super) const fn new(per_second: u64) -> Self {
        Self { per_second, left: per_second, since: 0 }
    }

    #[inline]
    pub(super) fn take(&mut self, now: u64) -> bool {
        if self.left == 0 {
            const SECOND: u128 = 1_000_000_000;
            let passed = u128::from(now.saturating_sub(self.since));
            let earned = passed.saturating_mul(u128::from(self.per_second)) / SECOND;
            if earned == 0 {
                return false;
            }
            self.left = u64::try_from(earned).unwrap_or(u64::MAX).min(self.per_second);
            self.since = now;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_time() {
        const MILLISECOND: u64 = 1_000_000;
        let mut throttle = Throttle::new(100);
        throttle.since = 1;
        assert_eq!(
            (0..1000).filter(|_| throttle.take(1)).count(),
            100,
            "a burst of a second's worth"
        );
        let mut taken = 0;
        for tick in 1..=100 {
            taken += (0..1000).filter(|_| throttle.take(1 + tick * 10 * MILLISECOND)).count();
        }
        assert_eq!(taken, 100, "in the second after it");
        assert!(!Throttle::new(0).take(5));
    }
}
