//! The documents match the sources: quotes, links, and the tests that they name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use conformance::{HELLO, workspace};
use syncmgr_host::sink::{Discard, Progress, Sink};
use syncmgr_host::{
    Host, HostOptions, Hresult, Plugin, ProgressResponse, RunRequest, SessionOptions, Status,
    full_message,
};

#[path = "../../../host/examples/embed.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a whole program")]
mod embed;
#[path = "../../../host/examples/own_engine.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a whole program")]
mod own_engine;
#[path = "../../../host/examples/service.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a whole program")]
mod service;

#[test]
fn documents_quote_the_sources() -> anyhow::Result<()> {
    for (page, info, source) in [
        ("README.md", "rust", "guest/plugins/hello/src/lib.rs"),
        ("guest/book/src/embedding.md", "rust,no_run", "host/examples/embed.rs"),
        ("guest/book/src/embedding.md", "rust,no_run", "host/examples/own_engine.rs"),
        ("guest/book/src/embedding.md", "rust,no_run", "host/examples/service.rs"),
        ("guest/src/lib.rs", "no_run", "guest/plugins/hello/src/lib.rs"),
    ] {
        let page_text = fs::read_to_string(workspace().join(page))?;
        let is_code = page.ends_with(".rs");
        let lines = page_text.lines().map(|line| match line.strip_prefix("//!") {
            Some(text) if is_code => text.strip_prefix(' ').unwrap_or(text),
            Some(_) | None => line,
        });
        // A hidden line of the page keeps rustdoc from adding `main`.
        let lines = lines.filter(|line| *line != "# fn main() {}");
        let page_text = lines.collect::<Vec<_>>().join("\n");
        let text = fs::read_to_string(workspace().join(source))?;
        let quoted = format!("```{info}\n{}\n```", text.trim_end());
        anyhow::ensure!(page_text.contains(&quoted), "{page} does not quote {source} exactly");
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

#[tokio::test]
async fn the_service_runs_many_sessions() {
    let (reports, changes) = service::run(Path::new(HELLO), 8).await.expect("it runs");
    assert_eq!(reports.len(), 8);
    for report in &reports {
        assert_eq!(report.items[0].status, Status::Succeeded, "{:?}", report.outcome);
    }
    for session in 0..8 {
        let last = changes.iter().rfind(|(of, _, _)| *of == session);
        assert_eq!(last.map(|(_, _, status)| *status), Some(Status::Succeeded), "{session}");
    }
}

#[tokio::test]
async fn an_application_runs_a_plugin_in_its_own_engine() {
    let (report, _duration) = own_engine::run(Path::new(HELLO)).await.expect("it runs");
    assert_eq!(report.items[0].status, Status::Succeeded, "{:?}", report.outcome);
}

#[tokio::test]
async fn a_store_of_another_engine_or_plugin_is_refused() -> anyhow::Result<()> {
    let plugin = conformance::host().load_file(HELLO)?;
    let script = conformance::host().load_file(conformance::SCRIPT)?;
    let other_host = Host::new()?;
    let other = other_host.load_file(HELLO)?;
    let context = |plugin: &Plugin| plugin.context(&SessionOptions::new(), Discard);
    for (engine, context, expected) in [
        (other.engine(), context(&plugin)?, "another engine"),
        (plugin.engine(), context(&script)?, "created for the plugin `script`"),
    ] {
        let mut linker = wasmtime::component::Linker::new(engine);
        syncmgr_host::add_to_linker(&mut linker)?;
        let started = plugin.start_in(wasmtime::Store::new(engine, context), &linker).await;
        let error = started.map(drop).expect_err("it is refused");
        assert!(full_message(&error).contains(expected), "{}", full_message(&error));
    }
    Ok(())
}

#[test]
fn an_engine_that_cannot_interrupt_plugins_is_refused() {
    let mut config = HostOptions::new().engine_config();
    config.epoch_interruption(false);
    let engine = wasmtime::Engine::new(&config).expect("it is a valid configuration");
    let options = HostOptions::new().engine(engine);
    let error = Host::with_options(options).expect_err("it is refused");
    assert!(full_message(&error).contains("engine_config"), "{error:?}");
}

#[test]
fn the_readme_plugin_propagates_cancellation() -> anyhow::Result<()> {
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
        let plugin = conformance::host().load_file(HELLO)?;
        let request = RunRequest::default();
        let report =
            plugin.run(SessionOptions::new(), Nth(3, response), &request).context("it runs")?;
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
    // The tables about advisories name no tests.
    let (attacks, _advisories) = page.split_once("\n## Advisories").context("no advisories")?;
    let rows = attacks.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut named = 0;
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "there is no test in: {row}");
        for name in names {
            let there = match name.split_once("::") {
                Some((suite, test)) => {
                    let source = conformance::suite_source(suite).context(suite.to_owned())?;
                    source.contains(&format!("fn {test}("))
                }
                None => root.join(name).is_file(),
            };
            assert!(there, "there is no test {name}");
            named += 1;
        }
    }
    assert!(named > 20, "the page names {named} tests");
    Ok(())
}

/// Returns all pages below a folder.
fn pages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(pages(&path)?);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the targets of a page's links, without external ones and code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            if let Some((link, _)) = part.split_once(')')
                && !link.contains("://")
            {
                links.push(link.to_owned());
            }
        }
    }
    links
}

/// Returns the anchor that mdBook and GitHub derive from a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars();
    kept.filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _other => None,
    })
    .collect()
}

#[test]
fn every_link_of_the_documents_resolves() -> anyhow::Result<()> {
    let root = workspace();
    let mut documents = pages(&root.join("guest/book/src"))?;
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        documents.push(root.join(name));
    }
    documents.extend(pages(&root.join("wit"))?);
    let mut checked = 0;
    for document in documents {
        let text = fs::read_to_string(&document)?;
        for link in links(&text) {
            let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.with_file_name(path),
            };
            anyhow::ensure!(target.exists(), "{}: {link} leads nowhere", document.display());
            if !fragment.is_empty() && target.extension().is_some_and(|end| end == "md") {
                let text = fs::read_to_string(&target)?;
                let marked = text.contains(&format!("id=\"{fragment}\""));
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                let there = marked || headings.any(|heading| heading == fragment);
                anyhow::ensure!(there, "{}: {link} has no such heading", document.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} links");
    Ok(())
}

#[test]
fn every_page_of_the_book_is_in_its_summary() -> anyhow::Result<()> {
    let source = workspace().join("guest/book/src");
    let summary = fs::read_to_string(source.join("SUMMARY.md"))?;
    let listed: Vec<_> = links(&summary).into_iter().map(|link| source.join(link)).collect();
    for page in pages(&source)? {
        let known = page.ends_with("SUMMARY.md") || listed.contains(&page);
        anyhow::ensure!(known, "SUMMARY.md does not name {}", page.display());
    }
    Ok(())
}
