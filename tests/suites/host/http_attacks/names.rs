//! Names that resolve to addresses which a plugin must not reach, by the resolver of the system.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;

use conformance::isolation;
use conformance::servers::{self, Authority, Certificate};
use syncmgr_host::{Host, HostOptions};

use super::*;

/// A public address of the private network.
const PUBLIC: &str = "93.184.215.14";

/// Addresses that loopback receives in addition.
const ADDRESSES: [&str; 13] = [
    PUBLIC,
    "2606:2800:21f::1",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.1.1",
    "169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2001:0:7f00:1::1",
    "fe80::1",
    "fd00:ec2::254",
    "fd12::1",
];

const HOSTS: &str = "/etc/hosts";

/// Makes a directory or file of this process's mounts its own.
fn mount(arguments: &[&str], at: &str) -> Result<()> {
    let mounted = Command::new("mount").args(arguments).arg(at).status()?;
    ensure!(mounted.success(), "{at} cannot be mounted");
    Ok(())
}

/// Gives loopback its addresses and the process its own file of hosts. Returns the port of a server
/// at all of these addresses, which answers with its address and the host of the request.
fn network(hosts: &Path) -> Result<u16> {
    fs::write(hosts, "")?;
    mount(&["--bind", hosts.to_str().unwrap_or_default()], HOSTS)?;
    let ip = |arguments: &str| -> Result<()> {
        let mut command = Command::new("ip");
        // Debian does not have it in the path of users.
        command.args(arguments.split(' ')).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        let status = command.status()?;
        ensure!(status.success(), "ip {arguments}");
        Ok(())
    };
    ip("link set lo up")?;
    for address in ADDRESSES {
        let bits = if address.contains(':') { 128 } else { 32 };
        ip(&format!("address add {address}/{bits} dev lo"))?;
    }
    // Of both versions of IP.
    serve_at(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))?, |to, head, _, _| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        if let Some(("", address)) = path.split_once("/rebind/") {
            let address = address.trim_end_matches("/close");
            fs::write(HOSTS, format!("{address} name.example\n"))?;
        }
        let address = to.local_addr()?.ip().to_canonical();
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let body = format!("{address} {}", host.split(':').next().unwrap_or_default());
        let more = if path.ends_with("/close") { "Connection: close\r\n" } else { "" };
        let length = body.len();
        to.write_all(
            format!("HTTP/1.1 200 OK\r\n{more}Content-Length: {length}\r\n\r\n{body}").as_bytes(),
        )?;
        match more {
            "" => Ok(()),
            _ => Err(std::io::ErrorKind::ConnectionAborted.into()),
        }
    })
}

fn to(url: &str, port: u16) -> Result<SessionOptions> {
    let grant = HttpGrant::new("remote", &format!("{url}:{port}/"), Access::ReadWrite)?;
    Ok(SessionOptions::new().limits(limits()).http(grant))
}

#[test]
fn a_name_leads_to_the_addresses_of_its_grant() -> Result<()> {
    if !servers::has("ip")? {
        return Ok(());
    }
    isolation::with_own_network(a_name_leads_to_the_addresses_of_its_grant, || {
        let file = tempfile::NamedTempFile::new()?;
        let port = network(file.path())?;
        for (resolved, url, outcome) in [
            (PUBLIC, "http://name.example", "200 93.184.215.14"),
            ("2606:2800:21f::1", "http://name.example", "200 2606:2800:21f::1"),
            ("127.0.0.1", "http://name.example", "AccessDenied"),
            ("127.1.2.3", "http://name.example", "AccessDenied"),
            ("10.1.2.3", "http://name.example", "AccessDenied"),
            ("100.64.0.1", "http://name.example", "AccessDenied"),
            ("169.254.1.1", "http://name.example", "AccessDenied"),
            ("169.254.169.254", "http://name.example", "AccessDenied"),
            ("0.0.0.0", "http://name.example", "AccessDenied"),
            ("::", "http://name.example", "AccessDenied"),
            ("::1", "http://name.example", "AccessDenied"),
            ("::ffff:127.0.0.1", "http://name.example", "AccessDenied"),
            ("::ffff:169.254.169.254", "http://name.example", "AccessDenied"),
            ("64:ff9b::7f00:1", "http://name.example", "AccessDenied"),
            ("64:ff9b::a9fe:a9fe", "http://name.example", "AccessDenied"),
            ("2002:7f00:1::1", "http://name.example", "AccessDenied"),
            ("2001:0:7f00:1::1", "http://name.example", "AccessDenied"),
            ("fe80::1", "http://name.example", "AccessDenied"),
            ("fe80::1%lo", "http://name.example", "ErrorCode::"),
            ("fd00:ec2::254", "http://name.example", "AccessDenied"),
            ("fd12::1", "http://name.example", "AccessDenied"),
            ("10.1.2.3 93.184.215.14", "http://name.example", "200 93.184.215.14"),
            ("10.1.2.3", "local:http://name.example", "200 10.1.2.3"),
            ("fd12::1", "local:http://name.example", "200 fd12::1"),
            ("169.254.169.254", "local:http://name.example", "AccessDenied"),
            ("::ffff:169.254.169.254", "local:http://name.example", "AccessDenied"),
            ("64:ff9b::7f00:1", "local:http://name.example", "AccessDenied"),
            ("0.0.0.0", "local:http://name.example", "AccessDenied"),
            // Names of names.
            (PUBLIC, "http://name.example.", "200 93.184.215.14 name.example"),
            (PUBLIC, "http://NAME.example", "200 93.184.215.14 name.example"),
            (PUBLIC, "http://ｎａｍｅ。example", "200 93.184.215.14 name.example"),
            (PUBLIC, "http://bücher.example", "200 93.184.215.14 xn--bcher-kva.example"),
        ] {
            let hosts = resolved.split(' ');
            let hosts = hosts.map(|one| format!("{one} name.example xn--bcher-kva.example\n"));
            fs::write(HOSTS, hosts.collect::<String>())?;
            let (answers, report) = run("GET remote/", to(url, port)?)?;
            let outcome = outcome.replace("AccessDenied", "ErrorCode::AccessDenied");
            ensure!(answers[0].starts_with(&outcome), "{resolved} {url}: {answers:?} {report:?}");
        }
        Ok(())
    })
}

