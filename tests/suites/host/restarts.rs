//! Restarts of plugins that crashed.

use std::time::Duration;

use conformance::limits;
use conformance::script::Script;
use syncmgr_host::{Hresult, RestartPolicy, Status};

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_crash_without_remaining_items_is_a_failure() -> anyhow::Result<()> {
    let restart = RestartPolicy::Restart { attempts: 3, backoff: MILLISECOND };
    let ran = Script::new("a")
        .on("synchronize", "progress item=a status=failed\npanic text=at_the_end")
        .request(|request| request.restart_policy = restart)
        .run()?;
    assert_eq!((ran.error_code(), ran.report.restarts), (Some("plugin-trap"), 0));
    assert_eq!(ran.report.items[0].hresult(), Hresult::E_FAIL, "its own failure");
    Ok(())
}

#[test]
fn a_crashed_plugin_is_restarted_for_its_unfinished_items() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let storage = home.path().to_owned();
    let script = |storage| {
        Script::new("a b c")
            .on(
                "synchronize",
                "progress item=a status=succeeded
                 progress item=b status=updating
                 crash-once
                 progress item=b status=succeeded
                 progress item=c status=succeeded",
            )
            .options(|options| options.storage(storage))
    };
    let restart = RestartPolicy::Restart { attempts: 3, backoff: MILLISECOND };
    let ran = script(storage.clone()).request(|request| request.restart_policy = restart).run()?;
    assert_eq!(ran.report.restarts, 1);
    for (name, status) in ran.ends() {
        assert_eq!(status, Status::Succeeded, "{name}");
    }
    assert!(ran.report.error().is_none(), "{:?}", ran.report.outcome);

    std::fs::remove_file(storage.join("crashed"))?;
    let ran = script(storage).run()?;
    assert_eq!(ran.error_code(), Some("plugin-trap"), "no restart by default");
    Ok(())
}

#[test]
fn restarts_are_bounded() -> anyhow::Result<()> {
    let restart = RestartPolicy::Restart { attempts: 2, backoff: MILLISECOND };
    for (export, deaths) in [("synchronize", 2), ("enum-items", 2)] {
        let script = Script::new("a").on(export, "panic text=again");
        let ran = script.request(|request| request.restart_policy = restart).run()?;
        assert_eq!(ran.error_code(), Some("plugin-trap"), "{export}");
        assert_eq!(ran.report.restarts, deaths, "{export}");
    }
    // A cancelled item is not restarted.
    let script = Script::new("a").on("synchronize", "spin");
    let script = script
        .options(|options| options.limits(limits(|limits| limits.grace = 20 * MILLISECOND)))
        .request(|request| request.restart_policy = restart);
    let ran = script.run_with(|cancel| cancel.cancel_all())?;
    assert_eq!((ran.error_code(), ran.report.restarts), (Some("ended-cancelled-all"), 0));
    Ok(())
}
