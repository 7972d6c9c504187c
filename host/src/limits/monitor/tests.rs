//! The monitor of a session, with a clock that the test moves.

use super::*;

#[test]
fn a_grace_period_excludes_time_that_was_not_the_plugins() {
    let grace = Grace::default();
    for (start, now, held, used) in [
        (100, 110, 0, 10),
        (100, 120, 10, 10),
        (100, 130, 10, 10),
        (100, 140, 0, 20),
        // Another period.
        (200, 205, 10, 0),
        (200, 215, 0, 10),
    ] {
        assert_eq!(grace.used(start, now, held), used, "{start} {now} {held}");
    }
}

#[test]
fn time_in_the_sink_is_not_counted_if_it_exceeds_a_tick() {
    const TICK: u64 = 10_000_000;
    let limits = Limits { grace: std::time::Duration::from_millis(100), ..Limits::default() };
    for (long, expected) in [(true, None), (false, Some(TerminationReason::CancelledAll))] {
        let clock = Arc::new(CoarseClock::new());
        let monitor = Monitor::new(CancelHandle::new(), Arc::clone(&clock), &limits);
        monitor.begin_call(Call::Synchronize);
        monitor.cancel.cancel_all();
        let mut now = clock.advance();
        monitor.in_sink.store(now, Ordering::Relaxed);
        for _ in 0..100 {
            now += TICK;
            monitor.tick(now);
            if !long {
                // Another call of the sink, begun after the last check.
                monitor.in_sink.store(now, Ordering::Relaxed);
            }
        }
        assert_eq!(monitor.terminated(), expected, "{long}");
        monitor.in_sink.store(0, Ordering::Relaxed);
        for _ in 0..20 {
            now += TICK;
            monitor.tick(now);
        }
        assert_eq!(
            monitor.terminated(),
            Some(TerminationReason::CancelledAll),
            "without the sink: {long}"
        );
    }
}
