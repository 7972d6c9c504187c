//! WebDAV servers over TLS, for the user `me` with the password `hunter2`.

use std::fs;

use anyhow::Result;

use super::{Certificate, Files, Server, apache_with, start, write_users};
use crate::hook::Hook;

/// The module of nginx with `PROPFIND`.
pub const NGINX_DAV_EXT: &str = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so";
/// The module of lighttpd.
pub const LIGHTTPD_WEBDAV: &str = "/usr/lib/lighttpd/mod_webdav.so";

/// Starts nginx with these directives of its server, without TLS and a login if there is no
/// certificate.
fn nginx(certificate: Option<&Certificate>, directives: &str) -> Result<Server> {
    start("nginx", 1, |place, ports, _| {
        let at = place.display();
        write_users(place)?;
        let (tls, access) = match certificate {
            Some(certificate) => (
                "ssl",
                format!(
                    "ssl_certificate {};
                     ssl_certificate_key {};
                     auth_basic files;
                     auth_basic_user_file {at}/users;",
                    certificate.file.display(),
                    certificate.key.display()
                ),
            ),
            None => ("", String::new()),
        };
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|one| format!("{one}_temp_path {at}/{one};"))
            .concat();
        // The master of a process of root would give the files to another user.
        let config = format!(
            "load_module {NGINX_DAV_EXT};
             daemon off; master_process off; pid {at}/pid; error_log stderr;
             events {{ worker_connections 512; }}
             http {{
                 access_log off; {paths}
                 log_format usage '$request_method $request_length $bytes_sent';
                 server {{
                     listen 127.0.0.1:{} {tls};
                     root {at}/files;
                     client_max_body_size 0;
                     {access}
                     {directives}
                 }}
             }}",
            ports[0]
        );
        fs::write(place.join("nginx.conf"), config)?;
        let config = place.join("nginx.conf").display().to_string();
        Ok(["-p", &at.to_string(), "-c", &config].map(str::to_owned).to_vec())
    })
}

/// Starts nginx with its module `dav-ext`.
///
/// # Errors
/// Returns an error if nginx cannot be started.
pub fn nginx_dav_ext(certificate: &Certificate) -> Result<Server> {
    nginx(Some(certificate), DAV_EXT)
}

const DAV_EXT: &str = "dav_methods PUT DELETE MKCOL COPY MOVE;
                       dav_ext_methods PROPFIND OPTIONS;";

/// Starts nginx in front of a server, which learns neither that there is TLS nor the login. A server
/// with a bucket checks signatures instead of a login.
pub(super) fn behind_tls(
    certificate: &Certificate,
    inner: Server,
    hook: Option<&Hook>,
) -> Result<Server> {
    let hook = hook.map_or_else(String::new, |hook| {
        format!(
            "location = /hook {{
                 internal;
                 auth_basic off;
                 proxy_pass http://127.0.0.1:{};
                 proxy_pass_request_body off;
                 proxy_set_header Content-Length \"\";
                 proxy_set_header X-Request \"$request_method $request_uri $http_destination\";
             }}
             auth_request /hook;",
            hook.port()
        )
    });
    let access = if inner.bucket.is_some() { "auth_basic off;" } else { "" };
    let directives = format!(
        "{hook}
         location / {{
             {access}
             proxy_pass http://127.0.0.1:{};
             proxy_http_version 1.1;
             proxy_set_header Host $http_host;
         }}",
        inner.ports[0]
    );
    let mut server = nginx(Some(certificate), &directives)?;
    server.inner = Some(Box::new(inner));
    Ok(server)
}

/// Starts nginx in front of a port of loopback. It counts requests and bytes.
///
/// # Errors
/// Returns an error if it cannot be started.
pub fn counted(port: u16) -> Result<Server> {
    let directives = format!(
        "access_log requests usage;
         location / {{
             proxy_pass http://127.0.0.1:{port};
             proxy_http_version 1.1;
             proxy_request_buffering off;
             proxy_buffering off;
             proxy_set_header Host $http_host;
         }}"
    );
    nginx(None, &directives)
}

/// Requests to a server that counts them, with their heads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The number of requests.
    pub requests: u64,
    /// The bytes that were sent to the server.
    pub bytes_up: u64,
    /// The bytes that were received.
    pub bytes_down: u64,
}

impl Server {
    /// Returns the requests so far to a server that counts them.
    ///
    /// # Errors
    /// Returns an error if it does not count them.
    pub fn usage(&self) -> Result<Usage> {
        let log = fs::read_to_string(self.place.path().join("requests"))?;
        let mut usage = Usage::default();
        for line in log.lines() {
            let mut bytes = line.split(' ').skip(1).map(str::parse::<u64>);
            usage.requests += 1;
            usage.bytes_up += bytes.next().transpose()?.unwrap_or_default();
            usage.bytes_down += bytes.next().transpose()?.unwrap_or_default();
        }
        Ok(usage)
    }
}

