//! The full build: what a code patch can't do, from source files to functions that run them.
//!
//! 1. **Look**: the stack, the functions, the role, the bucket and the artifact, the template. Nothing is changed before
//!    all of it has been found in order, nor before the build has succeeded.
//! 2. **Build**: [`build`] here, or [`codebuild`] at AWS.
//! 3. **Package**: [`package`], unless CodeBuild left a zip.
//! 4. **Make** what is missing: [`bucket`], [`role`].
//! 5. **Upload**: [`upload`], unless these bytes are there already. With the package goes what it was made from
//!    ([`crate::built_from`]) and by whom ([`crate::stamp`]).
//! 6. **Stack**: [`infrastructure`], with the [`template`] that points at the package.
//! 7. **Functions**: [`functions`] creates those that are missing, and gives the package to those that run something
//!    else. After a stack update, too: CloudFormation doesn't touch a function whose S3 key and version didn't change,
//!    whatever it runs by then.

pub(crate) mod bucket;
mod build;
mod codebuild;
mod create;
mod document;
mod functions;
mod infrastructure;
mod package;
mod placeholders;
mod rehearse;
mod role;
mod take_over;
mod template;
mod upload;

use std::time::Instant;

use zipedit::store::Store as _;
use zipedit::store::s3::S3Object;
use zipedit::{Object as _, S3Store};

use crate::aws::Cloud;
use crate::built_from::{self, BuiltFrom};
use crate::compare::blocking;
use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::memory::{Deployed, Memory};
use crate::project::{ArtifactUrl, Project};
use crate::stack::{self, Mode, Stacks};
use crate::stamp::{self, Writer};
use crate::ui::{Ui, bytes, count, duration};
use crate::update::{Status, Target};

use build::Built;
use codebuild::Output;
pub(crate) use document::FullDocument;
use document::{BucketDocument, PackageDocument, UploadDocument, Uploaded};
use functions::Wanted;
use infrastructure::Infrastructure;
use package::Package;
use role::Role;
use template::PackageLocation;

/// One full build of one artifact.
#[derive(Debug)]
pub(crate) struct Full<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) project: &'a Project,
    pub(crate) artifact: ArtifactUrl,
    /// What becomes of the change set; a dry run changes nothing else either.
    pub(crate) mode: Mode,
}

/// What was found before anything is done.
struct Found {
    infrastructure: Option<Infrastructure>,
    wanted: Wanted,
    /// `None`: there is none, or none is asked for.
    role: Option<Role>,
    bucket: bool,
    object: Option<S3Object>,
    now: BuiltFrom,
}

/// The artifact after the upload.
pub(super) struct Written {
    document: UploadDocument,
    /// base64 of its SHA-256, where it is known.
    sha256: Option<String>,
    object: S3Object,
}