#[test]
fn a_name_is_judged_again_for_each_connection() -> Result<()> {
    if !servers::has("ip")? {
        return Ok(());
    }
    isolation::with_own_network(a_name_is_judged_again_for_each_connection, || {
        let file = tempfile::NamedTempFile::new()?;
        let port = network(file.path())?;
        let first = "200 93.184.215.14 name.example";
        for (path, second) in [
            ("127.0.0.1/close", "ErrorCode::AccessDenied"),
            ("169.254.169.254/close", "ErrorCode::AccessDenied"),
            ("::1/close", "ErrorCode::AccessDenied"),
            // The connection is to the address that was judged.
            ("127.0.0.1", first),
        ] {
            fs::write(HOSTS, format!("{PUBLIC} name.example\n"))?;
            let lines = format!("GET remote/rebind/{path}\nGET remote/");
            // The second item begins with the new address.
            let (answers, _) = run(&lines, to("http://name.example", port)?)?;
            ensure!(answers[0] == first && answers[1].starts_with(second), "{path}: {answers:?}");
        }
        Ok(())
    })
}

/// Returns the answers of servers with certificates of the authorities.
fn trusted(host: &Host, certificates: &[Certificate]) -> Result<Vec<bool>> {
    let server = servers::nginx(certificates)?;
    fs::write(server.files().join("a"), "text")?;
    let plugin = host.load_file(conformance::FETCH)?;
    let is_trusted = |port: &u16| {
        let options = to("https://localhost", *port)?.setting("requests", "GET remote/a");
        let report = plugin.run(options, Discard, &RunRequest::default())?;
        let text = report.log.first().map(|entry| entry.text.clone()).unwrap_or_default();
        ensure!(text == "200 text" || text.contains("TlsCertificateError"), "{text}");
        Ok(text == "200 text")
    };
    server.ports.iter().map(is_trusted).collect()
}

#[test]
fn certificates_of_the_operator_are_added_to_those_of_the_system() -> Result<()> {
    if !servers::has("nginx")? {
        return Ok(());
    }
    let this = certificates_of_the_operator_are_added_to_those_of_the_system;
    isolation::with_own_mounts(this, || {
        let authorities = [Authority::new()?, Authority::new()?, Authority::new()?];
        let [system, operator, other] = &authorities;
        let certificates = authorities.each_ref().map(|one| one.certificate("localhost"));
        let certificates = certificates.into_iter().collect::<Result<Vec<_>>>()?;
        mount(&["-t", "tmpfs", "tmpfs"], "/etc/ssl")?;
        fs::create_dir("/etc/ssl/certs")?;
        // In the last row, the system no longer trusts the first authority.
        for (of_system, added, expected) in [
            (system, None, [true, false, false]),
            (system, Some(operator), [true, true, false]),
            (other, Some(operator), [false, true, true]),
        ] {
            fs::write("/etc/ssl/certs/ca-certificates.crt", of_system.pem())?;
            let mut options = HostOptions::new();
            if let Some(added) = added {
                options = options.http_ca("test", added.pem().as_bytes())?;
            }
            let found = trusted(&Host::with_options(options)?, &certificates)?;
            ensure!(found == expected, "{found:?} instead of {expected:?}");
        }
        Ok(())
    })
}
