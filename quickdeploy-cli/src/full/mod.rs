//! The full build: what a code patch can't do, from source files to functions that run them.
//!
//! 1. **Look**: the stack, the functions, the role, the bucket and the artifact, the template. Nothing is changed before
//!    all of it has been found in order, nor before the build has succeeded.
//! 2. **Build**: [`build`] here, or [`codebuild`] at AWS.
//! 3. **Package**: [`package`], unless CodeBuild left a zip.
//! 4. **Make** what is missing: [`bucket`], [`role`].
//! 5. **Upload**: [`upload`], unless these bytes are there already. With the package goes what it was made from
//!    ([`crate::built_from`]) and by whom ([`crate::stamp`]).
//! 6. **Stack**: [`infrastructure`], with the [`template`] that points at the package. Artifacts that end in the same
//!    stack take each of the steps [`mod@together`], so that there is one change set for all of them.
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
pub(crate) mod template;
mod together;
mod upload;

use std::time::Instant;

use zipedit::store::Store as _;
use zipedit::store::s3::S3Object;
use zipedit::{Object as _, Precondition, S3Store, Stop};

use crate::aws::Cloud;
use crate::built_from::{self, BuiltFrom};
use crate::compare::blocking;
use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::memory::{Deployed, Memory};
use crate::project::{ArtifactUrl, Project};
use crate::rollout::{self, live_sha256};
use crate::stamp::{self, Writer};
use crate::store_check::Question;
use crate::ui::{Ui, bytes, duration, plural};
use crate::update::{Status, Target};

use build::Built;
use codebuild::Output;
pub(crate) use document::FullDocument;
use document::{BucketDocument, PackageDocument, UploadDocument, Uploaded};
use functions::Wanted;
use package::Package;
use template::PackageLocation;
pub(crate) use together::{Broken, Together, together};

/// One full build of one artifact: the steps, which [`Together`] takes.
#[derive(Debug)]
pub(crate) struct Full<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) project: &'a Project,
    pub(crate) artifact: ArtifactUrl,
}

/// What was found before anything is done.
struct Looked {
    start: Instant,
    document: FullDocument,
    wanted: Wanted,
    bucket: bool,
    object: Option<S3Object>,
    now: BuiltFrom,
}

/// What is to be stored.
struct Prepared {
    looked: Looked,
    /// `None`: CodeBuild left the zip.
    package: Option<Package>,
    output: Option<Output>,
}

/// The artifact in its place, and what is still to be done.
struct Stored {
    start: Instant,
    document: FullDocument,
    wanted: Wanted,
    now: BuiltFrom,
    /// base64 of its SHA-256, where it is known.
    sha256: Option<String>,
    object: S3Object,
}

/// The artifact after the upload.
pub(super) struct Written {
    document: UploadDocument,
    /// base64 of its SHA-256, where it is known.
    sha256: Option<String>,
    object: S3Object,
}

impl Stored {
    /// Where the package lies.
    fn location(&self) -> PackageLocation {
        let BucketDocument { name: bucket, .. } = &self.document.bucket;
        let key = self.document.upload.url.strip_prefix(&format!("s3://{bucket}/")).unwrap_or_default().to_owned();
        PackageLocation { bucket: bucket.clone(), key, version_id: self.document.upload.version_id.clone() }
    }
}

