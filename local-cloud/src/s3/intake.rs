//! Takes the body of a write in: keeps its bytes, and hashes them as they arrive.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::HeaderMap;
use s3s::dto::StreamingBlob;

use super::Refusal;
use super::checksum::{Algorithm, Digester, Digests, hex};
use super::payload::Trailers;
use super::rope::Rope;
use super::store::Store;

/// Frames of at least this many bytes are kept as they came; smaller ones are gathered, so that they don't hold on to
/// the larger buffer that they were read into.
const GATHERED_BELOW: usize = 64 * 1024;
/// What gathered frames are joined into.
const GATHERED_TO: usize = 1 << 20;

/// A checksum that a client declares: the algorithm, with its value unless that follows as a trailing header.
type DeclaredChecksum = (Algorithm, Option<Vec<u8>>);

/// What a client says about the body that it sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    checksum: Option<DeclaredChecksum>,
    md5: Option<[u8; 16]>,
}

impl Declared {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        Ok(Self { checksum: declared_checksum(headers)?, md5: declared_md5(headers)? })
    }

    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm)
    }
}

fn declared_checksum(headers: &HeaderMap) -> Result<Option<DeclaredChecksum>, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let several = || {
        Refusal::invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    };
    let mut found = None;
    for algorithm in Algorithm::ALL {
        if let Some(value) = text(algorithm.header()) {
            let digest = algorithm.decode(value).ok_or_else(|| {
                Refusal::invalid_request(format!("Value for {} header is invalid.", algorithm.header()))
            })?;
            if found.replace((algorithm, Some(digest))).is_some() {
                return Err(several());
            }
        }
    }
    if let Some(trailer) = text("x-amz-trailer") {
        for name in trailer.split(',').map(str::trim).filter(|name| name.starts_with("x-amz-checksum-")) {
            let Some(algorithm) =
                Algorithm::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
            else {
                return Err(Refusal::invalid_request(
                    "The value specified in the x-amz-trailer header is not supported",
                ));
            };
            if found.replace((algorithm, None)).is_some() {
                return Err(several());
            }
        }
    }
    if let Some(named) = text("x-amz-sdk-checksum-algorithm") {
        let Some(algorithm) = Algorithm::parse(named) else {
            return Err(unsupported_algorithm());
        };
        match &found {
            None => {
                return Err(Refusal::invalid_request(
                    "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
                ));
            }
            Some((declared, _)) if *declared != algorithm => {
                return Err(Refusal::invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."));
            }
            Some(_) => {}
        }
    }
    Ok(found)
}

pub(crate) fn unsupported_algorithm() -> Refusal {
    Refusal::invalid_request(
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
    )
}

fn declared_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, Refusal> {
    let Some(value) = headers.get("content-md5").and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let digest = STANDARD.decode(value).ok().and_then(|digest| digest.try_into().ok());
    let invalid =
        || Refusal::new("InvalidDigest", 400, "The Content-MD5 you specified was invalid.").with("Content-MD5", value);
    digest.map(Some).ok_or_else(invalid)
}

/// A body that was taken in and is what its client said it is.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) data: Rope,
    pub(crate) digests: Digests,
}

/// Reads a body to its end.
pub(crate) async fn receive(
    store: &Arc<Store>,
    body: Option<StreamingBlob>,
    declared: &Declared,
    trailers: &Trailers,
) -> Result<Received, Refusal> {
    let mut digester = Digester::new(declared.algorithm());
    let mut gathering = Gathering::default();
    if let Some(mut body) = body {
        while let Some(bytes) = body.next().await {
            // The decoder has already left its own refusal, in the request's slot.
            let bytes = bytes.map_err(|error| Refusal::new("IncompleteBody", 400, error.to_string()))?;
            digester.update(&bytes);
            gathering.add(bytes);
        }
    }
    let digests = digester.finish();
    check(declared, &digests, trailers)?;
    let data = store.keep(gathering.finish()).await?;
    Ok(Received { data, digests })
}

