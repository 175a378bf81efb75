//! A dry run: what can be known without doing it.

use super::document::FullDocument;
use super::infrastructure::Filling;
use super::role::Role;
use super::template::PackageLocation;
use super::{Full, Looked, millis};
use crate::update::{Outcome, Status};

impl Full<'_> {
    /// What a dry run can know without the stack, and what the stack's change set is to be filled with: the artifact
    /// that is there now.
    pub(super) fn rehearse(&self, looked: Looked) -> (FullDocument, Filling) {
        let Looked { start, mut document, wanted, bucket, .. } = looked;
        document.dry_run = true;
        let full = &self.project.settings().full;
        let would = |verb: &str, what: String| self.ui.status(verb, what);
        match (&full.build, &full.codebuild) {
            (Some(command), _) => would("Would build", self.ui.fitting(&format!("`{command}`"))),
            (_, Some(project)) => would("Would build", format!("`{project}` at CodeBuild")),
            (None, None) => {}
        }
        if !bucket {
            would("Would create", format!("the bucket `{}` in {}", self.artifact.bucket, self.cloud.region));
        }
        if let (Some(name), None) = (&full.role, &document.role) {
            would("Would create", format!("the role `{name}`"));
        }
        would("Would upload", format!("the package to {}", self.artifact));
        for name in wanted.missing.keys() {
            would("Would create", format!("the function `{name}`"));
        }
        // Of what isn't there yet, the template's values are not known yet either.
        let unknown = || "known-after-the-upload".to_owned();
        let location = PackageLocation {
            bucket: self.artifact.bucket.clone(),
            key: self.artifact.key.clone(),
            version_id: Some(document.upload.version_id.clone().unwrap_or_else(unknown)),
        };
        let role = document.role.clone().unwrap_or_else(|| Role {
            arn: "arn:aws:iam::000000000000:role/known-after-its-creation".to_owned(),
            created: false,
            settling: false,
        });
        document.functions = wanted.there.iter().map(|function| Outcome::untouched(function, Status::Stale)).collect();
        document.elapsed_ms = millis(start);
        (document, Filling::new(location, Some(role)))
    }
}
