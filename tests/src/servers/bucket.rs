//! The objects of an S3 server, as another client sees them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use super::files::{ask, encode};

/// The bucket `bucket` of a server on loopback that checks no signature.
#[derive(Clone, Debug)]
pub struct Bucket {
    port: u16,
    /// Headers of each request.
    headers: &'static str,
}

impl Bucket {
    /// Returns the bucket of the server at a port, which requires these headers.
    pub fn new(port: u16, headers: &'static str) -> Self {
        Self { port, headers }
    }

    /// Creates it.
    ///
    /// # Errors
    /// Returns an error if the server refuses it.
    pub fn create(&self) -> Result<()> {
        self.ask("PUT", "bucket", b"").map(drop)
    }

    /// Writes an object.
    ///
    /// # Errors
    /// Returns an error if the server refuses it.
    pub fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        self.ask("PUT", &format!("bucket/{}", encode(key)), content).map(drop)
    }

    /// Returns the content of an object.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        self.ask("GET", &format!("bucket/{}", encode(key)), b"")
    }

    /// Deletes an object, if it exists.
    ///
    /// # Errors
    /// Returns an error if the server refuses it.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.ask("DELETE", &format!("bucket/{}", encode(key)), b"").map(drop)
    }

    /// Deletes an object and everything below it.
    ///
    /// # Errors
    /// Returns an error if the server refuses it.
    pub fn remove(&self, path: &str) -> Result<()> {
        let below = format!("{path}/");
        let keys = self.keys(path)?;
        for key in keys.iter().filter(|key| **key == path || key.starts_with(&below)) {
            self.delete(key)?;
        }
        Ok(())
    }

    /// Moves everything below a path.
    ///
    /// # Errors
    /// Returns an error if the server refuses it.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        for key in self.keys(&format!("{from}/"))? {
            self.put(&format!("{to}{}", &key[from.len()..]), &self.get(&key)?)?;
        }
        self.remove(from)
    }

    /// Returns the keys that begin with a text.
    ///
    /// # Errors
    /// Returns an error if the server refuses it.
    pub fn keys(&self, prefix: &str) -> Result<BTreeSet<String>> {
        let (mut keys, mut after) = (BTreeSet::new(), String::new());
        loop {
            let query = format!("list-type=2&encoding-type=url&prefix={}", encode(prefix));
            let list = self.ask("GET", &format!("bucket/?{query}{after}"), b"")?;
            let list = String::from_utf8(list)?;
            let found = values(&list, "Key").map(decode).collect::<Result<Vec<_>>>()?;
            let last = found.last().map_or_else(String::new, |key| encode(key));
            keys.extend(found);
            if values(&list, "IsTruncated").next() != Some("true") {
                return Ok(keys);
            }
            after = format!("&start-after={last}");
        }
    }

    /// Returns the content of each object below a path, as [`Files::tree`](super::Files::tree).
    ///
    /// # Errors
    /// Returns an error if one cannot be read.
    pub fn tree(&self, below: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let below = format!("{below}/");
        let mut all = BTreeMap::new();
        for key in self.keys(&below)? {
            let path = &key[below.len()..];
            let parents = path.match_indices('/').map(|(at, _)| path[..=at].to_owned());
            all.extend(parents.map(|parent| (parent, Vec::new())));
            if !path.is_empty() && !path.ends_with('/') {
                all.insert(path.to_owned(), self.get(&key)?);
            }
        }
        Ok(all)
    }

    /// Returns the keys of unfinished uploads that begin with a text.
    ///
    /// # Errors
    /// Returns an error if the server refuses it.
    pub fn uploads(&self, prefix: &str) -> Result<Vec<String>> {
        let list = self.ask("GET", &format!("bucket/?uploads=&prefix={}", encode(prefix)), b"")?;
        let list = String::from_utf8(list)?;
        // Some servers ignore the prefix.
        let keys = values(&list, "Key").filter(|key| key.starts_with(prefix));
        Ok(keys.map(str::to_owned).collect())
    }

    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<Vec<u8>> {
        ask(self.port, method, target, self.headers, body)
    }
}

/// Returns the text of each element with this name.
fn values<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&*start).skip(1).collect::<Vec<_>>();
    parts.into_iter().filter_map(move |part| part.split(&*end).next())
}

/// Decodes a key of a list.
fn decode(key: &str) -> Result<String> {
    let (mut decoded, bytes) = (Vec::new(), key.as_bytes());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let digits = key.get(at + 1..at + 3).context("two digits follow `%`")?;
                decoded.push(u8::from_str_radix(digits, 16)?);
                at += 2;
            }
            b'+' => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    ensure!(!decoded.is_empty(), "a key is not empty");
    Ok(String::from_utf8(decoded)?)
}
