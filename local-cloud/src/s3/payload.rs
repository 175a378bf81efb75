//! The bytes of a request's body as S3 means them: freed of `aws-chunked` framing, and checked against what was signed.
//!
//! A client binds its body to its signature in one of three ways: the SHA-256 of the whole in `x-amz-content-sha256`;
//! chunks that are each signed (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, with `-TRAILER` also the headers that follow); or
//! not at all (`UNSIGNED-PAYLOAD`, and `STREAMING-UNSIGNED-PAYLOAD-TRAILER` for chunks with trailing headers).
//! Source: "Signature calculations: transferring payload in multiple chunks" in the S3 API reference.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, Stream};
use http::HeaderMap;
use http_body_util::BodyExt;
use s3s::crypto::{Checksum as _, Sha256};

use super::Refusal;
use super::checksum::hex;
use crate::credentials::ChunkSigner;
use crate::wire::Inbound;

/// The longest line of framing: a chunk's size and signature, or a trailing header.
const MAX_LINE: usize = 8 * 1024;

/// The headers that followed a streamed body, once it has been read to its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

/// How a body is bound to its request.
pub(crate) enum Binding {
    /// Not at all.
    Unsigned,
    /// By the SHA-256 of the whole, in hexadecimal.
    Digest(String),
    /// In chunks, signed or not, of this many bytes together.
    Chunked { signer: Option<ChunkSigner>, length: u64, trailers: Trailers },
}

impl Binding {
    /// Reads it from a request's headers. `signer` is there when the signature of the head was verified.
    pub(crate) fn of(headers: &HeaderMap, signer: Option<ChunkSigner>, trailers: &Trailers) -> Result<Self, Refusal> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        match text("x-amz-content-sha256") {
            None | Some("" | "UNSIGNED-PAYLOAD") => Ok(Self::Unsigned),
            Some(
                kind @ ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
                | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
                | "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ) => {
                let length = text("x-amz-decoded-content-length").and_then(|length| length.parse().ok());
                let Some(length) = length else {
                    let message = "You must provide the x-amz-decoded-content-length HTTP header.";
                    return Err(Refusal::new("MissingContentLength", 411, message));
                };
                let signer = signer.filter(|_| kind != "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
                Ok(Self::Chunked { signer, length, trailers: trailers.clone() })
            }
            Some(digest) if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Self::Digest(digest.to_ascii_lowercase()))
            }
            Some(other) => {
                let message = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.";
                Err(Refusal::invalid_argument(message, "x-amz-content-sha256", other))
            }
        }
    }

    /// Whether the body is framed, so that its own length isn't that of the HTTP message.
    pub(crate) fn decoded_length(&self) -> Option<u64> {
        match self {
            Self::Chunked { length, .. } => Some(*length),
            _ => None,
        }
    }
}

/// The body's bytes. The last item is an error when they aren't what was signed.
pub(crate) fn decoded(body: Inbound, binding: Binding) -> impl Stream<Item = Result<Bytes, Refusal>> + Send {
    let source = Source { body, buffer: BytesMut::new() };
    let state = match binding {
        Binding::Unsigned => Reader::Plain(Box::new(source), None),
        Binding::Digest(expected) => Reader::Plain(Box::new(source), Some((Sha256::new(), expected))),
        Binding::Chunked { signer, length, trailers } => {
            Reader::Chunked(Box::new(Chunked { source, signer, trailers, left: length, chunk: None }))
        }
    };
    stream::try_unfold(state, |state| async move {
        match state {
            Reader::Plain(mut source, mut digest) => match source.next().await? {
                Some(bytes) => {
                    if let Some((hasher, _)) = &mut digest {
                        hasher.update(&bytes);
                    }
                    Ok(Some((bytes, Reader::Plain(source, digest))))
                }
                None => {
                    check_digest(digest)?;
                    Ok(None)
                }
            },
            Reader::Chunked(mut chunked) => {
                let bytes = chunked.next().await?;
                Ok(bytes.map(|bytes| (bytes, Reader::Chunked(chunked))))
            }
        }
    })
}

fn check_digest(digest: Option<(Sha256, String)>) -> Result<(), Refusal> {
    let Some((hasher, expected)) = digest else { return Ok(()) };
    let computed = hex(hasher.finalize().as_ref());
    if computed == expected {
        return Ok(());
    }
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    Err(Refusal::new("XAmzContentSHA256Mismatch", 400, message)
        .with("ClientComputedContentSHA256", expected)
        .with("S3ComputedContentSHA256", computed))
}

enum Reader {
    Plain(Box<Source>, Option<(Sha256, String)>),
    Chunked(Box<Chunked>),
}

