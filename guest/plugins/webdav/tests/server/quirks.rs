//! The ways in which a server deviates from what the plugin would like. Each is independent.

use std::collections::BTreeMap;

/// The deviations of a server. The default is a server that conforms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quirks {
    pub(crate) tags: Tags,
    /// Whether the tag of GET has the suffix of a compressed content.
    pub(crate) other_tag_of_get: bool,
    pub(crate) tag_of_put: PutTag,
    /// Whether `If-Match` and `If-None-Match` have no effect.
    pub(crate) ignores_conditions: bool,
    pub(crate) times: Times,
    /// Whether a PUT whose connection is cut leaves the first half under its name.
    pub(crate) keeps_cut_puts: bool,
    /// The number of PUTs that answer 201 and store 0 bytes.
    pub(crate) empty_puts: u32,
    pub(crate) hrefs: Hrefs,
    pub(crate) splits_propstats: bool,
    /// Whether names are stored in NFC.
    pub(crate) composes_names: bool,
    pub(crate) ignores_case: bool,
    /// Collections that are listed wrongly.
    pub(crate) listings: BTreeMap<String, Listing>,
    /// The number of requests that an entry refuses with 423.
    pub(crate) locked: BTreeMap<String, u32>,
    /// The status of the next requests, and how many of them it concerns.
    pub(crate) busy: Option<(u16, u32)>,
    /// The methods that `busy` concerns; empty: all.
    pub(crate) busy_methods: Vec<&'static str>,
    /// The largest file, for 413.
    pub(crate) max_size: Option<usize>,
    /// The total size of all files, for `quota_status`.
    pub(crate) quota: Option<usize>,
    /// The status beyond the quota; 0: 507.
    pub(crate) quota_status: u16,
    /// Whether MOVE of a collection answers 207, although it succeeds.
    pub(crate) moves_collections_by_207: bool,
    /// Whether URLs of collections without a final slash are refused or redirected.
    pub(crate) needs_slash: bool,
    /// Whether MKCOL of an existing collection answers 201.
    pub(crate) makes_existing: bool,
    /// Whether every request is redirected to a login.
    pub(crate) has_portal: bool,
    /// The status of MOVE and COPY, as of a proxy that changes the scheme.
    pub(crate) refuses_moves: Option<u16>,
    /// Whether `Overwrite: F` has no effect.
    pub(crate) ignores_overwrite: bool,
    pub(crate) destinations: Destinations,
    /// Whether a moved file gets another tag.
    pub(crate) moves_change_tags: bool,
    /// Whether a moved file gets another id.
    pub(crate) moves_change_ids: bool,
    /// Whether a moved file gets the time of the move.
    pub(crate) moves_change_times: bool,
    /// Whether names that begin with a dot are not listed.
    pub(crate) hides_dots: bool,
    /// The header `Server`; empty: none.
    pub(crate) server: &'static str,
    /// The text after the classes in the header `DAV`.
    pub(crate) more_dav: &'static str,
    /// The status of every request, and its `WWW-Authenticate`.
    pub(crate) denies: Option<(u16, &'static str)>,
    /// Whether it is a Nextcloud server.
    pub(crate) is_nextcloud: bool,
    /// Whether the assembled file of chunks is empty, that many times.
    pub(crate) empty_assemblies: u32,
    /// The letters of `oc:permissions` of entries.
    pub(crate) permissions: BTreeMap<&'static str, &'static str>,
    pub(crate) ranges: Ranges,
    /// The number of bytes after which the connection of each GET is cut.
    pub(crate) cuts_gets: Option<usize>,
}

/// What a server answers to a GET with `Range`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ranges {
    #[default]
    Right,
    /// The whole file.
    Ignored,
    /// The range of any version, whatever `If-Range` is.
    Unconditional,
    /// A range that begins one byte later.
    Shifted,
    /// A range that ends one byte earlier.
    Short,
    /// A part without `Content-Range`.
    Unnamed,
    Status(u16),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tags {
    #[default]
    Exact,
    Weak,
    /// Another one at each request.
    New,
    /// The time in seconds and the size, as nginx writes it.
    Seconds,
    /// The time in ns, which is one of whole seconds, and the size, as servers in Go write it.
    Joined,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PutTag {
    #[default]
    Right,
    None,
    Foreign,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Times {
    /// The time of the upload.
    #[default]
    Now,
    /// The time in `X-OC-Mtime`.
    Accepted,
    Before1970,
    Garbage,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hrefs {
    #[default]
    Paths,
    Absolute,
    /// The host behind a proxy.
    OtherHost,
    Unencoded,
    /// `%c3%a9`, with only the necessary characters.
    LowerCase,
    /// Every character is encoded.
    All,
    /// A path that is not that of the request.
    OtherPrefix,
}

/// The targets that MOVE accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Destinations {
    #[default]
    Urls,
    /// URLs with the scheme behind a proxy.
    OtherScheme,
    Paths,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Only the collection itself.
    Empty,
    /// It ends within the document.
    Cut,
    /// The connection is cut within the document.
    Lost,
    /// Without the collection itself.
    WithoutSelf,
    /// Without the end of the document, but with a valid first half.
    Half,
    Status(u16),
    /// An HTML page with status 200.
    Login,
}
