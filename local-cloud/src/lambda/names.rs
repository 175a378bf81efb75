//! How functions are named: plain names, partial and full ARNs, and qualifiers.
//!
//! `FunctionName` accepts `name`, `name:qualifier`, `123456789012:function:name` and
//! `arn:aws:lambda:REGION:123456789012:function:name[:qualifier]`. A qualifier is `$LATEST`, a version or an alias.

use super::errors::{ApiError, ErrorKind, Result};

/// The unpublished version that updates go to.
pub(super) const LATEST: &str = "$LATEST";

/// The pattern in the service model, for messages.
const FUNCTION_NAME_PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?";
const QUALIFIER_PATTERN: &str = r"(|[a-zA-Z0-9$_-]+)";

/// Where a request is at home: it decides how ARNs read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) region: String,
    pub(super) account: String,
}

impl Scope {
    /// `arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`.
    pub(super) fn function_arn(&self, name: &str, qualifier: Option<&str>) -> String {
        let arn = format!("arn:{}:lambda:{}:{}:function:{name}", self.partition(), self.region, self.account);
        match qualifier {
            Some(qualifier) => format!("{arn}:{qualifier}"),
            None => arn,
        }
    }

    /// `arn:aws:lambda:REGION:ACCOUNT:layer:NAME[:VERSION]`.
    pub(super) fn layer_arn(&self, name: &str, version: Option<u64>) -> String {
        let arn = format!("arn:{}:lambda:{}:{}:layer:{name}", self.partition(), self.region, self.account);
        match version {
            Some(version) => format!("{arn}:{version}"),
            None => arn,
        }
    }

    /// `arn:aws:lambda:REGION:ACCOUNT:code-signing-config:ID`.
    pub(super) fn code_signing_arn(&self, id: &str) -> String {
        format!("arn:{}:lambda:{}:{}:code-signing-config:{id}", self.partition(), self.region, self.account)
    }

    fn partition(&self) -> &'static str {
        if self.region.starts_with("cn-") {
            "aws-cn"
        } else if self.region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }
}

/// A function as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FunctionRef {
    pub(super) name: String,
    /// From the name's `:qualifier` part or from the `Qualifier` parameter.
    pub(super) qualifier: Option<String>,
}

impl FunctionRef {
    /// Reads `FunctionName` and, where the operation has one, `Qualifier`.
    ///
    /// Refuses names outside the model's pattern (`ValidationException`), ARNs of another region or account, and a
    /// qualifier that contradicts the one in the name.
    pub(super) fn parse(text: &str, qualifier: Option<&str>, scope: &Scope) -> Result<Self> {
        let named = split(text).ok_or_else(|| {
            constraint(
                text,
                "functionName",
                &format!("Member must satisfy regular expression pattern: {FUNCTION_NAME_PATTERN}"),
            )
        })?;
        if named.name.len() > 64 && !text.contains("function:") || text.len() > 140 {
            return Err(constraint(text, "functionName", "Member must have length less than or equal to 64"));
        }
        if let Some(region) = named.region.filter(|region| *region != scope.region) {
            return Err(ApiError::not_found(format!(
                "Functions from '{region}' are not reachable in this region ('{}')",
                scope.region
            )));
        }
        if named.account.is_some_and(|account| account != scope.account) {
            return Err(ApiError::new(
                ErrorKind::AccessDenied,
                format!("User is not authorized to access functions of another account than {}: {text}", scope.account),
            ));
        }
        let given = qualifier.filter(|given| !given.is_empty());
        if let Some(given) = given.filter(|given| !is_qualifier(given) || given.len() > 128) {
            return Err(constraint(
                given,
                "qualifier",
                &format!("Member must satisfy regular expression pattern: {QUALIFIER_PATTERN}"),
            ));
        }
        if let (Some(in_name), Some(given)) = (named.qualifier, given)
            && in_name != given
        {
            return Err(ApiError::invalid(
                "The derived qualifier from the function name does not match the specified qualifier.",
            ));
        }
        Ok(Self { name: named.name.to_owned(), qualifier: given.or(named.qualifier).map(str::to_owned) })
    }

