//! Recognizes moved files and links by their content.

use std::collections::{HashMap, HashSet};
use std::hash::Hash as IsKey;

use super::places::{Found, Place, Places};
use crate::endpoint::Capabilities;
use crate::plan::content::Content;
use crate::plan::{Cancelled, Hash};
use crate::state::{Base, BaseKind};
use crate::tree::{Digest, Kind, Node, Side};

/// A file or link before and after it was moved.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) gone: usize,
    pub(super) fresh: usize,
}

/// The result.
pub(super) struct Matches {
    pub(super) pairs: Vec<Pair>,
    /// All files and links that are no longer in their place.
    pub(super) gone: Vec<usize>,
}

/// Compares contents of a side with those of the baseline.
pub(super) struct Contents<'a, 'h> {
    /// The side on which entries were moved.
    pub(super) from: Side,
    can: [Capabilities; 2],
    hash: &'a mut Hash<'h>,
    /// Whether files of the other side, whose content had to be read, are unchanged.
    read: HashMap<*const Node, bool>,
}

/// A file or link that may have been moved.
#[derive(Clone, Copy)]
struct Candidate<'t> {
    at: usize,
    parent: usize,
    key: &'t str,
    /// Equal for equal contents.
    content: usize,
    /// 0: unknown.
    file_id: u64,
    /// Whether another entry has its old place, or had its new one. Then only the file id counts.
    is_replaced: bool,
}

impl<'a, 'h> Contents<'a, 'h> {
    pub(super) fn new(from: Side, can: [Capabilities; 2], hash: &'a mut Hash<'h>) -> Self {
        Self { from, can, hash, read: HashMap::new() }
    }

    /// Matches each new file or link with one that is gone and that had the same content. If
    /// several have it, every choice is right; the one that was moved is preferred.
    pub(super) fn find(&mut self, found: &mut Found<'_>) -> Result<Matches, Cancelled> {
        let from = self.from;
        let (gone, replaced) = (found.gone(from), found.replaced(from));
        let mut contents: HashMap<Content, usize> = HashMap::new();
        let mut lost = Vec::new();
        let mut wanted = Wanted::default();
        for (at, is_replaced) in flagged(&gone, &replaced) {
            let place = found.places.get(at);
            let Some((content, base)) = place.base.and_then(|base| {
                Some((self.content_in_baseline(base, place.nodes[from.other().index()]?)?, base))
            }) else {
                continue;
            };
            let file_id = base.seen(from).fingerprint.file_id;
            wanted.add(&content, file_id, place.nodes[from.other().index()], is_replaced);
            let count = contents.len();
            let content = *contents.entry(content).or_insert(count);
            lost.push(Candidate::new(place, at, content, file_id, is_replaced));
        }
        let fresh = found.fresh(from, |node| wanted.includes(node, false));
        let mut new = Vec::new();
        for (at, is_replaced) in flagged(&fresh, &replaced) {
            let place = *found.places.get(at);
            let Some(node) = place.nodes[from.index()] else { continue };
            if !wanted.includes(node, is_replaced) {
                continue;
            }
            let content = self.content(&found.places, at, node)?;
            if let Some(content) = content.and_then(|content| contents.get(&content)) {
                let file_id = node.fingerprint.file_id;
                new.push(Candidate::new(&place, at, *content, file_id, is_replaced));
            }
        }
        let matched: HashSet<_> = new.iter().map(|candidate| candidate.content).collect();
        let mut unchanged = Vec::new();
        for candidate in lost.into_iter().filter(|one| matched.contains(&one.content)) {
            let Place { nodes, base, .. } = *found.places.get(candidate.at);
            let (Some(node), Some(base)) = (nodes[from.other().index()], base) else { continue };
            let path = || found.places.path(candidate.at, from.other());
            if self.is_unchanged(node, base, path)? {
                unchanged.push(candidate);
            }
        }
        let gone = gone.into_iter().chain(replaced).collect();
        Ok(Matches { pairs: pairs(unchanged, new), gone })
    }

