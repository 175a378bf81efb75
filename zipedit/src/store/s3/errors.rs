//! S3's answers as [`StoreError`]s.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId as _;

use super::StoreError;

/// What the SDK's error means for an edit; `action` is the IAM action that the operation needs.
pub(super) fn store_error<E>(operation: &'static str, action: &str, error: &SdkError<E>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let (code, message) = match error.as_service_error() {
        Some(service) => (service.code().unwrap_or("").to_owned(), service.message().unwrap_or("").to_owned()),
        None => (String::new(), String::new()),
    };
    let said = || {
        let code = if code.is_empty() { format!("HTTP {status}") } else { code.clone() };
        match (message.as_str(), error.as_service_error().and_then(|_| error.request_id())) {
            ("", None) => code,
            ("", Some(id)) => format!("{code} (request {id})"),
            (message, None) => format!("{code}: {message}"),
            (message, Some(id)) => format!("{code}: {message} (request {id})"),
        }
    };
    let other = |reason: String| {
        let code = Some(code.clone()).filter(|code| !code.is_empty());
        // 408 is a request that didn't arrive in time: it may have been tried before.
        let refused = (400..500).contains(&status) && status != 408;
        StoreError::Other { operation, code, refused, reason }
    };
    match (code.as_str(), status) {
        (_, 0) => StoreError::Unreachable { operation, reason: causes(error) },
        ("NoSuchBucket", _) => StoreError::NotFound {
            reason: "there is no such bucket (NoSuchBucket): check its name and the region".into(),
        },
        ("NoSuchUpload", _) => StoreError::NoSuchUpload { operation },
        ("PreconditionFailed" | "ConditionalRequestConflict" | "OperationAborted", _) | (_, 412) => {
            StoreError::Changed { operation }
        }
        ("InvalidRange", _) | (_, 416) => StoreError::Empty,
        ("NotImplemented", _) | (_, 501) => StoreError::NotImplemented { operation },
        ("NoSuchVersion", _) => StoreError::NotFound {
            reason: "there is no such version: it was deleted, or a lifecycle rule let it expire".into(),
        },
        ("MethodNotAllowed", _) | (_, 405) => StoreError::NotFound {
            reason: "this version is a delete marker: it says that the object was deleted, and has no content".into(),
        },
        ("InvalidArgument", _) if message.to_lowercase().contains("version id") => {
            StoreError::NotFound { reason: "that is no id of a version".into() }
        }
        ("InvalidObjectState", _) => StoreError::Unsupported {
            reason: "it is archived (S3 Glacier) and cannot be read: bring it back with `aws s3api restore-object`, \
                     which takes minutes to hours"
                .into(),
        },
        ("NoSuchKey" | "NotFound", _) | ("", 404) => {
            StoreError::NotFound { reason: "there is no such object: check the key, or upload a first artifact".into() }
        }
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired", _) => {
            other(format!("the credentials have expired: renew them (`aws sso login`, or new keys) ({})", said()))
        }
        ("InvalidAccessKeyId" | "InvalidToken" | "SignatureDoesNotMatch", _) => {
            other(format!("the credentials are not valid here ({})", said()))
        }
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _) | (_, 301) => {
            other(format!("the bucket is in another region: name that one ({})", said()))
        }
        ("AccessDenied" | "AllAccessDisabled" | "Forbidden" | "KMS.AccessDeniedException", _) | ("", 403) => {
            let action = denied_action(&message).unwrap_or(action);
            let absent = if action == "s3:GetObject" {
                "; without s3:ListBucket, S3 says so of an object that is not there, too"
            } else {
                ""
            };
            // An Allow doesn't help against a Deny.
            let mend = if message.contains("explicit deny") {
                "what denies it has to make an exception"
            } else {
                "grant it to the role or user that asks"
            };
            StoreError::AccessDenied { action: action.to_owned(), reason: format!("{}{absent}; {mend}", said()) }
        }
        ("SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout", _) => {
            other(format!("{}: try again in a moment", said()))
        }
        ("", 200..=299) => other(causes(error)),
        _ => other(said()),
    }
}

/// The action that AWS names: one request may need several, such as `s3:PutObjectTagging` with `s3:PutObject`.
fn denied_action(message: &str) -> Option<&str> {
    let (_, named) = message.split_once("not authorized to perform: ")?;
    named.split_whitespace().next()
}

/// The error and what caused it, without the SDK's dump of its types.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        // Wrappers repeat what they wrap.
        if !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
        source = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_that_is_denied_is_the_one_that_aws_names() {
        let message = "User: arn:aws:iam::000000000000:user/dev is not authorized to perform: s3:PutObjectTagging on \
                       resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:PutObjectTagging action";
        assert_eq!(denied_action(message), Some("s3:PutObjectTagging"));
        assert_eq!(denied_action("Access Denied"), None);
    }
}