impl Full<'_> {
    /// Carries it out.
    ///
    /// # Errors
    ///
    /// Everything that ends it before the functions are updated. That single functions failed is in the answer.
    pub(crate) async fn carry_out(&self, interrupts: &Interrupts) -> Result<FullDocument> {
        let start = Instant::now();
        let Found { infrastructure, wanted, role, bucket, object, now } = {
            let _progress = self.ui.progress("Looking at what is there");
            tokio::select! {
                found = self.look() => found?,
                () = interrupts.nth(1) => return Err(nothing_changed()),
            }
        };
        let dry_run = self.mode == Mode::DryRun;
        let mut document = FullDocument {
            command: "full",
            ok: true,
            dry_run,
            build: None,
            package: None,
            bucket: BucketDocument { name: self.artifact.bucket.clone(), created: false },
            role,
            upload: self.upload_document(Uploaded::Pending, object.as_ref(), start),
            stack: None,
            functions: Vec::new(),
            elapsed_ms: 0,
        };
        if dry_run {
            self.rehearse(&mut document, infrastructure.as_ref(), &wanted, bucket, interrupts).await?;
            document.elapsed_ms = millis(start);
            return Ok(document);
        }

        let (built, output) = self.build(interrupts).await?;
        document.build = built;
        let package = match output {
            None => Some(self.package(&mut document).await?),
            Some(_) => None,
        };
        if interrupts.so_far() > 0 {
            return Err(nothing_changed());
        }
        self.make_what_is_missing(&mut document, bucket).await?;
        let store = self.store(&now).await?;
        let Written { document: upload, sha256, object: written } = match (&package, output) {
            (Some(package), _) => self.upload(&store, object, package, &now, interrupts).await?,
            (None, output) => self.take_over(&store, object, output.unwrap_or(Output::Artifact), &now).await?,
        };
        document.upload = upload;

        let location = PackageLocation {
            bucket: self.artifact.bucket.clone(),
            key: self.artifact.key.clone(),
            version_id: document.upload.version_id.clone(),
        };
        if let Some(infrastructure) = &infrastructure {
            let deploying = self.deploy_stack(infrastructure, &location, document.role.as_ref(), interrupts).await;
            let deployed = match deploying {
                Ok(deployed) if deployed.changed && !deployed.executed => {
                    Err(Error::new("Refused", "the change set was not executed, as you said"))
                }
                deployed => deployed,
            };
            match deployed {
                Ok(deployed) => document.stack = Some(deployed),
                Err(error) => {
                    self.disown_template(&written, &now).await;
                    return Err(error.hint(format!(
                        "{} is uploaded already; `quickdeploy full` goes on from there",
                        self.artifact
                    )));
                }
            }
        }
        let mut target = Target {
            bucket: location.bucket,
            key: location.key,
            version_id: location.version_id,
            size: document.upload.size,
            sha256,
            again: "quickdeploy full".to_owned(),
        };
        let etag = document.upload.etag.clone().unwrap_or_default();
        let with_stack = infrastructure.is_some();
        let part = functions::Part { ui: self.ui, cloud: self.cloud, settings: self.project.settings(), with_stack };
        document.functions = part.bring_up(wanted, document.role.as_ref(), &mut target, &etag, interrupts).await?;
        document.ok = document.functions.iter().all(|outcome| outcome.status != Status::Failed);
        self.remember(&document, target.sha256);
        document.elapsed_ms = millis(start);
        Ok(document)
    }

    /// Everything that can be known beforehand, and everything that would end it later.
    async fn look(&self) -> Result<Found> {
        let settings = self.project.settings();
        let infrastructure = Infrastructure::of(settings)?;
        let now = {
            let project = self.project.clone();
            blocking(move || project.manifests()).await?
        };
        let stack = async {
            if let Some(Infrastructure { stack, .. }) = &infrastructure {
                stack::plan(Stacks::new(self.cloud).find(stack).await?.as_ref(), stack)?;
            }
            Ok(())
        };
        let role = async {
            match &settings.full.role {
                Some(name) => role::find(self.cloud, name).await,
                None => Ok(None),
            }
        };
        let object = async {
            let bucket = bucket::exists(self.cloud, &self.artifact.bucket).await?;
            let object = if bucket { self.object().await? } else { None };
            Ok::<_, Error>((bucket, object))
        };
        let functions = functions::look(self.cloud, settings, infrastructure.is_some());
        let ((), role, (bucket, object), wanted) = tokio::try_join!(stack, role, object, functions)?;
        Ok(Found { infrastructure, wanted, role, bucket, object, now: BuiltFrom::new(&now) })
    }

    /// The artifact as it is. `None`: there is none yet.
    async fn object(&self) -> Result<Option<S3Object>> {
        let store = S3Store::new(self.cloud.s3.clone(), &self.artifact.bucket, &self.artifact.key);
        match store.head().await {
            Ok(object) => Ok(Some(object)),
            Err(zipedit::StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.cloud.explain_engine(&zipedit::Error::store(store.location(), error))),
        }
    }

    /// The artifact's place, with what its next version will say of itself.
    async fn store(&self, now: &BuiltFrom) -> Result<S3Store> {
        let stamp = stamp::stamp(Writer::Full, &self.project.settings().root)
            .await
            .lasting(built_from::KEY, now.encode())
            .map_err(|error| Error::new("Bug", "could not write down what the package is made from").because(&error))?;
        Ok(S3Store::new(self.cloud.s3.clone(), &self.artifact.bucket, &self.artifact.key).stamped(stamp))
    }

    async fn build(&self, interrupts: &Interrupts) -> Result<(Option<Built>, Option<Output>)> {
        let settings = self.project.settings();
        match (&settings.full.build, &settings.full.codebuild) {
            (Some(command), _) => Ok((Some(build::build(self.ui, settings, command, interrupts).await?), None)),
            (None, Some(project)) => {
                let (built, output) =
                    codebuild::build(self.ui, self.cloud, project, &self.artifact, interrupts).await?;
                Ok((Some(built), Some(output)))
            }
            (None, None) => Ok((None, None)),
        }
    }

    async fn package(&self, document: &mut FullDocument) -> Result<Package> {
        let start = Instant::now();
        let progress = self.ui.progress("Packaging");
        let package = Package::make(self.project).await?;
        drop(progress);
        let packaged = package.packaged;
        self.ui.status(
            "Packaged",
            format!(
                "{} files, {}, in {}",
                count(packaged.entries as u64),
                bytes(packaged.bytes),
                duration(start.elapsed())
            ),
        );
        document.package = Some(PackageDocument {
            entries: packaged.entries,
            size: packaged.bytes,
            unzipped_size: packaged.unzipped,
            code_sha256: package.sha256.clone(),
        });
        Ok(package)
    }

    async fn make_what_is_missing(&self, document: &mut FullDocument, bucket: bool) -> Result<()> {
        if !bucket {
            bucket::create(self.cloud, &self.artifact.bucket).await?;
            document.bucket.created = true;
            self.ui.status("Created", format!("the bucket `{}` in {}", self.artifact.bucket, self.cloud.region));
            self.ui.detail("it keeps versions, and nobody is let in from outside");
        }
        if let (Some(name), None) = (&self.project.settings().full.role, &document.role) {
            document.role = Some(role::create(self.cloud, name).await?);
            self.ui.status("Created", format!("the role `{name}`: functions may write their logs with it"));
        }
        Ok(())
    }

    async fn upload(
        &self,
        store: &S3Store,
        object: Option<S3Object>,
        package: &Package,
        now: &BuiltFrom,
        interrupts: &Interrupts,
    ) -> Result<Written> {
        let start = Instant::now();
        let sha256 = Some(package.sha256.clone());
        if let Some(object) = &object
            && upload::is_there(self.cloud, &self.artifact.bucket, &self.artifact.key, object, package).await
        {
            self.ui.status("Unchanged", format!("{}: it has these bytes already", self.artifact));
            let mut object = object.clone();
            if object.metadata(built_from::KEY) != Some(now.encode().as_str()) {
                object = self.relabel(store, &object).await?;
            }
            return Ok(Written {
                document: self.upload_document(Uploaded::Unchanged, Some(&object), start),
                sha256,
                object,
            });
        }
        let status = if object.is_some() { Uploaded::Replaced } else { Uploaded::Created };
        let base = object.unwrap_or_else(|| store.absent());
        let written = upload::upload(self.ui, self.cloud, store, &base, package, interrupts).await?;
        self.ui.status(
            "Uploaded",
            format!("{} to {} in {}", bytes(package.packaged.bytes), self.artifact, duration(start.elapsed())),
        );
        Ok(Written { document: self.upload_document(status, Some(&written), start), sha256, object: written })
    }

    /// Gives the artifact the metadata of `store`, inside S3.
    async fn relabel(&self, store: &S3Store, object: &S3Object) -> Result<S3Object> {
        let ArtifactUrl { bucket, key } = &self.artifact;
        let copied = store.copy_from(bucket, key, object.etag(), object.size(), object).await;
        copied.map_err(|error| self.cloud.explain_engine(&error))
    }

    /// The stack doesn't have the template that the artifact was uploaded with: the next deploy has to say so.
    async fn disown_template(&self, written: &S3Object, now: &BuiltFrom) {
        let Some((template, _)) = &self.project.settings().full.template else { return };
        let relabelled = match self.store(&now.without(template)).await {
            Ok(store) => self.relabel(&store, written).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = relabelled {
            self.ui.warning(
                &error,
                &["the next deploy will not say that the template is still to be deployed".to_owned()],
            );
        }
    }

    fn upload_document(&self, status: Uploaded, object: Option<&S3Object>, start: Instant) -> UploadDocument {
        UploadDocument {
            url: self.artifact.to_string(),
            status,
            etag: object.map(|object| object.etag().to_owned()),
            version_id: object.and_then(|object| object.version_id()).map(str::to_owned),
            size: object.map_or(0, zipedit::Object::size),
            elapsed_ms: millis(start),
        }
    }

    /// What the next deploy is quicker for.
    fn remember(&self, document: &FullDocument, sha256: Option<String>) {
        let failed = document.functions.iter().filter(|outcome| outcome.status == Status::Failed);
        let behind = failed.map(|outcome| outcome.name.clone()).collect();
        let UploadDocument { etag, version_id, .. } = &document.upload;
        let deployed = Deployed::new(etag.as_deref().unwrap_or_default(), version_id.as_deref(), sha256, behind);
        let memory = Memory::in_directory(self.project.settings().state_dir.as_deref());
        if let Err(error) = memory.store(&self.artifact.to_string(), deployed) {
            self.ui.warning(&error, error.hints());
        }
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
