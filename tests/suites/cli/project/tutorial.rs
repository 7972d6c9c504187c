//! Executes the tutorials of the book.

use conformance::http_server::HttpServer;
use syncmgr_cli::project::sources;

use super::*;

/// Runs the commands in the `sh` blocks of a page, and compares each block of output with the
/// output of the block before it. Returns the complete output.
pub(crate) fn carry_out(home: &Home, folder: &str, page: &str) -> Result<Ran> {
    const END: &str = "-- the end of a block --";
    let blocks = blocks(page);
    let steps: Vec<_> = blocks.iter().filter(|block| block.info == "sh").collect();
    let script: String =
        steps.iter().map(|block| format!("{}echo '{END}'\n", block.text)).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_syncmgr")).parent().context("a folder")?;
    let path = std::env::var("PATH")?;
    let mut bash = Command::new("bash");
    bash.args(["-euxc", &script]).env("PATH", format!("{}:{path}", program.display()));
    bash.current_dir(home.path(folder)).env("SYNCMGR_STATE_DIR", home.path("state"));
    for outer in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_MANIFEST_DIR", "RUST_BACKTRACE"] {
        bash.env_remove(outer);
    }
    let ran = Ran::of(&bash.output()?).expect(0, END)?;
    let said: Vec<_> = ran.stdout.split(&format!("{END}\n")).collect();
    ensure!(said.len() == steps.len() + 1, "{ran:#?}");
    let mut carried_out = 0;
    for block in &blocks {
        match block.info.as_str() {
            "sh" => carried_out += 1,
            "text" => {
                let said = said[carried_out - 1];
                ensure!(
                    shows(&block.text, said),
                    "{}\ndiffers from the output:\n{said}",
                    block.text
                );
            }
            _other => {}
        }
    }
    Ok(ran)
}

/// Runs the commands of a tutorial in an empty folder.
fn tutorial(language: &str) -> Result<()> {
    let home = Home::new()?;
    // Determines whether the tools of the language are installed.
    home.run(&["new", "probe", "--lang", language])?.expect(0, "")?;
    if !ready(&home, "probe", language)? {
        return Ok(());
    }
    let page = format!("guest/book/src/tutorial-{language}.md");
    let page = fs::read_to_string(conformance::workspace().join(page))?;
    // In an otherwise empty folder.
    let page = page.replace("/tmp/mirrored", &home.path("mirrored").display().to_string());
    let server = HttpServer::start()?;
    let page = page.replace("https://files.example.com", &server.url());
    let page =
        page.replace("=a.txt", "=echo").replace("/a.txt", "/echo").replace(" a.txt", " echo");
    let ran = carry_out(&home, "", &page)?.expect(0, " 0 failed")?;
    ensure!(ran.stderr.contains("syncmgr new") && ran.stderr.contains("syncmgr pack"), "{ran:#?}");
    ensure!(ran.stdout.contains("Copy to the other folder"), "the change is seen: {ran:#?}");
    ensure!(ran.stdout.contains("license   MIT OR Apache-2.0"), "{ran:#?}");
    ensure!(home.path("transfer/fixture/files/echo").exists(), "the download: {ran:#?}");
    // A block of code quotes the project.
    let sources = sources(&home.path("transfer"));
    for block in blocks(&page).iter().filter(|block| block.language() == language) {
        let quotes = |file: &PathBuf| {
            fs::read_to_string(file).is_ok_and(|source| source.contains(&block.text))
        };
        ensure!(sources.iter().any(quotes), "no file contains\n{}", block.text);
    }
    Ok(())
}

#[test]
fn the_rust_tutorial_works_as_written() -> Result<()> {
    tutorial("rust")
}

#[test]
fn the_c_tutorial_works_as_written() -> Result<()> {
    tutorial("c")
}

#[test]
fn the_python_tutorial_works_as_written() -> Result<()> {
    tutorial("python")
}

#[test]
fn the_javascript_tutorial_works_as_written() -> Result<()> {
    tutorial("javascript")
}
