//! Reads the documents of S3. A server may send anything: sizes and depths are bounded, and a
//! document that is not complete is an error.

use std::io::{BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, http};

use crate::codes::explain;

/// The maximum size of a document: a page has at most 1,000 keys.
const MAX_BYTES: u64 = 16 << 20;
/// The maximum depth of elements.
const MAX_DEPTH: usize = 16;
/// The maximum length of the text of an element.
const MAX_TEXT: usize = 16 << 10;

/// Receives an element: the name of its parent, its own name, and its text.
pub type Each<'a> = dyn FnMut(&str, &str, &str) -> Result<(), Interrupt> + 'a;

/// Reads a document, and passes the end of each element to `each`.
///
/// # Errors
/// Fails with the error of a document `Error`, with [`InputOutput`](ErrorCode::InputOutput) for one
/// with another root or that is not complete, and with the errors of `each`.
pub fn read(body: impl Read, root: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
    let mut reader = Reader::from_reader(BufReader::new(body.take(MAX_BYTES)));
    reader.config_mut().expand_empty_elements = true;
    let (mut names, mut text, mut buffer) = (Vec::<String>::new(), String::new(), Vec::new());
    let [mut code, mut message] = [String::new(), String::new()];
    let mut is_error = false;
    loop {
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(error)) => {
                let error = std::io::Error::new(error.kind(), error.to_string());
                return Err(http::interrupt(error));
            }
            Err(error) => return Err(invalid(&error.to_string())),
        };
        match event {
            Event::Start(start) => {
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                if names.is_empty() {
                    is_error = name == "Error" && root != name;
                    // Some servers have another end.
                    let end = name.strip_prefix(root.trim_end_matches("Result"));
                    let is_it = end.is_some_and(|end| ["", "Result", "Response"].contains(&end));
                    if !is_error && !is_it {
                        return Err(invalid(&format!("it begins with {name:?}")));
                    }
                }
                names.push(name);
                if names.len() > MAX_DEPTH {
                    return Err(invalid("its elements are nested too deeply"));
                }
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.decode().map_err(not_text)?),
            Event::CData(part) => text.push_str(&part.decode().map_err(not_text)?),
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
                text.push(resolved.ok_or_else(|| invalid("it has an unknown entity"))?);
            }
            Event::End(_) => {
                let name = names.pop().unwrap_or_default();
                let Some(parent) = names.last() else {
                    return match is_error {
                        true => Err(explain(200, &code, &message, None).into()),
                        false => Ok(()),
                    };
                };
                match (is_error, &*name) {
                    (true, "Code") => code = std::mem::take(&mut text),
                    (true, "Message") => message = std::mem::take(&mut text),
                    (true, _) => {}
                    (false, name) => each(parent, name, &text)?,
                }
                text.clear();
            }
            Event::DocType(_) => return Err(invalid("it has a document type")),
            Event::Eof => return Err(invalid("it ends early")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
        if text.len() > MAX_TEXT {
            return Err(invalid("one of its values is too long"));
        }
    }
}

fn not_text(error: impl std::fmt::Display) -> Interrupt {
    invalid(&error.to_string())
}

fn invalid(why: &str) -> Interrupt {
    let message = format!(
        "the answer is not one of S3: {why}; check the URL of the server, and whether it wants a \
         login"
    );
    Error::new(ErrorCode::InputOutput, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        let read = read(text.as_bytes(), "R", &mut |parent, name, text| {
            all.push(format!("{parent}/{name}={text}"));
            Ok(())
        });
        match read {
            Ok(()) => Ok(all),
            Err(Interrupt::Failed(error)) => Err(error.message),
            Err(Interrupt::Item | Interrupt::All) => Err("cancelled".to_owned()),
        }
    }

    #[test]
    fn elements_have_their_parents_and_texts() {
        for (root, is_good) in [
            ("List", true),
            ("ListResult", true),
            ("ListResponse", true),
            ("ListOther", false),
            ("Other", false),
        ] {
            let document = format!("<{root}/>");
            let read = read(document.as_bytes(), "ListResult", &mut |_, _, _| Ok(()));
            assert_eq!(read.is_ok(), is_good, "{root}");
        }
        for (document, expected) in [
            ("<R/>", &[][..]),
            ("<?xml version='1.0'?><R xmlns='x'><K>a&amp;&#65;</K></R>", &["R/K=a&A"]),
            ("<R> <C> <K>a</K> <E/> </C> </R>", &["C/K=a", "C/E=", "R/C= "]),
            ("<R><K><![CDATA[<a>]]></K></R>", &["R/K=<a>"]),
        ] {
            assert_eq!(parse(document).unwrap(), expected, "{document}");
        }
    }

    #[test]
    fn a_hostile_document_is_an_error() {
        let deep = format!("<R>{}", "<a>".repeat(MAX_DEPTH));
        let long = format!("<R><K>{}</K></R>", "x".repeat(MAX_TEXT + 1));
        let large = format!("<R><!--{}--></R>", "x".repeat(17 << 20));
        for (document, words) in [
            ("", "ends early"),
            ("<html><body>Log in</body></html>", "begins with \"html\""),
            ("<R><K>a</K>", "ends early"),
            ("<R><K>a</R>", "not one of S3"),
            ("<!DOCTYPE R><R/>", "document type"),
            ("<R>&x;</R>", "unknown entity"),
            (&deep, "too deeply"),
            (&long, "too long"),
            (&large, "not one of S3"),
            ("<Error><Code>NoSuchKey</Code><Message>x</Message></Error>", "does not exist"),
        ] {
            let found = parse(document).unwrap_err();
            assert!(found.contains(words), "{found}");
        }
    }
}
