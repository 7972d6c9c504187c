use std::fmt;

use uuid::Uuid;

use crate::bindings::syncmgr::plugin::types as wit;

/// The namespace of ids from names, so that they differ from those that other software derives from
/// the same names.
const NAMESPACE: Uuid = Uuid::from_u128(0x5ca1_3f6e_7d0b_4c52_9a46_1f0e_68b3_d27c);

macro_rules! id {
    ($name:ident, $what:literal, $native:literal) => {
        #[doc = concat!($what, " `", $native, "`.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Derives an id from a name (UUID version 5); the same in every run.
            pub fn from_name(name: &str) -> Self {
                Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
            }

            /// Creates an id from a UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the id as a UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }

            pub(crate) const fn from_wit(guid: wit::Guid) -> Self {
                Self(Uuid::from_u64_pair(guid.high, guid.low))
            }

            pub(crate) const fn to_wit(self) -> wit::Guid {
                let (high, low) = self.0.as_u64_pair();
                wit::Guid { high, low }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id!(ItemId, "Identifies an item, the same in every run:", "SYNCMGRITEMID");
id!(ErrorId, "Identifies a logged error:", "SYNCMGRERRORID");
