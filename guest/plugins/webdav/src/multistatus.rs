//! The answer to PROPFIND (RFC 4918, section 14.16). A server may send anything: sizes and depths
//! are bounded, and a document that is not complete is an error.

use std::io::{BufRead, BufReader, Read};
use std::num::NonZeroU64;

use jiff::fmt::rfc2822::DateTimeParser;
use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use syncmgr_plugin::{Error, ErrorCode, Interrupt};

use crate::permissions::Permissions;
use crate::url;

/// The maximum size of an answer.
const MAX_BYTES: u64 = 256 << 20;
/// The maximum number of entries.
const MAX_ENTRIES: usize = 1_000_000;
/// The maximum depth of elements.
const MAX_DEPTH: usize = 32;
/// The maximum length of the text of an element.
const MAX_TEXT: usize = 16 << 10;

const DAV: Namespace<'static> = Namespace(b"DAV:");
/// The namespace of the properties of Nextcloud and ownCloud.
const OC: Namespace<'static> = Namespace(b"http://owncloud.org/ns");

/// An entry of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The decoded path on the server, without `/` at its ends.
    pub path: String,
    /// Whether it is a collection.
    pub is_collection: bool,
    /// The length in bytes.
    pub size: Option<u64>,
    /// The modification time, in ns since 1970; `None`: unknown, or not a time.
    pub modified: Option<i64>,
    /// The version tag, without the marks of a weak or a compressed one.
    pub tag: Option<String>,
    /// The room that is left, in bytes.
    pub available: Option<u64>,
    /// The same for each version of a file, wherever it is moved; `None`: unknown.
    pub id: Option<NonZeroU64>,
    /// What the user may do with it; `None`: unknown.
    pub permissions: Option<Permissions>,
}

/// The element whose text is being read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Text {
    #[default]
    None,
    Href,
    Status,
    Size,
    Modified,
    Tag,
    Available,
    Id,
    Permissions,
}

/// Reads an answer, and passes each entry to `each`.
///
/// # Errors
/// Fails with [`InputOutput`](ErrorCode::InputOutput) for a document that is not a complete
/// multistatus, and with the errors of `each`.
pub fn read(
    body: impl Read,
    each: &mut dyn FnMut(Found) -> Result<(), Interrupt>,
) -> Result<(), Interrupt> {
    let mut reader = NsReader::from_reader(BufReader::new(body.take(MAX_BYTES)));
    reader.config_mut().expand_empty_elements = true;
    let mut parser = Parser::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if parser.next(&mut reader, &mut buffer, each)? {
            return Ok(());
        }
    }
}

/// The state of reading.
#[derive(Default)]
struct Parser {
    depth: usize,
    text: String,
    element: Text,
    count: usize,
    /// The entry that is being read.
    entry: Found,
    has_path: bool,
    /// The properties of the propstat that is being read, and their status.
    properties: Found,
    is_found: bool,
    in_propstat: bool,
}

