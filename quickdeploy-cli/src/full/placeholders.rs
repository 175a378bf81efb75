//! `{bucket}`, `{key}`, `{version}` and `{role}` in the values of `[parameters]`. Pure.

use std::collections::BTreeMap;

use super::role::Role;
use super::template::PackageLocation;
use crate::error::{Error, Result};

/// Fills the placeholders in. Other braces stay: values may be JSON.
///
/// # Errors
///
/// There is nothing to fill in: a bucket without versions, a project without `role`.
pub(super) fn fill(
    parameters: &BTreeMap<String, String>,
    package: &PackageLocation,
    role: Option<&Role>,
) -> Result<BTreeMap<String, String>> {
    let values = [
        ("{bucket}", Some(package.bucket.as_str())),
        ("{key}", Some(package.key.as_str())),
        ("{version}", package.version_id.as_deref()),
        ("{role}", role.map(|role| role.arn.as_str())),
    ];
    let mut filled = BTreeMap::new();
    for (name, text) in parameters {
        let mut rest = text.as_str();
        let mut value = String::new();
        // From left to right, so that what was filled in is not looked at again.
        while let Some((before, placeholder, with)) = values
            .iter()
            .filter_map(|(placeholder, with)| Some((rest.find(placeholder)?, *placeholder, *with)))
            .min_by_key(|(before, ..)| *before)
        {
            value.push_str(&rest[..before]);
            value.push_str(with.ok_or_else(|| nothing_for(name, placeholder, package))?);
            rest = &rest[before + placeholder.len()..];
        }
        value.push_str(rest);
        filled.insert(name.clone(), value);
    }
    Ok(filled)
}

fn nothing_for(name: &str, placeholder: &str, package: &PackageLocation) -> Error {
    let error = Error::new("Config", format!("the parameter `{name}` asks for `{placeholder}`, and there is none"));
    if placeholder == "{role}" {
        return error.hint("add a line like role = \"NAME\" to quickdeploy.toml");
    }
    let bucket = &package.bucket;
    error
        .cause(format!("the bucket `{bucket}` keeps no versions"))
        .hint(format!("aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: Option<&str>) -> PackageLocation {
        PackageLocation { bucket: "b".into(), key: "{version}.zip".into(), version_id: version.map(str::to_owned) }
    }

    fn of(text: &str, version: Option<&str>) -> Result<String> {
        let parameters = BTreeMap::from([("P".to_owned(), text.to_owned())]);
        fill(&parameters, &package(version), None).map(|mut filled| filled.remove("P").unwrap())
    }

    #[test]
    fn placeholders_are_filled_in_once_and_other_braces_stay() {
        assert_eq!(of("s3://{bucket}/{key}?{version}", Some("v")).unwrap(), "s3://b/{version}.zip?v");
        assert_eq!(of(r#"{"a": {"b": 1}} {"#, None).unwrap(), r#"{"a": {"b": 1}} {"#);
    }

    #[test]
    fn what_there_is_none_of_is_named() {
        assert!(of("{version}", None).unwrap_err().causes()[0].contains("keeps no versions"));
        assert!(of("{role}", Some("v")).unwrap_err().message().contains("`P` asks for `{role}`"));
    }
}
