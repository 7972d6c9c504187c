//! A service and a timer of systemd.

use super::Schedule;
use super::cron::{Cron, Values, WEEKDAYS};

/// Returns the text of the service.
pub(super) fn service(schedule: &Schedule) -> Result<String, String> {
    let Schedule { name, program, arguments, .. } = schedule;
    if program.contains(['"', '\'', '\\']) || program.contains(char::is_control) {
        return Err(format!(
            "systemd does not start a program with quotes, backslashes or control characters in \
             its path: {program}"
        ));
    }
    // The path of the program is not subject to the substitution of variables.
    let command = [quote(program)].into_iter().chain(arguments.iter().map(|one| {
        let one = quote(one);
        one.replace('$', "$$")
    }));
    let command = command.collect::<Vec<_>>().join(" ");
    Ok(format!(
        "# {}\n[Unit]\nDescription=syncmgr: {name}\n\n[Service]\nType=oneshot\nExecStart={command}\n\
         SuccessExitStatus=1\n",
        schedule.comment()
    ))
}

/// Returns the text of the timer.
pub(super) fn timer(schedule: &Schedule) -> String {
    let Schedule { name, cron, .. } = schedule;
    format!(
        "[Unit]\nDescription=syncmgr: {name}\n\n[Timer]\nOnCalendar={}\nPersistent=true\n\n\
         [Install]\nWantedBy=timers.target\n",
        calendar(cron)
    )
}

/// Quotes an argument of a command.
fn quote(argument: &str) -> String {
    let mut quoted = String::from("\"");
    for character in argument.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            '\0'..='\x1f' | '\x7f' => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(character)));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Converts a schedule to a calendar expression.
