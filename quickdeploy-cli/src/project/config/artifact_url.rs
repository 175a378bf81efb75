//! `s3://bucket/key`.

use std::fmt;

/// An object in S3, written `s3://bucket/key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArtifactUrl {
    /// The bucket's name.
    pub(crate) bucket: String,
    /// The object's key, without a leading slash.
    pub(crate) key: String,
}

impl fmt::Display for ArtifactUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl std::str::FromStr for ArtifactUrl {
    type Err = String;

    /// The error says what is wrong and what a right one looks like.
    fn from_str(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "write it as `s3://bucket/path/artifact.zip`";
        let Some(rest) = text.strip_prefix("s3://") else {
            return Err(format!("`{text}` is not an S3 URL: {SHAPE}"));
        };
        let Some((bucket, key)) = rest.split_once('/') else {
            return Err(format!("`{text}` names a bucket but no object in it: {SHAPE}"));
        };
        // Bucket names: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        let well_formed = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            && bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
            && bucket.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !well_formed {
            return Err(format!(
                "`{bucket}` is not a bucket name: 3 to 63 lower-case letters, digits, hyphens and dots, \
                 with a letter or digit at both ends"
            ));
        }
        if key.is_empty() || key.ends_with('/') {
            return Err(format!("`{text}` names a folder, not an object: {SHAPE}"));
        }
        if key.len() > 1024 {
            return Err(format!("the object key is {} bytes long; S3 allows 1,024", key.len()));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}
