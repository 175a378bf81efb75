//! What CodeBuild left becomes the artifact: inside S3, nothing is downloaded.

use std::time::Instant;

use zipedit::store::s3::S3Object;
use zipedit::{Object as _, S3Store, Stop};

use super::codebuild::Output;
use super::document::Uploaded;
use super::{Full, Written};
use crate::built_from::{self, BuiltFrom};
use crate::error::{Error, Result};
use crate::project::UNZIPPED_LIMIT;
use crate::ui::bytes;

impl Full<'_> {
    /// Copies the zip to the artifact's place, or onto itself to write down what it was built from.
    ///
    /// # Errors
    ///
    /// There is no zip, or not a new one; it is too large for Lambda; somebody else wrote meanwhile.
    pub(super) async fn take_over(
        &self,
        store: &S3Store,
        before: Option<S3Object>,
        output: Output,
        now: &BuiltFrom,
    ) -> Result<Written> {
        let start = Instant::now();
        let from = match &output {
            Output::Elsewhere(url) => url.clone(),
            Output::Artifact => self.artifact.clone(),
        };
        let source = S3Store::new(self.cloud.s3.clone(), &from.bucket, &from.key);
        let zip = zipedit::open(&source).await.map_err(|error| {
            let told = self.cloud.explain_engine(&error);
            match error {
                zipedit::Error::ArtifactNotFound { .. } | zipedit::Error::NotAZip { .. } => told.hint(format!(
                    "let the CodeBuild project leave a zip: artifacts of type S3 with packaging ZIP, best at {}",
                    self.artifact
                )),
                _ => told,
            }
        })?;
        let found = zip.object();
        let unzipped: u64 = zip.directory().entries().map(|entry| entry.size()).sum();
        if unzipped > UNZIPPED_LIMIT {
            return Err(Error::new(
                "TooLarge",
                format!("{from} has {} unzipped, and Lambda takes {}", bytes(unzipped), bytes(UNZIPPED_LIMIT)),
            ));
        }
        let base = match output {
            Output::Elsewhere(_) => before.unwrap_or_else(|| store.absent()),
            Output::Artifact => {
                let is_new = |before: &S3Object| {
                    before.version_id() != found.version_id() || before.last_modified() != found.last_modified()
                };
                if before.as_ref().is_some_and(|before| !is_new(before)) {
                    return Err(Error::new("NoPackage", format!("the build left {} as it was", self.artifact)).hint(
                        "let the CodeBuild project leave a zip there: artifacts of type S3 with packaging ZIP, or a \
                         command that uploads it",
                    ));
                }
                if found.metadata(built_from::KEY) == Some(now.encode().as_str()) {
                    // Its own commands know what it is made from.
                    return Ok(Written {
                        document: self.upload_document(Uploaded::ByCodebuild, Some(found), start),
                        sha256: None,
                        object: found.clone(),
                    });
                }
                found.clone()
            }
        };
        let written = store
            .copy_from(&from.bucket, &from.key, found.etag(), found.size(), &base, &Stop::never())
            .await
            .map_err(|error| self.cloud.explain_engine(&error))?;
        self.ui.status("Taken over", format!("{} from CodeBuild, {}", self.artifact, bytes(found.size())));
        Ok(Written {
            document: self.upload_document(Uploaded::ByCodebuild, Some(&written), start),
            sha256: None,
            object: written,
        })
    }
}
