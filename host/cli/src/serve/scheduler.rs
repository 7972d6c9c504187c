//! Runs jobs at the times of their schedules, unless the system does.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;

use super::children::Mode;
use super::job::Job;
use super::jobs;
use super::server::Server;
use crate::output::note;
use crate::schedule::{enabled, next_after};

/// The interval of checks. The times of schedules are minutes.
const CHECK: Duration = Duration::from_secs(5);

/// Starts the runs of schedules, for ever.
pub(super) async fn run(server: Arc<Server>) -> Infallible {
    let mut since = Zoned::now();
    loop {
        tokio::time::sleep(CHECK).await;
        let (now, server) = (Zoned::now(), Arc::clone(&server));
        // A suspended computer runs a job once, however often its time came.
        let after = std::mem::replace(&mut since, now.clone());
        // Its panic is that of one check.
        let _ = tokio::task::spawn_blocking(move || start_due(&server, &after, &now)).await;
    }
}

/// Returns the jobs with a schedule that the system does not execute.
pub(super) fn scheduled(server: &Server) -> Vec<(Job, String)> {
    // What cannot be read now may be readable at the next check.
    let jobs = jobs::all(server).unwrap_or_default();
    let mut jobs: Vec<_> =
        jobs.into_iter().filter_map(|job| Some((job.schedule.clone()?, job))).collect();
    if jobs.is_empty() {
        return Vec::new();
    }
    // If that cannot be read, each of them may be executed by the system.
    let Ok(by_system) = enabled(server.registrations.state_dir()) else { return Vec::new() };
    let is_enabled = |job: &Job| by_system.iter().any(|record| record.target == job.name);
    let mut known = BTreeSet::new();
    jobs.retain(|(_, job)| !is_enabled(job) && known.insert(job.key.clone()));
    jobs.into_iter().map(|(schedule, job)| (job, schedule)).collect()
}

fn start_due(server: &Server, after: &Zoned, now: &Zoned) {
    for (job, schedule) in scheduled(server) {
        if !is_due(&schedule, after, now) || server.children.runs(&job.key) {
            continue;
        }
        let state = server.registrations.state_dir();
        if let Err(error) = server.children.start(&job, Mode::Scheduled, state) {
            note(&format!("cannot run {} at the time of its schedule: {error:#}", job.name));
        }
    }
}

/// Returns whether a time of a schedule came since another time.
fn is_due(schedule: &str, after: &Zoned, now: &Zoned) -> bool {
    next_after(schedule, after).is_some_and(|time| time <= *now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_due_when_its_time_comes() {
        let at = |time: &str| format!("2026-11-30T{time}[UTC]").parse::<Zoned>().unwrap();
        for (schedule, after, now, due) in [
            ("*/15 * * * *", "10:14:58", "10:15:00", true),
            ("*/15 * * * *", "10:15:00", "10:15:05", false),
            ("*/15 * * * *", "10:14:50", "10:14:59", false),
            ("30 2 * * *", "01:00:00", "23:00:00", true),
            ("30 2 * * tue", "01:00:00", "23:00:00", false),
            ("* * * * *", "10:00:30", "10:00:20", false),
            ("often", "01:00:00", "23:00:00", false),
        ] {
            assert_eq!(is_due(schedule, &at(after), &at(now)), due, "{schedule} {after} {now}");
        }
    }
}
