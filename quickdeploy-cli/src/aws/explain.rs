//! AWS's errors in clear words: what could not be done, why, and what to do.

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};

use super::Cloud;
use crate::denial::{Denial, statement};
use crate::error::{Error, without_number};

impl Cloud {
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
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
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
}
