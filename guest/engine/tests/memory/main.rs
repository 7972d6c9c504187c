//! A real directory and a side in memory, with every combination of what a side can do. Nothing is
//! lost, both sides become equal, and a rerun changes nothing.

#![allow(clippy::unwrap_used, reason = "it is a test")]

mod cases;
mod copies;
mod edit;
mod moves;
mod random;
mod scene;
