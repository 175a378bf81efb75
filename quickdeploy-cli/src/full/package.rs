//! The project as a zip in a temporary file, with what identifies its bytes.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::compare::{blocking, in_background};
use crate::error::{Error, Result};
use crate::project::{Packaged, Project};

/// A package that is ready to be uploaded. Its file goes with it.
#[derive(Debug)]
pub(super) struct Package {
    file: NamedTempFile,
    pub(super) packaged: Packaged,
    /// base64 of its SHA-256: what Lambda calls CodeSha256.
    pub(super) sha256: String,
    /// base64 of its CRC-64/NVME: what S3 keeps of an object.
    pub(super) crc64: String,
}

impl Package {
    /// Packages the project.
    ///
    /// # Errors
    ///
    /// It is too large for Lambda, or has no files; the disk is full.
    pub(super) async fn make(project: &Project) -> Result<Self> {
        let project = project.clone();
        let no_file = |error: &std::io::Error| {
            Error::new("File", "could not write the package to a temporary file")
                .because(error)
                .hint("is the disk full? another directory can be given in TMPDIR")
        };
        let (file, packaged) = {
            let file = NamedTempFile::new().map_err(|error| no_file(&error))?;
            blocking(move || {
                let packaged = project.package(BufWriter::new(file.as_file()))?;
                Ok((file, packaged))
            })
            .await?
        };
        let (file, sums) = in_background(move || {
            let sums = sums(file.as_file());
            (file, sums)
        })
        .await?;
        let (sha256, crc64) = sums.map_err(|error| no_file(&error))?;
        Ok(Self { file, packaged, sha256, crc64 })
    }

    /// The bytes of a range.
    pub(super) async fn read(&self, range: Range<u64>) -> std::io::Result<Bytes> {
        let path = self.file.path().to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(range.start))?;
            let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
            file.read_exact(&mut bytes)?;
            Ok(bytes.into())
        });
        read.await.map_err(std::io::Error::other)?
    }
}

/// SHA-256 and CRC-64/NVME of a file, in base64.
fn sums(mut file: &File) -> std::io::Result<(String, String)> {
    file.seek(SeekFrom::Start(0))?;
    let (mut sha256, mut crc64) = (Sha256::new(), Crc::new(CrcAlgorithm::Crc64Nvme));
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        sha256.update(&buffer[..read]);
        crc64.update(&buffer[..read]);
    }
    Ok((BASE64.encode(sha256.finalize()), BASE64.encode(crc64.finalize().to_be_bytes())))
}
