//! Checksums: the five algorithms that S3 knows, over one body or put together from the parts of an upload.
//!
//! Every body is hashed once, while it arrives: MD5 for the entity tag, CRC64NVME because S3 keeps that for an object
//! whose client declared nothing, and the algorithm that the client did declare. CRCs of parts are combined into that of
//! the whole object without reading a byte of it again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use s3s::crypto::{Checksum as Hasher, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

/// A checksum algorithm of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// As in `x-amz-checksum-algorithm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// As in the header `x-amz-checksum-crc32`, and in error messages.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64Nvme => "crc64nvme",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The header that carries the value.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of a digest.
    fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// How the checksum of a multipart object is made when the client doesn't say.
    pub(crate) fn default_kind(self) -> Kind {
        if self == Self::Crc64Nvme { Kind::FullObject } else { Kind::Composite }
    }

    /// The CRC whose values for two adjacent byte ranges give that of both; no SHA can do that.
    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    pub(crate) fn can_be(self, kind: Kind) -> bool {
        match kind {
            Kind::FullObject => self.crc().is_some(),
            Kind::Composite => self != Self::Crc64Nvme,
        }
    }

    /// The digest in a header's value, if it is base64 of the right length.
    pub(crate) fn decode(self, value: &str) -> Option<Vec<u8>> {
        STANDARD.decode(value).ok().filter(|digest| digest.len() == self.length())
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut running = Running::new(self);
        running.update(bytes);
        running.finish()
    }
}

/// What a checksum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The object's bytes.
    FullObject,
    /// The digests of its parts.
    Composite,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite].into_iter().find(|kind| kind.name() == name)
    }
}

/// A checksum as S3 shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    /// Base64; of a composite one with `-` and the number of parts.
    pub(crate) value: String,
}

impl Checksum {
    pub(crate) fn full(algorithm: Algorithm, digest: &[u8]) -> Self {
        Self { algorithm, kind: Kind::FullObject, value: STANDARD.encode(digest) }
    }
}

/// One algorithm at work.
enum Running {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Running {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64Nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(hasher) => hasher.finalize().to_vec(),
            Self::Crc32c(hasher) => hasher.finalize().to_vec(),
            Self::Crc64Nvme(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// Everything that is to be known about a body, computed in one pass.
pub(crate) struct Digester {
    md5: Md5,
    crc64: Crc64Nvme,
    declared: Option<(Algorithm, Running)>,
    size: u64,
}

impl Digester {
    /// `declared` is computed besides MD5 and CRC64NVME.
    pub(crate) fn new(declared: Option<Algorithm>) -> Self {
        let further = declared.filter(|algorithm| *algorithm != Algorithm::Crc64Nvme);
        Self {
            md5: Md5::new(),
            crc64: Crc64Nvme::new(),
            declared: further.map(|algorithm| (algorithm, Running::new(algorithm))),
            size: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.crc64.update(bytes);
        if let Some((_, running)) = &mut self.declared {
            running.update(bytes);
        }
        self.size += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> Digests {
        Digests {
            size: self.size,
            md5: self.md5.finalize(),
            crc64: self.crc64.finalize(),
            declared: self.declared.map(|(algorithm, running)| (algorithm, running.finish())),
        }
    }
}

/// The digests of one body or part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digests {
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) crc64: [u8; 8],
    pub(crate) declared: Option<(Algorithm, Vec<u8>)>,
}

impl Digests {
    /// The digest by this algorithm, if it was computed.
    pub(crate) fn get(&self, algorithm: Algorithm) -> Option<&[u8]> {
        match &self.declared {
            _ if algorithm == Algorithm::Crc64Nvme => Some(&self.crc64),
            Some((declared, digest)) if *declared == algorithm => Some(digest),
            _ => None,
        }
    }

    /// The entity tag of a body that was put in one piece, without quotes.
    pub(crate) fn etag(&self) -> String {
        hex(&self.md5)
    }
}

/// The entity tag of a multipart object: the MD5 of its parts' MD5s, and their number.
pub(crate) fn multipart_etag<'a>(parts: impl ExactSizeIterator<Item = &'a Digests>) -> String {
    let count = parts.len();
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&part.md5);
    }
    format!("{}-{count}", hex(&md5.finalize()))
}

