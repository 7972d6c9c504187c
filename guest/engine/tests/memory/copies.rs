//! How files are copied.

use std::fs;

use syncmgr_engine::testing::Memory;

use crate::scene::{OPENED, RECEIVED, Scene, Trouble, memory};

#[test]
fn an_interrupted_first_sync_copies_and_compares_little_again() {
    const FILES: u32 = 1_000;
    let scene = Scene::new(Memory::default());
    for number in 0..FILES {
        fs::write(scene.local().join(number.to_string()), number.to_le_bytes()).unwrap();
    }
    // Each file fails for itself.
    let _ = scene.run_with(Some(Trouble::CutFrom(3_000)));
    let first = RECEIVED.take();
    assert!(first > 600, "{first} files were copied");
    assert_eq!(scene.run(), Ok(()));
    let second = RECEIVED.take() + OPENED.take();
    // The state is saved after each 256 steps.
    assert!(second < FILES - first + 2 * 256, "{first}, then {second} files were transferred");
    assert_eq!(scene.files(), memory().files());
}
