//! An agent of launchd, on macOS.

use super::Schedule;
use super::cron::{Cron, Values};
use super::xml::escape;

/// The maximum number of calendar entries of an agent.
const MAX_ENTRIES: usize = 500;

/// Returns the text of the agent. `log` is the file for its output.
pub(super) fn agent(schedule: &Schedule, log: &str) -> Result<String, String> {
    let Schedule { name, cron, program, arguments, .. } = schedule;
    let mut words = String::new();
    for word in [program].into_iter().chain(arguments) {
        words += &format!("    <string>{}</string>\n", escape(word)?);
    }
    let (label, log) = (label(name), escape(log)?);
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- {} -->\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n  \
         <key>Label</key>\n  <string>{label}</string>\n  \
         <key>ProgramArguments</key>\n  <array>\n{words}  </array>\n  \
         <key>StartCalendarInterval</key>\n  <array>\n{}  </array>\n  \
         <key>ProcessType</key>\n  <string>Background</string>\n  \
         <key>StandardOutPath</key>\n  <string>{log}</string>\n  \
         <key>StandardErrorPath</key>\n  <string>{log}</string>\n\
         </dict>\n</plist>\n",
        schedule.comment(),
        entries(cron)?
    ))
}

/// Returns the label of the agent, which is also the name of its file.
pub(super) fn label(name: &str) -> String {
    format!("syncmgr.{name}")
}

/// Returns an entry for each combination of values. A missing key stands for every value.
fn entries(cron: &Cron) -> Result<String, String> {
    let fields = [
        ("Month", &cron.months),
        ("Day", &cron.days),
        ("Weekday", &cron.weekdays),
        ("Hour", &cron.hours),
        ("Minute", &cron.minutes),
    ];
    let restricted: Vec<_> = fields.into_iter().filter(|(_, values)| !values.is_all).collect();
    let count: usize = restricted.iter().map(|(_, values)| values.len()).product();
    if count > MAX_ENTRIES {
        return Err(format!(
            "it needs {count} calendar entries of launchd, and {MAX_ENTRIES} are supported; use `*` \
             for more fields, or fewer values"
        ));
    }
    let extended = |entries: Vec<String>, (key, values): (&str, &Values)| -> Vec<String> {
        let with = |entry: &String, value| {
            format!("{entry}      <key>{key}</key>\n      <integer>{value}</integer>\n")
        };
        entries.iter().flat_map(|entry| values.iter().map(move |one| with(entry, one))).collect()
    };
    let entries = restricted.into_iter().fold(vec![String::new()], extended);
    Ok(entries.iter().map(|entry| format!("    <dict>\n{entry}    </dict>\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns each entry as `KEY=VALUE` words.
    fn compact(entries: &str) -> Vec<String> {
        let parts = entries.split("</dict>").filter(|part| !part.trim().is_empty());
        let entry = |part: &str| {
            let keys = part.split("<key>").skip(1).filter_map(|key| {
                let (key, rest) = key.split_once("</key>")?;
                let (value, _) = rest.split_once("<integer>")?.1.split_once("</integer>")?;
                Some(format!("{key}={value}"))
            });
            keys.collect::<Vec<_>>().join(" ")
        };
        parts.map(entry).collect()
    }

    #[test]
    fn schedules_become_calendar_entries() {
        for (cron, expected) in [
            ("* * * * *", &[""][..]),
            ("30 2 * * *", &["Hour=2 Minute=30"]),
            ("*/30 * * * *", &["Minute=0", "Minute=30"]),
            (
                "0,30 8,9 * * *",
                &["Hour=8 Minute=0", "Hour=8 Minute=30", "Hour=9 Minute=0", "Hour=9 Minute=30"],
            ),
            ("0 0 * * 7,1", &["Weekday=0 Hour=0 Minute=0", "Weekday=1 Hour=0 Minute=0"]),
            ("* 4 1 jan *", &["Month=1 Day=1 Hour=4"]),
        ] {
            let entries = entries(&Cron::parse(cron).unwrap()).unwrap();
            assert_eq!(compact(&entries), expected, "{cron}");
        }
        let many = entries(&Cron::parse("1-59 1-22 * * *").unwrap()).unwrap_err();
        assert!(many.contains("1298 calendar entries"), "{many}");
    }

    #[test]
    fn an_agent_has_the_command_and_the_log() {
        let arguments = ["run", "--job", "/a & b/<x>.toml"].map(str::to_owned).to_vec();
        let schedule =
            Schedule::of_command("mine", "30 2 * * *", "/bin/sync mgr".into(), arguments);
        let text = agent(&schedule, "/Users/me/Library/Logs/syncmgr-mine.log").unwrap();
        let expected = r#"<plist version="1.0">
<dict>
  <key>Label</key>
  <string>syncmgr.mine</string>
  <key>ProgramArguments</key>
  <array>
    <string>/bin/sync mgr</string>
    <string>run</string>
    <string>--job</string>
    <string>/a &amp; b/&lt;x&gt;.toml</string>
  </array>
  <key>StartCalendarInterval</key>
  <array>
    <dict>
      <key>Hour</key>
      <integer>2</integer>
      <key>Minute</key>
      <integer>30</integer>
    </dict>
  </array>
  <key>ProcessType</key>
  <string>Background</string>
  <key>StandardOutPath</key>
  <string>/Users/me/Library/Logs/syncmgr-mine.log</string>
  <key>StandardErrorPath</key>
  <string>/Users/me/Library/Logs/syncmgr-mine.log</string>
</dict>
</plist>
"#;
        assert!(text.ends_with(expected), "{text}");
        let schedule = Schedule::of_command("mine", "30 2 * * *", "/a\u{1}".into(), Vec::new());
        assert!(agent(&schedule, "/log").unwrap_err().contains("U+0001"));
    }
}
