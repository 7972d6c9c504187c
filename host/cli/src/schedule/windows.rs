//! A task of Windows' Task Scheduler.

use super::Schedule;
use super::cron::{Cron, Values};
use super::xml::escape;

/// The maximum number of triggers of a task.
const MAX_TRIGGERS: usize = 48;

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The start of a trigger on a day, and the minutes until it repeats on that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    hour: u8,
    minute: u8,
    interval: Option<u8>,
}

/// Returns the text of the task, in UTF-16, which `schtasks` reads.
pub(super) fn task(schedule: &Schedule) -> Result<Vec<u8>, String> {
    let text = text(schedule)?;
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    Ok(units.flat_map(u16::to_le_bytes).collect())
}

fn text(schedule: &Schedule) -> Result<String, String> {
    let Schedule { name, cron, program, arguments, .. } = schedule;
    // The Task Scheduler has no escapes for these.
    if let Some(word) = [program]
        .into_iter()
        .chain(arguments)
        .find(|word| word.contains('%') || word.contains("$("))
    {
        return Err(format!(
            "the Task Scheduler replaces `%` and `$(` in a command, so it cannot run: {word}"
        ));
    }
    let days = days(cron);
    let triggers = starts(cron)?.into_iter().map(|start| trigger(start, &days));
    let arguments = arguments.iter().map(|argument| quote(argument)).collect::<Vec<_>>().join(" ");
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?>\r\n<!-- {} -->\r\n\
         <Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\r\n  \
         <RegistrationInfo>\r\n    <Description>syncmgr: {name}</Description>\r\n  </RegistrationInfo>\r\n  \
         <Triggers>\r\n{}  </Triggers>\r\n  \
         <Principals>\r\n    <Principal id=\"Author\">\r\n      \
         <LogonType>InteractiveToken</LogonType>\r\n      <RunLevel>LeastPrivilege</RunLevel>\r\n    \
         </Principal>\r\n  </Principals>\r\n  \
         <Settings>\r\n    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>\r\n    \
         <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\r\n    \
         <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>\r\n    \
         <StartWhenAvailable>true</StartWhenAvailable>\r\n    \
         <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\r\n  </Settings>\r\n  \
         <Actions Context=\"Author\">\r\n    <Exec>\r\n      <Command>{}</Command>\r\n      \
         <Arguments>{}</Arguments>\r\n    </Exec>\r\n  </Actions>\r\n</Task>\r\n",
        schedule.comment(),
        triggers.collect::<String>(),
        escape(program)?,
        escape(&arguments)?
    ))
}

/// Returns the starts on a day: one that repeats if the schedule is regular, or one for each time.
fn starts(cron: &Cron) -> Result<Vec<Start>, String> {
    let minutes: Vec<_> = cron.minutes.iter().collect();
    let step = match minutes.as_slice() {
        [first, second, ..] => second - first,
        [_] | [] => 60,
    };
    let is_regular = 60 % step == 0
        && minutes.len() == usize::from(60 / step)
        && minutes.windows(2).all(|pair| pair[1] - pair[0] == step);
    let starts: Vec<_> = match (cron.hours.is_all, is_regular) {
        (true, true) => minutes
            .iter()
            .take(1)
            .map(|&minute| Start { hour: 0, minute, interval: Some(step) })
            .collect(),
        (true, false) => {
            minutes.iter().map(|&minute| Start { hour: 0, minute, interval: Some(60) }).collect()
        }
        (false, _) => {
            let at = |hour| move |&minute: &u8| Start { hour, minute, interval: None };
            cron.hours.iter().flat_map(|hour| minutes.iter().map(at(hour))).collect()
        }
    };
    match starts.len() {
        count @ ..=MAX_TRIGGERS if count > 0 => Ok(starts),
        count => Err(format!(
            "it needs {count} triggers of a task, and {MAX_TRIGGERS} are possible; use `*` for the \
             hour, or fewer times"
        )),
    }
}

fn trigger(start: Start, days: &str) -> String {
    let Start { hour, minute, interval } = start;
    let repetition = interval.map(|minutes| {
        format!(
            "      <Repetition>\r\n        <Interval>PT{minutes}M</Interval>\r\n        \
             <Duration>P1D</Duration>\r\n        <StopAtDurationEnd>false</StopAtDurationEnd>\r\n      \
             </Repetition>\r\n"
        )
    });
    format!(
        "    <CalendarTrigger>\r\n{}      \
         <StartBoundary>2000-01-01T{hour:02}:{minute:02}:00</StartBoundary>\r\n      \
         <Enabled>true</Enabled>\r\n{days}    </CalendarTrigger>\r\n",
        repetition.unwrap_or_default()
    )
}

