//! How things stand with one artifact: itself, the project beside it, its functions, the function that edits it.
//!
//! All is asked at once, and one answer that doesn't come (no permission, say) leaves the others standing. Nothing is
//! changed anywhere.

use std::collections::BTreeMap;

use aws_sdk_lambda::operation::get_function::GetFunctionError;
use serde::Serialize;
use zipedit::Object as _;

use crate::affected::{Coming, Effects, Judgement, Question, judge};
use crate::aws::Cloud;
use crate::bootstrap::version::{OURS, in_description, is_older};
use crate::compare::{self, ArtifactDocument, Comparison, DiffDocument};
use crate::digest;
use crate::error::{Error, Result};
use crate::functions::{self, Function, Live, STACK_TAG, Staleness, UpdateState, staleness};
use crate::guards;
use crate::memory::{Deployed, Memory};
use crate::project::{Affected, ArtifactUrl, Deletion, Functions, Project, Via};
use crate::retry::retried;
use crate::stamp::Written;
use crate::ui::{Ui, rfc3339};
use crate::update::Target;
use crate::versions::cache::Cache;
use crate::versions::runs::{Runs, runs};
use crate::versions::{self, Version, Versioning};

/// So many versions are listed, to say how far behind a function is.
const RECENT: usize = 100;

/// What to look at.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) project: &'a Project,
    pub(crate) artifact: ArtifactUrl,
    pub(crate) functions: Functions,
    pub(crate) via: Via,
    /// The zipedit function's name.
    pub(crate) zipedit: String,
}

/// How things stand: the JSON document, for one artifact.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Whether nothing is left to do.
    pub(crate) clean: bool,
    pub(crate) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact: Option<ArtifactStanding>,
    /// What the next deploy would patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<DiffDocument>,
    pub(crate) functions: Vec<FunctionStanding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) zipedit: Option<ZipeditStanding>,
    /// What could not be found out.
    pub(crate) errors: Vec<Error>,
    /// The newest versions, newest first.
    #[serde(skip)]
    pub(crate) versions: Vec<Version>,
}

/// The artifact.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArtifactStanding {
    #[serde(flatten)]
    pub(crate) object: ArtifactDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
    pub(crate) storage_class: String,
    /// `AES256`, `aws:kms` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key: Option<String>,
    /// `enabled`, `suspended` or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) versioning: Option<&'static str>,
    /// Who wrote it, and by what; `None`: another program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) written: Option<Written>,
    #[serde(skip)]
    pub(crate) modified: Option<std::time::SystemTime>,
}

/// What a function is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// It runs the artifact.
    Live,
    /// It runs older code that it has no need to leave: it loads nothing of what differs from the artifact.
    Unaffected,
    /// It runs other code.
    Stale,
    /// It is being updated.
    InProgress,
    /// Its last update failed: it runs the code from before.
    Failed,
    /// Lambda has put it out of use.
    Inactive,
    /// It can't be deployed to: it runs a container image.
    Image,
    /// The artifact could not be read, so there is nothing to compare with.
    Unknown,
}

/// One function.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionStanding {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) code_sha256: String,
    /// In bytes.
    pub(crate) code_size: u64,
    /// The version of the artifact that it runs, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version_id: Option<String>,
    /// How many versions are newer than that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) versions_behind: Option<usize>,
    /// `COPY` or `REFERENCE`.
    pub(crate) storage_mode: &'static str,
    /// In REFERENCE mode: the object that it runs from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runs_from: Option<String>,
    /// AWS's reason for `failed` and `inactive`; where imports are followed, why it is `stale` or `unaffected`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// It takes only signed code: a patched zip has no signature.
    pub(crate) code_signing_enforced: bool,
}

