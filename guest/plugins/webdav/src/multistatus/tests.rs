use super::*;

fn parse(text: &str) -> Result<Vec<Found>, String> {
    let mut all = Vec::new();
    let read = read(text.as_bytes(), &mut |found| {
        all.push(found);
        Ok(())
    });
    match read {
        Ok(()) => Ok(all),
        Err(Interrupt::Failed(error)) => Err(error.message),
        Err(Interrupt::Item | Interrupt::All) => Err("cancelled".to_owned()),
    }
}

fn document(inner: &str) -> String {
    format!(r#"<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{inner}</d:multistatus>"#)
}

const APACHE: &str = r#"<D:response xmlns:D="DAV:" xmlns:lp1="DAV:"><D:href>/dav/a%20b</D:href>
    <D:propstat><D:prop><lp1:resourcetype/>
    <lp1:getcontentlength>12</lp1:getcontentlength>
    <lp1:getlastmodified>Sun, 29 Nov 2026 11:00:00 GMT</lp1:getlastmodified>
    <lp1:getetag>W/"c-61&amp;2-gzip"</lp1:getetag></D:prop>
    <D:status>HTTP/1.1 200 OK</D:status></D:propstat>
    <D:propstat><D:prop><D:quota/><lp1:getcontentlength>99</lp1:getcontentlength></D:prop>
    <D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>"#;

#[test]
fn properties_are_those_that_were_found() {
    let file = Found {
        path: "dav/a b".to_owned(),
        is_collection: false,
        size: Some(12),
        modified: Some(1_795_950_000_000_000_000),
        tag: Some("c-61&2".to_owned()),
        available: None,
        id: None,
        permissions: None,
    };
    assert_eq!(parse(&document(APACHE)), Ok(vec![file]));
    let collection = r"<d:response><d:href>https://dav.example.org/dav/%C3%A9/</d:href>
        <d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop>
        <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>";
    let found = parse(&document(collection)).unwrap();
    assert_eq!((&*found[0].path, found[0].is_collection), ("dav/é", true));
}

#[test]
fn an_invalid_document_is_an_error_with_the_reason() {
    let deep = format!("{}{}", "<d:x>".repeat(40), "</d:x>".repeat(40));
    let long = format!("<d:response><d:href>{}</d:href></d:response>", "x".repeat(20 << 10));
    for (text, words) in [
        ("<html><body>Log in</body></html>".to_owned(), "not a multistatus"),
        (r#"<multistatus xmlns="urn:x"/>"#.to_owned(), "not a multistatus"),
        (document(APACHE).replace("</d:multistatus>", ""), "ends early"),
        (document("<d:response>"), "invalid"),
        (document("<d:response></d:response>"), "no `href`"),
        (document(&deep), "too deeply"),
        (document(&long), "too long"),
        (document("<d:href>&bomb;</d:href>"), "unknown entity"),
        (format!("<!DOCTYPE x>{}", document("")), "document type"),
        (document("<d:response><d:href>/%ff</d:href></d:response>"), "not UTF-8"),
        (String::new(), "ends early"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn ids_are_any_text() {
    let long = "1".repeat(20 << 10);
    let id = |text: &str| {
        let found = parse(&document(&format!(
            r#"<d:response xmlns:o="http://owncloud.org/ns"><d:href>/a</d:href><d:propstat>
            <d:prop><o:fileid>{text}</o:fileid></d:prop><d:status>HTTP/1.1 200 OK</d:status>
            </d:propstat></d:response>"#
        )));
        found.map(|found| found[0].id).map_err(drop)
    };
    assert_eq!(id(""), Ok(None));
    assert_eq!(id(&long), Err(()));
    assert_eq!(id("17"), id(" 17 "));
    assert_ne!(id("17"), id("18"));
    assert!(id("space$id!17").unwrap().is_some());
}

#[test]
fn permissions_are_those_of_the_namespace_of_owncloud() {
    let long = "W".repeat(20 << 10);
    for (namespace, text, expected) in [
        ("http://owncloud.org/ns", "RGDNVW", Ok(Permissions::parse("DNVW"))),
        ("http://owncloud.org/ns", "", Ok(None)),
        ("http://owncloud.org/ns", " \u{1f600}?? ", Ok(Permissions::parse("G"))),
        ("urn:x", "RGDNVW", Ok(None)),
        ("DAV:", "RGDNVW", Ok(None)),
        ("http://owncloud.org/ns", &long, Err(())),
    ] {
        let found = parse(&document(&format!(
            r#"<d:response xmlns:o="{namespace}"><d:href>/a</d:href><d:propstat><d:prop>
            <o:permissions>{text}</o:permissions></d:prop><d:status>HTTP/1.1 200 OK</d:status>
            </d:propstat></d:response>"#
        )));
        let found = found.map(|found| found[0].permissions).map_err(drop);
        assert_eq!(found, expected, "{namespace}");
    }
}

#[test]
fn values_that_are_none_are_unknown() {
    let values = r#"<d:response><d:href>/a</d:href><d:propstat><d:prop>
        <d:getcontentlength>-1</d:getcontentlength><d:getlastmodified>soon</d:getlastmodified>
        <d:getetag>""</d:getetag></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>
        </d:response>"#;
    let found = parse(&document(values)).unwrap();
    assert_eq!((found[0].size, found[0].modified, &found[0].tag), (None, None, &None));
}
