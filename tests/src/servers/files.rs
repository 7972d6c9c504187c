//! The files of a server, as another client sees them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Bucket;

/// Lets seaweedfs answer with JSON.
const JSON: &str = "Accept: application/json\r\n";

/// The files of a server. Paths are relative, with `/` between names.
#[derive(Clone, Debug)]
pub enum Files {
    /// The files of a directory.
    Directory(PathBuf),
    /// The files of seaweedfs, at the port of its protocol.
    Filer(u16),
    /// The objects of a bucket.
    Bucket(Bucket),
}

impl Files {
    /// Writes a file and its missing parents. `age` is the time since its modification, in
    /// seconds, if the server keeps times.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub fn write(&self, path: &str, content: &[u8], age: u64) -> Result<()> {
        match self {
            Self::Directory(root) => {
                let file = root.join(path);
                fs::create_dir_all(file.parent().context("it has a parent")?)?;
                fs::write(&file, content)?;
                let time = SystemTime::now() - Duration::from_secs(age);
                fs::File::options().write(true).open(&file)?.set_modified(time)?;
            }
            Self::Filer(port) => drop(ask(*port, "PUT", &encode(path), JSON, content)?),
            Self::Bucket(bucket) => bucket.put(path, content)?,
        }
        Ok(())
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub fn make_directory(&self, path: &str) -> Result<()> {
        match self {
            Self::Directory(root) => fs::create_dir(root.join(path))?,
            Self::Filer(port) => {
                drop(ask(*port, "POST", &format!("{}/", encode(path)), JSON, b"")?)
            }
            Self::Bucket(bucket) => bucket.put(&format!("{path}/"), b"")?,
        }
        Ok(())
    }

    /// Removes a file, or a directory with everything in it.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub fn remove(&self, path: &str) -> Result<()> {
        match self {
            Self::Directory(root) if root.join(path).is_dir() => {
                fs::remove_dir_all(root.join(path))?;
            }
            Self::Directory(root) => fs::remove_file(root.join(path))?,
            Self::Filer(port) => {
                drop(ask(*port, "DELETE", &format!("{}?recursive=true", encode(path)), JSON, b"")?);
            }
            Self::Bucket(bucket) => bucket.remove(path)?,
        }
        Ok(())
    }

    /// Renames a file or a directory.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        match self {
            Self::Directory(root) => fs::rename(root.join(from), root.join(to))?,
            Self::Filer(port) => {
                let target = format!("{}?mv.from=/{}", encode(to), encode(from));
                drop(ask(*port, "POST", &target, JSON, b"")?);
            }
            Self::Bucket(bucket) => bucket.rename(from, to)?,
        }
        Ok(())
    }

    /// Returns the content of each file below a directory, by path, without the metadata of
    /// Apache. The path of a directory ends with `/`.
    ///
    /// # Errors
    /// Returns an error if one cannot be read.
    pub fn tree(&self, below: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        if let Self::Bucket(bucket) = self {
            return bucket.tree(below);
        }
        let mut all = BTreeMap::new();
        let mut rest = vec![String::new()];
        while let Some(directory) = rest.pop() {
            let at = format!("{below}/{directory}");
            for (name, is_directory) in self.list(&at)? {
                let path = format!("{directory}{name}");
                if is_directory && name != ".DAV" {
                    all.insert(format!("{path}/"), Vec::new());
                    rest.push(format!("{path}/"));
                } else if !is_directory {
                    all.insert(path, self.read(&format!("{at}{name}"))?);
                }
            }
        }
        Ok(all)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        match self {
            Self::Directory(root) => Ok(fs::read(root.join(path))?),
            Self::Filer(port) => ask(*port, "GET", &encode(path), JSON, b""),
            Self::Bucket(bucket) => bucket.get(path),
        }
    }

    /// Returns the names in a directory, whose path ends with `/`, and whether they are
    /// directories.
    fn list(&self, directory: &str) -> Result<Vec<(String, bool)>> {
        match self {
            Self::Directory(root) => fs::read_dir(root.join(directory))?
                .map(|entry| {
                    let entry = entry?;
                    let name = entry.file_name().into_string().ok().context("names are Unicode")?;
                    Ok((name, entry.file_type()?.is_dir()))
                })
                .collect(),
            Self::Filer(port) => {
                /// The bit of directories in a mode, as in Go.
                const DIRECTORY: u64 = 1 << 31;
                let list =
                    ask(*port, "GET", &format!("{}?limit=100000", encode(directory)), JSON, b"")?;
                let list: Value = serde_json::from_slice(&list)?;
                let entries = list["Entries"].as_array().cloned().unwrap_or_default();
                entries
                    .iter()
                    .map(|entry| {
                        let path = entry["FullPath"].as_str().context("an entry has a path")?;
                        let mode = entry["Mode"].as_u64().context("an entry has a mode")?;
                        let name = path.rsplit('/').next().unwrap_or(path);
                        Ok((name.to_owned(), mode & DIRECTORY != 0))
                    })
                    .collect()
            }
            Self::Bucket(_) => bail!("a bucket has no directories"),
        }
    }
}

/// Encodes a path for a URL.
pub(super) fn encode(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

/// Sends a request to seaweedfs or moto. Returns the body of the answer.
pub(super) fn ask(
    port: u16,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    // The answer to a request of HTTP/1.0 has no chunks.
    let head = format!(
        "{method} /{target} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n");
    let end = end.context("the answer has a head")?;
    let status = String::from_utf8_lossy(&answer[..end]);
    let is_success = status.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    ensure!(is_success, "the server answered to {method} {target}: {status}");
    Ok(answer.split_off(end + 4))
}
