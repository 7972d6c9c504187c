//! The table: results, lower bounds and competitors.

use std::fmt;

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// Seconds.
    Time(f64),
    /// Bytes.
    Memory(f64),
    /// Per second.
    Rate(f64),
    /// A number without a unit.
    Ratio(f64),
}

impl Figure {
    /// Returns the number in the basic unit.
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::Time(number)
            | Self::Memory(number)
            | Self::Rate(number)
            | Self::Ratio(number) => number,
        }
    }
}

/// Formats a number with three significant digits.
fn digits(number: f64) -> String {
    match number {
        small if small < 9.995 => format!("{small:.2}"),
        middle if middle < 99.95 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, units): (f64, &[(f64, &str)]) = match *self {
            Self::Time(seconds) => {
                (seconds, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")])
            }
            Self::Memory(bytes) => (
                bytes,
                &[
                    ((1_u64 << 30) as f64, "GiB"),
                    ((1 << 20) as f64, "MiB"),
                    (1024.0, "KiB"),
                    (1.0, "bytes"),
                ],
            ),
            Self::Rate(rate) => (rate, &[(1e6, "million/s"), (1e3, "thousand/s"), (1.0, "/s")]),
            Self::Ratio(ratio) => return f.write_str(&digits(ratio)),
        };
        let last = units[units.len() - 1];
        let (unit, name) = units.iter().find(|(unit, _)| number >= *unit).copied().unwrap_or(last);
        write!(f, "{} {name}", digits(number / unit))
    }
}

/// A goal for our result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this value.
    AtMost(Figure),
    /// At most this multiple of the lower bound.
    TimesLimit(f64),
    /// The competitor of this name takes at least this multiple of our result.
    Ahead(&'static str, f64),
    /// Less than this fraction of the competitor of this name.
    Below(&'static str, f64),
}

/// One case.
#[derive(Debug)]
pub(crate) struct Row {
    case: String,
    ours: Figure,
    limit: Option<(&'static str, Figure)>,
    competitors: Vec<(&'static str, Figure)>,
    goals: Vec<Goal>,
}

impl Row {
    /// Creates a case with our result.
    pub(crate) fn new(case: impl Into<String>, ours: Figure) -> Self {
        Self { case: case.into(), ours, limit: None, competitors: Vec::new(), goals: Vec::new() }
    }

    pub(crate) fn case(&self) -> &str {
        &self.case
    }

    pub(crate) fn ours(&self) -> Figure {
        self.ours
    }

    /// Sets the lower bound.
    #[must_use]
    pub(crate) fn limit(mut self, name: &'static str, figure: Figure) -> Self {
        self.limit = Some((name, figure));
        self
    }

    /// Adds the result of a competitor in the same case.
    #[must_use]
    pub(crate) fn competitor(mut self, name: &'static str, figure: Option<Figure>) -> Self {
        self.competitors.extend(figure.map(|figure| (name, figure)));
        self
    }

    /// Adds a goal. It is omitted if the competitor is missing.
    #[must_use]
    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    fn competitor_named(&self, name: &str) -> Option<f64> {
        self.competitors
            .iter()
            .find(|(competitor, _)| *competitor == name)
            .map(|(_, figure)| figure.number())
    }

    /// Returns the goal, and whether it is reached; `None`: a value is missing.
    fn judge(&self, goal: Goal) -> Option<(String, bool)> {
        let ours = self.ours.number();
        Some(match goal {
            Goal::AtMost(most) => (format!("at most {most}"), ours <= most.number()),
            Goal::TimesLimit(times) => {
                let limit = self.limit?.1.number();
                (format!("at most {times} x limit"), ours <= times * limit)
            }
            Goal::Ahead(name, times) => {
                (format!("{times} x {name}"), self.competitor_named(name)? >= times * ours)
            }
            Goal::Below(name, part) => {
                let what = match part {
                    whole if whole >= 1.0 => format!("below {name}"),
                    part => format!("below {part:.2} x {name}"),
                };
                (what, ours < part * self.competitor_named(name)?)
            }
        })
    }

    fn goals(&self) -> String {
        let judged = self.goals.iter().filter_map(|goal| self.judge(*goal));
        let said: Vec<_> = judged
            .map(|(goal, reached)| if reached { goal } else { format!("**missed**: {goal}") })
            .collect();
        said.join("; ")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = self.ours.number();
        let (limit, ratio) = match self.limit {
            None => (String::new(), String::new()),
            Some((name, limit)) => (format!("{limit} ({name})"), digits(ours / limit.number())),
        };
        let competitors: Vec<_> = self
            .competitors
            .iter()
            .map(|(name, figure)| format!("{name} {figure} ({})", digits(figure.number() / ours)))
            .collect();
        let (competitors, goals) = (competitors.join(", "), self.goals());
        write!(f, "| {} | {} | {limit} | {ratio} | {competitors} | {goals} |", self.case, self.ours)
    }
}

/// Prints all rows.
pub(crate) fn print(rows: &[Row]) {
    println!("| case | ours | limit | ours / limit | competitors (theirs / ours) | goal |");
    println!("|---|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    let missed = rows.iter().filter(|row| row.goals().contains("**missed**")).count();
    println!("\n{} cases, {missed} of them with a goal that is missed.", rows.len());
}

/// Returns the median.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    percentile(&mut figures, 50)
}

/// Returns the percentile.
pub(crate) fn percentile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN)
}
