//! S3 servers with the bucket `bucket`, for the keys [`ACCESS_KEY`] and [`SECRET_KEY`].

use std::fs;

use anyhow::{Context as _, Result};

use super::{Bucket, Certificate, Server, dav, start};

/// The access key.
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// The secret key.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI";
/// A signature that moto accepts.
const UNCHECKED: &str = "Authorization: AWS4-HMAC-SHA256 \
    Credential=AKIDEXAMPLE/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";

/// The region.
pub const REGION: &str = "us-east-1";

/// Starts rclone's S3 server. The directories below `files` are its buckets.
///
/// # Errors
/// Returns an error if rclone cannot be started.
pub fn plain_rclone_s3() -> Result<Server> {
    rclone(&[])
}

/// Starts rclone's S3 server over TLS.
///
/// # Errors
/// Returns an error if rclone cannot be started.
pub fn rclone_s3(certificate: &Certificate) -> Result<Server> {
    let [file, key] = [&certificate.file, &certificate.key].map(|path| path.display().to_string());
    rclone(&["--cert", &file, "--key", &key])
}

fn rclone(more: &[&str]) -> Result<Server> {
    start("rclone", 1, |place, ports, _| {
        let files = place.join("files");
        fs::create_dir(files.join("bucket"))?;
        let (address, keys) =
            (format!("127.0.0.1:{}", ports[0]), format!("{ACCESS_KEY},{SECRET_KEY}"));
        let files = files.display().to_string();
        let arguments = ["serve", "s3", "--addr", &address, "--auth-key", &keys];
        let arguments = [&arguments[..], &["--dir-cache-time", "10ms"], more, &[&files]].concat();
        Ok(arguments.into_iter().map(str::to_owned).collect())
    })
}

/// Starts seaweedfs. Requests without a signature are allowed, too, for the tests.
///
/// # Errors
/// Returns an error if seaweedfs cannot be started.
pub fn plain_seaweedfs_s3() -> Result<Server> {
    const PORTS: [&str; 8] = [
        "s3.port",
        "s3.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
    ];
    let server = start("weed", PORTS.len(), |place, ports, _| {
        let users = serde_json::json!({"identities": [
            {
                "name": "me",
                "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
                "actions": ["Admin"]
            },
            {"name": "anonymous", "actions": ["Admin"]}
        ]});
        fs::write(place.join("users.json"), users.to_string())?;
        let data = format!("-dir={}", place.join("files").display());
        let users = format!("-s3.config={}", place.join("users.json").display());
        let fixed = ["-logtostderr=true", "server", &data, "-ip=127.0.0.1", "-ip.bind=127.0.0.1"];
        let size = ["-volume.max=40", "-master.volumeSizeLimitMB=64", "-filer", "-s3", &users];
        let rest = ["-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"];
        let ports = PORTS.iter().zip(ports).map(|(name, port)| format!("-{name}={port}"));
        Ok([&fixed[..], &size, &rest]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .chain(ports)
            .collect())
    })?;
    with_bucket(server, "")
}

/// Starts seaweedfs behind nginx with TLS.
///
/// # Errors
/// Returns an error if one of them cannot be started.
pub fn seaweedfs_s3(certificate: &Certificate) -> Result<Server> {
    dav::behind_tls(certificate, plain_seaweedfs_s3()?, None)
}

/// Starts moto, which checks no signatures.
///
/// # Errors
/// Returns an error if moto cannot be started.
pub fn plain_moto() -> Result<Server> {
    let server = start("moto_server", 1, |_, ports, _| {
        Ok(["-H", "127.0.0.1", "-p", &ports[0].to_string()].map(str::to_owned).to_vec())
    })?;
    with_bucket(server, UNCHECKED)
}

/// Starts moto behind nginx with TLS.
///
/// # Errors
/// Returns an error if one of them cannot be started.
pub fn moto(certificate: &Certificate) -> Result<Server> {
    dav::behind_tls(certificate, plain_moto()?, None)
}

/// Creates the bucket, and waits until it stores objects.
fn with_bucket(mut server: Server, headers: &'static str) -> Result<Server> {
    let bucket = Bucket::new(server.ports[0], headers);
    bucket.create().context("the bucket is created")?;
    server.bucket = Some(bucket.clone());
    bucket.put("warm-up", b"it")?;
    bucket.delete("warm-up")?;
    Ok(server)
}
