//! Where in S3 the package lies that functions run.
//!
//! Lambda itself does not say: in COPY mode, `GetFunction` gives a link to Lambda's own copy and no trace of the object
//! that it was made from. So several places are asked, the most certain first:
//!
//! 1. what the user says (`--artifact`);
//! 2. `Code.ResolvedS3Object` of a function in REFERENCE mode;
//! 3. the processed template of the stack that made the function;
//! 4. the place where the tool whose files are here puts its packages;
//! 5. every bucket of the region that may be listed, for an object of the package's length.
//!
//! A place is only believed when the object is what the functions run: its length is CodeSize, and its SHA-256 is
//! CodeSha256 (S3's own checksum, or its central directory is that of the live package, or it is read and hashed).

use std::fmt;

use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use serde::Serialize;
use zipedit::{Directory, S3Store};

use super::live::Package;
use super::search::{self, Area};
use super::template::Code;
use crate::aws::Cloud;
use crate::denial::statement;
use crate::digest;
use crate::error::Error;
use crate::project::ArtifactUrl;
use crate::ui::Ui;
use crate::update::Target;

/// Up to this length, in bytes, an object is hashed without a look at the live package's directory.
const SMALL: u64 = 1 << 20;
/// Why an object can't be used that isn't there.
pub(crate) const NO_SUCH_OBJECT: &str = "there is no such object";

/// An object that may be the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) url: ArtifactUrl,
    /// Who says so: `the stack's template`.
    pub(crate) from: String,
    pub(crate) state: State,
}

/// How an object compares with what the functions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It is what they run.
    Runs,
    /// It is something else: why that is known.
    Differs(String),
    /// It is not there, or may not be read: why.
    Unusable(String),
}

impl State {
    /// As a part of a sentence.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Runs => "it is what the functions run".to_owned(),
            Self::Differs(why) => format!("the functions run other code ({why})"),
            Self::Unusable(why) => why.clone(),
        }
    }
}

/// One place that was asked, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Tried {
    /// What was asked.
    pub(crate) place: String,
    /// What came of it.
    pub(crate) result: String,
}

impl Tried {
    pub(crate) fn new(place: impl Into<String>, result: impl Into<String>) -> Self {
        Self { place: place.into(), result: result.into() }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.result)
    }
}

/// What to look for, and where to begin.
pub(crate) struct Wanted<'a> {
    pub(crate) package: &'a Package,
    /// Where the stack's template says that the code of these functions is.
    pub(crate) templates: Vec<Code>,
    /// Where tools put their packages.
    pub(crate) areas: &'a [Area],
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Located {
    /// Those that the functions run. Several: the same package lies in several places.
    pub(crate) running: Vec<Candidate>,
    /// Those that somebody names, but that the functions do not run.
    pub(crate) others: Vec<Candidate>,
    pub(crate) tried: Vec<Tried>,
}

