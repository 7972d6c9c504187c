//! `webdav` and `s3` with real servers: the cases of `folder`, random edits, and connections that are cut.

use std::fs;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use conformance::fault_proxy::{Fault, FaultProxy};
use conformance::folder::{Pair, only_item, shape, work};
use conformance::mirror::Mirror;
use conformance::servers::{self, Files, Server};
use conformance::trees;
use proptest::prelude::*;
use syncmgr_host::Status;

use crate::sync::cases::{CASES, Case, ONE_WAY};
use crate::sync::check;
use crate::sync::crashes::{all_changes, crash_everywhere};
use crate::sync::random::{converges, entries, plausible};

type Start = fn() -> anyhow::Result<Server>;

/// Servers on loopback without TLS.
const SERVERS: [(&str, Start); 4] = [
    ("moto_server", servers::plain_moto),
    ("apache2", servers::plain_apache),
    ("rclone", servers::plain_rclone),
    ("weed", servers::plain_seaweedfs_s3),
];

/// A running server with a collection, or a part of a bucket, for each pair.
struct Collections {
    server: Server,
    next: AtomicU64,
}

impl Collections {
    /// Lets a pair have a new collection or part of the bucket. The requests go to this origin.
    fn serve(&self, pair: Pair, origin: &str) -> anyhow::Result<Pair> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Files::Bucket(bucket) = self.server.all_files() {
            let mirror = Mirror::new(bucket, number.to_string());
            return Ok(pair.with_bucket(format!("{origin}/bucket/{number}/"), mirror));
        }
        let files = self.server.files().join(number.to_string());
        fs::create_dir(&files)?;
        Ok(pair.with_server(format!("{origin}/{number}/"), files))
    }

    /// Returns a directory and a new collection. The requests go to this origin.
    fn pair_through(&self, origin: &str) -> anyhow::Result<Pair> {
        self.serve(Pair::new()?, origin)
    }

    fn pair(&self) -> anyhow::Result<Pair> {
        self.pair_through(&self.origin())
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.ports[0])
    }
}

fn each_server(test: impl Fn(&Collections) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for (program, start) in SERVERS {
        if servers::has(program)? {
            let collections = Collections { server: start()?, next: AtomicU64::new(0) };
            test(&collections).with_context(|| format!("with {program}"))?;
        }
    }
    Ok(())
}

/// Returns the number of calls or requests from one interruption to the next. With
/// `SYNCMGR_CUTS=all`, each one is interrupted.
fn step(usual: usize) -> usize {
    if std::env::var("SYNCMGR_CUTS").is_ok_and(|which| which == "all") { 1 } else { usual }
}

/// A server has no links, no URL has a name with a backslash, and moves that are made on a server
/// count as deletions.
fn is_possible(case: &Case, swapped: bool) -> bool {
    let needs_moves = swapped && case.settings.contains(&("max-delete", "0"));
    !needs_moves && case.trees.iter().all(|tree| !tree.contains("@=") && !tree.contains('\\'))
}

#[test]
fn cases_have_the_expected_outcome_with_swapped_sides() -> anyhow::Result<()> {
    each_server(|collections| {
        // The files of a bucket are always those of the right directory.
        let is_bucket = matches!(collections.server.all_files(), Files::Bucket(_));
        for swapped in [false, true].into_iter().take(if is_bucket { 1 } else { 2 }) {
            for case in CASES.iter().chain(ONE_WAY).filter(|case| is_possible(case, swapped)) {
                let pair = collections.serve(Pair::new()?.swapped(swapped), &collections.origin());
                check(case, pair?)
                    .with_context(|| format!("{} (swapped: {swapped})", case.name))?;
            }
        }
        Ok(())
    })
}

/// The connection is cut within the content of a large file, twice.
#[test]
fn a_download_that_is_cut_is_continued_in_the_same_run() -> anyhow::Result<()> {
    const PART: usize = 2_000_000;
    let content: Vec<u8> = (0..1_250_000_u32).flat_map(u32::to_le_bytes).collect();
    // lighttpd states no tag for a file without a media type.
    let nginx: (&str, Start) = (servers::NGINX_DAV_EXT, servers::plain_nginx_dav_ext);
    for (program, start) in SERVERS.into_iter().chain([nginx]) {
        if !servers::has(program)? {
            continue;
        }
        let collections = Collections { server: start()?, next: AtomicU64::new(0) };
        if matches!(collections.server.all_files(), Files::Bucket(_)) {
            // `s3` continues with `If-Match`, which its own tests cover.
            continue;
        }
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let proxy = FaultProxy::start(collections.server.ports[0], move |_, head| {
            if !head.starts_with("GET ") {
                return Fault::Passed;
            }
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(head.to_ascii_lowercase());
            if seen.len() < 3 { Fault::CutAnswer(PART as u64) } else { Fault::Passed }
        })?;
        let pair = collections.pair_through(&proxy.url())?;
        let place = pair.right().join("large");
        fs::write(&place, &content)?;
        let before = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
        fs::File::options().write(true).open(&place)?.set_modified(before)?;
        let report = pair.sync()?;
        let heads = heads.lock().unwrap_or_else(PoisonError::into_inner);
        let context = || format!("{program}: {heads:?}: {report:?}");
        anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, context());
        anyhow::ensure!(
            fs::read(pair.left().join("large")).is_ok_and(|it| it == content),
            context()
        );
        anyhow::ensure!(work(&report)? == 1 && heads.len() == 3, context());
        let is_range =
            |head: &String| head.contains("\nrange: bytes=") && head.contains("\nif-range:");
        anyhow::ensure!(!is_range(&heads[0]) && heads[1..].iter().all(is_range), context());
    }
    Ok(())
}

