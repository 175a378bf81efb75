//! Where a request is addressed to: the bucket in its host name, and its URI without the signature.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::Refusal;
use crate::operation::percent_decoded;

/// The bucket in a virtual-hosted-style `Host`, such as `bucket.localhost:4566` or `bucket.s3.us-east-1.amazonaws.com`.
pub(crate) fn bucket_of_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bucket = if let Some(rest) = name.strip_suffix(".localhost") {
        rest.strip_suffix(".s3").unwrap_or(rest)
    } else {
        // The last `.s3.`, as a bucket's name may hold one.
        let rest = name.strip_suffix(".amazonaws.com")?;
        match rest.rsplit_once(".s3.") {
            Some((bucket, _)) => bucket,
            None => match rest.strip_suffix(".s3") {
                Some(bucket) => bucket,
                // The older names: `bucket.s3-eu-west-1` and, in examples, `bucket.us-west-1.s3`.
                None => rest.split_once(".s3-")?.0,
            },
        }
    };
    let bucket = bucket.rsplit_once('.').filter(|(_, region)| is_region(region)).map_or(bucket, |(bucket, _)| bucket);
    (!bucket.is_empty() && bucket != "s3").then_some(bucket)
}

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 3 && parts[0].len() == 2 && parts[2].len() == 1 && parts[2].bytes().all(|byte| byte.is_ascii_digit())
}

/// How the client reached the cloud, as in `http://127.0.0.1:4566`.
pub(crate) fn endpoint(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let host = bucket_of_host(host).and_then(|bucket| host.strip_prefix(bucket)?.strip_prefix('.')).unwrap_or(host);
    format!("http://{host}")
}

/// Removes the signature from a query, moves parameters that a presigned URL carries in place of headers to where they
/// belong, and turns virtual-hosted style into path style.
pub(super) fn unsigned_uri(uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), Refusal> {
    let signature = ["awsaccesskeyid", "signature", "expires"];
    let presigned_v2 = uri.query().is_some_and(|query| query.contains("AWSAccessKeyId="));
    let mut kept = Vec::new();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let lower = percent_decoded(name).to_ascii_lowercase();
        if presigned_v2 && signature.contains(&lower.as_str()) {
            continue;
        }
        let described = presigned_v2 && matches!(lower.as_str(), "content-type" | "content-md5");
        if !lower.starts_with("x-amz-") && !described {
            kept.push(pair);
            continue;
        }
        let moved = matches!(
            lower.as_str(),
            "x-amz-algorithm"
                | "x-amz-credential"
                | "x-amz-date"
                | "x-amz-expires"
                | "x-amz-signedheaders"
                | "x-amz-signature"
                | "x-amz-security-token"
        );
        if !moved
            && let (Ok(name), Ok(value)) =
                (HeaderName::try_from(lower), HeaderValue::from_str(&percent_decoded(&value.replace('+', " "))))
        {
            headers.entry(name).or_insert(value);
        }
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let bucket = bucket_of_host(host).map(|bucket| format!("/{bucket}")).unwrap_or_default();
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    let target = format!("{bucket}{}{query}", uri.path());
    *uri = target.parse().map_err(|_| Refusal::new("InvalidURI", 400, "Couldn't parse the specified URI."))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_be_in_the_host_name() {
        for (host, bucket) in [
            ("my-bucket.localhost:4566", Some("my-bucket")),
            ("my-bucket.s3.localhost", Some("my-bucket")),
            ("a.b.s3.eu-west-1.amazonaws.com", Some("a.b")),
            ("b.s3.amazonaws.com", Some("b")),
            ("s3.us-east-1.amazonaws.com", None),
            ("s3.amazonaws.com", None),
            ("localhost:4566", None),
            ("127.0.0.1:4566", None),
        ] {
            assert_eq!(bucket_of_host(host), bucket, "{host}");
        }
    }

    #[test]
    fn a_presigned_query_becomes_headers_and_loses_its_signature() {
        let mut uri: Uri = "/b/k?X-Amz-Signature=0&x-amz-meta-a=b%20c&versionId=v&X-Amz-Date=d".parse().unwrap();
        let mut headers = HeaderMap::new();
        unsigned_uri(&mut uri, &mut headers).unwrap();
        assert_eq!(uri, "/b/k?versionId=v");
        assert_eq!(headers["x-amz-meta-a"], "b c");
    }

    #[test]
    fn a_host_style_uri_becomes_a_path_style_one() {
        let mut uri: Uri = "/k".parse().unwrap();
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("b.localhost:1"))]);
        unsigned_uri(&mut uri, &mut headers).unwrap();
        assert_eq!(uri, "/b/k");
    }
}
