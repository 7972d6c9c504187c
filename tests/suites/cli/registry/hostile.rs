//! A registry that answers as a test wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use serde_json::json;
use syncmgr_install::registry::Digest;

/// A running server. It ends with the process.
pub(super) struct Hostile {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    /// Starts a server. `answer` returns the bytes of the answer to a head, before which the
    /// connection is closed.
    pub(super) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, heads) = (listener.local_addr()?, Arc::<Mutex<Vec<String>>>::default());
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    // The client may close the connection at any time.
                    let _ = serve(stream, &seen, &*answer);
                });
            }
        });
        Ok(Self { address, heads })
    }

    pub(super) fn registry(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn reference(&self) -> String {
        format!("oci://{}/mail:1.0.0", self.address)
    }

    /// Returns the heads of all requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Vec<u8>,
) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut Vec::new())?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    stream.write_all(&answer(&head))?;
    Ok(())
}

/// Returns an answer with the length of its body.
pub(super) fn answer(status: u16, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        answer += &format!("{header}\r\n");
    }
    [(answer + "Connection: close\r\n\r\n").as_bytes(), body].concat()
}

/// The contents of a repository with one plugin.
#[derive(Clone)]
pub(super) struct Contents {
    pub(super) component: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

impl Contents {
    /// Describes a component. `size` is what the manifest says about it.
    pub(super) fn new(component: &[u8], size: u64) -> Self {
        let digest = Digest::of(component);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.wasm.config.v0+json",
                "digest": Digest::of(b"{}").as_str(),
                "size": 2,
            },
            "layers": [{
                "mediaType": "application/wasm",
                "digest": digest.as_str(),
                "size": size,
            }],
        });
        Self { component: component.to_vec(), manifest: manifest.to_string().into_bytes() }
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Answers as an honest registry.
    pub(super) fn answer(&self, head: &str) -> Vec<u8> {
        match head {
            _ if is_for(head, "manifests/1.0.0") || is_for(head, self.digest().as_str()) => {
                answer(200, &[], &self.manifest)
            }
            _ if is_for(head, "blobs/") => answer(200, &[], &self.component),
            _ if is_for(head, "tags/list") => answer(200, &[], b"{\"tags\":[\"1.0.0\"]}"),
            _ => answer(404, &[], b""),
        }
    }
}

/// Returns whether a request is for a path with this text, but not for a list of signatures.
pub(super) fn is_for(head: &str, text: &str) -> bool {
    let line = head.lines().next().unwrap_or_default();
    line.contains(text) && !line.contains("referrers")
}
