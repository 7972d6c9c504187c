//! The COM objects: through their vtables here, and in Windows programs under Wine.

mod leaks;
mod native;
mod object;
mod odd;
mod windows;