/// The checksum of a multipart object from its parts'; `None` when a part lacks the algorithm.
pub(crate) fn of_parts(algorithm: Algorithm, kind: Kind, parts: &[&Digests]) -> Option<Checksum> {
    let digests: Option<Vec<&[u8]>> = parts.iter().map(|part| part.get(algorithm)).collect();
    let digests = digests?;
    match kind {
        Kind::Composite => {
            let value = STANDARD.encode(algorithm.digest(&digests.concat()));
            Some(Checksum { algorithm, kind, value: format!("{value}-{}", parts.len()) })
        }
        Kind::FullObject => {
            let crc = algorithm.crc()?;
            let sum = parts.iter().zip(digests).fold(None, |sum, (part, digest)| {
                let next = digest.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
                Some(sum.map_or(next, |sum| crc_fast::checksum_combine(crc, sum, next, part.size)))
            });
            let bytes = sum?.to_be_bytes();
            Some(Checksum::full(algorithm, &bytes[8 - algorithm.length()..]))
        }
    }
}

/// Lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(bytes: &[u8], declared: Option<Algorithm>) -> Digests {
        let mut digester = Digester::new(declared);
        digester.update(bytes);
        digester.finish()
    }

    #[test]
    fn the_check_values_of_the_catalogues_come_out() {
        let value = |algorithm: Algorithm| hex(&algorithm.digest(b"123456789"));
        assert_eq!(value(Algorithm::Crc32), "cbf43926");
        assert_eq!(value(Algorithm::Crc32c), "e3069283");
        assert_eq!(value(Algorithm::Crc64Nvme), "ae8b14860a799888");
        assert_eq!(value(Algorithm::Sha1), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
    }

    #[test]
    fn the_crcs_of_parts_combine_to_that_of_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts: Vec<Digests> = whole.chunks(33_333).map(|part| digests(part, Some(algorithm))).collect();
            let parts: Vec<&Digests> = parts.iter().collect();
            let combined = of_parts(algorithm, Kind::FullObject, &parts);
            assert_eq!(combined, Some(Checksum::full(algorithm, &algorithm.digest(&whole))), "{algorithm:?}");
        }
    }

    #[test]
    fn a_composite_checksum_is_the_digest_of_digests_and_their_number() {
        let parts = [digests(b"a", Some(Algorithm::Sha256)), digests(b"b", Some(Algorithm::Sha256))];
        let checksum = of_parts(Algorithm::Sha256, Kind::Composite, &[&parts[0], &parts[1]]).unwrap();
        let joined = [Algorithm::Sha256.digest(b"a"), Algorithm::Sha256.digest(b"b")].concat();
        assert_eq!(checksum.value, format!("{}-2", STANDARD.encode(Algorithm::Sha256.digest(&joined))));
    }

    #[test]
    fn no_sha_can_be_combined_and_no_crc64_composed() {
        let part = digests(b"a", Some(Algorithm::Sha1));
        assert_eq!(of_parts(Algorithm::Sha1, Kind::FullObject, &[&part]), None);
        assert!(!Algorithm::Crc64Nvme.can_be(Kind::Composite));
        assert!(!Algorithm::Sha256.can_be(Kind::FullObject));
    }

    #[test]
    fn a_multipart_etag_is_the_md5_of_md5s() {
        let parts = [digests(b"hello", None), digests(b"world", None)];
        // python: md5(md5(b"hello").digest() + md5(b"world").digest()).hexdigest()
        assert_eq!(multipart_etag(parts.iter()), "065947336a2f2a95ba8899f3675c3be6-2");
    }

    #[test]
    fn a_value_of_the_wrong_length_is_no_digest() {
        assert!(Algorithm::Crc32.decode("AAAAAA==").is_some());
        assert!(Algorithm::Crc32.decode("AAAAAAA=").is_none());
        assert!(Algorithm::Crc32.decode("not base64").is_none());
    }
}
