use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The plugin conforms.
    Passed,
    /// The plugin does not conform.
    Failed {
        /// The problem and the remedy.
        why: String,
        /// The calls around the problem, a line each.
        calls: Vec<String>,
    },
    /// The check did not apply.
    Skipped {
        /// The reason.
        why: String,
    },
}

/// A check and its result.
#[derive(Clone, Debug, Serialize)]
pub struct CheckOutcome {
    /// The name of the check.
    pub check: &'static str,
    /// Its criterion.
    pub about: &'static str,
    /// Its result.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Its duration.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
}

impl CheckOutcome {
    /// Returns a text for users, one or more lines. Texts of the plugin are quoted.
    pub fn text(&self) -> String {
        let (word, why) = match &self.verdict {
            Verdict::Passed => ("ok", None),
            Verdict::Failed { why, .. } => ("FAILED", Some(why)),
            Verdict::Skipped { why } => ("skipped", Some(why)),
        };
        let mut text = format!("{word:<8} {:<17} {}\n", self.check, self.about);
        // Writing to a string does not fail.
        if let Some(why) = why {
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            let why: String = why.chars().map(plain).collect();
            let _ = writeln!(text, "         {why}");
        }
        if let Verdict::Failed { calls, .. } = &self.verdict {
            for line in calls {
                let _ = writeln!(text, "         | {line}");
            }
        }
        text
    }
}

fn seconds<S: serde::Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((took.as_secs_f64() * 1e3).round() / 1e3)
}

/// The results of all checks.
#[derive(Clone, Debug, Serialize)]
pub struct TestReport {
    /// The name of the plugin.
    pub plugin: String,
    /// In execution order.
    pub checks: Vec<CheckOutcome>,
}

impl TestReport {
    /// Returns whether no check failed.
    pub fn passed(&self) -> bool {
        self.count(|verdict| matches!(verdict, Verdict::Failed { .. })) == 0
    }

    fn count(&self, predicate: impl Fn(&Verdict) -> bool) -> usize {
        self.checks.iter().filter(|outcome| predicate(&outcome.verdict)).count()
    }

    /// Returns the numbers of passed, failed and skipped checks as text.
    pub fn totals(&self) -> String {
        let passed = self.count(|verdict| *verdict == Verdict::Passed);
        let failed = self.count(|verdict| matches!(verdict, Verdict::Failed { .. }));
        let skipped = self.checks.len() - passed - failed;
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    /// Returns a JUnit XML report.
    ///
    /// # Errors
    /// Text that XML cannot represent, which a plugin's texts do not contain.
    pub fn junit(&self) -> Result<String, std::fmt::Error> {
        let mut suite = TestSuite::new(self.plugin.clone());
        for outcome in &self.checks {
            let status = match &outcome.verdict {
                Verdict::Passed => TestCaseStatus::success(),
                Verdict::Failed { why, calls } => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(why.clone());
                    status.set_description(calls.join("\n"));
                    status
                }
                Verdict::Skipped { why } => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(why.clone());
                    status
                }
            };
            let mut case = TestCase::new(outcome.check, status);
            case.set_classname(self.plugin.clone());
            case.set_time(outcome.took);
            suite.add_test_case(case);
        }
        let mut report = quick_junit::Report::new("syncmgr test");
        report.add_test_suite(suite);
        report.to_string().map_err(|_| std::fmt::Error)
    }
}
