use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::full_message;
use std::net::{IpAddr, Ipv4Addr};

use super::grant::*;

fn policy(grants: &[&str]) -> HttpPolicy {
    HttpPolicy::new("web", grants.iter().map(|grant| grant.parse().unwrap()).collect())
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn at(addresses: &str) -> Vec<SocketAddr> {
    let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 1);
    addresses.split_whitespace().map(address).collect()
}

/// Returns the allowed addresses, or the code of the denial.
fn kept(grants: &[&str], host: &str, resolved: &str) -> String {
    let policy = policy(grants);
    match policy.check(&url(&format!("https://{host}"))).unwrap().addresses(&at(resolved)) {
        Ok(kept) => {
            assert!(kept.iter().all(|address| address.port() == 443));
            kept.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" ")
        }
        Err(why) => why.code().to_owned(),
    }
}

fn system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

#[test]
fn a_grant_has_one_canonical_form() {
    for (text, printed) in [
        ("api.example.com", "https://api.example.com"),
        ("API.Example.COM.", "https://api.example.com"),
        ("api.example.com:443", "https://api.example.com"),
        ("api.example.com:0080", "https://api.example.com:80"),
        ("HTTPS://host:8443", "https://host:8443"),
        ("http://host", "http://host"),
        ("http://host:80", "http://host"),
        ("http://host:443", "http://host:443"),
        ("*.example.com", "https://*.example.com"),
        ("http://*.Example.com.:81", "http://*.example.com:81"),
        ("*.co.uk", "https://*.co.uk"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("BÜCHER。example。", "https://xn--bcher-kva.example"),
        ("*.xn--bcher-kva.example", "https://*.xn--bcher-kva.example"),
        ("_x.example.com", "https://_x.example.com"),
        ("127.0.0.1:65535", "https://127.0.0.1:65535"),
        ("[::1]:8080", "https://[::1]:8080"),
        ("http://[0:0::FFFF:127.0.0.1]", "http://[::ffff:7f00:1]"),
        ("local:http://nas.lan:8080", "local:http://nas.lan:8080"),
        ("LOCAL:nas", "local:https://nas"),
        ("local", "https://local"),
        ("local:local:8080", "local:https://local:8080"),
        ("local:http://localhost", "http://localhost"),
        ("local:[::1]", "https://[::1]"),
    ] {
        let grant: HttpGrant = text.parse().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(grant.to_string(), printed, "{text:?}");
        assert_eq!(printed.parse(), Ok(grant), "{text:?}");
    }
}

#[test]
fn invalid_grants_are_refused() {
    let table = [
        ("scheme", "ftp://host ://host host/https://x"),
        ("too-much", "https://host/ host/x host?x host#x host\\x user:pw@host @host"),
        ("port", "host: host:0 host:65536 host:+80 host:８０ host:* [::1]: http:host"),
        (
            "wildcard",
            "* https://* *:443 *.com *.com. *.localhost *.*.example.com **.example.com \
             *example.com api.*.com api.example.* *.127.0.0.1 *.[::1]",
        ),
        ("local-wildcard", "local:*.example.com"),
        (
            "host",
            ". *. https:// local: local:8080 a..b .a.example a.example.. h%6fst xn--ä.example \
             ＊.a.example ::1 [::1 [::1]x [fe80::1%eth0] 0x7f.1 2130706433 127.1 0177.0.0.1 \
             １27.0.0.1 127.0.0.1. 256.0.0.1",
        ),
    ];
    let table =
        table.iter().flat_map(|(code, texts)| texts.split(' ').map(move |text| (*code, text)));
    let long = [format!("{}.example", "x".repeat(64)), "x.".repeat(127) + "x"];
    let more = [
        ("host", ""),
        ("host", "a b"),
        ("host", "host\n"),
        ("host", &long[0]),
        ("host", &long[1]),
        ("scheme", " https://a"),
    ];
    for (code, text) in table.chain(more) {
        let refused = text.parse::<HttpGrant>().map_err(|why| why.code().to_owned());
        assert_eq!(refused, Err(format!("http-grant-{code}")), "{text:?}");
    }
}

#[test]
fn only_granted_origins_are_allowed() {
    let table = [
        (
            "https://api.example.com",
            "https://api.example.com/x?y https://API.example.com.:443 https://api%2eexample.com",
        ),
        ("https://*.example.org", "https://a.example.org https://a.b.c.example.org."),
        ("http://plain.example:8080", "http://plain.example:8080"),
        ("https://xn--bcher-kva.example", "https://BÜCHER.example"),
        (
            "http://127.0.0.1",
            "http://127.0.0.1 http://0x7f.1 http://2130706433 http://127.1 http://0177.0.0.1 \
             http://１２７.0.0.1.",
        ),
        ("http://[::1]:8080", "http://[::1]:8080 http://[0::0:1]:8080"),
        (
            "http-not-granted",
            "http://api.example.com http://api.example.com:443 https://api.example.com:444 \
             https://example.com https://x.api.example.com https://api.example.com.evil.example \
             https://evil.example\\@api.example.com https://evil.example#@api.example.com \
             https://example.org https://badexample.org http://a.example.org https://127.0.0.1 \
             http://127.0.0.2 http://0x7f.2 http://[::ffff:127.0.0.1] http://[::127.0.0.1] \
             http://localhost",
        ),
        (
            "http-no-server",
            "https://.example.org https://a..example.org https://*.example.org \
             https://api.example.com.. https://api.example.com:0",
        ),
        ("http-user-info", "https://user@api.example.com https://:pw@api.example.com"),
        ("http-scheme", "ftp://api.example.com wss://api.example.com file:///etc/passwd data:,x"),
    ];
    let policy = policy(&table.map(|(grant, _)| grant)[..6]);
    for (outcome, urls) in table {
        for text in urls.split(' ') {
            let checked = policy.check(&url(text)).map(|allowed| allowed.grant().to_string());
            let checked = checked.unwrap_or_else(|why| why.code().to_owned());
            assert_eq!(checked, outcome, "{text:?}");
        }
    }
    let nothing = HttpPolicy::new("web", Vec::new());
    assert!(nothing.check(&url("https://api.example.com")).is_err());
}

#[test]
fn addresses_are_classified_by_range() {
    use AddressKind::{LinkLocal, Loopback, Metadata, Multicast, Private, Reserved};
    // The first and last addresses of ranges.
    let table = [
        (
            Some(Reserved),
            "0.0.0.0 0.255.255.255 192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.0 \
             192.88.99.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 \
             203.0.113.255 240.0.0.0 255.255.255.255 \
             :: ::2 ::8.8.8.8 ::127.0.0.1 ::ffff:0.0.0.0 ::ffff:255.255.255.255 ::ffff:0:8.8.8.8 \
             64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 \
             100:: 1fff:ffff:: 2001:: 2001::f7f7:f7f7 2001:2:: 2001:1ff:ffff:: 2001:db8:: \
             2001:db8:ffff:: 2002:: 2002:808:808:: 2002:ffff:: 3fff:: 3fff:fff:ffff:: 4000:: \
             5f00:: fbff:ffff:: fe00:: fe7f:ffff:: fec0:: feff:ffff::",
        ),
        (
            Some(Private),
            "10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 172.16.0.0 172.31.255.255 \
             192.168.0.0 192.168.255.255 ::ffff:10.0.0.1 ::ffff:192.168.0.1 fc00:: fdff:ffff::",
        ),
        (Some(Loopback), "127.0.0.0 127.255.255.255 ::1 ::ffff:127.0.0.1 ::ffff:127.255.255.255"),
        (Some(LinkLocal), "169.254.0.0 169.254.255.255 ::ffff:169.254.0.1 fe80:: febf:ffff::"),
        (
            Some(Metadata),
            "169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 \
             ::ffff:169.254.169.254 fd00:ec2::254 fd20:ce::254",
        ),
        (Some(Multicast), "224.0.0.0 239.255.255.255 ::ffff:224.0.0.1 ff00:: ffff:ffff::"),
        (
            None,
            "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
             128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 \
             172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.88.98.255 \
             192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 \
             198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 \
             ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2000:: 2000:ffff:: 2001:200:: 2001:db7:ffff:: \
             2001:db9:: 2001:ffff:: 2003:: 3ffe:ffff:: 3fff:1000:: 3fff:ffff::",
        ),
    ];
    for (kind, addresses) in table {
        for address in addresses.split(' ') {
            assert_eq!(AddressKind::of(address.parse().unwrap()), kind, "{address}");
        }
    }
}

#[test]
fn addresses_that_a_grant_does_not_allow_are_excluded() {
    for (grant, resolved, outcome) in [
        ("a.b.example", "8.8.8.8 ::ffff:8.8.8.8", "8.8.8.8 ::ffff:8.8.8.8"),
        ("a.b.example", "10.0.0.1 2600::1 ::1", "2600::1"),
        ("a.b.example", "10.0.0.1 ::1", "http-address"),
        ("a.b.example", "", "http-no-address"),
        ("*.b.example", "127.0.0.1 8.8.8.8", "8.8.8.8"),
        ("*.b.example", "127.0.0.1", "http-address"),
        ("*.b.example", "::ffff:10.0.0.1 64:ff9b::10.0.0.1", "http-address"),
        ("x.localhost", "127.0.0.1", "http-address"),
        ("local:nas", "10.0.0.1 fd00::1 ::ffff:10.0.0.1", "10.0.0.1 fd00::1 ::ffff:10.0.0.1"),
        ("local:nas", "8.8.8.8 127.0.0.1 169.254.0.1", "8.8.8.8 127.0.0.1"),
        ("local:nas", "169.254.169.254", "http-address"),
        ("local:nas", "fe80::1 0.0.0.0 ff02::1", "http-address"),
        ("localhost", "127.0.0.1 ::1 10.0.0.1 8.8.8.8", "127.0.0.1 ::1"),
        ("localhost", "10.0.0.1 8.8.8.8", "http-astray"),
        ("127.0.0.1", "127.0.0.1 127.0.0.2 8.8.8.8", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.2 8.8.8.8", "http-astray"),
        ("169.254.169.254", "169.254.169.254", "169.254.169.254"),
        ("8.8.8.8", "::ffff:8.8.8.8", "http-astray"),
        ("[fe80::1]", "fe80::1 fe80::2", "fe80::1"),
    ] {
        let host = grant.trim_start_matches("local:").replace('*', "a");
        assert_eq!(kept(&[grant], &host, resolved), outcome, "{grant} {resolved}");
    }
    // The order of the grants does not matter.
    for grants in [["local:a.b.example", "*.b.example"], ["*.b.example", "local:a.b.example"]] {
        assert_eq!(kept(&grants, "a.b.example", "10.0.0.1"), "10.0.0.1");
        assert_eq!(kept(&grants, "c.b.example", "10.0.0.1"), "http-address");
    }
}

#[test]
fn a_name_is_resolved_once_and_an_address_never() {
    let granted = policy(&["rebind.example", "http://127.0.0.1:8080", "http://localhost:8080"]);
    let name = url("https://rebind.example");
    let mut lookups = 0;
    let mut rebinding = |host: &str, port: u16| {
        assert_eq!((host, port), ("rebind.example", 443));
        lookups += 1;
        Ok(at(if lookups == 1 { "8.8.8.8" } else { "127.0.0.1" }))
    };
    let first = granted.plan(&name, &mut rebinding).unwrap();
    assert_eq!(first, ["8.8.8.8:443".parse().unwrap()]);
    // A redirect to the same host is checked with the addresses that it then resolves to.
    let next = granted.follow(&name, "/next", 0).unwrap();
    assert_eq!(granted.plan(&next, &mut rebinding).unwrap_err().code(), "http-address");
    assert_eq!(lookups, 2);

    let never = |_: &str, _: u16| -> io::Result<Vec<SocketAddr>> { panic!("resolved") };
    let literal = granted.plan(&url("http://0x7f.1:8080"), never).unwrap();
    assert_eq!(literal, ["127.0.0.1:8080".parse().unwrap()]);
    assert!(granted.plan(&url("https://other.example"), never).is_err());

    let local = granted.plan(&url("http://localhost:8080"), system).unwrap();
    assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 8080));
}

