//! The AWS clients: where AWS is, and as whom it is asked.
//!
//! Every run has a client of S3 and one of Lambda. Those of the other services are made where they are needed: few
//! verbs need any, and none needs all.
//!
//! Where to connect and as whom comes from the flags, then `quickdeploy.toml`, then the standard `AWS_*` variables and
//! the profile, by the SDK's own rules (`aws-config`: SSO, assumed roles, `credential_process`). The demo instead
//! names everything itself, so that no variable of the user has a say in it.

mod credentials;
mod explain;
pub(crate) mod transport;

use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub(crate) use self::credentials::{CredentialsLife, CredentialsSource};
pub(crate) use self::explain::engine_error;
use crate::args::Global;
use crate::error::{Error, Result};
use crate::rate::Quota;
use crate::store_check::{StoreCheck, Stores};
use transport::Transport;

/// Where AWS is, and how much may be asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Cloud {
    pub(crate) s3: aws_sdk_s3::Client,
    /// Never retries by itself: see [`crate::retry`].
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) region: String,
    /// Where requests go when it is not AWS itself.
    pub(crate) endpoint: Option<String>,
    /// What is known of stores that aren't AWS's.
    pub(crate) stores: Stores,
    /// For every control-plane call but `GetFunction`.
    pub(crate) control_plane: Quota,
    /// For `GetFunction`.
    pub(crate) get_function: Quota,
    /// For the clients of the other services.
    config: SdkConfig,
    /// The profile that was named by a flag or the configuration.
    profile: Option<String>,
}

/// Where to connect and as whom, as far as flags and configuration say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) profile: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) store_check: Option<StoreCheck>,
}

impl Place {
    /// What the flags say.
    pub(crate) fn of_flags(global: &Global) -> Self {
        Self {
            profile: global.profile.clone(),
            region: global.region.clone(),
            endpoint_url: global.endpoint_url.clone(),
            store_check: global.store_check,
        }
    }

    /// What is missing here comes from `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            profile: self.profile.or(other.profile),
            region: self.region.or(other.region),
            endpoint_url: self.endpoint_url.or(other.endpoint_url),
            store_check: self.store_check.or(other.store_check),
        }
    }
}

/// Clients of the services that only some verbs need.
impl Cloud {
    /// CloudFormation.
    pub(crate) fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
    }

    /// CodeBuild.
    pub(crate) fn codebuild(&self) -> aws_sdk_codebuild::Client {
        aws_sdk_codebuild::Client::new(&self.config)
    }

    /// CloudWatch Logs.
    pub(crate) fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config)
    }

    /// IAM.
    pub(crate) fn iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.config)
    }

    /// STS.
    pub(crate) fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.config)
    }
}

impl Cloud {
    /// Finds region and credentials.
    ///
    /// # Errors
    ///
    /// No region, no credentials, or credentials that could not be had (an expired SSO session, say).
    pub(crate) async fn connect(place: Place) -> Result<Self> {
        let named = place.endpoint_url.clone().or_else(|| std::env::var("AWS_ENDPOINT_URL").ok());
        if !named.or_else(endpoint_of_a_service).is_some_and(|url| url.starts_with("http://")) {
            Transport::prepare();
        }
        let http = SharedHttpClient::new(Transport::default());
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http);
        if let Some(profile) = &place.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = place.region {
            loader = loader.region(Region::new(region));
        }
        if let Some(url) = &place.endpoint_url {
            check_url(url)?;
            loader = loader.endpoint_url(url);
        }
        let config = loader.load().await;
        let endpoint = config.endpoint_url().map(str::to_owned).or_else(endpoint_of_a_service);
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(Error::new("NoRegion", "no AWS region is set")
                .hint("give `--region REGION`, or set AWS_REGION or a region in the profile"));
        };
        let provider = credentials::resolved(&config, place.profile.as_deref(), endpoint.as_deref()).await?;
        let config = config.into_builder().credentials_provider(provider).build();
        let stores = Stores::new(place.store_check.unwrap_or_default());
        Ok(Self { profile: place.profile, stores, ..Self::with(&config, region, endpoint) })
    }

    /// A local cloud, as nobody in particular: no file and no variable of the user is read.
    pub(crate) fn local(endpoint: &str, region: &str) -> Self {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .http_client(Transport::default())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "local", "local", None, None, "local",
            )))
            .build();
        // It is this program's own: what it heeds is known.
        let stores = Stores::new(StoreCheck::Off);
        Self { stores, ..Self::with(&config, region.to_owned(), Some(endpoint.to_owned())) }
    }

    fn with(config: &SdkConfig, region: String, endpoint: Option<String>) -> Self {
        let mut config = config.clone().into_builder();
        config.set_app_name(AppName::new("quickdeploy").ok());
        let config = config.build();
        let s3 = zipedit::store::s3::tuned(aws_sdk_s3::config::Builder::from(&config))
            // Names of buckets don't resolve under every endpoint that is not AWS.
            .force_path_style(endpoint.is_some());
        let s3 = s3.build();
        let lambda = aws_sdk_lambda::config::Builder::from(&config).retry_config(RetryConfig::disabled());
        let lambda = lambda.build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            lambda: aws_sdk_lambda::Client::from_conf(lambda),
            region,
            endpoint,
            stores: Stores::default(),
            control_plane: Quota::control_plane(),
            get_function: Quota::get_function(),
            config,
            profile: None,
        }
    }
}

/// `AWS_ENDPOINT_URL_S3` and its like don't show in the shared configuration.
fn endpoint_of_a_service() -> Option<String> {
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_LAMBDA"].iter().find_map(|name| std::env::var(name).ok())
}

fn check_url(url: &str) -> Result<()> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(());
    }
    Err(Error::usage(format!("`{url}` is not a URL")).hint("an endpoint looks like http://127.0.0.1:4580"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_wrong_usage() {
        assert_eq!(check_url("127.0.0.1:4580").map_err(|error| error.exit_code()), Err(2));
        assert!(check_url("http://127.0.0.1:4580").is_ok());
    }

    #[test]
    fn flags_win_over_the_configuration() {
        let flags = Place { region: Some("eu-west-1".into()), ..Place::default() };
        let file = Place { region: Some("us-east-1".into()), profile: Some("dev".into()), ..Place::default() };
        let place = flags.or(file);
        assert_eq!((place.region.as_deref(), place.profile.as_deref()), (Some("eu-west-1"), Some("dev")));
    }
}