/// The HTTP body, with what was read of it and not used yet.
struct Source {
    body: Inbound,
    buffer: BytesMut,
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(incomplete()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// A line without its CRLF.
    async fn line(&mut self) -> Result<String, Refusal> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                return String::from_utf8(line.to_vec()).map_err(|_| malformed());
            }
            if self.buffer.len() > MAX_LINE {
                return Err(malformed());
            }
            let more = self.next().await?.ok_or_else(incomplete)?;
            self.buffer.extend_from_slice(&more);
        }
    }

    /// At least one and at most `limit` bytes, copied only as far as a line before them was read ahead.
    async fn some(&mut self, limit: u64) -> Result<Bytes, Refusal> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if !self.buffer.is_empty() {
            let take = limit.min(self.buffer.len());
            return Ok(self.buffer.split_to(take).freeze());
        }
        let mut bytes = self.next().await?.ok_or_else(incomplete)?;
        if bytes.len() > limit {
            let rest = bytes.split_off(limit);
            self.buffer.extend_from_slice(&rest);
        }
        Ok(bytes)
    }
}

/// A body in `aws-chunked` framing.
struct Chunked {
    source: Source,
    signer: Option<ChunkSigner>,
    trailers: Trailers,
    /// Bytes that the decoded body still has, by its declared length.
    left: u64,
    /// The chunk that is being read.
    chunk: Option<Chunk>,
}

struct Chunk {
    left: u64,
    signature: Option<String>,
    /// Only where the signature is checked.
    hasher: Option<Sha256>,
}

impl Chunked {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(chunk) = &mut self.chunk else {
                if !self.begin_chunk().await? {
                    return Ok(None);
                }
                continue;
            };
            if chunk.left > 0 {
                let bytes = self.source.some(chunk.left).await?;
                chunk.left -= bytes.len() as u64;
                if let Some(hasher) = &mut chunk.hasher {
                    hasher.update(&bytes);
                }
                self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(incomplete)?;
                return Ok(Some(bytes));
            }
            if !self.source.line().await?.is_empty() {
                return Err(malformed());
            }
            self.end_chunk()?;
        }
    }

    /// Reads `SIZE[;chunk-signature=SIGNATURE]`. The chunk of size 0 is the end of the body.
    async fn begin_chunk(&mut self) -> Result<bool, Refusal> {
        let line = self.source.line().await?;
        let (size, extension) = line.split_once(';').map_or((line.as_str(), None), |(size, rest)| (size, Some(rest)));
        let left = u64::from_str_radix(size.trim(), 16).map_err(|_| malformed())?;
        let signature =
            extension.and_then(|extension| extension.trim().strip_prefix("chunk-signature=")).map(str::to_owned);
        let hasher = self.signer.is_some().then(Sha256::new);
        self.chunk = Some(Chunk { left, signature, hasher });
        if left > 0 {
            return Ok(true);
        }
        self.end_chunk()?;
        self.read_trailers().await?;
        if self.left > 0 {
            return Err(incomplete());
        }
        Ok(false)
    }

    fn end_chunk(&mut self) -> Result<(), Refusal> {
        let Some(Chunk { signature, hasher: Some(hasher), .. }) = self.chunk.take() else { return Ok(()) };
        let Some(signer) = &mut self.signer else { return Ok(()) };
        let accepted = signature.is_some_and(|signature| signer.accepts_chunk(&signature, hasher.finalize().as_ref()));
        if accepted { Ok(()) } else { Err(wrong_signature()) }
    }

    /// Reads `name:value` lines up to an empty one or the end of the body.
    async fn read_trailers(&mut self) -> Result<(), Refusal> {
        let mut canonical = String::new();
        let mut signature = None;
        loop {
            let line = match self.source.line().await {
                Ok(line) if line.is_empty() => break,
                Ok(line) => line,
                // Some clients end the body without the empty line.
                Err(_) if self.source.buffer.is_empty() => break,
                Err(refusal) => return Err(refusal),
            };
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name == "x-amz-trailer-signature" {
                signature = Some(value.to_owned());
                continue;
            }
            canonical.push_str(&format!("{name}:{value}\n"));
            let name = http::HeaderName::try_from(name).map_err(|_| malformed())?;
            let value = http::HeaderValue::from_str(value).map_err(|_| malformed())?;
            self.trailers.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
        }
        match &mut self.signer {
            Some(signer) if !canonical.is_empty() => {
                let accepted = signature.is_some_and(|signature| signer.accepts_trailer(&signature, &canonical));
                if accepted { Ok(()) } else { Err(wrong_signature()) }
            }
            _ => Ok(()),
        }
    }
}

fn incomplete() -> Refusal {
    Refusal::new(
        "IncompleteBody",
        400,
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
}

fn malformed() -> Refusal {
    Refusal::new("IncompleteBody", 400, "The request body is not framed as aws-chunked content.")
}

fn wrong_signature() -> Refusal {
    let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    Refusal::new("SignatureDoesNotMatch", 403, message)
}