#[test]
fn a_redirect_is_checked_like_a_first_request() {
    let policy = policy(&["a.example", "http://a.example", "b.example"]);
    for (from, location, hops, outcome) in [
        ("https://a.example/x/y?q", "z", 0, Ok("https://a.example/x/z")),
        ("https://a.example/x/y", "/z?r#f", 0, Ok("https://a.example/z?r#f")),
        ("https://a.example/x", "", 0, Ok("https://a.example/x")),
        ("https://a.example", "//b.example/x", 0, Ok("https://b.example/x")),
        ("https://a.example", "https://B.example.", 9, Ok("https://b.example./")),
        ("http://a.example", "https://a.example", 0, Ok("https://a.example/")),
        ("https://a.example", "/x", 10, Err("http-hops")),
        ("https://a.example", "/x", usize::MAX, Err("http-hops")),
        ("https://a.example", "http://a.example", 0, Err("http-downgrade")),
        ("http://a.example", "//b.example", 0, Err("http-not-granted")),
        ("https://a.example", "//c.example", 0, Err("http-not-granted")),
        ("https://a.example", "\\\\c.example", 0, Err("http-not-granted")),
        ("https://a.example", "https:\t//c.example", 0, Err("http-not-granted")),
        ("https://a.example", "//a.example:8443", 0, Err("http-not-granted")),
        ("https://a.example", "http://169.254.169.254", 0, Err("http-downgrade")),
        ("http://a.example", "http://169.254.169.254", 0, Err("http-not-granted")),
        ("https://a.example", "//user:pw@b.example", 0, Err("http-user-info")),
        ("https://a.example", "ftp://a.example", 0, Err("http-scheme")),
        ("https://a.example", "file:///etc/passwd", 0, Err("http-scheme")),
        ("https://a.example", "javascript:alert(1)", 0, Err("http-scheme")),
        ("https://a.example", "https://[::1", 0, Err("http-location")),
    ] {
        let to = policy.follow(&url(from), location, hops);
        let to = to.map(String::from).map_err(|why| why.code());
        assert_eq!(to, outcome.map(str::to_owned), "{location:?} from {from}");
    }
}