    /// Returns the content that a file or link had when it was synced; `None`: it cannot be
    /// recognized elsewhere. `node` is that of the other side.
    fn content_in_baseline(&self, base: &Base, node: &Node) -> Option<Content> {
        let seen = &base.seen(self.from).fingerprint;
        let can = &self.can[self.from.index()];
        match &base.kind {
            BaseKind::Link(text) => Some(Content::Link(text.clone())),
            BaseKind::File(_) if can.has_ids => {
                (seen.file_id != 0).then_some(Content::Version(*seen))
            }
            BaseKind::File(_) if node.fingerprint.size == 0 => Content::empty(seen),
            BaseKind::File(digest) => {
                (*digest != Digest::default()).then_some(Content::File(*digest))
            }
            BaseKind::Directory(_) => None,
        }
    }

    /// Returns the content of a file or link; `None`: unknown.
    fn content(
        &mut self,
        places: &Places<'_>,
        at: usize,
        node: &Node,
    ) -> Result<Option<Content>, Cancelled> {
        if let Kind::Link(text) = &node.kind {
            return Ok(Some(Content::Link(text.clone())));
        }
        if self.can[self.from.index()].has_ids {
            return Ok(Some(Content::Version(node.fingerprint)));
        }
        if node.fingerprint.size == 0 {
            return Ok(Content::empty(&node.fingerprint));
        }
        Ok(self.digest(self.from, &places.path(at, self.from))?.map(Content::File))
    }

    /// Returns whether the other side still has the version of the baseline.
    pub(super) fn is_unchanged(
        &mut self,
        node: &Node,
        base: &Base,
        path: impl FnOnce() -> String,
    ) -> Result<bool, Cancelled> {
        let on = self.from.other();
        let digest = match (&node.kind, &base.kind) {
            (Kind::File, BaseKind::File(digest)) => digest,
            (Kind::Link(text), BaseKind::Link(baseline)) => return Ok(text == baseline),
            (_, _) => return Ok(false),
        };
        let seen = base.seen(on);
        let (now, then) = (node.fingerprint, seen.fingerprint);
        if !seen.racy && now == then {
            return Ok(true);
        }
        let is_touched = (now.size, now.modified) != (then.size, then.modified);
        if is_touched || !self.can[on.index()].hashes_cheaply {
            return Ok(false);
        }
        if let Some(known) = self.read.get(&std::ptr::from_ref(node)) {
            return Ok(*known);
        }
        let is_unchanged = self.digest(on, &path())?.as_ref() == Some(digest);
        self.read.insert(node, is_unchanged);
        Ok(is_unchanged)
    }

    /// Returns the digest of a file; `None`: it cannot be read.
    fn digest(&mut self, side: Side, path: &str) -> Result<Option<Digest>, Cancelled> {
        match (self.hash)(side, path) {
            Ok(digest) => Ok(Some(digest)),
            Err(Some(_)) => Ok(None),
            Err(None) => Err(Cancelled),
        }
    }
}

impl<'t> Candidate<'t> {
    const fn new(
        place: &Place<'t>,
        at: usize,
        content: usize,
        file_id: u64,
        is_replaced: bool,
    ) -> Self {
        let Place { parent, key, .. } = *place;
        Self { at, parent, key, content, file_id, is_replaced }
    }
}

fn flagged(lists: &[usize], replaced: &[usize]) -> impl Iterator<Item = (usize, bool)> {
    let flag = |is_replaced| move |at: &usize| (*at, is_replaced);
    lists.iter().map(flag(false)).chain(replaced.iter().map(flag(true)))
}

/// The known attributes of the missing files and links. Collecting them reads no content.
#[derive(Default)]
struct Wanted {
    sizes: HashSet<u64>,
    links: HashSet<Box<str>>,
    has_empty: bool,
    /// File ids, with sizes.
    ids: HashSet<(u64, u64)>,
}

