use clap::Args as ClapArgs;

use super::StateDir;

const SERVE_HELP: &str = "\
Examples:
  Show the page, until Ctrl-C (open the URL that is printed):
    syncmgr serve
  The same at a fixed port, to reach it through SSH:
    syncmgr serve --port 8420
  Write the state and the last runs to a file, for a report:
    syncmgr serve --once > status.html

Only this machine reaches the page, and only a browser that has opened the URL. The URL is a secret
while the program runs. Runs that the page started are cancelled when the program ends.";

/// Show items, runs and conflicts on a page in the browser, and start runs there
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct Serve {
    /// Port on 127.0.0.1 (0: any free port)
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "once")]
    pub(crate) port: u16,

    /// Write the items and the last runs as one HTML page, and exit
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}