#[test]
fn credentials_stay_with_their_origin() {
    for (one, other, same) in [
        ("https://a.example/x", "https://A.example:443/y?z", true),
        ("https://a.example", "http://a.example", false),
        ("https://a.example", "https://a.example:444", false),
        ("https://a.example", "https://b.a.example", false),
        ("data:x", "data:x", false),
    ] {
        assert_eq!(HttpPolicy::same_origin(&url(one), &url(other)), same, "{one} {other}");
    }
}

#[test]
fn a_denial_names_the_remedy_and_no_secret() {
    let policy = policy(&["a.example", "http://b.example", "localhost"]);
    let plan = |asked: &str, to: &str| {
        policy.plan(&url(asked), |_, _| Ok(at(to))).unwrap_err().to_string()
    };
    let unresolved =
        policy.plan(&url("https://a.example/secret"), |_, _| Err(io::Error::other("no such name")));
    let follow = |location: &str, hops: usize| {
        policy.follow(&url("https://a.example/secret"), location, hops).unwrap_err().to_string()
    };
    for (said, message) in [
        (
            plan("https://u:secret@C.example:444/secret?secret#secret", ""),
            "web: a URL of https://c.example:444 contains a user name or password; send them in a \
             header instead",
        ),
        (
            plan("https://C.example.:444/secret?secret#secret", ""),
            "web: https://c.example:444 is not granted; the operator must grant it",
        ),
        (
            plan("http://[::1]/secret", ""),
            "web: http://[::1] is not granted; the operator must grant it",
        ),
        (
            plan("data:secret", ""),
            "web: cannot fetch `data:` URLs; use `https:`, or `http:` where granted",
        ),
        (
            plan("https://a..example:444/secret", ""),
            "web: https://a..example:444 is not a valid origin; correct the host name or the \
             port",
        ),
        (
            full_message(&unresolved.unwrap_err()),
            "web: cannot resolve https://a.example: no such name",
        ),
        (
            plan("https://a.example/secret", ""),
            "web: https://a.example has no address; check the name",
        ),
        (
            plan("http://b.example/secret", "fe80::1 10.0.0.1"),
            "web: http://b.example is at a private address, which needs a local grant; the \
             operator must grant `local:http://b.example`",
        ),
        (
            plan("https://a.example/secret", "169.254.169.254"),
            "web: https://a.example is at a cloud metadata address, which no name opens; grant \
             the address itself, and use it in the URL",
        ),
        (
            plan("https://localhost/secret", "10.0.0.1"),
            "web: https://localhost resolved to a different address; check the resolver",
        ),
        (
            follow("https://[secret", 0),
            "web: https://a.example redirects to an invalid URL (invalid IPv6 address); fix \
             that server",
        ),
        (
            follow("http://u:secret@b.example/secret", 0),
            "web: https://a.example redirects to http://b.example, which is not encrypted; ask \
             for that directly",
        ),
        (follow("/secret", 10), "web: https://a.example exceeded 10 redirects; fix that server"),
    ] {
        assert_eq!(said, message);
    }
    let refused = "*.com".parse::<HttpGrant>().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot grant `*.com`: `*` is only allowed at the beginning, before a dot and a name of \
         at least two labels, as in `*.example.com`"
    );
}

