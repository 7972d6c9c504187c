//! The code blocks of the documents, and their tests.

/// How to test a block.
#[derive(Debug)]
pub(super) enum How {
    /// Executed in this folder, after these commands.
    Run(&'static str, &'static str),
    /// Written to this file, for later blocks.
    File(&'static str),
    /// Compared with the output of these commands in this folder.
    Shows(&'static str, &'static str),
    /// The same for one line that is wrapped.
    ShowsLine(&'static str, &'static str),
    /// Contains commands after `$ `, each with its output, for this folder.
    Session(&'static str),
    /// Its `run` steps are executed in this folder, and create the file named by `path`.
    Workflow(&'static str),
    /// A part of a project manifest, which is parsed together with this part.
    Manifest(&'static str),
    /// Another test executes it.
    By(&'static str),
    /// Not executed, for this reason. Its `syncmgr` commands must be valid.
    Not(&'static str),
}
use How::{By, File, Not, Run, Session, Shows, ShowsLine, Workflow};

const BUILD: &str = "[build]\nlanguage = \"c\"\n";
const PLUGIN_AND_BUILD: &str =
    "[plugin]\nname = \"mirror\"\nversion = \"0.1.0\"\n[build]\nlanguage = \"c\"\n";

/// The page of each block, the start of its first line, and its test. The blocks are executed in
/// this order, in one home directory.
pub(super) const BLOCKS: &[(&str, &str, How)] = &[
    ("README.md", "$ syncmgr run folder", Session("")),
    ("README.md", "cargo install", Not("it installs the program")),
    (INSTALL, "cargo install", Not("it installs the program")),
    (INSTALL, "pipx install", Not("`.ci/installs` does the same with files")),
    (INSTALL, "cargo build --release", Not("`.ci/run` does the same with the program of the tests")),
    ("README.md", "cargo demo", By("program::the_demo_makes_two_folders_and_syncs_them")),
    ("README.md", "cargo test", Not("this is how the tests are run")),
    ("README.md", "syncmgr run folder", Run("readme", "")),
    (FOLDER, "syncmgr run folder", Run("readme", "")),
    (FOLDER, "# sync.toml", File("readme/sync.toml")),
    (FOLDER, "syncmgr run --job", Run("readme", "")),
    (
        WEBDAV,
        "syncmgr run webdav --dir local=~/docs --http remote=https://dav.",
        By("webdav::both_sides_become_equal_and_a_rerun_changes_nothing"),
    ),
    (
        WEBDAV,
        "syncmgr run webdav --dir local=~/docs --http remote=https://cloud.",
        Not("the tests have no Nextcloud server"),
    ),
    (
        WEBDAV,
        "remote: Apache/2.4.71",
        By("webdav::what_a_server_can_do_is_found_out_once"),
    ),
    (ENGINE, "{{#include ../../../tests/plugins/examples/shelf.rs", Not("the suite `folder` runs it")),
    (ENGINE, "{{#include ../../../tests/plugins/examples/shelf.toml", Not("it is part of the example")),
    (ENGINE, "syncmgr run shelf.wasm", Not("the suite `folder` runs it with a service")),
    (ENGINE, "only an empty directory is removed", Not("it is one broken promise of many")),
    (WEBDAV, "plugin = \"webdav\"", By("webdav::a_job_file_describes_pairs")),
    (
        S3,
        "syncmgr run s3 --dir local=~/photos --http remote=https://s3.",
        By("s3::both_sides_become_equal_and_a_rerun_changes_nothing"),
    ),
    (S3, "plugin = \"s3\"", By("s3::a_job_file_describes_pairs")),
    (S3, "remote: SeaweedFS", By("s3::what_a_server_can_do_is_found_out_once")),
    (S3, "AWS_ACCESS_KEY_ID=me", Not("it uses the default ports of seaweedfs")),
    (HISTORY, "syncmgr history", Run("readme", "")),
    (HISTORY, "3f2a9c1e", By("history::a_run_is_found_with_each_of_its_changes")),
    (HISTORY, "left and right: 1 conflict", By("history::conflicts_are_listed_until_they_are_settled")),
    (SERVE, "syncmgr serve", By("serve::each_page_shows_real_runs")),
    (SERVE, "http://127.0.0.1", By("serve::a_request_without_the_cookie_is_refused")),
    (HISTORY, "syncmgr resolve", By("resolve::each_version_can_be_kept")),
    (HISTORY, "docs: kept", By("resolve::a_registered_plugin_and_a_job_file_are_named")),
    (TRASH, "syncmgr trash list", Run("readme", "")),
    (TRASH, "2026-11-28T175312", By("trash::replaced_and_deleted_files_are_listed")),
    (TRASH, "syncmgr trash restore", By("trash::a_directory_and_a_whole_run_are_restored")),
    (TRASH, "syncmgr trash empty", By("trash::only_the_runs_that_are_named_are_removed")),
    (SCHEDULE, "syncmgr schedule enable", By("schedule::a_schedule_runs_the_job_until_it_is_disabled")),
    (SCHEDULE, "syncmgr watch", By("watch::a_change_starts_a_run_and_a_run_does_not")),
    (SCHEDULE, "plugin = \"folder\"", By("hooks::each_outcome_has_its_hook")),
    (SCHEDULE, "syncmgr run --job sync.toml --wait", By("hooks::a_run_waits_for_another_one")),
    (SCHEDULE, "syncmgr run --job sync.toml --accept", By("hooks::a_standing_conflict_may_be_accepted")),
    (OPERATING, "syncmgr register folder", Run("readme", "")),
    (GRANTS, "syncmgr inspect theirs.wasm", Run("readme", "")),
    ("README.md", "syncmgr new mirror", Run("readme", "")),
    (PUBLISHING, "[package]", File("hello/Cargo.toml")),
    (PUBLISHING, "cargo build --release", Run("hello", "")),
    (PUBLISHING, "syncmgr validate", Run("hello", "")),
    (PUBLISHING, "package me:mail", Not("`.ci/wit check` fetches and compiles it")),
    (PUBLISHING, "wkg fetch", Not("`.ci/wit check` does it, with a registry on loopback")),
    (TOUR, "plugin = \"folder\"", By("serve::the_tour_shows_a_week")),
    (TOUR, "{{#include", By("serve::the_tour_shows_a_week")),
    ("CONTRIBUTING.md", "cargo build", Not("this is how the tests are run")),
    ("CONTRIBUTING.md", "BLESS=1", Not("it writes into the repository")),
    ("ARCHITECTURE.md", "component -->", Not("a drawing")),
    (LIFECYCLE, "            +----", Not("a drawing")),
    (INTRODUCTION, "rustup target add", Not("it installs the program")),
    (OPERATING, "plugin = \"theirs.wasm\"", File("operating/sync.toml")),
    (OPERATING, "syncmgr inspect theirs.wasm", Run("operating", "")),
    (OPERATING, "plugin = \"folder\"", File("operating/sync.toml")),
    (OPERATING, "syncmgr items --job", Run("operating", "")),
    (
        OPERATING,
        "{\"event\":\"report\"",
        ShowsLine(
            "readme/mirror",
            "mkdir copies
             dirs='--dir source=fixture/source:ro --dir target=copies'
             syncmgr run build/mirror.wasm $dirs --json | tail -n 1",
        ),
    ),
    (GRANTS, "[requests.directories]", How::Manifest(PLUGIN_AND_BUILD)),
    (GRANTS, "[requests.settings]", How::Manifest(PLUGIN_AND_BUILD)),
    (GRANTS, "$ syncmgr inspect", Session("readme/mirror/dist")),
    (
        NETWORK,
        "syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ --http-auth remote=basic",
        Not("it needs a server of the reader"),
    ),
    (
        NETWORK,
        "syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ --http-auth remote=oauth2",
        Not("it needs a server of the reader"),
    ),
    (NETWORK, "{", By("http_login::a_token_is_renewed_if_it_is_not_valid")),
    (NETWORK, "umask 077", Not("it needs a server of the reader")),
    (NETWORK, "syncmgr secret set", By("program::keyring::a_secret_is_stored_used_and_removed")),
    (NETWORK, "plugin = \"mine.wasm\"", By("program::network::a_server_is_granted_on_the_command_line_and_in_a_job")),
    (NETWORK, "[requests.http]", How::Manifest(PLUGIN_AND_BUILD)),
    (PUBLISHING, "[plugin]", How::Manifest(BUILD)),
    (PUBLISHING, "syncmgr register", Run("readme/mirror/dist", "")),
    (PUBLISHING, "syncmgr embed", By("project::requests_are_added_to_any_component")),
    (REGISTRY, "syncmgr sign --new-key", By(SIGNED)),
    (REGISTRY, "syncmgr install oci://", By(SIGNED)),
    (REGISTRY, "require-signature", By("registry::attacks::a_plugin_without_a_signature_of_a_trusted_key_is_refused")),
    (REGISTRY, "syncmgr outdated", By(SIGNED)),
    (TESTING, "syncmgr test", Run("readme/mirror", "cp build/mirror.wasm .")),
    (
        TESTING,
        "FAILED   every-item-ends",
        Shows(
            "",
            "steps=$(printf 'progress item=count status=updating value=%s max=10 quiet=1\\n' {1..10})
             test='syncmgr test script.wasm --set items=count --check every-item-ends'
             { $test --set \"synchronize=$steps\" || [ $? -eq 3 ]; } | grep -v ' passed, '",
        ),
    ),
    (TESTING, "steps:", Workflow("readme/mirror")),
    (
        TESTING,
        "syncmgr run mirror.wasm",
        Run("readme/mirror", "cp -r fixture/source in; mkdir out"),
    ),
    (
        TESTING,
        "call 3 differs from the recording",
        Shows(
            "readme/mirror",
            "sed -i 's/\"max-value\":55/\"max-value\":54/' run.jsonl
             syncmgr replay mirror.wasm run.jsonl || [ $? -eq 3 ]",
        ),
    ),
    (
        TESTING,
        "SYNCMGR_COMPONENT=",
        By("project::the_tests_of_a_rust_project_run_natively_and_with_the_component"),
    ),
    (WINDOWS, "cargo build --release", Not("`windows` and `com_native` build them")),
    (WINDOWS, "syncmgr register folder", Not(ON_WINDOWS)),
    (WINDOWS, "syncmgr run --clsid", Not(ON_WINDOWS)),
    (WINDOWS, "syncmgr unregister", Not(ON_WINDOWS)),
    (
        "tests/jco/README.md",
        "cargo build",
        By("project::the_same_plugin_runs_under_another_runtime"),
    ),
    (TUTORIAL_C, "sudo apt install", Not("it installs what the other blocks need")),
    (TUTORIAL_C, "syncmgr dev", Not(DEV)),
    (TUTORIAL_JAVASCRIPT, "syncmgr dev", Not(DEV)),
    (TUTORIAL_PYTHON, "syncmgr dev", Not(DEV)),
    (TUTORIAL_RUST, "syncmgr dev", Not(DEV)),
    ("guest/templates/javascript/README.md", "[requests.allow]", How::Manifest(PLUGIN_AND_BUILD)),
    ("guest/templates/python/README.md", "[requests.allow]", How::Manifest(PLUGIN_AND_BUILD)),
    ("guest/templates/typescript/README.md", "[requests.allow]", How::Manifest(PLUGIN_AND_BUILD)),
];

const FOLDER: &str = "guest/book/src/folder.md";
const GRANTS: &str = "guest/book/src/grants.md";
const HISTORY: &str = "guest/book/src/history.md";
const SERVE: &str = "guest/book/src/serve.md";
const TRASH: &str = "guest/book/src/trash.md";
const INSTALL: &str = "guest/book/src/install.md";
const INTRODUCTION: &str = "guest/book/src/introduction.md";
const LIFECYCLE: &str = "guest/book/src/lifecycle.md";
const NETWORK: &str = "guest/book/src/network.md";
const WEBDAV: &str = "guest/book/src/webdav.md";
const S3: &str = "guest/book/src/s3.md";
const ENGINE: &str = "guest/book/src/engine.md";
const OPERATING: &str = "guest/book/src/operating.md";
const SCHEDULE: &str = "guest/book/src/schedule.md";
const REGISTRY: &str = "guest/book/src/registry.md";
const SIGNED: &str = "registry::a_signed_plugin_is_pushed_installed_updated_and_uninstalled";
const PUBLISHING: &str = "guest/book/src/publishing.md";
const TESTING: &str = "guest/book/src/testing.md";
const TOUR: &str = "guest/book/src/tour.md";
const TUTORIAL_C: &str = "guest/book/src/tutorial-c.md";
const TUTORIAL_JAVASCRIPT: &str = "guest/book/src/tutorial-javascript.md";
const TUTORIAL_PYTHON: &str = "guest/book/src/tutorial-python.md";
const TUTORIAL_RUST: &str = "guest/book/src/tutorial-rust.md";
const WINDOWS: &str = "guest/book/src/windows.md";

const ON_WINDOWS: &str = "it is for Windows, where `windows` does the like under Wine";
const DEV: &str = "it does not end; `project` runs it where it waits for changes";

/// Pages on which a test covers every block with one of these infos, whatever their number.
pub(super) const WHOLE_PAGES: &[(&str, &[&str], &str)] = &[
    (TUTORIAL_C, &["sh", "text", "c"], "project::the_c_tutorial_works_as_written"),
    (
        TUTORIAL_JAVASCRIPT,
        &["sh", "text", "javascript"],
        "project::the_javascript_tutorial_works_as_written",
    ),
    (TUTORIAL_PYTHON, &["sh", "text", "python"], "project::the_python_tutorial_works_as_written"),
    (TUTORIAL_RUST, &["sh", "text"], "project::the_rust_tutorial_works_as_written"),
    ("guest/templates/c/README.md", &["sh"], "project::a_new_c_project_is_built_tested_and_packed"),
    (
        "guest/templates/javascript/README.md",
        &["sh"],
        "project::a_new_javascript_project_is_built_tested_and_packed",
    ),
    (
        "guest/templates/python/README.md",
        &["sh"],
        "project::a_new_python_project_is_built_tested_and_packed",
    ),
    (
        "guest/templates/typescript/README.md",
        &["sh"],
        "project::a_new_typescript_project_is_built_tested_and_packed",
    ),
    (
        "guest/templates/rust/README.md",
        &["sh"],
        "project::a_new_rust_project_is_built_tested_and_packed",
    ),
    ("guest/templates/http/c/README.md", &["sh"], "project::a_c_project_sends_requests"),
    (
        "guest/templates/http/javascript/README.md",
        &["sh"],
        "project::a_javascript_project_sends_requests",
    ),
    ("guest/templates/http/python/README.md", &["sh"], "project::a_python_project_sends_requests"),
    ("guest/templates/http/rust/README.md", &["sh"], "project::a_rust_project_sends_requests"),
    (
        "guest/templates/http/typescript/README.md",
        &["sh"],
        "project::a_typescript_project_sends_requests",
    ),
    ("wit/reference.md", &["wit"], "contract::the_reference_equals_the_wit"),
];