/// Asks one place after the other until the package is found.
pub(crate) async fn locate(ui: &Ui, cloud: &Cloud, wanted: &Wanted<'_>) -> Located {
    let mut located = Located::default();
    let mut named: Vec<(ArtifactUrl, &str)> = Vec::new();
    for live in &wanted.package.functions {
        if let Some(reference) = &live.function.referenced {
            let url = ArtifactUrl { bucket: reference.bucket.clone(), key: reference.key.clone() };
            named.push((url, "the object that the functions run from (REFERENCE mode)"));
        }
    }
    if named.is_empty() {
        located.tried.push(Tried::new("REFERENCE mode", "the functions run from Lambda's own copy"));
    }
    let mut unknown = Vec::new();
    for code in &wanted.templates {
        match code {
            Code::S3 { bucket, key, .. } => {
                named.push((ArtifactUrl { bucket: bucket.clone(), key: key.clone() }, "the stack's template"));
            }
            Code::Unknown(why) => unknown.push(why.clone()),
            Code::Local(path) => unknown.push(format!("it names the local path {path}")),
            Code::Inline | Code::Image => unknown.push("the code is in the template".to_owned()),
        }
    }
    unknown.sort();
    unknown.dedup();
    located.tried.extend(unknown.into_iter().map(|why| Tried::new("the stack's template", why)));

    let mut seen: Vec<ArtifactUrl> = Vec::new();
    for (url, from) in named {
        if seen.contains(&url) {
            continue;
        }
        let state = compare(cloud, &url, wanted.package).await;
        located.take(Candidate { url: url.clone(), from: from.to_owned(), state });
        seen.push(url);
    }
    if !located.running.is_empty() {
        return located;
    }
    let progress = ui.progress("Looking through buckets");
    for area in wanted.areas {
        located.search(cloud, wanted.package, std::slice::from_ref(area), &mut seen).await;
        if !located.running.is_empty() {
            return located;
        }
    }
    match search::buckets(cloud).await {
        Ok(areas) => located.search(cloud, wanted.package, &areas, &mut seen).await,
        Err(error) => {
            located.tried.push(Tried::new("buckets", format!("they may not be listed ({})", error.with_hints())));
        }
    }
    drop(progress);
    located
}

impl Located {
    async fn search(&mut self, cloud: &Cloud, package: &Package, areas: &[Area], seen: &mut Vec<ArtifactUrl>) {
        let found = search::objects_of_size(cloud, areas, package.size).await;
        for url in found.urls {
            if seen.contains(&url) {
                continue;
            }
            seen.push(url.clone());
            let state = compare(cloud, &url, package).await;
            let candidate = Candidate { url, from: "a search for the package".to_owned(), state };
            // Equal length alone makes nothing an artifact; that one can't be read may be why none is found.
            if !matches!(candidate.state, State::Differs(_)) {
                self.take(candidate);
            }
        }
        self.tried.push(Tried::new(found.place, found.result));
    }

    fn take(&mut self, candidate: Candidate) {
        let result = candidate.state.said();
        self.tried.push(Tried::new(format!("{}, {}", candidate.from, candidate.url), result));
        match candidate.state {
            State::Runs => self.running.push(candidate),
            State::Differs(_) => self.others.push(candidate),
            State::Unusable(_) => {}
        }
    }
}

/// Whether the newest version of the object is what the functions run.
pub(crate) async fn compare(cloud: &Cloud, url: &ArtifactUrl, package: &Package) -> State {
    let head =
        cloud.s3.head_object().bucket(&url.bucket).key(&url.key).checksum_mode(ChecksumMode::Enabled).send().await;
    let head = match head {
        Ok(head) => head,
        Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => {
            return State::Unusable(NO_SUCH_OBJECT.to_owned());
        }
        // A HEAD request's errors have no body: the status is all that is said.
        Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 403) => {
            let read = statement("s3:GetObject", &format!("arn:aws:s3:::{}/{}", url.bucket, url.key));
            let list = statement("s3:ListBucket", &format!("arn:aws:s3:::{}", url.bucket));
            return State::Unusable(format!(
                "it may not be read, or isn't there, which S3 says only to who may list the bucket; allow it: {read}, {list}"
            ));
        }
        Err(error) => return State::Unusable(cloud.explain("it may not be read", &error).with_hints()),
    };
    let size = head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
    if size != package.size {
        let age =
            if older_version(cloud, url, package).await { ": an older version of the object may be it" } else { "" };
        return State::Differs(format!("it has {size} bytes, theirs {}{age}", package.size));
    }
    let verdict = |same: bool| {
        if same { State::Runs } else { State::Differs("it is as long, but has another content".to_owned()) }
    };
    let whole = head.checksum_type().is_none_or(|kind| *kind == ChecksumType::FullObject);
    if let Some(sum) = head.checksum_sha256().filter(|sum| whole && !sum.contains('-')) {
        return verdict(sum == package.sha256);
    }
    if size > SMALL
        && let Some(live) = package.functions.iter().find_map(|live| live.code.as_ref())
        && let Ok(theirs) = live.directory(size).await
    {
        let store = S3Store::new(cloud.s3.clone(), &url.bucket, &url.key);
        return match zipedit::open(&store).await {
            Ok(artifact) => verdict(same_directory(artifact.directory(), &theirs)),
            Err(error) => State::Unusable(cloud.explain_engine(&error).with_hints()),
        };
    }
    let target = Target {
        bucket: url.bucket.clone(),
        key: url.key.clone(),
        version_id: head.version_id().map(str::to_owned),
        etag: head.e_tag().unwrap_or_default().to_owned(),
        size,
        sha256: None,
        again: String::new(),
    };
    match digest::sha256(cloud, &target).await {
        Ok(sha256) => verdict(sha256 == package.sha256),
        Err(error) => State::Unusable(error.with_hints()),
    }
}