impl Parser {
    /// Reads one event. Returns whether the document is complete.
    fn next<R: BufRead>(
        &mut self,
        reader: &mut NsReader<R>,
        buffer: &mut Vec<u8>,
        each: &mut dyn FnMut(Found) -> Result<(), Interrupt>,
    ) -> Result<bool, Interrupt> {
        let (namespace, event) = match reader.read_resolved_event_into(buffer) {
            Ok(found) => found,
            Err(quick_xml::Error::Io(error)) => {
                let error = std::io::Error::new(error.kind(), error.to_string());
                return Err(syncmgr_plugin::http::interrupt(error));
            }
            Err(error) => return Err(invalid(&error.to_string())),
        };
        let is_dav = namespace == ResolveResult::Bound(DAV);
        let is_oc = namespace == ResolveResult::Bound(OC);
        match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(invalid("its elements are nested too deeply"));
                }
                let name = start.local_name();
                if self.depth == 1 && !(is_dav && name.as_ref() == b"multistatus") {
                    return Err(invalid("it is not a multistatus"));
                }
                if is_dav {
                    self.start(name.as_ref());
                }
                if is_oc {
                    self.element = match name.as_ref() {
                        b"fileid" => Text::Id,
                        b"permissions" => Text::Permissions,
                        _ => Text::None,
                    };
                }
                self.text.clear();
            }
            Event::Text(text) => {
                let text = text.decode().map_err(|error| invalid(&error.to_string()))?;
                self.add_text(&text)?;
            }
            Event::CData(text) => {
                let text = text.decode().map_err(|error| invalid(&error.to_string()))?;
                self.add_text(&text)?;
            }
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character),
                    Ok(None) => match reference.as_ref() {
                        b"amp" => Some('&'),
                        b"lt" => Some('<'),
                        b"gt" => Some('>'),
                        b"quot" => Some('"'),
                        b"apos" => Some('\''),
                        _ => None,
                    },
                    Err(_) => None,
                };
                let resolved = resolved.ok_or_else(|| invalid("it has an unknown entity"))?;
                self.add_text(resolved.encode_utf8(&mut [0; 4]))?;
            }
            Event::End(end) => {
                self.depth = self.depth.saturating_sub(1);
                if is_dav || is_oc {
                    self.end_text()?;
                }
                if is_dav {
                    self.end(end.local_name().as_ref(), each)?;
                }
                if self.depth == 0 {
                    return Ok(true);
                }
            }
            Event::DocType(_) => return Err(invalid("it has a document type")),
            Event::Eof => return Err(invalid("it ends early")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
        Ok(false)
    }

    fn start(&mut self, name: &[u8]) {
        self.element = match name {
            b"href" if !self.has_path => Text::Href,
            b"status" if self.in_propstat => Text::Status,
            b"getcontentlength" => Text::Size,
            b"getlastmodified" => Text::Modified,
            b"getetag" => Text::Tag,
            b"quota-available-bytes" => Text::Available,
            _ => Text::None,
        };
        match name {
            b"response" => {
                self.entry = Found::default();
                self.has_path = false;
            }
            b"propstat" => {
                self.properties = Found::default();
                self.is_found = false;
                self.in_propstat = true;
            }
            b"collection" => self.properties.is_collection = true,
            _ => {}
        }
    }

    fn add_text(&mut self, text: &str) -> Result<(), Interrupt> {
        if self.element == Text::None {
            return Ok(());
        }
        if self.text.len() + text.len() > MAX_TEXT {
            return Err(invalid("one of its values is too long"));
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Ends an element that may have a text.
    fn end_text(&mut self) -> Result<(), Interrupt> {
        let text = self.text.trim();
        match std::mem::take(&mut self.element) {
            Text::None => {}
            Text::Href => {
                self.entry.path = url::decode(text)?;
                self.has_path = true;
            }
            // Such as `HTTP/1.1 200 OK`.
            Text::Status => self.is_found = text.split(' ').nth(1) == Some("200"),
            Text::Size => self.properties.size = text.parse().ok(),
            Text::Modified => self.properties.modified = time(text),
            Text::Tag => self.properties.tag = tag(text),
            Text::Available => self.properties.available = text.parse().ok(),
            Text::Id => self.properties.id = id(text),
            Text::Permissions => self.properties.permissions = Permissions::parse(text),
        }
        Ok(())
    }

    fn end(
        &mut self,
        name: &[u8],
        each: &mut dyn FnMut(Found) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        match name {
            b"propstat" => {
                self.in_propstat = false;
                // Several propstats share the properties.
                if self.is_found {
                    let new = std::mem::take(&mut self.properties);
                    self.entry.is_collection |= new.is_collection;
                    self.entry.size = self.entry.size.or(new.size);
                    self.entry.modified = self.entry.modified.or(new.modified);
                    self.entry.tag = self.entry.tag.take().or(new.tag);
                    self.entry.available = self.entry.available.or(new.available);
                    self.entry.id = self.entry.id.or(new.id);
                    self.entry.permissions = self.entry.permissions.or(new.permissions);
                }
            }
            b"response" => {
                self.count += 1;
                if self.count > MAX_ENTRIES {
                    return Err(invalid("it has more than 1,000,000 entries"));
                }
                if !self.has_path {
                    return Err(invalid("an entry has no `href`"));
                }
                each(std::mem::take(&mut self.entry))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Parses a time such as `Sun, 29 Nov 2026 11:00:00 GMT`.
pub(crate) fn time(text: &str) -> Option<i64> {
    let time = DateTimeParser::new().parse_timestamp(text).ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// Returns a version tag without `W/`, quotes, and what compressing servers append.
pub(crate) fn tag(text: &str) -> Option<String> {
    let tag = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    let ends = ["-gzip", "-br", "-df"];
    let tag = ends.iter().find_map(|end| tag.strip_suffix(end)).unwrap_or(tag);
    (!tag.is_empty()).then(|| tag.to_owned())
}

/// Returns a number for the id of a file, which is any text.
fn id(text: &str) -> Option<NonZeroU64> {
    let digest = blake3::hash(text.as_bytes());
    let first = digest.as_bytes().first_chunk().copied().unwrap_or_default();
    NonZeroU64::new(u64::from_le_bytes(first)).filter(|_| !text.is_empty())
}

fn invalid(why: &str) -> Interrupt {
    let message = format!("the answer to PROPFIND is invalid: {why}");
    Error::new(ErrorCode::InputOutput, message).into()
}

#[cfg(test)]
mod tests;
