//! Plans a file or a link.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::decide::{Change, Verdict, decide};
use crate::plan::location::Location;
use crate::plan::planner::{Around, Merged, Planner};
use crate::plan::{Action, Cancelled, CopyModes};
use crate::state::{Base, BaseKind};
use crate::tree::{Digest, Kind, Node, Side};

/// A file or link of a side, compared with the baseline.
pub(super) struct Looked {
    pub(super) change: Change,
    pub(super) digest: Option<Digest>,
}

impl Planner<'_, '_> {
    /// Plans a file or link that exists on one side or both, with no directory on either.
    pub(super) fn file_entry(
        &mut self,
        around: &mut Around<'_>,
        location: &Location,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> Result<Merged, Cancelled> {
        let mut looked = Vec::with_capacity(2);
        for (side, node) in Side::BOTH.into_iter().zip(nodes) {
            match self.look(side, location, node, base)? {
                Ok(one) => looked.push(one),
                Err(why) => {
                    self.skip(&location.paths[side.index()], why);
                    return Ok(Merged {
                        next: base.cloned(),
                        exists: nodes.map(|node| node.is_some()),
                    });
                }
            }
        }
        let changes = [looked[0].change, looked[1].change];
        if let [Some(left), Some(right)] = nodes
            && changes != [Change::Same, Change::Same]
        {
            match self.equal(location, [left, right], &mut looked)? {
                Ok(true) => {
                    self.plan.unchanged += 1;
                    return Ok(self.agree(location, [left, right], looked[0].digest, base));
                }
                Ok(false) => {}
                Err((side, why)) => {
                    self.skip(&location.paths[side.index()], why);
                    return Ok(Merged { next: base.cloned(), exists: [true, true] });
                }
            }
        }
        match decide(self.mode(), changes[0], changes[1]) {
            Verdict::Nothing => {
                self.plan.unchanged += 1;
                let digest = match base.map(|base| &base.kind) {
                    Some(BaseKind::File(digest)) => Some(*digest),
                    Some(BaseKind::Link(_) | BaseKind::Directory(_)) | None => None,
                };
                match nodes {
                    [Some(left), Some(right)] => {
                        Ok(self.agree(location, [left, right], digest, base))
                    }
                    [_, _] => Ok(Merged::default()),
                }
            }
            Verdict::Drop => Ok(Merged::default()),
            Verdict::Leave => {
                if nodes.iter().all(Option::is_some) {
                    self.skip(
                        &location.paths[Side::Right.index()],
                        "changed on right, which mode=one-way-safe keeps".to_owned(),
                    );
                }
                let next = nodes[0].and(base).cloned();
                Ok(Merged { next, exists: nodes.map(|node| node.is_some()) })
            }
            Verdict::Take(from) => {
                let reason = self.why_taken(from, changes, nodes);
                let (modes, source) = self.copy_modes(from, nodes, base);
                let merged = self.take(location, from, nodes, &looked, modes, &reason);
                if let Some(mode) = source {
                    let action = Action::SetMode { on: from, mode };
                    self.push(action, location, "permissions changed");
                }
                Ok(merged)
            }
            Verdict::Conflict => {
                let winner = self.winner(nodes);
                match self.mode() {
                    Mode::TwoWaySafe => {
                        Ok(self.keep_both(around, location, winner, nodes, &looked))
                    }
                    Mode::PreferLeft
                    | Mode::PreferRight
                    | Mode::Newer
                    | Mode::OneWaySafe
                    | Mode::Mirror => {
                        let reason = format!("changed on both sides; {} wins", self.label(winner));
                        let modes = CopyModes::of_winner(winner, nodes);
                        Ok(self.take(location, winner, nodes, &looked, modes, &reason))
                    }
                }
            }
        }
    }

    pub(super) fn winner(&self, nodes: [Option<&Node>; 2]) -> Side {
        match self.mode() {
            Mode::PreferLeft | Mode::Mirror | Mode::OneWaySafe => Side::Left,
            Mode::PreferRight => Side::Right,
            Mode::TwoWaySafe | Mode::Newer => {
                let [left, right] = nodes.map(|node| node.map(|node| node.fingerprint.modified));
                if right > left { Side::Right } else { Side::Left }
            }
        }
    }

    /// Compares a file or link with the baseline. The inner error is the reason why that is
    /// impossible.
    pub(super) fn look(
        &mut self,
        side: Side,
        location: &Location,
        node: Option<&Node>,
        base: Option<&Arc<Base>>,
    ) -> Result<Result<Looked, String>, Cancelled> {
        let looked = |change, digest| Ok(Ok(Looked { change, digest }));
        match (node, base) {
            (None, None) => looked(Change::Absent, None),
            (None, Some(_)) => looked(Change::Deleted, None),
            (Some(_), None) => looked(Change::New, None),
            (Some(node), Some(base)) => match (&node.kind, &base.kind) {
                (Kind::Link(text), BaseKind::Link(baseline)) if text == baseline => {
                    looked(Change::Same, None)
                }
                (Kind::File, BaseKind::File(baseline)) => {
                    let seen = base.seen(side);
                    if !seen.racy && seen.fingerprint == node.fingerprint {
                        return looked(Change::Same, Some(*baseline));
                    }
                    if seen.fingerprint.size != node.fingerprint.size {
                        return looked(Change::Changed, None);
                    }
                    let is_cheap = self.input.capabilities[side.index()].hashes_cheaply;
                    if !is_cheap && seen.fingerprint != node.fingerprint {
                        // Reading it costs as much as copying it.
                        return looked(Change::Changed, None);
                    }
                    match self.digest(side, location)? {
                        Ok(digest) if digest == *baseline => looked(Change::Same, Some(digest)),
                        Ok(digest) => looked(Change::Changed, Some(digest)),
                        Err(why) => Ok(Err(why)),
                    }
                }
                (
                    Kind::File | Kind::Link(_) | Kind::Directory(_) | Kind::Blocked(_) | Kind::Junk,
                    BaseKind::File(_) | BaseKind::Link(_) | BaseKind::Directory(_),
                ) => looked(Change::Changed, None),
            },
        }
    }

    pub(super) fn digest(
        &mut self,
        side: Side,
        location: &Location,
    ) -> Result<Result<Digest, String>, Cancelled> {
        match (self.hash)(side, &location.paths[side.index()]) {
            Ok(digest) => Ok(Ok(digest)),
            Err(Some(why)) => Ok(Err(why)),
            Err(None) => Err(Cancelled),
        }
    }

    /// Returns whether two files or links have the same content; hashes files only if necessary.
    pub(super) fn equal(
        &mut self,
        location: &Location,
        nodes: [&Node; 2],
        looked: &mut [Looked],
    ) -> Result<Result<bool, (Side, String)>, Cancelled> {
        match (&nodes[0].kind, &nodes[1].kind) {
            (Kind::Link(left), Kind::Link(right)) => Ok(Ok(left == right)),
            (Kind::File, Kind::File) => {
                if nodes[0].fingerprint.size != nodes[1].fingerprint.size {
                    return Ok(Ok(false));
                }
                for side in Side::BOTH {
                    let looked = &mut looked[side.index()];
                    if looked.digest.is_none() {
                        match self.digest(side, location)? {
                            Ok(digest) => looked.digest = Some(digest),
                            Err(why) => return Ok(Err((side, why))),
                        }
                    }
                }
                Ok(Ok(looked[0].digest == looked[1].digest))
            }
            (
                Kind::File | Kind::Link(_) | Kind::Directory(_) | Kind::Blocked(_) | Kind::Junk,
                Kind::File | Kind::Link(_) | Kind::Directory(_) | Kind::Blocked(_) | Kind::Junk,
            ) => Ok(Ok(false)),
        }
    }

    /// Records two files or links that are equal.
    pub(super) fn agree(
        &mut self,
        location: &Location,
        nodes: [&Node; 2],
        digest: Option<Digest>,
        base: Option<&Arc<Base>>,
    ) -> Merged {
        let kind = match (&nodes[0].kind, digest) {
            (Kind::Link(text), _) => BaseKind::Link(text.clone()),
            (Kind::File | Kind::Directory(_) | Kind::Blocked(_) | Kind::Junk, digest) => {
                BaseKind::File(digest.unwrap_or_default())
            }
        };
        let mode = match &kind {
            BaseKind::Link(_) => None,
            BaseKind::File(_) | BaseKind::Directory(_) => {
                self.settle_time(location, nodes, base);
                self.settle_mode(location, nodes.map(Some), base)
            }
        };
        let nodes = nodes.map(Some);
        let sides = Side::BOTH.map(|side| self.seen(side, nodes[side.index()]));
        let now = Base { kind, mode, sides };
        let next = match base {
            Some(before) if **before == now => Arc::clone(before),
            Some(_) | None => Arc::new(now),
        };
        Merged { next: Some(next), exists: [true, true] }
    }

    fn why_taken(&self, from: Side, changes: [Change; 2], nodes: [Option<&Node>; 2]) -> String {
        let side = self.label(from);
        let other = from.other();
        match (changes[from.index()], nodes[other.index()]) {
            (Change::New, None) => format!("new on {side}"),
            (Change::Deleted | Change::Absent, _) => format!("not on {side}"),
            (Change::Changed, None) => {
                format!("changed on {side}, deleted on {}", self.label(other))
            }
            (Change::Same, None) => format!("missing on {}", self.label(other)),
            (Change::New | Change::Changed, Some(_)) => format!("changed on {side}"),
            (Change::Same, Some(_)) => format!("differs from {side}"),
        }
    }
}