impl Wanted {
    fn add(&mut self, content: &Content, file_id: u64, node: Option<&Node>, is_replaced: bool) {
        let size = node.map_or(0, |node| node.fingerprint.size);
        if file_id != 0 {
            self.ids.insert((file_id, size));
        }
        if is_replaced {
            return;
        }
        match content {
            Content::File(_) | Content::Version(_) => drop(self.sizes.insert(size)),
            Content::Empty { .. } => self.has_empty = true,
            Content::Link(text) => drop(self.links.insert(text.clone())),
        }
    }

    /// Returns whether a new file or link may be one of them.
    fn includes(&self, node: &Node, is_replaced: bool) -> bool {
        let fingerprint = &node.fingerprint;
        let is_known = self.ids.contains(&(fingerprint.file_id, fingerprint.size));
        let may_be = match &node.kind {
            Kind::File if fingerprint.size == 0 => self.has_empty || self.sizes.contains(&0),
            Kind::File => self.sizes.contains(&fingerprint.size),
            Kind::Link(text) => self.links.contains(text),
            Kind::Directory(_) | Kind::Blocked(_) | Kind::Junk => false,
        };
        is_known || (may_be && !is_replaced)
    }
}

/// Matches files and links with equal contents: first by file id, then those whose content occurs
/// once, which shows where directories went, then by name and directory, then by name.
fn pairs(gone: Vec<Candidate<'_>>, fresh: Vec<Candidate<'_>>) -> Vec<Pair> {
    let mut matching = Matching { gone, fresh, pairs: Vec::new(), parents: HashMap::new() };
    let id = |one: &Candidate<'_>| (one.file_id != 0).then_some((one.content, one.file_id));
    matching.pass(id, id);
    matching.gone.retain(|one| !one.is_replaced);
    matching.fresh.retain(|one| !one.is_replaced);
    let mut counts: HashMap<usize, [u32; 2]> = HashMap::new();
    for (list, candidates) in [&matching.gone, &matching.fresh].into_iter().enumerate() {
        for one in candidates {
            counts.entry(one.content).or_default()[list] += 1;
        }
    }
    let once =
        |one: &Candidate<'_>| (counts.get(&one.content) == Some(&[1, 1])).then_some(one.content);
    matching.pass(once, once);
    let parents = matching.parents.clone();
    matching.pass(
        |one| Some((one.content, one.key, one.parent)),
        |one| Some((one.content, one.key, *parents.get(&one.parent)?)),
    );
    matching.pass(|one| Some((one.content, one.key)), |one| Some((one.content, one.key)));
    matching.pass(|one| Some(one.content), |one| Some(one.content));
    matching.pairs
}

struct Matching<'t> {
    gone: Vec<Candidate<'t>>,
    fresh: Vec<Candidate<'t>>,
    pairs: Vec<Pair>,
    /// The old directory of an entry with the same name, by the new one.
    parents: HashMap<usize, usize>,
}

impl<'t> Matching<'t> {
    /// Matches candidates with the same key, and removes them.
    fn pass<K: IsKey + Eq>(
        &mut self,
        gone_key: impl Fn(&Candidate<'t>) -> Option<K>,
        fresh_key: impl Fn(&Candidate<'t>) -> Option<K>,
    ) {
        let mut free: HashMap<K, Vec<Candidate<'t>>> = HashMap::new();
        for one in self.gone.iter().rev() {
            if let Some(key) = gone_key(one) {
                free.entry(key).or_default().push(*one);
            }
        }
        let mut taken = HashSet::new();
        let (pairs, parents) = (&mut self.pairs, &mut self.parents);
        self.fresh.retain(|new| {
            let Some(old) = fresh_key(new).and_then(|key| free.get_mut(&key)?.pop()) else {
                return true;
            };
            taken.insert(old.at);
            pairs.push(Pair { gone: old.at, fresh: new.at });
            if old.key == new.key {
                parents.insert(new.parent, old.parent);
            }
            false
        });
        self.gone.retain(|one| !taken.contains(&one.at));
    }
}