/// The function that edits artifacts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ZipeditStanding {
    pub(crate) name: String,
    pub(crate) is_there: bool,
    /// Whether patches can't do without it.
    pub(crate) required: bool,
    /// Of the program, where `bootstrap` wrote it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Whether that is older than this program's: `bootstrap` updates it.
    pub(crate) older: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
    /// The CloudFormation stack that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
}

impl Survey<'_> {
    /// Looks at everything. What could not be seen is among the errors.
    pub(crate) async fn look(&self) -> Standing {
        let state = self.project.settings().state_dir.as_deref();
        let remembered = Memory::in_directory(state).recall(&self.artifact.to_string());
        let (comparison, versions, versioning, found, signing, zipedit) = futures::join!(
            compare::compare(self.ui, self.cloud, self.project, &self.artifact, Deletion::Owned),
            versions::list(self.cloud, &self.artifact, RECENT),
            versions::versioning(self.cloud, &self.artifact.bucket),
            functions::find(self.cloud, &self.functions, &remembered.behind),
            guards::enforced(self.cloud),
            self.zipedit(),
        );
        let mut errors = Vec::new();
        let mut keep = |error: Error| {
            // One bucket that isn't there is reason enough for several answers.
            let said = |other: &Error| other.error_type() == error.error_type() && other.causes() == error.causes();
            if !errors.iter().any(said) {
                errors.push(error);
            }
        };
        let comparison = comparison.map_err(&mut keep).ok();
        let versions = versions.map_err(&mut keep).unwrap_or_default();
        let versioning = versioning.map_err(&mut keep).ok();
        let found = found.map_err(&mut keep).unwrap_or_default();
        // Few may list code signing configurations, and nearly nobody has one.
        let signing = signing.unwrap_or_else(|error| {
            self.ui.verbose(format!("code signing could not be checked: {error}"));
            BTreeMap::new()
        });
        let zipedit = zipedit.map_err(&mut keep).ok().flatten();
        let functions = match self.standings(&comparison, &found, &remembered, &versions, &signing).await {
            Ok(functions) => functions,
            Err(error) => {
                keep(error);
                Vec::new()
            }
        };
        let changes = comparison.as_ref().map(DiffDocument::of);
        let clean = errors.is_empty()
            && changes.as_ref().is_some_and(DiffDocument::is_empty)
            && functions.iter().all(|function| matches!(function.state, State::Live | State::Unaffected))
            && zipedit.as_ref().is_none_or(|zipedit| zipedit.is_there || !zipedit.required);
        Standing {
            name: self.project.settings().name.clone(),
            clean,
            url: self.artifact.to_string(),
            artifact: comparison.as_ref().map(|it| artifact(&self.artifact, it, versioning)),
            changes,
            functions,
            zipedit,
            errors,
            versions,
        }
    }

    async fn standings(
        &self,
        comparison: &Option<Comparison>,
        found: &[Function],
        remembered: &Deployed,
        versions: &[Version],
        signing: &BTreeMap<String, String>,
    ) -> Result<Vec<FunctionStanding>> {
        let cache = Cache::in_directory(self.project.settings().state_dir.as_deref());
        let known = cache.recall(&self.artifact.to_string());
        let judgements = match comparison {
            Some(comparison) => {
                let judged = self.judgements(comparison, found, remembered, &cache).await?;
                judged.into_iter().map(Some).collect()
            }
            None => vec![None; found.len()],
        };
        let standings = found.iter().zip(judgements).map(|(function, judgement)| {
            let runs = runs(function, &self.artifact, versions, &known);
            let at = match (&judgement, runs) {
                (Some(Judgement::Current), _) => versions.iter().position(|version| version.is_latest),
                (_, Runs::This(at) | Runs::Likely(at)) => Some(at),
                (_, Runs::OneOf(_) | Runs::Other) => None,
            };
            standing(function, judgement, at.map(|at| (at, &versions[at])), signing.contains_key(&function.arn))
        });
        let mut standings: Vec<FunctionStanding> = standings.collect();
        standings.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(standings)
    }

    /// As a deploy finds it out, and with what that remembers; but beside the artifact as it is, not as it would be with
    /// what isn't deployed yet.
    async fn judgements(
        &self,
        comparison: &Comparison,
        found: &[Function],
        remembered: &Deployed,
        cache: &Cache,
    ) -> Result<Vec<Judgement>> {
        let object = comparison.artifact.object();
        let mut target = Target {
            bucket: self.artifact.bucket.clone(),
            key: self.artifact.key.clone(),
            version_id: object.version_id().map(str::to_owned),
            etag: object.etag().to_owned(),
            size: object.size(),
            sha256: remembered.sha256_of(object.etag(), object.version_id()).map(str::to_owned),
            again: "quickdeploy".to_owned(),
        };
        let sort = |target: &Target| -> Vec<Staleness> {
            let live = Live {
                bucket: &target.bucket,
                key: &target.key,
                version_id: target.version_id.as_deref(),
                size: target.size,
                sha256: target.sha256.as_deref(),
            };
            found.iter().map(|function| staleness(function, &live)).collect()
        };
        let mut sorted = sort(&target);
        let effects = self.effects(comparison, found, &sorted, target.sha256.as_deref()).await?;
        if effects.is_none() && sorted.contains(&Staleness::Unsure) {
            // Lengths are equal and nobody remembers the hash: the artifact is read through, once.
            let sha256 = digest::sha256(self.cloud, &target).await?;
            if let Some(version) = &target.version_id {
                drop(cache.learn_sha256(&self.artifact.to_string(), version, &sha256));
            }
            let memory = Memory::in_directory(self.project.settings().state_dir.as_deref());
            let behind = remembered.behind.clone();
            let learned = Deployed::new(object.etag(), target.version_id.as_deref(), Some(sha256.clone()), behind);
            drop(memory.store(&self.artifact.to_string(), learned));
            target.sha256 = Some(sha256);
            sorted = sort(&target);
        }
        let effect = |function: &Function| effects.as_ref().and_then(|effects| effects.of(&function.name));
        Ok(found.iter().zip(sorted).map(|(function, staleness)| judge(function, staleness, effect(function))).collect())
    }

    /// What the difference between what they run and the artifact means for each function. Only where imports are
    /// followed, and if one of them may not run the artifact: else there is nothing to read.
    async fn effects(
        &self,
        comparison: &Comparison,
        found: &[Function],
        staleness: &[Staleness],
        sha256: Option<&str>,
    ) -> Result<Option<Effects>> {
        let in_doubt = |(function, staleness): (&Function, &Staleness)| {
            *staleness != Staleness::Current && function.zip_package && function.update == UpdateState::Successful
        };
        if self.project.settings().affected == Affected::All || !found.iter().zip(staleness).any(in_doubt) {
            return Ok(None);
        }
        // Several artifacts are looked at at once.
        let ui = self.ui.part();
        let coming = Coming { store: &comparison.store, artifact: &comparison.artifact, patch: None };
        let question = Question { ui: &ui, cloud: self.cloud, project: self.project, sha256 };
        let effects = question.ask(coming, found).await?;
        self.ui.tell(&ui);
        Ok(Some(effects))
    }

    /// The function that edits artifacts, if this project uses it.
    async fn zipedit(&self) -> Result<Option<ZipeditStanding>> {
        if self.via == Via::Direct {
            return Ok(None);
        }
        let mut standing = ZipeditStanding {
            name: self.zipedit.clone(),
            is_there: false,
            required: self.via == Via::Lambda,
            version: None,
            older: false,
            architecture: None,
            last_modified: None,
            stack: None,
            description: None,
        };
        let reading =
            retried(&self.cloud.get_function, || self.cloud.lambda.get_function().function_name(&self.zipedit).send());
        match reading.await {
            Ok(answer) => {
                standing.is_there = true;
                standing.stack = answer.tags().and_then(|tags| tags.get(STACK_TAG)).cloned();
                if let Some(config) = answer.configuration() {
                    standing.architecture = config.architectures().first().map(|it| it.as_str().to_owned());
                    standing.last_modified = config.last_modified().map(str::to_owned);
                    standing.description = config.description().filter(|it| !it.is_empty()).map(str::to_owned);
                    standing.version = config.description().and_then(in_description).map(str::to_owned);
                    standing.older = standing.version.as_deref().is_some_and(|version| is_older(version, OURS));
                }
                Ok(Some(standing))
            }
            Err(error) if error.as_service_error().is_some_and(GetFunctionError::is_resource_not_found_exception) => {
                Ok(Some(standing))
            }
            Err(error) => Err(self.cloud.explain(&format!("could not read the function `{}`", self.zipedit), &error)),
        }
    }
}