/// Compares a document, which `s3s` reads, with what was declared about it.
pub(crate) struct Check {
    declared: Declared,
    trailers: Trailers,
    digester: Digester,
}

impl Check {
    pub(crate) fn new(declared: Declared, trailers: Trailers) -> Self {
        let digester = Digester::new(declared.algorithm());
        Self { declared, trailers, digester }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digester.update(bytes);
    }

    pub(crate) fn finish(self) -> Result<(), Refusal> {
        check(&self.declared, &self.digester.finish(), &self.trailers)
    }
}

fn check(declared: &Declared, digests: &Digests, trailers: &Trailers) -> Result<(), Refusal> {
    if let Some(expected) = declared.md5
        && expected != digests.md5
    {
        return Err(Refusal::new("BadDigest", 400, "The Content-MD5 you specified did not match what we received.")
            .with("ExpectedDigest", hex(&expected))
            .with("CalculatedDigest", STANDARD.encode(digests.md5)));
    }
    let Some((algorithm, value)) = &declared.checksum else { return Ok(()) };
    let expected = match value {
        Some(value) => value.clone(),
        None => trailers.get(algorithm.header()).and_then(|value| algorithm.decode(&value)).ok_or_else(|| {
            Refusal::invalid_request(format!("Value for {} trailing header is invalid.", algorithm.header()))
        })?,
    };
    match digests.get(*algorithm) {
        Some(computed) if computed == expected => Ok(()),
        _ => Err(Refusal::bad_digest(algorithm.name())),
    }
}

/// Frames on their way to becoming chunks.
#[derive(Default)]
struct Gathering {
    chunks: Vec<Bytes>,
    small: BytesMut,
}

impl Gathering {
    fn add(&mut self, bytes: Bytes) {
        if bytes.len() >= GATHERED_BELOW {
            self.flush();
            self.chunks.push(bytes);
            return;
        }
        self.small.extend_from_slice(&bytes);
        if self.small.len() >= GATHERED_TO {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            // Into an allocation of its own size, as `BytesMut` may have reserved twice as much.
            self.chunks.push(Bytes::copy_from_slice(&self.small));
            self.small.clear();
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.flush();
        self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn refused(pairs: &[(&'static str, &str)]) -> String {
        Declared::of(&headers(pairs)).unwrap_err().message().to_owned()
    }

    #[test]
    fn one_checksum_may_be_declared_as_a_header_or_as_a_trailer() {
        let header = Declared::of(&headers(&[("x-amz-checksum-crc32", "AAAAAA==")])).unwrap();
        assert_eq!(header.algorithm(), Some(Algorithm::Crc32));
        let trailer = Declared::of(&headers(&[
            ("x-amz-trailer", "x-amz-checksum-sha256"),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
        ]))
        .unwrap();
        assert_eq!(trailer.algorithm(), Some(Algorithm::Sha256));
    }

    #[test]
    fn contradicting_checksum_headers_are_refused() {
        assert!(
            refused(&[("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")]).contains("single")
        );
        assert!(refused(&[("x-amz-checksum-crc32", "AAAA")]).contains("x-amz-checksum-crc32 header is invalid"));
        assert!(refused(&[("x-amz-sdk-checksum-algorithm", "CRC32")]).contains("no corresponding"));
        assert!(refused(&[("x-amz-sdk-checksum-algorithm", "MD5")]).contains("unsupported"));
        assert!(refused(&[("content-md5", "bm90IGEgbWQ1")]).contains("Content-MD5"));
    }

    #[test]
    fn small_frames_are_gathered_and_large_ones_kept() {
        let large = Bytes::from(vec![1; GATHERED_BELOW]);
        let address = large.as_ptr();
        let mut gathering = Gathering::default();
        gathering.add(Bytes::from_static(b"a"));
        gathering.add(Bytes::from_static(b"b"));
        gathering.add(large);
        let chunks = gathering.finish();
        assert_eq!(chunks[0], "ab");
        assert_eq!(chunks[1].as_ptr(), address);
    }
}