/// Returns the days of a schedule.
fn days(cron: &Cron) -> String {
    let names = |names: &[&str], values: &Values, first: u8| -> String {
        let name = |value: u8| names.get(usize::from(value - first)).copied().unwrap_or_default();
        values.iter().map(|value| format!("<{} />", name(value))).collect()
    };
    let months = format!("<Months>{}</Months>", names(&MONTHS, &cron.months, 1));
    let weekdays = format!("<DaysOfWeek>{}</DaysOfWeek>", names(&WEEKDAYS, &cron.weekdays, 0));
    let content = match (cron.days.is_all && cron.months.is_all, cron.weekdays.is_all) {
        (true, true) => "<ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay>".to_owned(),
        (true, false) => {
            format!("<ScheduleByWeek><WeeksInterval>1</WeeksInterval>{weekdays}</ScheduleByWeek>")
        }
        (false, true) => {
            let day = |day| format!("<Day>{day}</Day>");
            let days: String = cron.days.iter().map(day).collect();
            format!("<ScheduleByMonth><DaysOfMonth>{days}</DaysOfMonth>{months}</ScheduleByMonth>")
        }
        (false, false) => {
            // The fifth one of a month, if there is one, is its last.
            let weeks: String =
                ["1", "2", "3", "4", "Last"].map(|week| format!("<Week>{week}</Week>")).concat();
            format!(
                "<ScheduleByMonthDayOfWeek><Weeks>{weeks}</Weeks>{weekdays}{months}\
                 </ScheduleByMonthDayOfWeek>"
            )
        }
    };
    format!("      {content}\r\n")
}

/// Quotes an argument by the rules of `CommandLineToArgvW`.
fn quote(argument: &str) -> String {
    let is_special = |character: char| character.is_whitespace() || character == '"';
    if !argument.is_empty() && !argument.contains(is_special) {
        return argument.to_owned();
    }
    let mut quoted = String::from("\"");
    let mut backslashes = 0;
    for character in argument.chars() {
        if character == '\\' {
            backslashes += 1;
            continue;
        }
        let doubled = if character == '"' { 2 * backslashes + 1 } else { backslashes };
        quoted.push_str(&"\\".repeat(doubled));
        quoted.push(character);
        backslashes = 0;
    }
    quoted + &"\\".repeat(2 * backslashes) + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted() {
        for (argument, expected) in [
            ("run", "run"),
            (r"C:\a\b.toml", r"C:\a\b.toml"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            (r"C:\a b\", r#""C:\a b\\""#),
            (r#"a"b"#, r#""a\"b""#),
            (r#"a\"b"#, r#""a\\\"b""#),
            (r"a\\b c", r#""a\\b c""#),
        ] {
            assert_eq!(quote(argument), expected);
        }
    }

    #[test]
    fn schedules_become_triggers() {
        let at = |hour, minute, interval| Start { hour, minute, interval };
        for (cron, expected) in [
            ("* * * * *", vec![at(0, 0, Some(1))]),
            ("*/15 * * * *", vec![at(0, 0, Some(15))]),
            ("7-59/15 * * * *", vec![at(0, 7, Some(15))]),
            ("30 * * * *", vec![at(0, 30, Some(60))]),
            ("*/25 * * * *", vec![at(0, 0, Some(60)), at(0, 25, Some(60)), at(0, 50, Some(60))]),
            ("0,1 * * * *", vec![at(0, 0, Some(60)), at(0, 1, Some(60))]),
            ("30 2,14 * * *", vec![at(2, 30, None), at(14, 30, None)]),
        ] {
            assert_eq!(starts(&Cron::parse(cron).unwrap()).unwrap(), expected, "{cron}");
        }
        let many = starts(&Cron::parse("*/15 0-12 * * *").unwrap()).unwrap_err();
        assert!(many.contains("52 triggers"), "{many}");
    }

    #[test]
    fn schedules_select_days() {
        for (cron, expected) in [
            ("0 0 * * *", "<ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay>"),
            (
                "0 0 * * 0,5",
                "<ScheduleByWeek><WeeksInterval>1</WeeksInterval><DaysOfWeek><Sunday /><Friday />\
                 </DaysOfWeek></ScheduleByWeek>",
            ),
            (
                "0 0 1,31 jan,dec *",
                "<ScheduleByMonth><DaysOfMonth><Day>1</Day><Day>31</Day></DaysOfMonth>\
                 <Months><January /><December /></Months></ScheduleByMonth>",
            ),
            (
                "0 0 * 2 1",
                "<ScheduleByMonthDayOfWeek><Weeks><Week>1</Week><Week>2</Week><Week>3</Week>\
                 <Week>4</Week><Week>Last</Week></Weeks><DaysOfWeek><Monday /></DaysOfWeek>\
                 <Months><February /></Months></ScheduleByMonthDayOfWeek>",
            ),
        ] {
            assert_eq!(days(&Cron::parse(cron).unwrap()).trim(), expected, "{cron}");
        }
    }

    #[test]
    fn a_task_has_the_command() {
        let arguments = ["run", "--job", r"C:\a & b\<x>.toml"].map(str::to_owned).to_vec();
        let program = r"C:\Program Files\syncmgr.exe".to_owned();
        let schedule = Schedule::of_command("mine", "*/15 * * * *", program, arguments);
        let text = text(&schedule).unwrap();
        for words in [
            "<Description>syncmgr: mine</Description>",
            "<Interval>PT15M</Interval>",
            "<StartBoundary>2000-01-01T00:00:00</StartBoundary>",
            r"<Command>C:\Program Files\syncmgr.exe</Command>",
            "<Arguments>run --job \"C:\\a &amp; b\\&lt;x&gt;.toml\"</Arguments>",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let bytes = task(&schedule).unwrap();
        assert_eq!((&bytes[..4], bytes.len()), (&[0xff, 0xfe, b'<', 0][..], 2 * text.len() + 2));
        for word in ["100%", "$(Arg0)", "a\u{1}"] {
            let schedule =
                Schedule::of_command("mine", "0 0 * * *", "x".into(), vec![word.to_owned()]);
            assert!(task(&schedule).is_err(), "{word:?}");
        }
    }
}
