//! Plugins that are granted a part of a bucket, and try to read or change the rest.

use super::*;

#[test]
fn a_part_of_a_bucket_does_not_open_the_rest() -> Result<()> {
    let port = serve(|to, head, _, _| {
        let line = head.lines().next().unwrap_or_default();
        let is_signed = head.contains("authorization: AWS4-HMAC-SHA256 ");
        let body = format!("{line}, signed: {is_signed}, {}", head.contains("override"));
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        to.write_all(format!("{head}{body}").as_bytes())
    })?;
    let bucket = format!("http://127.0.0.1:{port}/b/");
    let rows = [
        (
            format!("GET {bucket}?prefix=k/&list-type=2"),
            "200 GET /b/?list-type=2&prefix=k%2F HTTP/1.1, signed: true, false",
        ),
        (
            format!("GET {bucket}?prefix=k/x&uploads header=X-Http-Method-Override:DELETE"),
            "200 GET /b/?prefix=k%2Fx&uploads= HTTP/1.1, signed: true, false",
        ),
        (
            format!("PUT {bucket}k/new header=x-amz-copy-source:/b/k/old"),
            "200 PUT /b/k/new HTTP/1.1, signed: true, false",
        ),
        (format!("GET {bucket}?list-type=2"), "ErrorCode::AccessDenied"),
        (format!("GET {bucket}?list-type=2&prefix="), "ErrorCode::AccessDenied"),
        (format!("GET {bucket}?list-type=2&prefix=k"), "ErrorCode::AccessDenied"),
        (format!("GET {bucket}?list-type=2&prefix=k/../"), "ErrorCode::AccessDenied"),
        (format!("GET {bucket}?list-type=2&prefix=k/&prefix=m/"), "ErrorCode::AccessDenied"),
        (format!("GET {bucket}?list-type=2&prefix=k/&versions"), "ErrorCode::AccessDenied"),
        (format!("GET {bucket}?policy&prefix=k/"), "ErrorCode::AccessDenied"),
        (format!("GET {bucket}m?list-type=2&prefix=k/"), "ErrorCode::AccessDenied"),
        (
            format!("GET http://127.0.0.1:{port}/?list-type=2&prefix=b/k/"),
            "ErrorCode::AccessDenied",
        ),
        (format!("POST {bucket}?delete&prefix=k/"), "ErrorCode::AccessDenied"),
        (format!("DELETE {bucket}?list-type=2&prefix=k/"), "ErrorCode::AccessDenied"),
        (format!("PUT {bucket}k/new header=x-amz-copy-source:/b/m"), "ErrorCode::AccessDenied"),
        (
            format!("PUT {bucket}k/new header=x-amz-copy-source:/b/k/%2e%2e/m"),
            "ErrorCode::AccessDenied",
        ),
        (
            format!("PUT {bucket}k/new header=x-amz-copy-source:/b/k/c?/../../m"),
            "ErrorCode::AccessDenied",
        ),
    ];
    let grant = HttpGrant::new("remote", &format!("{bucket}k/"), Access::ReadWrite)?;
    let options = SessionOptions::new().limits(limits()).http(grant);
    let signed = HttpAuth::new("aws-sigv4:eu-central-1", "AKIDEXAMPLE:wJalrXUtnFEMI")?;
    let lines: Vec<_> = rows.iter().map(|(line, _)| line.as_str()).collect();
    let (answers, _) = run(&lines.join("\n"), options.clone().http_auth("remote", signed))?;
    for ((request, outcome), answer) in rows.iter().zip(&answers) {
        ensure!(answer.starts_with(outcome), "{request}: {answer}");
    }
    // Other credentials are not for buckets.
    let other = HttpAuth::new("bearer", "hunter2")?;
    let (answers, _) = run(&lines[..2].join("\n"), options.http_auth("remote", other))?;
    ensure!(answers.iter().all(|one| one.starts_with("ErrorCode::AccessDenied")), "{answers:?}");
    Ok(())
}
