//! The credentials: where they come from, until when they are good, and who could renew them.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::Cloud;
use super::explain::innermost;
use crate::error::{Error, Result};

/// The credentials of `profile`, or those that `config` finds, got at once: what is wrong with them shows here.
///
/// # Errors
///
/// There are none, or they could not be had (an expired SSO session, say).
pub(super) async fn resolved(
    config: &SdkConfig,
    profile: Option<&str>,
    endpoint: Option<&str>,
) -> Result<SharedCredentialsProvider> {
    let later = match profile {
        // As for the AWS CLI: who names a profile means it, whatever keys the environment has.
        Some(profile) => {
            let here = ProviderConfig::without_region().with_region(config.region().cloned());
            let provider = ProfileFileCredentialsProvider::builder().configure(&here).profile_name(profile).build();
            SharedCredentialsProvider::new(provider)
        }
        None => config.credentials_provider().ok_or_else(|| no_credentials(endpoint))?,
    };
    let now = later.provide_credentials().await.map_err(|error| credentials_error(&error, profile, endpoint))?;
    Ok(SharedCredentialsProvider::new(Resolved { now: Mutex::new(Some(now)), later }))
}

/// Credentials that were fetched up front, to fail early and clearly, and the provider for when they have expired.
#[derive(Debug)]
struct Resolved {
    now: Mutex<Option<Credentials>>,
    later: SharedCredentialsProvider,
}

impl ProvideCredentials for Resolved {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let fresh = |credentials: &Credentials| {
            credentials.expiry().is_none_or(|end| end > SystemTime::now() + Duration::from_secs(60))
        };
        match self.now.lock().ok().and_then(|now| now.clone()).filter(fresh) {
            Some(credentials) => future::ProvideCredentials::ready(Ok(credentials)),
            None => self.later.provide_credentials(),
        }
    }
}

/// How long the credentials last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CredentialsLife {
    /// `None`: they don't say, or have no end.
    pub(crate) end: Option<SystemTime>,
    pub(crate) source: CredentialsSource,
    /// They belong to a session, which has an end.
    pub(crate) temporary: bool,
}

/// Where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CredentialsSource {
    /// The `AWS_*` variables: nothing renews them.
    Environment,
    /// A profile, which may know how to get new ones.
    Profile(String),
    /// The default profile, or what this machine runs on.
    Other,
}

impl Cloud {
    /// When the credentials end, and who could renew them.
    pub(crate) async fn credentials_life(&self) -> CredentialsLife {
        let credentials = match self.config.credentials_provider() {
            Some(provider) => provider.provide_credentials().await.ok(),
            None => None,
        };
        let temporary = credentials.as_ref().is_some_and(|credentials| credentials.session_token().is_some());
        let mut end = credentials.and_then(|credentials| credentials.expiry());
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let source = match &self.profile {
            Some(profile) => CredentialsSource::Profile(profile.clone()),
            None if variable("AWS_ACCESS_KEY_ID").is_some() => CredentialsSource::Environment,
            None => variable("AWS_PROFILE").map_or(CredentialsSource::Other, CredentialsSource::Profile),
        };
        if source == CredentialsSource::Environment {
            // The SDK doesn't read it; `aws configure export-credentials` and botocore agree on it.
            let told = variable("AWS_CREDENTIAL_EXPIRATION");
            let told = told.and_then(|text| DateTime::from_str(&text, Format::DateTimeWithOffset).ok());
            end = end.or(told.and_then(|time| SystemTime::try_from(time).ok()));
        }
        CredentialsLife { end, source, temporary }
    }
}

fn no_credentials(endpoint: Option<&str>) -> Error {
    let error = Error::new("NoCredentials", "there are no AWS credentials");
    match endpoint {
        Some(url) => {
            error.hint(format!("{url} may accept any: set AWS_ACCESS_KEY_ID=local and AWS_SECRET_ACCESS_KEY=local"))
        }
        None => error
            .hint("run `aws sso login` or `aws configure`, give `--profile NAME`, or set the AWS_* variables")
            .hint("`quickdeploy demo` needs no account"),
    }
}

fn credentials_error(error: &CredentialsError, profile: Option<&str>, endpoint: Option<&str>) -> Error {
    if profile.is_none() {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
        match (set(id), set(secret)) {
            (true, false) => return half_of_the_keys(id, secret),
            (false, true) => return half_of_the_keys(secret, id),
            _ => {}
        }
        // The last place to look, and on most machines one that isn't there.
        let cause = innermost(error);
        if cause.contains("IMDS") {
            return no_credentials(endpoint).cause(cause.trim_end_matches('.'));
        }
        if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            return no_credentials(endpoint);
        }
    }
    if let (Some(name), CredentialsError::CredentialsNotLoaded(_)) = (profile, error) {
        return Error::new("NoCredentials", format!("there is no profile `{name}` with AWS credentials")).hint(
            "look for its name in ~/.aws/config and ~/.aws/credentials; `aws configure list-profiles` lists all",
        );
    }
    let whose = profile.map_or_else(String::new, |name| format!(" of profile `{name}`"));
    let cause = innermost(error);
    let has_expired = cause.contains("sso") || cause.contains("expired");
    let told = Error::new("NoCredentials", format!("could not get the AWS credentials{whose}")).cause(cause);
    if has_expired {
        let flag = profile.map_or_else(String::new, |name| format!(" --profile {name}"));
        told.hint(format!("run `aws sso login{flag}` and repeat the command"))
    } else {
        told.hint("is the profile in ~/.aws/config or ~/.aws/credentials, and complete?")
    }
}

fn half_of_the_keys(set: &str, missing: &str) -> Error {
    Error::new("NoCredentials", format!("{set} is set in the environment, but {missing} is not"))
        .hint("set both, or unset both and use a profile")
}
