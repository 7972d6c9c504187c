//! A table of edits on both sides, with their results.

use Expect::{Both, Conflicts, Each, Stops};

/// A baseline that is synced first, edits of both sides as whole trees, and the expected result.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// The baseline, the left side and the right side.
    pub(crate) trees: [&'static str; 3],
    pub(crate) expect: Expect,
}

#[derive(Clone, Copy)]
pub(crate) enum Expect {
    /// Both sides are equal to this.
    Both(&'static str),
    /// Both sides are equal to this, with this number of conflict copies.
    Conflicts(&'static str, usize),
    /// The expected left and right side.
    Each(&'static str, &'static str),
    /// Nothing changes, and the item fails with this text.
    Stops(&'static str),
}

const fn case(name: &'static str, trees: [&'static str; 3], expect: Expect) -> Case {
    Case { name, settings: &[], trees, expect }
}

impl Case {
    const fn with(self, settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { settings, ..self }
    }
}

pub(crate) const NINE: &str = "f1=1|f2=2|f3=3|f4=4|f5=5|f6=6|f7=7|f8=8|f9=9";

pub(crate) const CASES: &[Case] = &[
    case(
        "H01 changes of every kind on both sides",
        [
            NINE,
            "f1=1|f2=2 left|f3=3|f5=5 left|f7=7 left|f9=9|f11=11",
            "f1=1 right|f2=2|f4=4|f5=5 right|f6=6 right|f9=9|f10=10",
        ],
        Conflicts("f1=1 right|f2=2 left|f6=6 right|f7=7 left|f9=9|f10=10|f11=11", 1),
    ),
    case(
        "H02 the same change on both sides is no conflict",
        ["f1=one|f2=two", "f1=one|f2=changed", "f1=one|f2=changed"],
        Both("f1=one|f2=changed"),
    ),
    case(
        "H03 too many deletions stop the run",
        [NINE, "f1=1|f2=2|f3=3|f4=4", NINE],
        Stops("5 of 9 files would be deleted in the directory `"),
    )
    .with(&[("max-delete", "50%")]),
    case(
        "H03 as many deletions as allowed go through",
        [NINE, "f1=1|f2=2|f3=3|f4=4", NINE],
        Both("f1=1|f2=2|f3=3|f4=4"),
    )
    .with(&[("max-delete", "60%")]),
    case(
        "H05 the first run of two different sides is their union",
        ["", "only left=l|same=s|other=left", "only right=r|same=s|other=right"],
        Conflicts("only left=l|only right=r|same=s", 1),
    ),
    case(
        "H06 an emptied side stops the run",
        ["a=1|b=2|d/c=3", "a=1|b=2|d/c=3", ""],
        Stops("` is empty, but 3 entries were synced there"),
    ),
    case(
        "H06 an emptied side is meant where the user says so",
        ["a=1|b=2|d/c=3", "a=1|b=2|d/c=3", ""],
        Both(""),
    )
    .with(&[("max-delete", "any")]),
    case(
        "H07 an empty directory comes",
        ["a=1|e/f=x", "a=1|e/|new/deeper/", "a=1|e/f=x"],
        Both("a=1|e/|new/deeper/"),
    ),
    case("H07 an empty directory goes", ["a=1|e/", "a=1", "a=1|e/"], Both("a=1")),
    case(
        "H08 a new filter deletes nothing",
        ["a=1", "a=1|x.log=left|d/y.log=y", "a=1|x.log=right"],
        Each("a=1|x.log=left|d/y.log=y", "a=1|x.log=right|d/"),
    )
    .with(&[("ignore", "*.log")]),
    case(
        "H09 two spellings are one file",
        ["a=1", "a=1|\u{e9}\u{f6}.txt=x", "a=1|e\u{301}o\u{308}.txt=x"],
        Each("a=1|\u{e9}\u{f6}.txt=x", "a=1|e\u{301}o\u{308}.txt=x"),
    ),
    case(
        "H09 names that differ in case are two files",
        ["", "HeLlO=1", "hello=2"],
        Both("HeLlO=1|hello=2"),
    ),
    case(
        "H12 a directory deleted here and emptied there is gone",
        ["d/file=x", "", "d/"],
        Both(""),
    ),
    case(
        "H15 a new file keeps its deleted directory, and nothing else of it",
        ["A/a1=1|A/B/b=2|z=z", "z=z", "A/a1=1|A/B/b=2|A/hello.txt=new|z=z"],
        Both("A/hello.txt=new|z=z"),
    ),
    case(
        "a changed file survives the deletion of its directory",
        ["d/a=1|d/b=2|z=z", "z=z", "d/a=1 changed|d/b=2|z=z"],
        Both("d/a=1 changed|z=z"),
    ),
    case(
        "H23 a directory becomes a file",
        ["d/a=1|d/e/b=2|z=z", "d=file now|z=z", "d/a=1|d/e/b=2|z=z"],
        Both("d=file now|z=z"),
    ),
    case(
        "a file becomes a directory",
        ["d=file|z=z", "d/a=1|d/e/b=2|z=z", "d=file|z=z"],
        Both("d/a=1|d/e/b=2|z=z"),
    ),
    case(
        "a new file and a new directory of one name are both kept",
        ["z=z", "d=file|z=z", "d/a=1|z=z"],
        Conflicts("d/a=1|z=z", 1),
    ),
    case(
        "H23 links are carried as text, also those that lead nowhere",
        ["a=1|d/b=2|old@=a", "a=1|d/b=2|old@=d/b|new@=nowhere|d/up@=../a", "a=1|d/b=2|old@=a"],
        Both("a=1|d/b=2|old@=d/b|new@=nowhere|d/up@=../a"),
    ),
    case(
        "links that lead out of the root stay where they are",
        ["a=1", "a=1|out@=../../etc/passwd|abs@=/etc/passwd", "a=1"],
        Each("a=1|out@=../../etc/passwd|abs@=/etc/passwd", "a=1"),
    ),
    case(
        "links inside the root are copied whatever their form",
        [
            "a=1|d/b=2",
            "a=1|d/b=2|slash@=d/|dot@=./a|self@=.|round@=d/../a|double@=d//b|\
             colon@=2026-01-01T10:00.log|back@=d\\b|d/up@=./../a|\
             d/e/round@=../e/../../d/b",
            "a=1|d/b=2",
        ],
        Both(
            "a=1|d/b=2|slash@=d/|dot@=./a|self@=.|round@=d/../a|double@=d//b|\
             colon@=2026-01-01T10:00.log|back@=d\\b|d/up@=./../a|\
             d/e/round@=../e/../../d/b",
        ),
    ),
    case(
        "a renamed directory of links does not stop the run",
        [
            "t=t|l/1@=../t|l/2@=../t|l/3@=../t",
            "t=t|m/1@=../t|m/2@=../t|m/3@=../t",
            "t=t|l/1@=../t|l/2@=../t|l/3@=../t",
        ],
        Both("t=t|m/1@=../t|m/2@=../t|m/3@=../t"),
    )
    .with(&[("max-delete", "0")]),
    case(
        "a moved file is not a deletion",
        ["a=1|d/b=22|z=z", "d/b=22|n/a=1|z=z", "a=1|d/b=22|z=z"],
        Both("d/b=22|n/a=1|z=z"),
    )
    .with(&[("max-delete", "0")]),
    case(
        "a directory is moved with its changes",
        [
            "d/a=1|d/s/b=22|d/s/c=333|d/x=4444|z=z",
            "e/a=1|e/s/b=22|e/s/c=333 left|e/new=n|z=z",
            "d/a=1|d/s/b=22|d/s/c=333|d/x=4444|z=z",
        ],
        Both("e/a=1|e/s/b=22|e/s/c=333 left|e/new=n|z=z"),
    ),
    case(
        "a change wins over a move, and everything else is moved",
        ["d/a=1|d/b=22|z=z", "e/a=1|e/b=22|z=z", "d/a=1 right|d/b=22|z=z"],
        Both("d/a=1 right|e/a=1|e/b=22|z=z"),
    ),
    case(
        "a directory with an ignored entry is not moved as a whole",
        ["d/a=1|d/b=22|z=z", "e/a=1|e/b=22|z=z", "d/a=1|d/b=22|d/x.o=x|z=z"],
        Each("e/a=1|e/b=22|z=z", "d/x.o=x|e/a=1|e/b=22|z=z"),
    )
    .with(&[("ignore", "*.o")]),
    case(
        "both names remain if both sides moved a file",
        ["a=1|z=z", "b=1|z=z", "c=1|z=z"],
        Both("b=1|c=1|z=z"),
    ),
    case(
        "what the default patterns ignore goes with its directory",
        ["p/q/a=1|z=z", "z=z", "p/q/a=1|p/Thumbs.db=x|p/q/.DS_Store=y|z=z"],
        Both("z=z"),
    )
    .with(&[("max-delete", "1")]),
    case(
        "what the setting ignores keeps its directory",
        ["p/a=1|z=z", "z=z", "p/a=1|p/x.o=x|z=z"],
        Each("z=z", "p/x.o=x|z=z"),
    )
    .with(&[("ignore", "*.o")]),
    case(
        "a directory with a skipped link is not removed",
        ["d/a=1|z=z", "z=z", "d/a=1|d/out@=/etc/passwd|z=z"],
        Each("z=z", "d/out@=/etc/passwd|z=z"),
    ),
    case(
        "difficult names",
        [
            "",
            "-rf=1| lead=2|trail =3|new\nline=4|quo\"te'=5|back\\slash=6|*?[x]=7|\
             ..hidden=8|日本/語=9|a:b=10",
            "",
        ],
        Both(
            "-rf=1| lead=2|trail =3|new\nline=4|quo\"te'=5|back\\slash=6|*?[x]=7|\
             ..hidden=8|日本/語=9|a:b=10",
        ),
    ),
];

/// Cases of one-way modes.
pub(crate) const ONE_WAY: &[Case] = &[
    case(
        "H11 the left side is preferred",
        ["a=0|b=0", "a=left|b=0", "a=right, longer|b=right"],
        Both("a=left|b=right"),
    )
    .with(&[("mode", "prefer-left")]),
    case(
        "H11 the right side is preferred",
        ["a=0|b=0", "a=left|b=left", "a=right, longer|b=0"],
        Both("a=right, longer|b=left"),
    )
    .with(&[("mode", "prefer-right")]),
    case(
        "one way, what the right side made is not touched",
        [
            "a=0|b=0|c=0|d=0|e/x=0",
            "a=left|b=left|c=0|new=left",
            "a=0|b=right|d=0|e/x=0|e/y=right|mine=right",
        ],
        Each("a=left|b=left|c=0|new=left", "a=left|b=right|c=0|e/y=right|mine=right|new=left"),
    )
    .with(&[("mode", "one-way-safe")]),
    case(
        "one way, moves of the right side are not made on the left",
        ["c=c|d/a=1|d/b=22|z=z", "c=c|e/a=1|e/b=22|z=z", "d/a=1|d/b=22|f=c|z=z"],
        Each("c=c|e/a=1|e/b=22|z=z", "c=c|e/a=1|e/b=22|f=c|z=z"),
    )
    .with(&[("mode", "one-way-safe")]),
    case(
        "a mirror moves what was moved on the left",
        ["c=c|d/a=1|d/b=22|z=z", "c=c|e/a=1|e/b=22|z=z", "d/a=1|d/b=22|f=c|z=z"],
        Both("c=c|e/a=1|e/b=22|z=z"),
    )
    .with(&[("mode", "mirror")]),
    case(
        "the first mirror of an empty source stops",
        ["", "", "a=1|b=2|d/c=3"],
        Stops("would delete all 3 files in the directory `right`"),
    )
    .with(&[("mode", "mirror")]),
    case(
        "a mirror is equal to the left side",
        ["a=0|b=0|c=0|d=0", "a=left|b=0|c=0|t/x=left", "a=0|b=right|d=0|mine/deep=right|t=right"],
        Both("a=left|b=0|c=0|t/x=left"),
    )
    .with(&[("mode", "mirror")]),
];
