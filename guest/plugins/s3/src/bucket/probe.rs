//! Determines the capabilities of a server by requests for an object of the run.

use syncmgr_engine::endpoint::without_cancellation;
use syncmgr_plugin::http::{Request, Response};
use syncmgr_plugin::{Interrupt, LogLevel, Result, callback};

use super::Bucket;
use super::copies::copied;
use super::listing::Found;
use super::parts::Upload;
use crate::answer::{expect, is_unanswered};
use crate::server::Server;

/// A version tag that no object has.
const OTHER_TAG: &str = "\"00000000000000000000000000000000\"";

impl Bucket {
    /// Loads what is known of the server, once its name in the answers is known.
    pub(super) fn recognize(&mut self, name: &str) {
        if self.run.is_some() || self.server.is_some() {
            return;
        }
        name.clone_into(&mut self.server_name);
        let known = Server::load(&self.storage, self.id);
        if let Some(known) = known.filter(|known| known.name == name) {
            self.learn(known);
        }
    }

    /// Determines the capabilities of the server, unless they are known. Called before the first
    /// change.
    ///
    /// # Errors
    /// Fails if the server does not answer: the next change tries again. Fails in the whole run if it
    /// accepts or deletes no objects.
    pub(super) fn prepare(&mut self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        match self.probe() {
            Ok(server) => {
                // If nothing is saved, the next run asks again.
                let _ = server.save(&self.storage, self.id);
                self.learn(server);
                Ok(())
            }
            Err(error) => {
                self.refused = Some(error.clone()).filter(|error| !is_unanswered(error));
                Err(error)
            }
        }
    }

    fn learn(&mut self, server: Server) {
        let name = &self.name;
        callback::log(LogLevel::Information, &format!("{name}: {}", server.describe()));
        if !server.refuses_overwrites() {
            let text = format!(
                "{name}: this server cannot refuse an overwrite: an object that appears there at \
                 the moment of an upload may be replaced"
            );
            callback::log(LogLevel::Warning, &text);
        }
        self.server = Some(server);
    }

    fn probe(&self) -> Result<Server> {
        let path = self.run()?.temps.next();
        let put = |content: &'static [u8]| self.request("PUT", &path).body(content);
        let stored = without_cancellation(expect(put(b"1").send()))?;
        let has_versions = stored.header("x-amz-version-id").is_some_and(|id| id != "null");
        let tag = stored.header("etag").unwrap_or_default().to_owned();
        let creates_new = is_refused(put(b"2").header("If-None-Match", "*"))?;
        let replaces_expected = !tag.is_empty()
            && is_refused(put(b"3").header("If-Match", OTHER_TAG))?
            && creates_new
            && !is_refused(put(b"1").header("If-Match", &tag))?;
        let completes_expected = creates_new && replaces_expected && self.probe_parts(&path)?;
        let copies_new = self.probe_copy(&path)?;
        let deletes_expected =
            is_refused(self.request("DELETE", &path).header("If-Match", OTHER_TAG))?;
        self.delete(&path)?;
        Ok(Server {
            name: self.server_name.clone(),
            creates_new,
            replaces_expected,
            completes_expected,
            copies_new,
            deletes_expected,
            has_markers: self.probe_marker()?,
            has_versions,
        })
    }

    /// Returns whether the marker of a directory is an object with its own key.
    fn probe_marker(&self) -> Result<bool> {
        let path = self.run()?.temps.next();
        let put = self.marker("PUT", &path).body(b"");
        let stored = without_cancellation(expect(put.send()).map(drop));
        if let Some(error) = stored.as_ref().err().filter(|error| is_unanswered(error)) {
            return Err(error.clone());
        }
        let page = without_cancellation(self.page(&[("prefix", &self.location.key(&path))]))?;
        // Some servers store it without its `/`.
        let is_it = matches!(&page.found[..], [Found::Marker(found, _)] if *found == path);
        for path in [format!("{path}/"), path] {
            self.delete(&path)?;
        }
        Ok(stored.is_ok() && is_it)
    }

    /// Returns whether a copy replaces no object.
    fn probe_copy(&self, path: &str) -> Result<bool> {
        let to = self.run()?.temps.next();
        let source = self.location.source(path);
        let copy = || self.request("PUT", &to).header("x-amz-copy-source", &source).body(b"");
        let refused = match copied(copy().send(), "CopyObjectResult") {
            Ok(_) => is_refused(copy().header("If-None-Match", "*"))?,
            Err(error) if is_unanswered(&error) => return Err(error),
            Err(_) => false,
        };
        self.delete(&to)?;
        Ok(refused)
    }

    /// Returns whether an upload in parts replaces no object, or only the expected one.
    fn probe_parts(&self, path: &str) -> Result<bool> {
        let mut upload = Upload { path: path.to_owned(), size: 1, ..Upload::default() };
        upload.id = match self.create_upload(path, &[]) {
            Ok(id) => id,
            Err(error) if is_unanswered(&error) => return Err(error),
            // Uploads fail for the same reason.
            Err(_) => return Ok(false),
        };
        let refused = self.put_part(&upload, 1, b"4".to_vec()).and_then(|tag| {
            upload.tags = vec![tag];
            let refuses = |name, value| is_refused(self.completion(&upload).header(name, value));
            // Some servers evaluate only one of them.
            Ok(refuses("If-None-Match", "*")? && refuses("If-Match", OTHER_TAG)?)
        });
        // It does not exist if it was completed.
        let _ = self.abort_upload(&upload);
        refused
    }
}

/// Returns whether the server refuses a request because of its condition.
fn is_refused(request: Request<'_>) -> Result<bool> {
    let is_412 = |response: &Result<Response, Interrupt>| {
        response.as_ref().is_ok_and(|response| response.status() == 412)
    };
    let response = request.send();
    if is_412(&response) {
        return Ok(true);
    }
    match without_cancellation(expect(response)) {
        Err(error) if is_unanswered(&error) => Err(error),
        Ok(_) | Err(_) => Ok(false),
    }
}
