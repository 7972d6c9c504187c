//! `syncmgr`: run, inspect and validate sync plugins.

fn main() -> std::process::ExitCode {
    syncmgr_cli::main()
}
