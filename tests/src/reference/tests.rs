//! The page of a small package.

use super::*;

const PACKAGE: &str = "
    /// About the package.
    package a:b@1.2.0;

    /// First sentence. Second one.
    @since(version = 1.0.0)
    interface second {
        use first.{thing};

        /// A function.
        @since(version = 1.2.0)
        %list: func(%from: option<thing>, to: list<u8>) -> result<_, thing>;

        /// A resource.
        @since(version = 1.0.0)
        resource one {
            /// Makes it.
            @since(version = 1.0.0)
            constructor(size: u32);
            /// Borrows it.
            @since(version = 1.0.0)
            with-other: func(other: borrow<one>);
            /// Needs none.
            @since(version = 1.0.0)
            pick: static func() -> one;
        }

        /// Some of them.
        @since(version = 1.0.0)
        type things = list<thing>;
    }

    /// The other one.
    @since(version = 1.0.0)
    interface first {
        /// A record.
        @since(version = 1.0.0)
        record thing {
            /// One | two,
            /// on two lines.
            ///
            /// - and a list
            name: string,
        }
    }

    /// The world.
    @since(version = 1.0.0)
    world both {
        @since(version = 1.0.0)
        export second;
    }
";

fn page(source: &str) -> Result<String> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("package.wit"), source)?;
    reference(dir.path())
}

#[test]
fn the_first_line_names_the_update_command() -> Result<()> {
    let text = page(PACKAGE)?;
    let first = text.lines().next().unwrap_or_default();
    assert!(first.contains("Generated from the WIT"), "{first}");
    assert!(first.contains("BLESS=1 cargo test --test host contract"), "{first}");
    Ok(())
}

#[test]
fn signatures_are_spelled_as_in_the_wit() -> Result<()> {
    let text = page(PACKAGE)?;
    for line in [
        "%list: func(%from: option<thing>, to: list<u8>) -> result<_, thing>;",
        "constructor(size: u32);",
        "with-other: func(other: borrow<one>);",
        "pick: static func() -> one;",
        "type things = list<thing>;",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in:\n{text}");
    }
    Ok(())
}

#[test]
fn multiline_docs_fit_into_a_table() -> Result<()> {
    let text = page(PACKAGE)?;
    let row = "| `name` | `string` | One \\| two, on two lines.<br><br>- and a list |";
    assert!(text.lines().any(|found| found == row), "no line {row} in:\n{text}");
    assert!(text.contains("| First sentence. |"), "{text}");
    Ok(())
}

#[test]
fn every_link_resolves_to_one_heading() -> Result<()> {
    let text = page(PACKAGE)?;
    let targets: Vec<_> =
        text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(targets.contains(&"first.thing"), "{text}");
    for target in targets {
        let anchor = format!("<a id=\"{target}\"></a>");
        assert_eq!(text.matches(&anchor).count(), 1, "{target} in:\n{text}");
    }
    Ok(())
}

#[test]
fn only_a_later_version_is_shown() -> Result<()> {
    let text = page(PACKAGE)?;
    assert_eq!(text.matches("Since 1.2.0.").count(), 1, "{text}");
    assert_eq!(text.matches("Since 1.0.0.").count(), 3, "{text}");
    Ok(())
}
