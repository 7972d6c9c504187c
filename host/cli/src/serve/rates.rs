//! The rate of an item over the time of a run, in a bounded number of samples.

use std::time::{Duration, Instant};

/// The maximum number of samples.
const SAMPLES: u32 = 60;

/// The time of the first samples.
const SHORTEST: Duration = Duration::from_secs(1);

/// The number of steps in each interval.
#[derive(Debug)]
pub(super) struct Rates {
    /// The time of the first report.
    begun: Option<Instant>,
    /// The last value.
    value: i32,
    /// The time of a sample, which doubles whenever there are too many.
    interval: Duration,
    steps: Vec<u64>,
}

impl Default for Rates {
    fn default() -> Self {
        Self { begun: None, value: 0, interval: SHORTEST, steps: Vec::new() }
    }
}

impl Rates {
    /// Adds a report of a value. A value that decreases counts as no steps.
    pub(super) fn add(&mut self, now: Instant, value: i32) {
        let begun = *self.begun.get_or_insert_with(|| {
            self.value = value;
            now
        });
        let before = std::mem::replace(&mut self.value, value);
        let since = now.saturating_duration_since(begun);
        while since.as_nanos() >= self.interval.as_nanos() * u128::from(SAMPLES) {
            self.steps = self.steps.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.interval *= 2;
        }
        let at = since.as_nanos() / self.interval.as_nanos();
        let at = usize::try_from(at).unwrap_or(0);
        if self.steps.len() <= at {
            self.steps.resize(at + 1, 0);
        }
        let steps = i64::from(value) - i64::from(before);
        self.steps[at] += u64::try_from(steps).unwrap_or(0);
    }

    /// Returns the rates of the complete intervals as points of a curve in a square of this size.
    /// The highest rate is at the top.
    pub(super) fn points(&self, size: u32) -> String {
        let complete = self.steps.split_last().map_or(&[][..], |(_, complete)| complete);
        let most = complete.iter().copied().max().unwrap_or(0).max(1);
        let points = (0_u32..).zip(complete).map(|(at, &steps)| {
            let height = u128::from(steps) * u128::from(size) / u128::from(most);
            format!("{},{}", at * size / SAMPLES, u128::from(size) - height)
        });
        points.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(reports: &[(u64, i32)]) -> String {
        let (begun, mut rates) = (Instant::now(), Rates::default());
        for (milliseconds, value) in reports {
            rates.add(begun + Duration::from_millis(*milliseconds), *value);
        }
        rates.points(60)
    }

    #[test]
    fn a_curve_has_a_point_for_each_complete_interval() {
        for (reports, expected) in [
            (&[][..], ""),
            (&[(0, 5), (500, 9)], ""),
            // The first value is not a step.
            (&[(0, 100), (500, 110), (1500, 120)], "0,0"),
            (&[(0, 0), (500, 10), (1500, 15), (2000, 15)], "0,0 1,30"),
            (&[(0, 0), (500, 10), (2500, 20), (3000, 20)], "0,0 1,60 2,0"),
            (&[(0, 50), (500, 10), (1500, 15), (2500, 15)], "0,60 1,0"),
        ] {
            assert_eq!(points(reports), expected, "{reports:?}");
        }
    }

    #[test]
    fn the_number_of_samples_is_bounded() {
        for hours in [1, 24, 24 * 365] {
            let last = hours * 3_600_000;
            let reports: Vec<_> =
                (0..=1000).map(|part| (last * part / 1000, i32::try_from(part).unwrap())).collect();
            let points = points(&reports);
            let number = points.split(' ').count();
            assert!((29..60).contains(&number), "{hours} h: {number}");
        }
        let extreme = points(&[(0, i32::MIN), (10, i32::MAX), (u64::MAX >> 40, i32::MIN)]);
        assert!(extreme.split(' ').count() < 60, "{extreme}");
    }
}