    /// The ARN of exactly what was asked for.
    pub(super) fn arn(&self, scope: &Scope) -> String {
        scope.function_arn(&self.name, self.qualifier.as_deref())
    }
}

struct Parts<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
    qualifier: Option<&'a str>,
}

fn split(text: &str) -> Option<Parts<'_>> {
    let mut region = None;
    let mut account = None;
    let mut fields: Vec<&str> = text.split(':').collect();
    if fields.first() == Some(&"arn") {
        if fields.len() < 7 || fields[2] != "lambda" || !fields[1].starts_with("aws") || fields[5] != "function" {
            return None;
        }
        region = Some(fields[3]);
        fields.drain(..4);
    }
    if fields.len() > 1 && is_account(fields[0]) {
        account = Some(fields.remove(0));
        if fields.first() == Some(&"function") {
            fields.remove(0);
        }
    } else if fields.len() > 1 && fields[0] == "function" {
        fields.remove(0);
    } else if region.is_some() {
        return None;
    }
    let (name, qualifier) = match *fields.as_slice() {
        [name] => (name, None),
        [name, qualifier] => (name, Some(qualifier)),
        _ => return None,
    };
    let valid = is_name(name) && qualifier.is_none_or(is_qualifier);
    valid.then_some(Parts { region, account, name, qualifier })
}

/// Whether a text is the 12-digit id of an account.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a text may be the name of a function or a layer.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_qualifier(text: &str) -> bool {
    text == LATEST || is_name(text)
}

/// Whether a name may be an alias: the pattern of names, but not a number.
pub(super) fn is_alias(text: &str) -> bool {
    is_name(text) && text.len() <= 128 && !text.bytes().all(|b| b.is_ascii_digit())
}

/// The answer to a value that the service model's constraints refuse.
pub(super) fn constraint(value: &str, member: &str, rule: &str) -> ApiError {
    ApiError::new(
        ErrorKind::Validation,
        format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }

    fn parse(text: &str) -> Result<FunctionRef> {
        FunctionRef::parse(text, None, &scope())
    }

    #[test]
    fn every_form_of_a_name_finds_the_same_function() {
        for text in [
            "edit",
            "function:edit",
            "000000000000:edit",
            "000000000000:function:edit",
            "arn:aws:lambda:us-east-1:000000000000:function:edit",
        ] {
            let found = parse(text).unwrap();
            assert_eq!((found.name.as_str(), found.qualifier.as_deref()), ("edit", None), "{text}");
            let found = parse(&format!("{text}:live")).unwrap();
            assert_eq!((found.name.as_str(), found.qualifier.as_deref()), ("edit", Some("live")), "{text}");
        }
        assert_eq!(parse("edit:$LATEST").unwrap().qualifier.as_deref(), Some("$LATEST"));
    }

    #[test]
    fn names_outside_the_pattern_are_refused() {
        for text in ["", "a b", "a/b", "a:b:c:d", "arn:aws:lambda:us-east-1:edit", "arn:aws:s3:::bucket", "é", "x.y"] {
            assert_eq!(parse(text).unwrap_err().kind, ErrorKind::Validation, "{text}");
        }
        assert_eq!(parse(&"x".repeat(65)).unwrap_err().kind, ErrorKind::Validation);
    }

    #[test]
    fn a_name_and_a_qualifier_must_not_contradict_each_other() {
        let found = FunctionRef::parse("edit:1", Some("1"), &scope()).unwrap();
        assert_eq!(found.qualifier.as_deref(), Some("1"));
        let refused = FunctionRef::parse("edit:1", Some("2"), &scope()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::InvalidParameterValue);
    }

    #[test]
    fn an_arn_of_another_region_is_not_found() {
        let refused = parse("arn:aws:lambda:eu-west-1:000000000000:function:edit").unwrap_err();
        assert_eq!(refused.kind, ErrorKind::ResourceNotFound);
    }
}
