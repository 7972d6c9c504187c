pub(crate) mod cache;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod inspect;
pub(crate) mod items;
pub(crate) mod register;
pub(crate) mod run;
pub(crate) mod validate;
