//! Two sides that are kept in sync: an item.

use uuid::Uuid;

use crate::tree::Side;

/// Two sides.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The left and the right side.
    pub sides: [SideGrant; 2],
}

/// The grant of a side.
#[derive(Clone, Debug)]
pub struct SideGrant {
    /// A word for it, of lower case letters: "left".
    pub label: &'static str,
    /// How messages name it, such as "the directory `left`". The host adds the path to this
    /// wording, since the plugin does not know it.
    pub description: String,
    /// Whether it may be changed.
    pub is_writable: bool,
    /// The same in every run for the same directory or server.
    pub id: Uuid,
}

impl Pair {
    /// Returns the ids of the two sides.
    pub fn roots(&self) -> [[u8; 16]; 2] {
        self.sides.each_ref().map(|side| *side.id.as_bytes())
    }

    /// Returns the name of the state file, which is the same with the sides swapped.
    pub fn state_name(&self) -> String {
        let mut ids = self.sides.each_ref().map(|side| side.id.simple());
        ids.sort_by_key(|id| id.to_string());
        format!("{}-{}.state", ids[0], ids[1])
    }

    /// Returns the number in the names of temporary files, which is the same with the sides
    /// swapped. It keeps the temporary files of nested pairs apart.
    pub fn tag(&self) -> u32 {
        let mut roots = self.roots();
        roots.sort_unstable();
        let digest = blake3::hash(&roots.concat());
        digest.as_bytes()[..4].iter().fold(0, |tag, byte| tag << 8 | u32::from(*byte))
    }

    /// Returns the word for a side.
    pub fn label(&self, side: Side) -> &'static str {
        self.sides[side.index()].label
    }

    /// Returns the words for both sides.
    pub fn labels(&self) -> [&'static str; 2] {
        Side::BOTH.map(|side| self.label(side))
    }

    /// Returns how messages name a side.
    pub fn description(&self, side: Side) -> &str {
        &self.sides[side.index()].description
    }

    /// Returns whether a side may be changed.
    pub fn is_writable(&self, side: Side) -> bool {
        self.sides[side.index()].is_writable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_sides_use_the_same_state() {
        let side = |id| SideGrant {
            label: "side",
            description: String::new(),
            is_writable: true,
            id: Uuid::from_u128(id),
        };
        let pair = Pair { sides: [side(1), side(2)] };
        let swapped = Pair { sides: [side(2), side(1)] };
        assert_eq!(pair.state_name(), swapped.state_name());
        assert_eq!(pair.tag(), swapped.tag());
    }
}
