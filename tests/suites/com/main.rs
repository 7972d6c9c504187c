//! The COM objects: through their vtables here, and in Windows programs under Wine.

mod collection;
mod leaks;
mod native;
mod nonconforming;
mod object;
mod registry;
mod windows;
