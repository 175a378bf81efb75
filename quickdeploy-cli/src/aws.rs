//! The AWS clients, and AWS's errors in clear words.
//!
//! Every run has a client of S3 and one of Lambda. Those of the other services are made where they are needed: few
//! verbs need any, and none needs all.
//!
//! Where to connect and as whom comes from the flags, then `quickdeploy.toml`, then the standard `AWS_*` variables and
//! the profile, by the SDK's own rules (`aws-config`: SSO, assumed roles, `credential_process`). The demo instead
//! names everything itself, so that no variable of the user has a say in it.

mod credentials;
pub(crate) mod transport;

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future};
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub(crate) use self::credentials::{CredentialsLife, CredentialsSource};
use crate::args::Global;
use crate::denial::{Denial, statement};
use crate::error::{Error, Result, without_number};
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
        let provider = match &place.profile {
            // As for the AWS CLI: who names a profile means it, whatever keys the environment has.
            Some(profile) => {
                let here = ProviderConfig::without_region().with_region(config.region().cloned());
                let provider = ProfileFileCredentialsProvider::builder().configure(&here).profile_name(profile).build();
                SharedCredentialsProvider::new(provider)
            }
            None => config.credentials_provider().ok_or_else(|| no_credentials(endpoint.as_deref()))?,
        };
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| credentials_error(&error, place.profile.as_deref(), endpoint.as_deref()))?;
        let provider = SharedCredentialsProvider::new(Resolved { now: Mutex::new(Some(credentials)), later: provider });
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

    /// AWS's error in clear words: `what` could not be done, why, and what to do.
    pub(crate) fn explain<E>(&self, what: &str, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        match error {
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
                self.unreachable(what, &innermost(error))
            }
            _ => {
                let code = error.code().unwrap_or("Unknown");
                let text = error.message().map_or_else(|| error.to_string(), str::to_owned);
                self.explain_code(what, code, &text)
            }
        }
    }

    /// The engine's error. It is about the artifact; what is about region, credentials and network is explained here.
    pub(crate) fn explain_engine(&self, error: &zipedit::Error) -> Error {
        let of = |operation: &str, location: &str| format!("{operation} on {location}");
        match error {
            zipedit::Error::Unreachable { operation, location, reason } => {
                self.unreachable(&of(operation, location), &last_words(reason))
            }
            zipedit::Error::Store { operation, location, code: Some(code), reason } if is_about_the_caller(code) => {
                self.explain_code(&of(operation, location), code, said_by_aws(code, reason))
            }
            error => engine_error(error),
        }
    }

    fn unreachable(&self, what: &str, why: &str) -> Error {
        let place = self.endpoint.clone().unwrap_or_else(|| format!("AWS in {}", self.region));
        let error = Error::new("Unreachable", format!("{what}: {place} cannot be reached")).cause(why);
        match &self.endpoint {
            Some(url) => error.hint(format!("is anything listening on {url}? `quickdeploy local` can")),
            None => error.hint("check the network, and the region's name"),
        }
    }

    /// The same for an error that is known by its code and message only.
    pub(crate) fn explain_code(&self, what: &str, code: &str, text: &str) -> Error {
        let told = |error_type: &str| Error::new(error_type, what).cause(format!("{code}: {text}"));
        match code {
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
                Error::new("ExpiredCredentials", format!("{what}: the AWS credentials have expired"))
                    .cause(format!("{code}: {text}"))
                    .hint("get new ones (`aws sso login`, or set the AWS_* variables again) and repeat the command")
            }
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken" => {
                Error::new("InvalidCredentials", format!("{what}: AWS does not accept the credentials"))
                    .cause(format!("{code}: {text}"))
                    .hint("check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile")
            }
            "RequestTimeTooSkewed" => {
                let off = format!("{what}: this machine's clock is off by more than the 15 minutes that AWS bears");
                Error::new("WrongClock", off)
                    .cause(format!("{code}: {text}"))
                    .hint("set the clock, and repeat the command")
            }
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "TemporaryRedirect" => {
                let error = Error::new("WrongRegion", format!("{what}: the bucket is not in {}", self.region))
                    .cause(format!("{code}: {text}"));
                match expected_region(text) {
                    Some(region) => error.hint(format!("use `--region {region}`, if the functions are there too")),
                    None => error.hint("give the bucket's region with `--region`; the functions have to be there too"),
                }
            }
            "AccessDenied" | "AccessDeniedException" | "Forbidden" => match Denial::read(text) {
                Some(denial) => told("AccessDenied").hint(denial.hint()),
                None => told("AccessDenied")
                    .hint("`quickdeploy doctor` tries each permission, and names those that are missing"),
            },
            "NoSuchBucket" => told("ArtifactNotFound").hint("check `artifact` in quickdeploy.toml, and the region"),
            code => told(code),
        }
    }
}

