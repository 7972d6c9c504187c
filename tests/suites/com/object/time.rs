//! Time in the sync manager does not count as time of the plugin.

use super::*;

/// The duration of a callback, far above every limit of the plugin.
const LONG: Duration = Duration::from_millis(2_500);

const LIMIT: Duration = Duration::from_millis(700);

/// A manager that cancels in this callback, by `SetItemStatus` for this item or for all, and then
/// takes its time.
fn cancels_in(
    (callback, about): (&'static str, &'static str),
    cancelled: Option<GUID>,
    work: &'static str,
    limits: Limits,
) -> Result<(Hresult, Vec<String>)> {
    let place: Arc<Mutex<Option<AnyThread>>> = Arc::default();
    let inside = Arc::clone(&place);
    let slow: Answer = Some(Box::new(move |called, item, nth| {
        if (called, item, nth) == (callback, about, 1) {
            let handler = {
                let handler = inside.lock().expect("the lock is not poisoned");
                handler.as_ref().map(|AnyThread(handler)| handler.clone())
            };
            if let (Some(id), Some(handler)) = (cancelled, handler) {
                let status = if id == GUID_NULL { 0 } else { 1 };
                // SAFETY: the id lives until the call returns.
                let pushed = ours(unsafe { handler.SetItemStatus(&raw const id, status) });
                assert_eq!(pushed, Hresult::S_OK);
            }
            std::thread::sleep(LONG);
        }
        Hresult::S_OK
    }));
    let client = client(script(work).limits(limits), slow);
    *place.lock().expect("the lock is not poisoned") = Some(AnyThread(client.handler().clone()));
    let outcome = client.run(MANUAL, "a b");
    *place.lock().expect("the lock is not poisoned") = None;
    Ok((outcome?, client.log()))
}

#[test]
fn time_inside_a_callback_is_not_counted() -> Result<()> {
    let callbacks = [
        (("Progress", "a"), ""),
        (("LogError", "b"), "log item=b text=x"),
        (("DeleteLogError", ""), "log text=x id=e\ndelete-log id=e"),
        (("EstablishConnection", ""), "connect"),
        (("EnableModeless", ""), "question text=Which? choices=one,two"),
    ];
    let rows = [
        (Some(GUID_NULL), 0, limits(|limits| limits.grace = LIMIT)),
        (Some(guid("a")), 1, limits(|limits| limits.grace = LIMIT)),
        (None, 4, limits(|limits| limits.idle_time = LIMIT)),
        (None, 4, limits(|limits| limits.compute_time = LIMIT)),
    ];
    std::thread::scope(|scope| {
        let mut runs = Vec::new();
        for (callback, work) in callbacks {
            for (cancelled, status, limits) in rows.clone() {
                let ends = match status {
                    0 => {
                        "progress item=a status=stopped quiet=1\nprogress item=b status=stopped quiet=1"
                    }
                    1 => {
                        "progress item=a status=skipped quiet=1\nprogress item=b status=succeeded quiet=1"
                    }
                    _ => {
                        "progress item=a status=succeeded quiet=1\nprogress item=b status=succeeded quiet=1"
                    }
                };
                let begins = "progress item=a status=updating quiet=1";
                let work = format!("{begins}\n{work}\n{ends}").leak();
                runs.push((
                    callback,
                    status,
                    scope.spawn(move || cancels_in(callback, cancelled, work, limits)),
                ));
            }
        }
        for (callback, status, run) in runs {
            let (outcome, log) = run.join().expect("it does not panic")?;
            assert_eq!(outcome, Hresult::S_OK, "{callback:?} {status}: {log:?}");
            let end = format!("Progress a status={status} ");
            assert!(log.iter().any(|line| line.starts_with(&end)), "{callback:?}: {log:?}");
        }
        Ok(())
    })
}

#[test]
fn a_plugin_that_continues_after_the_callback_is_terminated() -> Result<()> {
    let limits = limits(|limits| limits.grace = LIMIT);
    let work = "progress item=a status=updating quiet=1\nspin";
    let (outcome, log) = cancels_in(("Progress", "a"), Some(GUID_NULL), work, limits)?;
    assert_eq!(
        outcome,
        hresult::from_termination_reason(TerminationReason::CancelledAll),
        "{log:?}"
    );
    Ok(())
}