/// Every name, checksum, length and place is the same, in the same order.
fn same_directory(ours: &Directory, theirs: &Directory) -> bool {
    ours.start() == theirs.start()
        && ours.len() == theirs.len()
        && ours.entries().zip(theirs.entries()).all(|(a, b)| {
            a.name_bytes() == b.name_bytes()
                && a.crc32() == b.crc32()
                && a.size() == b.size()
                && a.span() == b.span()
                && a.extra() == b.extra()
        })
}

/// Whether an older version of the object has the package's length. Not known is no.
async fn older_version(cloud: &Cloud, url: &ArtifactUrl, package: &Package) -> bool {
    let listed = cloud.s3.list_object_versions().bucket(&url.bucket).prefix(&url.key).max_keys(100).send().await;
    listed.is_ok_and(|listed| {
        listed.versions().iter().any(|version| {
            version.key() == Some(&url.key)
                && version.size().is_some_and(|size| u64::try_from(size) == Ok(package.size))
        })
    })
}

/// How an object's name says that it is not meant to be changed, or not to stay the artifact.
pub(crate) fn fleeting(key: &str) -> Option<&'static str> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let stem = name.split('.').next().unwrap_or(name);
    let is_hash = matches!(stem.len(), 32 | 40 | 64) && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        return Some("it is named after its content, as SAM and CDK do");
    }
    // `1700000000000-2023-11-14T22:13:20.000Z`: the Serverless Framework's directory for one deployment.
    let of_deployment = |part: &str| {
        part.split_once('-').is_some_and(|(ms, date)| {
            ms.len() >= 12 && ms.bytes().all(|byte| byte.is_ascii_digit()) && date.contains('T')
        })
    };
    key.split('/').any(of_deployment).then_some("it is named after its deployment, as the Serverless Framework does")
}

/// What to do when the package lies nowhere.
pub(crate) fn nothing_found(package: &Package, tried: &[Tried]) -> Error {
    let names = package.names();
    let name = names.first().copied().unwrap_or("NAME");
    let error = Error::new(
        "ArtifactNotFound",
        format!("the package that `{name}` runs was not found in S3: it was probably uploaded to Lambda directly"),
    );
    let error = tried.iter().fold(error, |error, tried| error.cause(tried.to_string()));
    error
        .hint(format!(
            "put it into a bucket of yours, best one with versions: `quickdeploy init {name} --artifact s3://BUCKET/KEY.zip \
             --adopt`"
        ))
        .hint("or say where it is: `--artifact s3://BUCKET/KEY`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tools_make_of_contents_and_times_are_known() {
        for (key, expected) in [
            ("app/backend.zip", false),
            ("sam-app/0f343b0931126a20f133d67c2b018a3b", true),
            ("0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9.zip", true),
            ("serverless/shop/dev/1700000000000-2023-11-14T22:13:20.000Z/shop.zip", true),
            ("releases/2023-11-14/app.zip", false),
            ("deadbeef.zip", false),
        ] {
            assert_eq!(fleeting(key).is_some(), expected, "{key}");
        }
    }
}
