//! A component of another world.

#![allow(missing_docs, unsafe_code, clippy::all, reason = "wit-bindgen output")]

wit_bindgen::generate!({
    inline: "
        package elsewhere:thing;
        world other {
            import missing: func() -> u32;
            export work: func() -> u32;
        }
    ",
});

struct Other;

impl Guest for Other {
    fn work() -> u32 {
        missing()
    }
}

export!(Other);
