//! The package that Lambda runs, as `GetFunction` lets one download it.
//!
//! `Code.Location` is a presigned URL: whoever has it can read the code for ten minutes. So it is never printed, not
//! even in an error. It is no part of AWS's API but a plain HTTPS address, so the SDK's own HTTP client is asked without
//! its signing.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;
use zipedit::Directory;
use zipedit::directory::Search;

use crate::aws::transport;
use crate::error::{Error, Result};

/// As much of the end as is read at first: the directory of some 4,000 entries.
const TAIL: u64 = 512 << 10;
/// A server that ignores ranges sends everything; more than this is not taken. Lambda's own limit for a package is
/// 250 MiB unzipped.
const MOST: u64 = 300 << 20;

/// Where a function's package can be downloaded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LiveCode {
    url: String,
}

impl fmt::Debug for LiveCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveCode")
    }
}

impl LiveCode {
    /// `url`: `Code.Location`.
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// The package's central directory, of a package of `size` bytes.
    ///
    /// # Errors
    ///
    /// It can't be downloaded any more, or is no zip.
    pub(crate) async fn directory(&self, size: u64) -> Result<Directory> {
        let mut tail = self.range(size.saturating_sub(TAIL), size).await?;
        loop {
            let unusable = |error: zipedit::FormatError| {
                Error::new("NotAZip", "the package that the function runs can't be read").because(&error)
            };
            match Directory::find(&tail, size).map_err(unusable)? {
                Search::Found(directory) => return Ok(directory),
                Search::ReadFrom(from) => tail = self.range(from, size).await?,
            }
        }
    }

    /// All of it, into a file. Answers its length in bytes.
    ///
    /// # Errors
    ///
    /// It can't be downloaded any more, or not be written.
    pub(crate) async fn download(&self, file: &Path) -> Result<u64> {
        let response = self.get(None).await?;
        let written = |error: &std::io::Error| Error::file("write", file, error);
        let mut out = tokio::fs::File::create(file).await.map_err(|error| written(&error))?;
        let mut body = ByteStream::new(response.into_body());
        let mut length = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| failed().because(&error))?;
            length += chunk.len() as u64;
            out.write_all(&chunk).await.map_err(|error| written(&error))?;
        }
        out.flush().await.map_err(|error| written(&error))?;
        Ok(length)
    }

    /// Bytes `from..size`.
    async fn range(&self, from: u64, size: u64) -> Result<Bytes> {
        let response = self.get(Some(format!("bytes={from}-{}", size.saturating_sub(1)))).await?;
        let partial = response.status().as_u16() == 206;
        let mut body = ByteStream::new(response.into_body());
        let mut read = BytesMut::new();
        while let Some(chunk) = body.next().await {
            read.extend_from_slice(&chunk.map_err(|error| failed().because(&error))?);
            if read.len() as u64 > MOST {
                return Err(failed().cause("it is longer than Lambda allows"));
            }
        }
        let mut read = read.freeze();
        let wanted = size - from;
        if !partial && read.len() as u64 == size {
            read = read.slice(usize::try_from(from).unwrap_or(usize::MAX)..);
        }
        if read.len() as u64 != wanted {
            return Err(failed().cause(format!("{} bytes came, not {wanted}", read.len())));
        }
        Ok(read)
    }

    async fn get(&self, range: Option<String>) -> Result<HttpResponse> {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(30))
            .build();
        let connector = transport::connector(&settings);
        let mut request = HttpRequest::get(self.url.as_str()).map_err(|_| failed().cause("its address is no URL"))?;
        if let Some(range) = range {
            request.headers_mut().insert("range", range);
        }
        // The error's text may hold the address.
        let response = connector.call(request).await.map_err(|_| {
            failed().cause("no answer").hint("it comes from S3 over HTTPS: is a proxy needed (HTTPS_PROXY)?")
        })?;
        match response.status().as_u16() {
            200 | 206 => Ok(response),
            status => Err(failed().cause(format!("HTTP status {status}"))),
        }
    }
}

fn failed() -> Error {
    Error::new("LiveCode", "the package that the function runs could not be downloaded from Lambda")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_not_shown() {
        let code = LiveCode::new("https://bucket/key?X-Amz-Signature=secret");
        assert!(!format!("{code:?}").contains("secret"));
    }

    #[tokio::test]
    async fn nor_in_an_error() {
        let code = LiveCode::new("http://127.0.0.1:1/key?X-Amz-Signature=secret");
        let error = code.directory(1000).await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
