//! A dry run: what can be known without doing it.

use super::Full;
use super::document::FullDocument;
use super::functions::Wanted;
use super::infrastructure::Infrastructure;
use super::role::Role;
use super::template::PackageLocation;
use crate::error::Result;
use crate::interrupt::Interrupts;
use crate::update::{Outcome, Status};

impl Full<'_> {
    /// What a dry run can know: the change set against the artifact that is there now.
    pub(super) async fn rehearse(
        &self,
        document: &mut FullDocument,
        infrastructure: Option<&Infrastructure>,
        wanted: &Wanted,
        bucket: bool,
        interrupts: &Interrupts,
    ) -> Result<()> {
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
        if let Some(infrastructure) = infrastructure {
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
            });
            let deployed = self.deploy_stack(infrastructure, &location, Some(&role), interrupts).await?;
            document.stack = Some(deployed);
        }
        document.functions = wanted.there.iter().map(|function| Outcome::untouched(function, Status::Stale)).collect();
        Ok(())
    }
}
