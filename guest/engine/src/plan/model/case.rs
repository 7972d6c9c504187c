//! A baseline, edits and the expected result.

use super::{
    Listing, Run, World, check_a_rerun_does_nothing, check_nothing_is_lost, listing, mirrored,
    options,
};
use crate::options::Mode::{self, Mirror, Newer, OneWaySafe, PreferLeft, PreferRight, TwoWaySafe};
use crate::options::{DeleteLimit, Options};
use crate::plan::SafetyStop;
use crate::tree::Side;

/// A baseline and subsequent edits. Later edits have later times.
#[derive(Clone, Debug)]
pub struct Case {
    pub mode: Mode,
    pub baseline: String,
    pub edits: Vec<(Side, String)>,
}

pub fn baseline(rows: &str) -> Case {
    Case { mode: TwoWaySafe, baseline: rows.to_owned(), edits: Vec::new() }
}

impl Case {
    pub fn mode(&self, mode: Mode) -> Self {
        Self { mode, ..self.clone() }
    }

    pub fn left(&self, rows: &str) -> Self {
        self.edited(Side::Left, rows)
    }

    pub fn right(&self, rows: &str) -> Self {
        self.edited(Side::Right, rows)
    }

    pub fn edited(&self, side: Side, rows: &str) -> Self {
        let mut case = self.clone();
        case.edits.push((side, rows.to_owned()));
        case
    }

    pub fn swapped(&self) -> Option<Self> {
        let mode = match self.mode {
            TwoWaySafe | Newer => self.mode,
            PreferLeft => PreferRight,
            PreferRight => PreferLeft,
            OneWaySafe | Mirror => return None,
        };
        let edits = self.edits.iter().map(|(side, rows)| (side.other(), mirrored(rows))).collect();
        Some(Self { mode, baseline: mirrored(&self.baseline), edits })
    }

    pub fn world(&self) -> World {
        let mut world = World { age: 100, ..World::default() };
        Side::BOTH.iter().for_each(|side| world.edit(*side, &self.baseline));
        // A copy has the time of its source, and a moved file keeps its time.
        let [left, right] = &mut world.trees;
        for (path, item) in right {
            item.modified = left[path].modified;
        }
        let first = world.sync(TwoWaySafe);
        assert_eq!(first.plan.operations, [], "equal trees are adopted");
        self.edits.iter().for_each(|(side, rows)| world.edit(*side, rows));
        world
    }

    /// Syncs, and checks the guarantees for every sync.
    pub fn run(&self) -> (World, Run) {
        let before = self.world();
        let mut world = before.clone();
        let run = world.sync(self.mode);
        check_nothing_is_lost(&before, &world, self.mode);
        check_a_rerun_does_nothing(&world, self.mode);
        if let Some(swapped) = self.swapped() {
            let mut other = swapped.world();
            other.sync(swapped.mode);
            for side in Side::BOTH {
                let expected: Listing =
                    world.list(side.other()).iter().map(|row| mirrored(row)).collect();
                assert_eq!(other.list(side), expected, "{side:?} with the sides swapped");
            }
        }
        (world, run)
    }

    #[track_caller]
    pub fn becomes(&self, left: &str, right: &str) -> Run {
        let (world, run) = self.run();
        assert_eq!(world.list(Side::Left), listing(left), "left, {:?}", self.mode);
        assert_eq!(world.list(Side::Right), listing(right), "right, {:?}", self.mode);
        run
    }

    #[track_caller]
    pub fn both_become(&self, rows: &str) -> Run {
        self.becomes(rows, rows)
    }

    pub fn danger(&self, max_delete: DeleteLimit) -> Option<SafetyStop> {
        self.world().plan(&Options { max_delete, ..options(self.mode) }).danger
    }
}
