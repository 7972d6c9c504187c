//! Propagates a file or a link, or its deletion.

use std::sync::Arc;

use crate::names;
use crate::plan::file_entry::Looked;
use crate::plan::location::Location;
use crate::plan::planner::{Around, Merged, Planner};
use crate::plan::{Action, CopyModes};
use crate::state::{Base, BaseKind, ConflictRecord, Seen};
use crate::tree::{Digest, Fingerprint, Kind, Node, Side};

impl Planner<'_, '_> {
    /// Propagates a file or link, or its deletion, to the other side.
    #[allow(clippy::too_many_arguments, reason = "two versions, and what is known of them")]
    pub(super) fn take(
        &mut self,
        location: &Location,
        from: Side,
        nodes: [Option<&Node>; 2],
        looked: &[Looked],
        modes: CopyModes,
        reason: &str,
    ) -> Merged {
        let to = from.other();
        let target = nodes[to.index()].map(|node| node.fingerprint);
        let Some(node) = nodes[from.index()] else {
            if let Some(target) = target {
                self.push_removal(Action::Remove { on: to, target }, location, reason);
            }
            return Merged::default();
        };
        let digest = looked[from.index()].digest;
        let next = self.transfer(location, from, node, digest, target, modes, reason);
        Merged { next: Some(next), exists: [true, true] }
    }

    /// Copies a file or link to the other side.
    #[allow(clippy::too_many_arguments, reason = "a version, and what is known of it")]
    pub(super) fn transfer(
        &mut self,
        location: &Location,
        from: Side,
        node: &Node,
        digest: Option<Digest>,
        replaces: Option<Fingerprint>,
        modes: CopyModes,
        reason: &str,
    ) -> Arc<Base> {
        let replaces = replaces.map(Box::new);
        let (action, kind) = match &node.kind {
            Kind::Link(text) => (
                Action::MakeLink { on: from.other(), text: text.clone(), replaces },
                BaseKind::Link(text.clone()),
            ),
            Kind::File | Kind::Directory(_) | Kind::Blocked(_) | Kind::Junk => (
                Action::Copy {
                    from,
                    source: node.fingerprint,
                    digest: digest.map(Box::new),
                    replaces,
                    modes,
                },
                BaseKind::File(digest.unwrap_or_default()),
            ),
        };
        self.push(action, location, reason);
        let mut sides = [Seen::default(); 2];
        sides[from.index()] = self.seen(from, Some(node));
        let mode = match &kind {
            BaseKind::File(_) => modes.carried,
            BaseKind::Link(_) | BaseKind::Directory(_) => node.mode,
        };
        Arc::new(Base { kind, mode, sides })
    }

    /// Resolves a conflict of two files: the winner keeps the name, and the loser is renamed, on
    /// both sides.
    pub(super) fn keep_both(
        &mut self,
        around: &mut Around<'_>,
        location: &Location,
        winner: Side,
        nodes: [Option<&Node>; 2],
        looked: &[Looked],
    ) -> Merged {
        let loser = winner.other();
        // Each version gets the permissions of the version that it replaces on the other side.
        if let Some(node) = nodes[loser.index()] {
            let digest = looked[loser.index()].digest;
            let modes = CopyModes::of_winner(loser, nodes);
            self.move_aside(around, location, loser, node, digest, modes);
        }
        let next = nodes[winner.index()].map(|node| {
            let digest = looked[winner.index()].digest;
            let modes = CopyModes::of_winner(winner, nodes);
            let reason = "conflict: the newer version";
            self.transfer(location, winner, node, digest, None, modes, reason)
        });
        Merged { next, exists: [true, true] }
    }

    pub(super) fn move_aside(
        &mut self,
        around: &mut Around<'_>,
        location: &Location,
        loser: Side,
        node: &Node,
        digest: Option<Digest>,
        modes: CopyModes,
    ) {
        let copy = (1..)
            .map(|number| names::conflict(&node.name, self.label(loser), self.input.when, number))
            .find(|name| !(around.is_taken)(name))
            .unwrap_or_default();
        let source = node.fingerprint;
        let action = Action::Rename { on: loser, source, to: copy.as_str().into() };
        let reason = format!("conflict: the version of {}", self.label(loser));
        self.push(action, location, &reason);
        let mut aside = node.clone();
        // A rename changes only the time of the last status change.
        aside.fingerprint.changed = None;
        let copy_location = around.location.named(&copy);
        let next = self.transfer(&copy_location, loser, &aside, digest, None, modes, &reason);
        around.siblings.insert(names::key(&copy).into(), next);
        self.plan.conflicts.push(ConflictRecord {
            path: location.key.to_string(),
            copy: copy_location.key.to_string(),
            when: self.input.now / 1_000_000_000,
            loser_is_right: loser == Side::Right,
        });
    }
}
