//! What the documents show is what is built, and it does what they say.

use std::fs;
use std::path::Path;

use anyhow::Context;
use conformance::{HELLO, workspace};
use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{Hresult, ProgressResponse, RunRequest, SessionOptions, Status};

#[path = "../../host/examples/embed.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a whole program")]
mod embed;

#[test]
fn the_readme_quotes_the_sources() -> anyhow::Result<()> {
    let readme = fs::read_to_string(workspace().join("README.md"))?;
    for source in ["guest/plugins/hello/src/lib.rs", "host/examples/embed.rs"] {
        let text = fs::read_to_string(workspace().join(source))?;
        let quoted = format!("```rust\n{}\n```", text.trim_end());
        anyhow::ensure!(readme.contains(&quoted), "README.md does not quote {source} as it is");
    }
    Ok(())
}

#[test]
fn the_embedding_program_cancels_an_item_from_another_thread() {
    let report = embed::run(Path::new(HELLO)).expect("it runs");
    assert_eq!(report.items[0].status, Status::Skipped);
    assert_eq!(report.items[0].hresult(), Hresult::S_SYNCMGR_CANCELITEM);
    assert_eq!(report.items[0].text, "Hello");
}

#[test]
fn the_plugin_of_the_readme_obeys_cancellation_with_a_question_mark() -> anyhow::Result<()> {
    struct Nth(u32, ProgressResponse);
    impl Sink for Nth {
        fn progress(&mut self, _progress: &Progress<'_>) -> ProgressResponse {
            self.0 = self.0.saturating_sub(1);
            if self.0 == 0 { self.1 } else { ProgressResponse::Continue }
        }
    }
    for (response, end) in [
        (ProgressResponse::Continue, Status::Succeeded),
        (ProgressResponse::CancelItem, Status::Skipped),
        (ProgressResponse::CancelAll, Status::Stopped),
    ] {
        let plugin = conformance::host().load_file(Path::new(HELLO))?;
        let request = RunRequest::default();
        let report = plugin
            .run_blocking(SessionOptions::new(), Nth(3, response), &request)
            .context("it runs")?;
        assert_eq!(report.items[0].status, end);
        let calls = if response == ProgressResponse::Continue { 11 } else { 4 };
        assert_eq!(report.progress_calls, calls, "it stops at once");
    }
    Ok(())
}

#[test]
fn the_threat_model_names_tests_that_exist() -> anyhow::Result<()> {
    let root = conformance::workspace();
    let page = std::fs::read_to_string(root.join("guest/book/src/threat-model.md"))?;
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut named = 0;
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "there is no test in: {row}");
        for name in names {
            let (path, test) = match name.split_once("::") {
                Some((suite, test)) => (format!("tests/suites/{suite}.rs"), Some(test)),
                None => (name.to_owned(), None),
            };
            let source = std::fs::read_to_string(root.join(&path)).context(path)?;
            let there = test.is_none_or(|test| source.contains(&format!("fn {test}(")));
            assert!(there, "there is no test {name}");
            named += 1;
        }
    }
    assert!(named > 20, "the page names {named} tests");
    Ok(())
}