/// Starts a server on loopback that redirects `/to/LOCATION` to LOCATION, and returns a greeting
/// for other paths.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let path = request.split(' ').nth(1).unwrap();
            match path.strip_prefix("/to/") {
                Some(to) => write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n"),
                None => write!(stream, "HTTP/1.1 200 OK\r\n\r\nhello from {port}"),
            }
            .unwrap();
        }
    });
    port
}

fn get(policy: &HttpPolicy, text: &str) -> Result<String, HttpDenial> {
    let mut url = url(text);
    for hops in 0.. {
        let addresses = policy.plan(&url, system)?;
        let mut stream = TcpStream::connect(&addresses[..]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", url.path(), url.authority()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        match head.split_once("Location: ") {
            Some((_, location)) => url = policy.follow(&url, location, hops)?,
            None => return Ok(body.to_owned()),
        }
    }
    unreachable!("hops are limited")
}

#[test]
fn a_client_follows_redirects_only_to_granted_servers() {
    let (first, second) = (serve(), serve());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    closed.set_nonblocking(true).unwrap();
    let other = closed.local_addr().unwrap().port();
    let grants = [format!("http://localhost:{first}"), format!("http://127.0.0.1:{second}")];
    let policy = policy(&grants.each_ref().map(String::as_str));

    let followed = get(&policy, &format!("http://localhost:{first}/to/http://0x7f.1:{second}/"));
    assert_eq!(followed.unwrap(), format!("hello from {second}"));
    for refused in [format!("http://127.0.0.1:{other}/"), format!("//127.0.0.1:{first}/")] {
        let denial = get(&policy, &format!("http://localhost:{first}/to/{refused}"));
        assert_eq!(denial.unwrap_err().code(), "http-not-granted", "{refused}");
    }
    let endless = get(&policy, &format!("http://localhost:{first}/to/?"));
    assert_eq!(endless.unwrap_err().code(), "http-hops");
    let refused = closed.accept().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
}

