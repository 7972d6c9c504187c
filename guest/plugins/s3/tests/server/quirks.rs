//! What the server does wrong, or does not have.

/// Switches of the server. By default, it is as AWS.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fault")]
pub(crate) struct Quirks {
    /// The number of keys of a page; 0: 1,000.
    pub(crate) page: usize,
    /// It ignores `If-None-Match` and `If-Match` of all requests but copies.
    pub(crate) ignores_conditions: bool,
    /// It ignores `If-Match` of PUT.
    pub(crate) ignores_if_match: bool,
    /// It ignores conditions of completed uploads.
    pub(crate) completes_always: bool,
    /// It ignores `If-Match` of completed uploads.
    pub(crate) completes_any_version: bool,
    /// It ignores conditions of copies.
    pub(crate) copies_always: bool,
    /// It ignores `If-Match` of DELETE.
    pub(crate) deletes_always: bool,
    /// It answers 501 to conditions.
    pub(crate) refuses_conditions: bool,
    pub(crate) tags: Tags,
    /// The bucket has versions.
    pub(crate) is_versioned: bool,
    /// It answers this status to the next requests of these methods; all, if there are none.
    pub(crate) busy: Option<(u16, usize)>,
    pub(crate) busy_methods: &'static [&'static str],
    /// The number of copies and completions that fail with status 200.
    pub(crate) errors_in_200: usize,
    /// It denies each request with this status, code and region.
    pub(crate) denies: Option<(u16, &'static str, &'static str)>,
    /// Keys are not encoded in lists.
    pub(crate) lists_raw: bool,
    /// Times in lists have parts of seconds.
    pub(crate) lists_fractions: bool,
    /// Lists begin with the last key.
    pub(crate) lists_backwards: bool,
    pub(crate) list: List,
    /// PUT stores a half of the content.
    pub(crate) truncates: bool,
    /// It stores the marker of a directory without its `/`, as rclone.
    pub(crate) has_no_markers: bool,
    /// It has no uploads in parts.
    pub(crate) has_no_uploads: bool,
    /// PUT answers no tag.
    pub(crate) put_has_no_tag: bool,
}

/// Version tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tags {
    /// Digests of the content, of its parts for an upload in parts.
    #[default]
    Content,
    /// Another one for each version, as with encryption by KMS.
    Version,
    None,
}

/// Lists of a hostile server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum List {
    #[default]
    Good,
    /// Empty pages without an end.
    Endless,
    /// The same page again and again.
    SameToken,
    /// A page that is not the last one has no token.
    NoToken,
    /// A key that does not begin with the prefix.
    Outside,
    /// A key of a megabyte.
    Huge,
    /// The document ends early.
    Cut,
    /// Nothing says whether the list is complete.
    NoEnd,
    /// An object has no size.
    NoSize,
    /// A web page.
    Page,
    /// The list of an empty bucket.
    Empty,
    /// An error with status 200.
    Error,
}
