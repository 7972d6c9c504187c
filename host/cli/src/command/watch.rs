//! The command `watch`: runs a job whenever one of its directories changes.

mod changes;

use std::io::Write;
use std::time::Duration;

use crate::args::Watch;
use crate::command::run::run_job;
use crate::exit::{self, Exit, UsageError};
use crate::interrupt::Interrupts;
use crate::job::Job;
use crate::output::{self, OutputError};
use changes::{Cause, Changes};

/// The shortest time between two runs without a change.
const SHORTEST: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &Watch) -> anyhow::Result<Exit> {
    if args.every < SHORTEST {
        return Err(UsageError("`--every` must be at least `1s`".to_owned()).into());
    }
    let interrupts = Interrupts::listen()?;
    let run = args.run();
    let mut job = Job::new(&run.target)?;
    let mut changes = Changes::new(&job);
    let mut echoes = 0;
    for number in 0_u64.. {
        changes.watch(args.every);
        changes.forget();
        let ran = run_job(&mut job, &run, &interrupts);
        if interrupts.came() {
            break;
        }
        match ran {
            Err(error) if number == 0 || OutputError::is_closed_pipe(&error) => return Err(error),
            Err(error) => exit::print_error(&error),
            Ok(_) => {}
        }
        if number == 0 && !args.quiet && !args.json {
            writeln!(output::stdout(), "watching for changes; press Ctrl-C to quit")?;
        }
        match changes.wait(args.every, echoes, &interrupts) {
            Some(Cause::Echo) => echoes += 1,
            Some(Cause::Change | Cause::Time) => echoes = 0,
            None => break,
        }
    }
    Ok(Exit::InSync)
}
