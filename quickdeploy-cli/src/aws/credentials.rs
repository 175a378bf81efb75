//! Until when the credentials are good, and who could renew them.

use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::Cloud;

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