/// The engine's error as it stands: its messages name the thing and the way out.
pub(crate) fn engine_error(error: &zipedit::Error) -> Error {
    let text = error.to_string();
    let told = Error::new(error.kind(), text.as_str());
    match (Denial::read(&text), error) {
        (Some(denial), _) => told.hint(denial.hint()),
        // The answer to a HEAD request has no words.
        (None, zipedit::Error::AccessDenied { action, location, .. }) => match location.strip_prefix("s3://") {
            Some(object) => told.hint(format!("allow it: {}", statement(action, &format!("arn:aws:s3:::{object}")))),
            None => told,
        },
        (None, _) => told,
    }
}

/// What went wrong on the way, without the layers of HTTP client that it came through.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(error.to_string());
        source = error.source();
    }
    last_words(&texts.join(": "))
}

/// `tcp connect error: Connection refused` of `dispatch failure: io error: client error (Connect): tcp connect error:
/// Connection refused (os error 111)`.
fn last_words(chain: &str) -> String {
    let chain = without_number(chain);
    let parts: Vec<&str> = chain.split(": ").collect();
    parts[parts.len().saturating_sub(2)..].join(": ")
}

/// AWS's own words in the engine's `the credentials have expired … (ExpiredToken: the words)`.
fn said_by_aws<'a>(code: &str, reason: &'a str) -> &'a str {
    match reason.split_once(code).and_then(|(_, rest)| rest.strip_prefix(": ")) {
        Some(words) => words.strip_suffix(')').unwrap_or(words),
        None => reason,
    }
}

/// Error codes that are about who asks and where, not about the artifact.
fn is_about_the_caller(code: &str) -> bool {
    matches!(
        code,
        "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "IllegalLocationConstraintException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "RequestExpired"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "RequestTimeTooSkewed"
    )
}

/// The region in `the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn expected_region(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("expecting '")?;
    rest.split_once('\'').map(|(region, _)| region)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_in_another_region_is_named_with_its_region() {
        let cloud = Cloud::local("http://127.0.0.1:9", "us-east-1");
        let text = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        let error = cloud.explain_code("could not read s3://b/k", "AuthorizationHeaderMalformed", text);
        assert_eq!(error.error_type(), "WrongRegion");
        assert!(error.hints()[0].contains("--region eu-west-1"), "{:?}", error.hints());
    }

    #[test]
    fn expired_and_wrong_credentials_are_told_apart() {
        let cloud = Cloud::local("http://127.0.0.1:9", "us-east-1");
        assert_eq!(cloud.explain_code("x", "ExpiredTokenException", "").error_type(), "ExpiredCredentials");
        assert_eq!(cloud.explain_code("x", "UnrecognizedClientException", "").error_type(), "InvalidCredentials");
    }

    #[test]
    fn the_layers_of_the_http_client_are_left_out() {
        let chain =
            "dispatch failure: io error: client error (Connect): tcp connect error: Connection refused (os error 111)";
        assert_eq!(last_words(chain), "tcp connect error: Connection refused");
        assert_eq!(last_words("it hung up"), "it hung up");
    }

    #[test]
    fn what_the_engine_says_of_credentials_is_not_said_again() {
        let reason = "the credentials have expired: renew them (ExpiredToken: The provided token has expired.)";
        assert_eq!(said_by_aws("ExpiredToken", reason), "The provided token has expired.");
        assert_eq!(said_by_aws("ExpiredToken", "something else"), "something else");
    }

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
