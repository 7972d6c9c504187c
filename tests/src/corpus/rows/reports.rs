//! Guests that make false reports.

use anyhow::{Context as _, ensure};
use syncmgr_host::Hresult;
use syncmgr_host::Status::{Failed, Succeeded};

use crate::corpus::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::behavior("reports about items that it does not have", "strangers").check(|ran| {
            ensure!(ran.report.refused_calls == 4, "{}", ran.report.refused_calls);
            Ok(())
        }),
        Row::behavior("lists an item twice", "")
            .set("items", "doubled")
            .terminates_early("plugin-bad-data"),
        Row::behavior("lists an item without an id", "")
            .set("items", "null")
            .terminates_early("plugin-bad-data"),
        Row::behavior("lists an item without a name", "")
            .set("items", "nameless")
            .terminates_early("plugin-bad-data"),
        Row::behavior("has no name", "")
            .set("handler", "nameless")
            .terminates_early("plugin-bad-data"),
        Row::behavior("has a name that moves the cursor", "").set("handler", "bad"),
        Row::behavior("has items whose names move the cursor and turn the text around", "")
            .set("items", "bad-names")
            .check(|ran| {
                ensure!(!ran.json.contains(['\u{1b}', '\u{7}', '\0', '\r']), "{:?}", ran.json);
                Ok(())
            }),
        Row::behavior("reports texts that move the cursor and turn the text around", "bad-texts")
            .terminates("plugin-error")
            .check(|ran| {
                ensure!(!ran.json.contains(['\u{1b}', '\u{7}', '\0', '\r']), "{:?}", ran.json);
                Ok(())
            }),
        Row::behavior("goes on with an item that has ended", "after-terminal")
            .ends(&[Succeeded, Failed])
            .hresult(Hresult::E_FAIL)
            .check(|ran| {
                // Four reports of the behavior, and two at the end.
                ensure!(ran.report.refused_calls == 6, "{}", ran.report.refused_calls);
                Ok(())
            }),
        Row::behavior("says that an item failed after all", "failed-after-all")
            .ends(&[Failed, Succeeded])
            .hresult(Hresult::E_FAIL),
        Row::behavior("counts backwards, below nothing and beyond everything", "values").check(
            |ran| {
                for recorded in &ran.recorded {
                    if let syncmgr_host::sink::Recorded::Progress { reported, .. } = recorded {
                        ensure!(reported.prog_value.is_none_or(|value| value >= 0), "{reported:?}");
                        ensure!(reported.max_value.is_none_or(|value| value >= 0), "{reported:?}");
                    }
                }
                Ok(())
            },
        ),
        Row::behavior("never reports", "")
            .set("silent", "yes")
            .ends(&[Failed, Failed])
            .hresult(Hresult::E_FAIL),
        Row::behavior("wants items tried again that it does not have", "")
            .retries(1)
            .set("jump", "yes")
            .set("retry", "strangers")
            .fails("plugin-bad-data"),
        Row::behavior("uses the time of day, which it was not given", "wall-clock")
            .terminates("ended-denied")
            .check(|ran| {
                let message = ran.message();
                ensure!(message.ends_with("the time of day (`wall-clock`); grant it"), "{message}");
                Ok(())
            }),
        Row::behavior("uses secret random numbers, which it did not request", "random")
            .terminates("ended-denied")
            .check(|ran| {
                let message = ran.message();
                ensure!(message.contains("its author must request it"), "{message}");
                Ok(())
            }),
        Row::behavior("uses the network", "network").terminates("ended-denied").check(|ran| {
            let message = ran.message();
            ensure!(message.contains("it cannot be granted"), "{message}");
            Ok(())
        }),
        Row::behavior("uses the network while it is started", "network")
            .at("initialize")
            .terminates_early("ended-denied"),
        Row::behavior("spoils its own storage", "corrupt-storage").storage(),
        Row::behavior("fills its storage", "fill-storage")
            .storage()
            .much(1_000)
            .terminates("plugin-error")
            .hresult(Hresult::HRESULT_ERROR_DISK_FULL)
            .check(|ran| {
                let code = ran.report.error().context("it did not fail")?;
                ensure!(code.to_string().contains("storage-bytes"), "{code}");
                Ok(())
            }),
    ]
}