#[test]
fn random_edits_converge_without_loss() -> anyhow::Result<()> {
    let config =
        ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    each_server(|collections| {
        let mut runner = proptest::test_runner::TestRunner::new(config.clone());
        let trees = [entries(), entries(), entries()];
        let result = runner.run(&trees, |trees| {
            let check = || {
                let pair = collections.pair()?.set("max-delete", "any");
                converges(&pair, &trees.map(|rows| plausible(&rows)))
            };
            check().map_err(|error: anyhow::Error| TestCaseError::fail(format!("{error:#}")))
        });
        Ok(result?)
    })
}

#[test]
fn a_crash_before_any_host_call_loses_nothing_and_needs_no_flag() -> anyhow::Result<()> {
    each_server(|collections| {
        let is_bucket = matches!(collections.server.all_files(), Files::Bucket(_));
        let pair = || collections.pair();
        crash_everywhere(pair, &all_changes(), step(17), |found, expected| {
            // A bucket copies instead of renaming, and the next run makes the copy again.
            let has_copies = found.2 == expected.2 || (is_bucket && found.2 > expected.2);
            (&found.0, &found.1) == (&expected.0, &expected.1) && has_copies
        })
    })
}

/// Cuts the connection at requests of a run, once before the server gets it, and once before the
/// client gets the answer.
#[test]
fn a_connection_that_is_cut_loses_nothing_and_needs_no_flag() -> anyhow::Result<()> {
    let step = step(5);
    let [baseline, left, right] = all_changes();
    each_server(|collections| {
        // The request to cut, and the number of requests so far.
        let requests = Arc::new([const { AtomicU64::new(0) }; 2]);
        let cuts_answer = Arc::new(AtomicBool::new(false));
        let (counted, answer) = (Arc::clone(&requests), Arc::clone(&cuts_answer));
        let proxy = FaultProxy::start(collections.server.ports[0], move |_, _| {
            let number = counted[1].fetch_add(1, Ordering::SeqCst) + 1;
            match (number == counted[0].load(Ordering::SeqCst), answer.load(Ordering::SeqCst)) {
                (false, _) => Fault::Passed,
                (true, false) => Fault::Cut,
                (true, true) => Fault::CutAnswer(0),
            }
        })?;
        let prepared = || -> anyhow::Result<Pair> {
            let pair = collections.pair_through(&proxy.url())?;
            for side in [pair.left(), pair.right()] {
                trees::write(&side, &baseline)?;
            }
            pair.sync()?;
            trees::write(&pair.left(), &left)?;
            trees::write(&pair.right(), &right)?;
            Ok(pair)
        };
        let reference = prepared()?;
        reference.sync()?;
        let expected = shape(&reference.trees()?[0], &["f5"]);
        let mut cuts = 0;
        for is_answer in [false, true] {
            cuts_answer.store(is_answer, Ordering::SeqCst);
            for k in (1..).step_by(step) {
                let pair = prepared()?;
                let existed = pair.findable()?;
                requests[1].store(0, Ordering::SeqCst);
                requests[0].store(k, Ordering::SeqCst);
                pair.sync()?;
                requests[0].store(0, Ordering::SeqCst);
                let is_whole = requests[1].load(Ordering::SeqCst) < k;
                let context = || format!("request {k}, its answer: {is_answer}");
                let lost = pair.lost(&existed)?;
                anyhow::ensure!(lost.is_empty(), "{}: lost {lost:?}", context());

                let report = pair.sync()?;
                let item = only_item(&report)?;
                anyhow::ensure!(item.status == Status::Succeeded, "{}: {report:?}", context());
                let [left, right] = pair.trees()?;
                anyhow::ensure!(left == right, "{}: {left:?} {right:?}", context());
                anyhow::ensure!(shape(&left, &["f5"]) == expected, "{}: {left:?}", context());
                let unfinished = pair.unfinished()?;
                anyhow::ensure!(unfinished.is_empty(), "{}: left {unfinished:?}", context());
                let lost = pair.lost(&existed)?;
                anyhow::ensure!(lost.is_empty(), "{}: then lost {lost:?}", context());
                anyhow::ensure!(work(&pair.sync()?)? == 0, "{}: nothing is left", context());
                if is_whole {
                    anyhow::ensure!(k > 20, "the case is large enough: {k} requests");
                    break;
                }
                cuts += 1;
            }
        }
        writeln!(io::stderr(), "{cuts} cuts, none lost anything")?;
        Ok(())
    })
}
