//! Matches a path with a pattern by git's rules. They apply to bytes: `?` matches one byte.

/// The outcome of a match. Failures limit the backtracking of a preceding `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Match,
    NoMatch,
    /// No longer match of any `*` can succeed.
    AbortAll,
    /// No longer match of a `*` can succeed, but one of a `**` may.
    AbortToStarStar,
}

/// The error of a bracket expression, which then matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadBracket {
    /// It has no `]`. The number is the count of bytes after the `[`.
    Unclosed(usize),
    /// It has a class such as `[:digits:]` that does not exist.
    Class,
}

/// The result of a bracket expression for a byte.
struct Bracket {
    matches: bool,
    /// A range whose end is before its start.
    has_empty_range: bool,
    /// The number of bytes of the expression, with both brackets.
    len: usize,
}

/// Returns whether a byte is special anywhere in a pattern.
pub(super) const fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

/// Returns whether a pattern matches the whole text. With `is_path`, only `**` matches a `/`.
pub(super) fn matches(pattern: &[u8], text: &[u8], is_path: bool) -> bool {
    wild(pattern, text, is_path) == Outcome::Match
}

/// Recurses once for each `*`, and never deeper.
fn wild(pattern: &[u8], text: &[u8], is_path: bool) -> Outcome {
    let (mut p, mut t) = (0, 0);
    while let Some(&byte) = pattern.get(p) {
        let now = text.get(t).copied();
        let Some(now) = now.or((byte == b'*').then_some(0)) else { return Outcome::AbortAll };
        match byte {
            b'?' if is_path && now == b'/' => return Outcome::NoMatch,
            b'?' => {}
            b'*' => match star(pattern, p, text, t, is_path) {
                Ok((next, slash)) => (p, t) = (next, slash),
                Err(outcome) => return outcome,
            },
            b'[' => match bracket(&pattern[p..], now) {
                Ok(bracket) if bracket.matches && !(is_path && now == b'/') => {
                    p += bracket.len - 1;
                }
                Ok(_) => return Outcome::NoMatch,
                Err(_) => return Outcome::AbortAll,
            },
            b'\\' => {
                p += 1;
                if pattern.get(p) != Some(&now) {
                    return Outcome::NoMatch;
                }
            }
            _ if byte != now => return Outcome::NoMatch,
            _ => {}
        }
        (p, t) = (p + 1, t + 1);
    }
    match t == text.len() {
        true => Outcome::Match,
        false => Outcome::NoMatch,
    }
}

/// Matches from the `*` at `p`. `Ok`: it matched the name of one directory, and the next `/` is at
/// these positions of both.
fn star(
    pattern: &[u8],
    p: usize,
    text: &[u8],
    t: usize,
    is_path: bool,
) -> Result<(usize, usize), Outcome> {
    let stars = pattern[p..].iter().take_while(|byte| **byte == b'*').count();
    let (rest, text) = (&pattern[p + stars..], &text[t..]);
    let is_whole_part = (p == 0 || pattern[p - 1] == b'/')
        && (rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b"\\/"));
    let is_double = stars > 1 && is_path && is_whole_part;
    if is_double && rest.starts_with(b"/") && wild(&rest[1..], text, true) == Outcome::Match {
        return Err(Outcome::Match);
    }
    let crosses = is_double || !is_path;
    let slash = text.iter().position(|byte| *byte == b'/');
    let Some(&first) = rest.first() else {
        return Err(match crosses || slash.is_none() {
            true => Outcome::Match,
            false => Outcome::AbortToStarStar,
        });
    };
    if !crosses && first == b'/' {
        return slash.map(|slash| (p + stars, t + slash)).ok_or(Outcome::AbortAll);
    }
    let mut at = 0;
    while at < text.len() {
        if !is_special(first) {
            let end = if crosses { None } else { text[at..].iter().position(|b| *b == b'/') };
            let end = end.map_or(text.len(), |end| at + end + 1);
            match text[at..end].iter().position(|byte| *byte == first) {
                Some(found) => at += found,
                None if crosses => return Err(Outcome::AbortAll),
                None => return Err(Outcome::AbortToStarStar),
            }
        }
        match wild(rest, &text[at..], is_path) {
            Outcome::NoMatch if !crosses && text[at] == b'/' => {
                return Err(Outcome::AbortToStarStar);
            }
            Outcome::NoMatch => {}
            Outcome::AbortToStarStar if crosses => {}
            outcome @ (Outcome::Match | Outcome::AbortAll | Outcome::AbortToStarStar) => {
                return Err(outcome);
            }
        }
        at += 1;
    }
    Err(Outcome::AbortAll)
}

/// Parses the bracket expression at the start of a pattern.
fn bracket(pattern: &[u8], byte: u8) -> Result<Bracket, BadBracket> {
    let unclosed = || BadBracket::Unclosed(pattern.len() - 1);
    let at = |index: usize| pattern.get(index).copied();
    let mut p = 1;
    let negated = matches!(at(p), Some(b'!' | b'^'));
    p += usize::from(negated);
    let (mut found, mut has_empty_range) = (false, false);
    // The start of a range, if one may begin here.
    let mut before = None;
    loop {
        let mut here = at(p).ok_or_else(unclosed)?;
        let is_range = here == b'-' && before.is_some() && at(p + 1).is_some_and(|b| b != b']');
        if is_range {
            p += 1;
            here = at(p).ok_or_else(unclosed)?;
        }
        let is_class = !is_range && here == b'[' && at(p + 1) == Some(b':');
        if here == b'\\' {
            p += 1;
            here = at(p).ok_or_else(unclosed)?;
        }
        let class = is_class.then(|| class(&pattern[p + 2..])).flatten();
        let start = before.take();
        if let (true, Some(start)) = (is_range, start) {
            found |= (start..=here).contains(&byte);
            has_empty_range |= start > here;
        } else if let Some(name) = class {
            found |= is_in_class(name, byte).ok_or(BadBracket::Class)?;
            // The name is followed by `:` and `]`.
            p += name.len() + 3;
        } else if is_class && !pattern[p + 2..].contains(&b']') {
            return Err(unclosed());
        } else {
            found |= byte == here;
            before = Some(here);
        }
        p += 1;
        if at(p) == Some(b']') {
            return Ok(Bracket { matches: found != negated, has_empty_range, len: p + 1 });
        }
    }
}

/// Returns the name of a class after its `[:`; `None`: it is not a class.
fn class(pattern: &[u8]) -> Option<&[u8]> {
    let end = pattern.iter().position(|byte| *byte == b']')?;
    pattern[..end].strip_suffix(b":")
}

fn is_in_class(name: &[u8], byte: u8) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

/// Describes the error in a pattern because of which it matches nothing.
pub(super) fn mistake(pattern: &[u8]) -> Option<&'static str> {
    let mut at = 0;
    while let Some(byte) = pattern.get(at) {
        at += match byte {
            b'\\' => 2,
            b'[' => match bracket(&pattern[at..], 0) {
                Ok(bracket) if bracket.has_empty_range => {
                    return Some("has a range whose end is before its start");
                }
                Ok(bracket) => bracket.len,
                // A trailing `[` is probably meant literally.
                Err(BadBracket::Unclosed(0)) => 1,
                Err(BadBracket::Unclosed(_)) => {
                    return Some(
                        "has an unclosed `[`; close it with `]`, or write `\\[` for a bracket",
                    );
                }
                Err(BadBracket::Class) => return Some("has a class that does not exist"),
            },
            _ => 1,
        };
    }
    None
}
