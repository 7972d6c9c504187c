//! A drawing of the actions of a run: one rectangle for each directory, as large as its bytes.

use maud::{Markup, html};

use super::super::places::{Place, Places};
use super::super::progress::DELETED;
use super::parts::bytes;

/// The size of the drawing.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 200.0;

/// The width of a character of a name, and the height of its line.
const CHARACTER: f64 = 9.0;
const LINE: f64 = 20.0;

/// The position and the size of a rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rectangle {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Returns the drawing; nothing if no action has a size.
pub(super) fn treemap(places: &Places) -> Markup {
    let mut sized: Vec<_> = places.iter().filter(|(_, place)| place.bytes > 0).collect();
    sized.sort_by_key(|(_, place)| std::cmp::Reverse(place.bytes));
    // A sum of u64 fits.
    let weights: Vec<_> = sized.iter().map(|(_, place)| place.bytes as f64).collect();
    let all = Rectangle { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT };
    let rectangles = divide(&weights, all);
    let label = format!("Bytes by directory, of {} directories", sized.len());
    html! {
        @if sized.len() > 1 {
            svg.treemap viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
                @for ((name, place), at) in sized.iter().zip(&rectangles) {
                    g {
                        title { (directory(name)) ": " (words(place)) ", " (bytes(place.bytes)) }
                        rect class=(class(place)) x=(round(at.x)) y=(round(at.y))
                            width=(round(at.width)) height=(round(at.height)) {}
                        @if name.chars().count() as f64 * CHARACTER < at.width && LINE < at.height {
                            text x=(round(at.x + 4.0)) y=(round(at.y + LINE - 4.0)) {
                                (directory(name))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the name of a directory.
pub(super) fn directory(name: &str) -> &str {
    if name.is_empty() { "." } else { name }
}

/// Returns the numbers of actions in words.
pub(super) fn words(place: &Place) -> String {
    let counts = place.actions.iter();
    counts.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

fn class(place: &Place) -> &'static str {
    match place.main_kind() {
        DELETED => "bad",
        "created" => "good",
        "replaced" => "warn",
        _ => "idle",
    }
}

fn round(number: f64) -> String {
    format!("{number:.1}")
}

/// Divides a rectangle among weights, largest first: into two halves of about the same weight, each
/// of which is divided in turn.
fn divide(weights: &[f64], all: Rectangle) -> Vec<Rectangle> {
    if weights.len() < 2 {
        return vec![all; weights.len()];
    }
    let total: f64 = weights.iter().sum();
    let (mut first, mut number) = (weights[0], 1);
    while number + 1 < weights.len() && first + weights[number] <= total / 2.0 {
        first += weights[number];
        number += 1;
    }
    let part = first / total;
    let Rectangle { x, y, width, height } = all;
    let (one, other) = match width >= height {
        true => {
            let split = width * part;
            (
                Rectangle { width: split, ..all },
                Rectangle { x: x + split, width: width - split, ..all },
            )
        }
        false => {
            let split = height * part;
            (
                Rectangle { height: split, ..all },
                Rectangle { y: y + split, height: height - split, ..all },
            )
        }
    };
    let mut divided = divide(&weights[..number], one);
    divided.extend(divide(&weights[number..], other));
    divided
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_as_large_as_their_weights() {
        let all = Rectangle { x: 0.0, y: 0.0, width: 30.0, height: 10.0 };
        for weights in [
            &[][..],
            &[1.0],
            &[5.0, 1.0],
            &[4.0, 3.0, 2.0, 2.0, 1.0],
            &[1e19, 1e19, 1.0],
            &[7.0; 41],
        ] {
            let divided = divide(weights, all);
            assert_eq!(divided.len(), weights.len());
            let total: f64 = weights.iter().sum();
            for (weight, part) in weights.iter().zip(&divided) {
                let area = part.width * part.height;
                assert!((area - weight / total * 300.0).abs() < 1e-6, "{weights:?}: {part:?}");
                let is_inside = part.x >= 0.0
                    && part.y >= 0.0
                    && part.x + part.width <= 30.0 + 1e-6
                    && part.y + part.height <= 10.0 + 1e-6;
                assert!(is_inside, "{weights:?}: {part:?}");
            }
        }
    }
}