fn artifact(url: &ArtifactUrl, comparison: &Comparison, versioning: Option<Versioning>) -> ArtifactStanding {
    let object = comparison.artifact.object();
    let encryption = object.encryption();
    ArtifactStanding {
        object: ArtifactDocument::of(url, &comparison.artifact),
        last_modified: object.last_modified().map(rfc3339),
        storage_class: object.storage_class().to_owned(),
        encryption: encryption.map(|(algorithm, _)| algorithm.to_owned()),
        kms_key: encryption.and_then(|(_, key)| key).map(str::to_owned),
        versioning: versioning.map(Versioning::as_str),
        written: Written::read(object),
        modified: object.last_modified(),
    }
}

fn standing(
    function: &Function,
    judgement: Option<Judgement>,
    version: Option<(usize, &Version)>,
    code_signing_enforced: bool,
) -> FunctionStanding {
    let (state, reason) = match (&function.update, &function.inactive) {
        _ if !function.zip_package => (State::Image, None),
        (_, Some(reason)) => (State::Inactive, Some(reason.clone())),
        (UpdateState::Failed { code, reason }, _) => (State::Failed, Some(format!("{code}: {reason}"))),
        (UpdateState::InProgress, _) => (State::InProgress, None),
        (UpdateState::Successful, _) => match judgement {
            Some(Judgement::Current) => (State::Live, None),
            Some(Judgement::Unaffected { why }) => (State::Unaffected, Some(why)),
            Some(Judgement::Stale { why }) => (State::Stale, why),
            None => (State::Unknown, None),
        },
    };
    let runs_from = function.referenced.as_ref().map(|reference| {
        let version = reference.version_id.as_deref().map_or_else(String::new, |id| format!(" (version {id})"));
        format!("s3://{}/{}{version}", reference.bucket, reference.key)
    });
    FunctionStanding {
        name: function.name.clone(),
        state,
        code_sha256: function.code_sha256.clone(),
        code_size: function.code_size,
        version_id: version.map(|(_, version)| version.id.clone()),
        versions_behind: version.map(|(at, _)| at),
        storage_mode: if function.referenced.is_some() { "REFERENCE" } else { "COPY" },
        runs_from,
        reason,
        code_signing_enforced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::function;

    #[test]
    fn what_aws_says_of_a_function_comes_before_what_it_runs() {
        let state = |change: &dyn Fn(&mut Function)| {
            let mut function = function("f", "A", 1);
            change(&mut function);
            standing(&function, Some(Judgement::Current), None, false).state
        };
        assert_eq!(state(&|_| {}), State::Live);
        assert_eq!(state(&|it| it.update = UpdateState::InProgress), State::InProgress);
        let failed = UpdateState::Failed { code: "InternalError".into(), reason: "x".into() };
        assert_eq!(state(&|it| it.update = failed.clone()), State::Failed);
        assert_eq!(state(&|it| it.inactive = Some("the version is gone".into())), State::Inactive);
        assert_eq!(state(&|it| it.zip_package = false), State::Image);
    }
}