fn calendar(cron: &Cron) -> String {
    let list = |values: &Values| match values.is_all {
        true => "*".to_owned(),
        false => values.iter().map(|one| format!("{one:02}")).collect::<Vec<_>>().join(","),
    };
    let weekday = |number| WEEKDAYS.get(usize::from(number)).copied().unwrap_or_default();
    let weekdays = match cron.weekdays.is_all {
        true => String::new(),
        false => cron.weekdays.iter().map(weekday).collect::<Vec<_>>().join(",") + " ",
    };
    let Cron { minutes, hours, days, months, .. } = cron;
    format!("{weekdays}*-{}-{} {}:{}:00", list(months), list(days), list(hours), list(minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALENDARS: [(&str, &str); 10] = [
        ("* * * * *", "*-*-* *:*:00"),
        ("*/15 * * * *", "*-*-* *:00,15,30,45:00"),
        ("30 2 * * *", "*-*-* 02:30:00"),
        ("0 9-11 * * mon-wed", "Mon,Tue,Wed *-*-* 09,10,11:00:00"),
        ("0 0 * * 0", "Sun *-*-* 00:00:00"),
        ("0 0 * * 5-7", "Sun,Fri,Sat *-*-* 00:00:00"),
        ("5 4 1,15 * *", "*-*-01,15 04:05:00"),
        ("5 4 31 * *", "*-*-31 04:05:00"),
        ("0 12 29 2 *", "*-02-29 12:00:00"),
        ("59 23 * dec 1", "Mon *-12-* 23:59:00"),
    ];

    #[test]
    fn schedules_become_calendar_expressions() {
        for (cron, expected) in CALENDARS {
            assert_eq!(calendar(&Cron::parse(cron).unwrap()), expected, "{cron}");
        }
    }

    #[test]
    fn arguments_are_quoted() {
        for (argument, expected) in [
            ("run", r#""run""#),
            ("", r#""""#),
            ("a b;c'd", r#""a b;c'd""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("100%", r#""100%%""#),
            ("a\nb\t\u{1}\u{7f}ä", r#""a\x0ab\x09\x01\x7fä""#),
        ] {
            assert_eq!(quote(argument), expected);
        }
    }

    #[cfg(target_os = "linux")]
    mod real {
        use std::process::Command;

        use jiff::civil::{DateTime, datetime};

        use super::*;

        fn analyze(arguments: &[&str]) -> Option<Command> {
            let installed = Command::new("systemd-analyze").arg("--version").output().is_ok();
            let mut command = Command::new("systemd-analyze");
            command.args(arguments).env("TZ", "UTC").env("SYSTEMD_LOG_LEVEL", "debug");
            installed.then_some(command)
        }

        fn runs_at(cron: &Cron, time: DateTime) -> bool {
            let has = |values: &Values, value: i8| {
                values.iter().any(|one| i8::try_from(one) == Ok(value))
            };
            has(&cron.minutes, time.minute())
                && has(&cron.hours, time.hour())
                && has(&cron.days, time.day())
                && has(&cron.months, time.month())
                && has(&cron.weekdays, time.weekday().to_sunday_zero_offset())
        }

        /// systemd finds the same times as a search through all minutes.
        #[test]
        fn systemd_runs_at_the_times_of_the_schedule() {
            for (text, _) in CALENDARS {
                let cron = Cron::parse(text).unwrap();
                let expression = calendar(&cron);
                let arguments = [
                    "calendar",
                    "--base-time=2027-12-30 00:00:00 UTC",
                    "--iterations=5",
                    &expression,
                ];
                let Some(mut command) = analyze(&arguments) else { return };
                let output = command.output().unwrap();
                assert!(output.status.success(), "{expression}: {output:?}");
                let said = String::from_utf8(output.stdout).unwrap();
                let mut time = datetime(2027, 12, 30, 0, 0, 0, 0);
                let mut expected = Vec::new();
                while expected.len() < 5 && time.year() < 2045 {
                    time = time.checked_add(jiff::Span::new().minutes(1)).unwrap();
                    if runs_at(&cron, time) {
                        expected.push(time.strftime("%a %Y-%m-%d %H:%M:%S UTC").to_string());
                    }
                }
                let found: Vec<_> = said
                    .lines()
                    .filter(|line| line.contains("Next elapse: ") || line.contains("Iter. #"))
                    .filter_map(|line| line.split_once(": "))
                    .map(|(_, time)| time.to_owned())
                    .collect();
                assert!(!expected.is_empty());
                assert_eq!(found[..expected.len()], expected, "{text}: {said}");
            }
        }

        /// Parses the command line that systemd prints: words in quotes with escapes.
        fn words(line: &str) -> Vec<String> {
            let (mut words, mut word, mut is_quoted) = (Vec::new(), None, false);
            let mut rest = line.chars();
            while let Some(character) = rest.next() {
                let current = word.get_or_insert_with(String::new);
                match character {
                    '"' => is_quoted = !is_quoted,
                    ' ' if !is_quoted => words.extend(word.take()),
                    '\\' => current.push(match rest.next().unwrap() {
                        'a' => '\u{7}',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'v' => '\u{b}',
                        digit @ '0'..='3' => {
                            let octal = String::from_iter(
                                [Some(digit), rest.next(), rest.next()].map(Option::unwrap),
                            );
                            char::from(u8::from_str_radix(&octal, 8).unwrap())
                        }
                        other => other,
                    }),
                    other => current.push(other),
                }
            }
            words.extend(word);
            words
        }

        #[test]
        fn systemd_reads_hostile_arguments_as_they_are() {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("100% $HOME ä;");
            std::fs::create_dir(&program).unwrap();
            let program = program.join("sync mgr");
            std::fs::copy("/bin/true", &program).unwrap();
            let program = program.to_str().unwrap().to_owned();
            let arguments = [
                "run",
                "",
                ";",
                " ",
                "a b",
                "'",
                "\"",
                "\\",
                "\\n",
                "\n",
                "\t\r\u{1}\u{1b}\u{7f}",
                "%h",
                "%%",
                "$HOME",
                "${HOME}",
                "$$",
                "#",
                "-",
                "ä\u{2028}\u{202e}",
                "@x",
                "\\x41",
            ];
            let arguments = arguments.map(str::to_owned).to_vec();
            let schedule =
                Schedule::of_command("x", "0 0 * * *", program.clone(), arguments.clone());
            for (name, text) in [
                ("syncmgr-x.service", service(&schedule).unwrap()),
                ("syncmgr-x.timer", timer(&schedule)),
            ] {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            let files =
                ["syncmgr-x.service", "syncmgr-x.timer"].map(|name| folder.path().join(name));
            let files = files.each_ref().map(|file| file.to_str().unwrap());
            let Some(mut command) = analyze(&["verify", "--user", "--man=no", files[0], files[1]])
            else {
                return;
            };
            let output = command.env("XDG_RUNTIME_DIR", folder.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            let shown = String::from_utf8_lossy(&output.stdout);
            let line = shown.lines().find_map(|line| line.trim().strip_prefix("Command Line: "));
            let mut read = words(line.unwrap());
            // It shows arguments before the substitution of variables.
            read.iter_mut().skip(1).for_each(|word| *word = word.replace("$$", "$"));
            assert_eq!(read, [vec![program], arguments].concat());
        }
    }

    #[test]
    fn a_program_that_systemd_refuses_is_refused() {
        for path in ["/a'b/syncmgr", "/a\"b/syncmgr", "/a\\b/syncmgr", "/a\nb/syncmgr"] {
            let schedule = Schedule::of_command("x", "0 0 * * *", path.to_owned(), Vec::new());
            assert!(service(&schedule).unwrap_err().contains("in its path"), "{path:?}");
        }
    }
}