/// Starts a server behind nginx with TLS. nginx calls the hook before it passes on a request.
///
/// # Errors
/// Returns an error if one of them cannot be started.
pub fn hooked(
    certificate: &Certificate,
    plain: fn() -> Result<Server>,
    hook: &Hook,
) -> Result<Server> {
    behind_tls(certificate, plain()?, Some(hook))
}

/// Starts nginx with its module `dav-ext`, without TLS and a login.
///
/// # Errors
/// Returns an error if nginx cannot be started.
pub fn plain_nginx_dav_ext() -> Result<Server> {
    nginx(None, DAV_EXT)
}

/// Starts Apache with a login, without TLS.
///
/// # Errors
/// Returns an error if Apache cannot be started.
pub fn plain_apache() -> Result<Server> {
    apache_with(None, "")
}

/// Starts Apache behind nginx with TLS.
///
/// # Errors
/// Returns an error if one of them cannot be started.
pub fn apache_behind_tls(certificate: &Certificate) -> Result<Server> {
    behind_tls(certificate, plain_apache()?, None)
}

/// Starts Apache with compressed answers.
///
/// # Errors
/// Returns an error if Apache cannot be started.
pub fn apache_with_deflate(certificate: &Certificate) -> Result<Server> {
    apache_with(Some(certificate), "SetOutputFilter DEFLATE")
}

/// Starts lighttpd behind nginx with TLS.
///
/// # Errors
/// Returns an error if one of them cannot be started.
pub fn lighttpd(certificate: &Certificate) -> Result<Server> {
    behind_tls(certificate, plain_lighttpd()?, None)
}

/// Starts lighttpd without TLS and a login.
///
/// # Errors
/// Returns an error if lighttpd cannot be started.
pub fn plain_lighttpd() -> Result<Server> {
    start("lighttpd", 1, |place, ports, _| {
        let (at, port) = (place.display(), ports[0]);
        let config = format!(
            "server.modules = (\"mod_webdav\")
             server.document-root = \"{at}/files\"
             server.bind = \"127.0.0.1\"
             server.port = {port}
             server.errorlog = \"{at}/log\"
             server.upload-dirs = (\"{at}\")
             server.stat-cache-engine = \"disable\"
             webdav.activate = \"enable\"
             webdav.sqlite-db-name = \"{at}/locks\""
        );
        fs::write(place.join("lighttpd.conf"), config)?;
        let file = place.join("lighttpd.conf").display().to_string();
        Ok(["-D", "-f", &file].map(str::to_owned).to_vec())
    })
}

/// Starts seaweedfs behind nginx with TLS. Its collection is `files`.
///
/// # Errors
/// Returns an error if one of them cannot be started.
pub fn seaweedfs(certificate: &Certificate) -> Result<Server> {
    behind_tls(certificate, plain_seaweedfs()?, None)
}

/// Starts seaweedfs without TLS and a login.
///
/// # Errors
/// Returns an error if seaweedfs cannot be started.
pub fn plain_seaweedfs() -> Result<Server> {
    const PORTS: [&str; 7] = [
        "webdav.port",
        "filer.port",
        "filer.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
    ];
    let mut inner = start("weed", PORTS.len(), |place, ports, _| {
        let data = format!("-dir={}", place.join("files").display());
        let fixed = ["-logtostderr=true", "server", &data, "-ip=127.0.0.1", "-ip.bind=127.0.0.1"];
        let size = ["-volume.max=40", "-master.volumeSizeLimitMB=64", "-filer", "-webdav"];
        let ports = PORTS.iter().zip(ports).map(|(name, port)| format!("-{name}={port}"));
        Ok(fixed.into_iter().chain(size).map(str::to_owned).chain(ports).collect())
    })?;
    inner.filer = Some(inner.ports[1]);
    Files::Filer(inner.ports[1]).make_directory("files")?;
    Ok(inner)
}

/// Starts rclone's WebDAV server over TLS, for the user `me` with the password `hunter2`.
///
/// # Errors
/// Returns an error if rclone cannot be started.
pub fn rclone_webdav(certificate: &Certificate) -> Result<Server> {
    let [file, key] = [&certificate.file, &certificate.key].map(|path| path.display().to_string());
    rclone_with(&["--cert", &file, "--key", &key])
}

/// Starts rclone's WebDAV server with a login, without TLS.
///
/// # Errors
/// Returns an error if rclone cannot be started.
pub fn plain_rclone() -> Result<Server> {
    rclone_with(&[])
}

fn rclone_with(more: &[&str]) -> Result<Server> {
    start("rclone", 1, |place, ports, _| {
        let address = format!("127.0.0.1:{}", ports[0]);
        let files = place.join("files").display().to_string();
        let login = ["--user", "me", "--pass", "hunter2"];
        let arguments = ["serve", "webdav", "--addr", &address, "--dir-cache-time", "10ms"];
        let arguments = [&arguments[..], &login, more, &[&files]].concat();
        Ok(arguments.into_iter().map(str::to_owned).collect())
    })
}
