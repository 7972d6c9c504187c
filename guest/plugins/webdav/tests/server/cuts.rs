//! Connections that are cut, and edits by others, at every request of a run.

use std::collections::{BTreeMap, BTreeSet};

use syncmgr_plugin::testing::Run;

use crate::quirks::{Quirks, Tags};
use crate::scene::{Scene, events};
use crate::world::Event;

/// The configuration of all runs of a test.
#[derive(Clone, Default)]
struct With {
    quirks: Quirks,
    settings: Vec<(&'static str, &'static str)>,
}

impl With {
    fn quirks(quirks: Quirks) -> Self {
        Self { quirks, settings: Vec::new() }
    }

    fn without_trash() -> Self {
        Self { quirks: Quirks::default(), settings: vec![("trash", "false")] }
    }

    /// Returns a synced and then changed scene, and the contents that must exist afterwards:
    /// without a trash, only the new ones.
    fn scene(&self) -> (Scene, BTreeSet<Vec<u8>>) {
        let mut scene = Scene::new(self.quirks.clone());
        scene.settings.clone_from(&self.settings);
        scene.fill();
        scene.settle().unwrap();
        let old = scene.versions();
        scene.change();
        let mut versions = scene.versions();
        if !self.settings.is_empty() {
            versions.retain(|version| !old.contains(version));
        }
        (scene, versions)
    }

    /// Calls `disturb` with the number of each request of a run. Afterwards, two runs without
    /// disturbance make both sides equal, and no version is lost.
    fn at_every_request(&self, name: &str, disturb: impl Fn(&Scene, usize)) {
        self.at_every_request_then(name, disturb, |_| Ok(()));
    }

    /// Does the same, and checks the disturbed run.
    fn at_every_request_then(
        &self,
        name: &str,
        disturb: impl Fn(&Scene, usize),
        check: impl Fn(&Run) -> Result<(), String>,
    ) {
        let (first, last) = {
            let (scene, _) = self.scene();
            let first = scene.server.with(|world| world.requests.len());
            scene.succeed().unwrap();
            (first, scene.server.with(|world| world.requests.len()))
        };
        assert!(last - first > 20, "{name} has only {} requests", last - first);
        for number in first..last {
            let (scene, mut versions) = self.scene();
            disturb(&scene, number);
            let run = scene.run();
            scene.server.with(|world| {
                versions.extend(world.events.values().filter_map(|event| match event {
                    Event::Edit(path, _) if world.replaces_unseen(number, path) => None,
                    Event::Edit(_, content) => content.clone(),
                    Event::Write(_, content) => Some(content.clone()),
                    Event::CutBefore | Event::CutAfter | Event::CutBody(_) => None,
                }));
                world.events.clear();
                world.down_from = None;
            });
            let settled = check(&run)
                .and_then(|()| scene.check_kept(&versions))
                .and_then(|()| scene.settle())
                .and_then(|()| scene.check(&versions))
                .and_then(|()| scene.check_rerun());
            let requests = scene.server.with(|world| world.requests.clone());
            let around: Vec<_> = requests.iter().skip(number.saturating_sub(6)).take(9).collect();
            settled.unwrap_or_else(|why| {
                panic!(
                    "{name} at request {} of {}: {why}\n{around:#?}",
                    number - first,
                    last - first
                )
            });
        }
    }

    /// Cuts each connection once, which the run must handle.
    fn cut_each(&self, name: &str, event: &Event) {
        let cut = |scene: &Scene, number| {
            scene.server.with(|world| world.events = BTreeMap::from([(number, event.clone())]));
        };
        self.at_every_request_then(name, cut, |run| match &events(run)[..] {
            [conflict] if conflict.contains("both changed on both sides") => Ok(()),
            events => Err(format!("the log is {events:?}")),
        });
    }

    fn at_each_request(&self, name: &str, event: impl Fn(&Scene) -> Event) {
        self.at_every_request(name, |scene, number| {
            let event = event(scene);
            scene.server.with(|world| world.events = BTreeMap::from([(number, event)]));
        });
    }
}

#[test]
fn a_cut_connection_loses_nothing() {
    let keeps_cut_puts = Quirks { keeps_cut_puts: true, ..Quirks::default() };
    for with in [With::default(), With::quirks(keeps_cut_puts), With::without_trash()] {
        with.cut_each("cut before", &Event::CutBefore);
        with.cut_each("cut after", &Event::CutAfter);
        for bytes in [0, 5, 700] {
            with.at_each_request("cut within the answer", |_| Event::CutBody(bytes));
        }
    }
}

#[test]
fn a_server_that_goes_down_loses_nothing() {
    let keeps_cut_puts = Quirks { keeps_cut_puts: true, ..Quirks::default() };
    for with in [With::quirks(keeps_cut_puts), With::without_trash()] {
        for (name, first) in [("down before", Event::CutBefore), ("down after", Event::CutAfter)] {
            with.at_every_request(name, |scene, number| {
                scene.server.with(|world| {
                    world.events = BTreeMap::from([(number, first.clone())]);
                    world.down_from = Some(number + 1);
                });
            });
        }
    }
}

/// A run expects the version that it listed, not the newest one.
#[test]
fn an_edit_of_another_client_during_the_run_is_not_lost() {
    let weak = Quirks { tags: Tags::Weak, ..Quirks::default() };
    let ignored = Quirks { ignores_conditions: true, ..Quirks::default() };
    let (write, delete) = (Some(b"edited during the run".to_vec()), None);
    let all = ["l/replaced", "l/deleted", "l/new", "l/fresh/a", "l/gone/a", "both", "r/replaced"];
    for (with, content, paths) in [
        (With::quirks(ignored), &write, &all[..]),
        (With::quirks(weak), &write, &["l/replaced", "l/gone/a"]),
        (With::without_trash(), &write, &["l/replaced", "l/deleted", "r/replaced"]),
        (With::default(), &delete, &["l/replaced", "l/deleted", "r/replaced", "both"]),
    ] {
        for path in paths {
            with.at_each_request(path, |_| Event::Edit((*path).to_owned(), content.clone()));
        }
    }
}

/// Only a file that appears after the check of its name may be replaced.
#[test]
fn an_edit_of_another_client_is_not_lost_although_overwrites_are_not_refused() {
    let quirks = Quirks { ignores_overwrite: true, ..Quirks::default() };
    let with = With::quirks(quirks);
    for path in ["l/replaced", "l/deleted", "l/new", "l/fresh/a", "l/gone/a", "both"] {
        let edit = Event::Edit(path.to_owned(), Some(b"edited during the run".to_vec()));
        with.at_each_request(path, |_| edit.clone());
    }
}

#[test]
fn an_edit_of_the_user_during_the_run_is_not_lost() {
    for with in [With::default(), With::without_trash()] {
        for path in ["l/replaced", "l/new", "r/replaced", "r/deleted", "r/new", "r/gone/a", "both"]
        {
            with.at_each_request(path, |scene| {
                Event::Write(scene.local_path().join(path), b"edited during the run".to_vec())
            });
        }
    }
}