/// Generates texts that are, or are nearly, URLs and grants.
fn text() -> impl Strategy<Value = String> {
    let one_of = |words: &'static str| prop::sample::select(words.split(' ').collect::<Vec<_>>());
    let likely = [
        one_of("https:// https:// http:// HTTP:// local:http:// ftp://"),
        one_of("    u@ :p@"),
        one_of(
            "a.example A.example. b.a.example example.org b.example.org c.b.EXAMPLE.org \
             bexample.org nas 127.1 127.0.0.2 [::1] localhost",
        ),
        one_of("   :80 :443 :8080 :0"),
        one_of(" / /x?y#z"),
    ];
    let pieces = one_of(
        "http https ftp local : :// // / @ * *. . a a.example example.org b.example.org nas \
         localhost 127.0.0.1 0x7f.1 [::1] [ ] :80 :443 :8080 ? # \\ %2e ü 。 \t -",
    );
    prop_oneof![
        likely.prop_map(|parts| parts.concat()),
        prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn urls_without_a_grant_are_denied(text in text()) {
        let policy = policy(&[
            "a.example", "*.example.org", "local:http://nas:8080", "http://127.0.0.1",
        ]);
        let Ok(url) = Url::parse(&text) else { return Ok(()) };
        // Compares with the serialised URL, as another parser would read it.
        let shown = url.as_str();
        let origin = shown.split(['/', '?', '#']).take(3).collect::<Vec<_>>().join("/");
        let below = origin.strip_prefix("https://").is_some_and(|host| {
            let host = host.strip_suffix('.').unwrap_or(host);
            host.ends_with(".example.org") && !host.contains(['@', ':', '*'])
                && host.split('.').all(|label| !label.is_empty())
        });
        let listed = [
            "https://a.example", "https://a.example.", "http://nas:8080", "http://nas.:8080",
            "http://127.0.0.1",
        ];
        let expected = below || listed.contains(&origin.as_str());
        match policy.check(&url) {
            Ok(_) => prop_assert!(expected, "{shown}"),
            // The grant in the message is the missing one.
            Err(HttpDenial::NotGranted { origin, .. }) => {
                prop_assert!(!expected, "{shown}");
                let mended = HttpPolicy::new("web", vec![origin.parse().unwrap()]);
                prop_assert!(mended.check(&url).is_ok(), "{shown}");
            }
            Err(_) => {}
        }
    }

    #[test]
    fn parsed_grants_round_trip(text in text()) {
        if let Ok(grant) = text.parse::<HttpGrant>() {
            prop_assert_eq!(grant.to_string().parse(), Ok(grant));
        }
    }

    #[test]
    fn addresses_that_std_considers_special_are_not_public(bits: u32, mapped: bool) {
        let inner = Ipv4Addr::from_bits(bits);
        let address = match mapped {
            true => IpAddr::from(inner.to_ipv6_mapped()),
            false => IpAddr::from(inner),
        };
        let special = inner.is_private() || inner.is_loopback() || inner.is_link_local()
            || inner.is_multicast() || inner.is_broadcast() || inner.is_documentation()
            || inner.is_unspecified();
        prop_assert!(!special || AddressKind::of(address).is_some(), "{}", address);
    }
}