impl Full<'_> {
    /// Everything that can be known beforehand of this artifact and its functions.
    async fn look(&self, with_stack: bool) -> Result<Looked> {
        let start = Instant::now();
        let settings = self.project.settings();
        let now = {
            let project = self.project.clone();
            blocking(move || project.manifests()).await?
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
        let functions = functions::look(self.cloud, settings, with_stack);
        let (role, (bucket, object), wanted) = tokio::try_join!(role, object, functions)?;
        let document = FullDocument {
            command: "full",
            ok: true,
            dry_run: false,
            build: None,
            package: None,
            bucket: BucketDocument { name: self.artifact.bucket.clone(), created: false },
            role,
            upload: self.upload_document(Uploaded::Pending, object.as_ref(), start),
            stack: None,
            newer: None,
            functions: Vec::new(),
            elapsed_ms: 0,
        };
        Ok(Looked { start, document, wanted, bucket, object, now: BuiltFrom::new(&now) })
    }

    /// Builds and packages. Nothing outside of this machine is changed, but what CodeBuild does.
    async fn prepare(&self, mut looked: Looked, interrupts: &Interrupts) -> Result<Prepared> {
        let incomplete = self.project.missing_directory().is_some();
        let (built, output) = self.build(interrupts).await?;
        looked.document.build = built;
        if incomplete {
            // What the build has made is part of the project from now on.
            let project = self.project.clone();
            looked.now = BuiltFrom::new(&blocking(move || project.manifests()).await?);
        }
        let package = match output {
            None => Some(self.package(&mut looked.document).await?),
            Some(_) => None,
        };
        if interrupts.so_far() > 0 {
            return Err(nothing_changed());
        }
        Ok(Prepared { looked, package, output })
    }

    /// Makes what is missing and uploads.
    async fn store(&self, prepared: Prepared, interrupts: &Interrupts) -> Result<Stored> {
        let Prepared { looked, package, output } = prepared;
        let Looked { start, mut document, wanted, bucket, object, now } = looked;
        self.make_what_is_missing(&mut document, bucket).await?;
        if !bucket {
            self.ask_store(self.writes(), interrupts).await?;
        }
        let store = self.place(&now).await?;
        let Written { document: upload, sha256, object } = match (&package, output) {
            (Some(package), _) => self.upload(&store, object, package, &now, interrupts).await?,
            (None, output) => self.take_over(&store, object, output.unwrap_or(Output::Artifact), &now).await?,
        };
        document.upload = upload;
        Ok(Stored { start, document, wanted, now, sha256, object })
    }

    /// Gives the functions the package.
    async fn finish(&self, stored: Stored, with_stack: bool, interrupts: &Interrupts) -> Result<FullDocument> {
        let PackageLocation { bucket, key, version_id } = stored.location();
        let Stored { start, mut document, wanted, sha256, .. } = stored;
        let again = "quickdeploy full".to_owned();
        let etag = document.upload.etag.clone().unwrap_or_default();
        let mut target = Target { bucket, key, version_id, etag, size: document.upload.size, sha256, again };
        let written = document.upload.status != Uploaded::Unchanged;
        let part =
            functions::Part { ui: self.ui, cloud: self.cloud, settings: self.project.settings(), with_stack, written };
        let rolled_out = part.bring_up(wanted, document.role.as_ref(), &mut target, interrupts).await?;
        (document.functions, document.newer) = (rolled_out.outcomes, rolled_out.newer);
        document.ok = document.functions.iter().all(|outcome| outcome.status != Status::Failed);
        self.remember(&document, &target);
        document.elapsed_ms = millis(start);
        Ok(document)
    }

    /// What the artifact's way into its place rests on: that of CodeBuild is copied, any other is uploaded.
    fn writes(&self) -> &'static [Precondition] {
        let full = &self.project.settings().full;
        let is_copied = full.build.is_none() && full.codebuild.is_some();
        if is_copied { Precondition::OF_COPIES } else { Precondition::OF_REPLACEMENTS }
    }

    /// Whether the artifact may be written where it is to be, in a way that rests on `of`.
    async fn ask_store(&self, of: &[Precondition], interrupts: &Interrupts) -> Result<()> {
        let stop = Stop::never();
        let question = Question {
            ui: self.ui,
            cloud: self.cloud,
            artifact: &self.artifact,
            of,
            state_dir: self.project.settings().state_dir.as_deref(),
        };
        let asking = Box::pin(question.settle(&stop));
        interrupts.stopping(self.ui, &self.artifact.to_string(), &stop, asking).await?
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
    async fn place(&self, now: &BuiltFrom) -> Result<S3Store> {
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
            // What makes the files that are packaged, where nothing else does.
            (None, None) => match &settings.compile {
                Some(command) => Ok((Some(build::build(self.ui, settings, command, interrupts).await?), None)),
                None => Ok((None, None)),
            },
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
                "{}, {}, in {}",
                plural(packaged.entries, "file"),
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
        self.ask_store(Precondition::OF_COPIES, &Interrupts::never()).await?;
        let ArtifactUrl { bucket, key } = &self.artifact;
        let copied = store.copy_from(bucket, key, object.etag(), object.size(), object, &Stop::never()).await;
        copied.map_err(|error| self.cloud.explain_engine(&error))
    }

    /// The stack doesn't have the template that the artifact was uploaded with: the next deploy has to say so.
    async fn disown_template(&self, stored: &Stored) {
        let Some((template, _)) = &self.project.settings().full.template else { return };
        let relabelled = match self.place(&stored.now.without(template)).await {
            Ok(store) => self.relabel(&store, &stored.object).await.map(drop),
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
    fn remember(&self, document: &FullDocument, target: &Target) {
        let sha256 = target.sha256.clone().or_else(|| live_sha256(&document.functions));
        let deployed =
            Deployed::new(&target.etag, target.version_id.as_deref(), sha256, rollout::behind(&document.functions));
        let memory = Memory::in_directory(self.project.settings().state_dir.as_deref());
        if let Err(error) = memory.store(&self.artifact.to_string(), deployed) {
            self.ui.warning(&error, error.hints());
        }
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
