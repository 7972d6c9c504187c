//! The meaning of the codes and statuses of a server.

use syncmgr_plugin::ErrorCode::{
    AccessDenied, Busy, Changed, Failed, InvalidArgument, NoSpace, NotConnected, NotFound,
    NotImplemented, Timeout,
};
use syncmgr_plugin::{Error, ErrorCode};

/// The maximum length of the server's own words in a message.
const QUOTED: usize = 200;

/// The meaning of codes, with what to do.
const CODES: &[(&str, ErrorCode, &str)] = &[
    ("NoSuchKey", NotFound, "it does not exist"),
    ("NoSuchUpload", NotFound, "the upload no longer exists"),
    (
        "NoSuchBucket",
        Failed,
        "the bucket does not exist; create it, or correct the URL of the server",
    ),
    (
        "AccessDenied",
        AccessDenied,
        "the server denies access; the access key must be permitted to list the bucket, and to \
         read, write and delete its objects",
    ),
    (
        "InvalidAccessKeyId",
        AccessDenied,
        "the server does not know the access key; correct it in the credentials of the server",
    ),
    (
        "SignatureDoesNotMatch",
        AccessDenied,
        "the signature is wrong; correct the secret key or the region in the credentials of the \
         server",
    ),
    ("ExpiredToken", AccessDenied, "the temporary access key has expired; get another one"),
    (
        "RequestTimeTooSkewed",
        AccessDenied,
        "the clock of this computer differs from that of the server; set the clock",
    ),
    ("InvalidObjectState", AccessDenied, "the object is archived; restore it on the server first"),
    ("EntityTooLarge", NoSpace, "the server accepts no object of this size"),
    ("QuotaExceeded", NoSpace, "the quota on the server is used up"),
    ("XMinioStorageFull", NoSpace, "the server is full"),
    ("KeyTooLongError", InvalidArgument, "the key is longer than 1,024 bytes"),
    ("PreconditionFailed", Changed, "it changed during the sync; the next run syncs it"),
    ("ConditionalRequestConflict", Busy, "another client writes it; the next run tries again"),
    ("NotImplemented", NotImplemented, "the server does not support this"),
    ("SlowDown", NotConnected, "the server is busy"),
    ("ServiceUnavailable", NotConnected, "the server is busy"),
    ("InternalError", NotConnected, "the server failed"),
    ("RequestTimeout", Timeout, "the server waited too long for the request"),
];

/// Returns the error of an answer: its status, the code and the message of its document, and the
/// region of the bucket, if it states that.
pub(crate) fn explain(status: u16, code: &str, message: &str, region: Option<&str>) -> Error {
    let is_other_region = matches!(status, 301 | 307 | 400)
        && (region.is_some()
            || ["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"]
                .contains(&code));
    if is_other_region {
        let region = quoted(region.unwrap_or("that the console of the server shows"));
        let message = format!(
            "the bucket is in another region; use the region {region} in the credentials of the \
             server, and its host in the URL"
        );
        return Error::new(InvalidArgument, message);
    }
    if let Some((_, code, message)) = CODES.iter().find(|(known, ..)| *known == code) {
        return Error::new(*code, *message);
    }
    // An answer to HEAD has no document.
    let meant = match status {
        403 => "AccessDenied",
        404 => "NoSuchKey",
        409 => "ConditionalRequestConflict",
        412 => "PreconditionFailed",
        413 => "EntityTooLarge",
        500 => "InternalError",
        501 => "NotImplemented",
        429 | 502 | 503 | 504 => "SlowDown",
        507 => "QuotaExceeded",
        _ => "",
    };
    match meant {
        "" => Error::failed(format!(
            "the server answered {status} {}: {}",
            quoted(code),
            quoted(message)
        )),
        meant => explain(200, meant, "", None),
    }
}

fn quoted(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(QUOTED).collect()
}
