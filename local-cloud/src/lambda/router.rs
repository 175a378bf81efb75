//! From method and path to an operation, as the service model's `http` traits have it.

use http::Method;

use super::request::percent_decode;

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// Every operation that is answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Operation { $($name),* }

        impl Operation {
            /// AWS's name of the operation.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

operations! {
    AddPermission,
    CreateAlias,
    CreateCodeSigningConfig,
    CreateFunction,
    DeleteAlias,
    DeleteCodeSigningConfig,
    DeleteFunction,
    DeleteFunctionCodeSigningConfig,
    DeleteFunctionConcurrency,
    DeleteLayerVersion,
    // Not AWS's: the targets of `Code.Location` and `Content.Location`, in AWS presigned URLs of an internal bucket.
    DownloadCode,
    DownloadLayer,
    GetAccountSettings,
    GetAlias,
    GetCodeSigningConfig,
    GetFunction,
    GetFunctionCodeSigningConfig,
    GetFunctionConcurrency,
    GetFunctionConfiguration,
    GetLayerVersion,
    GetLayerVersionByArn,
    GetPolicy,
    Invoke,
    InvokeAsync,
    ListAliases,
    ListCodeSigningConfigs,
    ListFunctions,
    ListFunctionsByCodeSigningConfig,
    ListLayerVersions,
    ListLayers,
    ListTags,
    ListVersionsByFunction,
    PublishLayerVersion,
    PublishVersion,
    PutFunctionCodeSigningConfig,
    PutFunctionConcurrency,
    RemovePermission,
    TagResource,
    UntagResource,
    UpdateAlias,
    UpdateCodeSigningConfig,
    UpdateFunctionCode,
    UpdateFunctionConfiguration,
}

impl Operation {
    /// Whether a success leaves functions other than they were.
    pub(super) fn changes_something(self) -> bool {
        let name = self.name();
        let reads = ["Get", "List", "Invoke", "Download"];
        !reads.iter().any(|verb| name.starts_with(verb))
    }
}

/// Why no operation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// The path is one of ours, the method isn't.
    Method,
    /// No operation of ours has this path.
    Path,
}

/// Finds the operation, and the decoded variable parts of the path.
pub(super) fn route(method: &Method, path: &str, query: Option<&str>) -> Result<(Operation, Vec<String>), NoRoute> {
    use Operation as Op;

    let segments: Vec<String> = path.split('/').skip(1).map(percent_decode).collect();
    let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // Some clients send a slash at the end, as older models have it.
    if segments.last() == Some(&"") {
        segments.pop();
    }
    // Two operations have one path, and this tells them apart.
    let one_layer = query.is_some_and(|query| query.split('&').any(|pair| pair == "find=LayerVersion"));
    let (get, post, put, delete) =
        (method == Method::GET, method == Method::POST, method == Method::PUT, method == Method::DELETE);
    let candidates: (&[(bool, Op)], &[&str]) = match *segments.as_slice() {
        ["2015-03-31", "functions"] => (&[(get, Op::ListFunctions), (post, Op::CreateFunction)], &[]),
        ["2015-03-31", "functions", name] => (&[(get, Op::GetFunction), (delete, Op::DeleteFunction)], &[name]),
        ["2015-03-31", "functions", name, "code"] => (&[(put, Op::UpdateFunctionCode)], &[name]),
        ["2015-03-31", "functions", name, "configuration"] => {
            (&[(get, Op::GetFunctionConfiguration), (put, Op::UpdateFunctionConfiguration)], &[name])
        }
        ["2015-03-31", "functions", name, "invocations"] => (&[(post, Op::Invoke)], &[name]),
        ["2014-11-13", "functions", name, "invoke-async"] => (&[(post, Op::InvokeAsync)], &[name]),
        ["2015-03-31", "functions", name, "versions"] => {
            (&[(get, Op::ListVersionsByFunction), (post, Op::PublishVersion)], &[name])
        }
        ["2015-03-31", "functions", name, "aliases"] => (&[(get, Op::ListAliases), (post, Op::CreateAlias)], &[name]),
        ["2015-03-31", "functions", name, "aliases", alias] => {
            (&[(get, Op::GetAlias), (put, Op::UpdateAlias), (delete, Op::DeleteAlias)], &[name, alias])
        }
        ["2015-03-31", "functions", name, "policy"] => (&[(get, Op::GetPolicy), (post, Op::AddPermission)], &[name]),
        ["2015-03-31", "functions", name, "policy", statement] => {
            (&[(delete, Op::RemovePermission)], &[name, statement])
        }
        ["2015-03-31", "code", name, version] => (&[(get, Op::DownloadCode)], &[name, version]),
        ["2015-03-31", "code", "layer", name, version] => (&[(get, Op::DownloadLayer)], &[name, version]),
        ["2016-08-19", "account-settings"] => (&[(get, Op::GetAccountSettings)], &[]),
        ["2017-03-31", "tags", arn] => {
            (&[(get, Op::ListTags), (post, Op::TagResource), (delete, Op::UntagResource)], &[arn])
        }
        ["2017-10-31" | "2019-09-30", "functions", name, "concurrency"] => (
            &[
                (get, Op::GetFunctionConcurrency),
                (put, Op::PutFunctionConcurrency),
                (delete, Op::DeleteFunctionConcurrency),
            ],
            &[name],
        ),
        ["2018-10-31", "layers"] => (&[(get && one_layer, Op::GetLayerVersionByArn), (get, Op::ListLayers)], &[]),
        ["2018-10-31", "layers", name, "versions"] => {
            (&[(get, Op::ListLayerVersions), (post, Op::PublishLayerVersion)], &[name])
        }
        ["2018-10-31", "layers", name, "versions", version] => {
            (&[(get, Op::GetLayerVersion), (delete, Op::DeleteLayerVersion)], &[name, version])
        }
        ["2020-04-22", "code-signing-configs"] => {
            (&[(get, Op::ListCodeSigningConfigs), (post, Op::CreateCodeSigningConfig)], &[])
        }
        ["2020-04-22", "code-signing-configs", arn] => (
            &[
                (get, Op::GetCodeSigningConfig),
                (put, Op::UpdateCodeSigningConfig),
                (delete, Op::DeleteCodeSigningConfig),
            ],
            &[arn],
        ),
        ["2020-04-22", "code-signing-configs", arn, "functions"] => {
            (&[(get, Op::ListFunctionsByCodeSigningConfig)], &[arn])
        }
        ["2020-06-30", "functions", name, "code-signing-config"] => (
            &[
                (get, Op::GetFunctionCodeSigningConfig),
                (put, Op::PutFunctionCodeSigningConfig),
                (delete, Op::DeleteFunctionCodeSigningConfig),
            ],
            &[name],
        ),
        _ => return Err(NoRoute::Path),
    };
    let (by_method, variables) = candidates;
    let found = by_method.iter().find(|(matches, _)| *matches).ok_or(NoRoute::Method)?;
    Ok((found.1, variables.iter().map(|&part| part.to_owned()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_operations() {
        let found = |method, path| route(&method, path, None).map(|(operation, path)| (operation.name(), path));
        assert_eq!(found(Method::POST, "/2015-03-31/functions/"), Ok(("CreateFunction", vec![])));
        assert_eq!(
            found(Method::GET, "/2015-03-31/functions/arn%3Aaws%3Alambda/aliases/live"),
            Ok(("GetAlias", vec!["arn:aws:lambda".to_owned(), "live".to_owned()]))
        );
        assert_eq!(found(Method::PATCH, "/2015-03-31/functions"), Err(NoRoute::Method));
        assert_eq!(found(Method::GET, "/2018-10-31/layers/deps"), Err(NoRoute::Path));
        assert_eq!(found(Method::GET, "/"), Err(NoRoute::Path));
    }

    #[test]
    fn a_layers_version_is_told_from_all_layers_by_the_query() {
        let found = |query| route(&Method::GET, "/2018-10-31/layers", query).map(|(operation, _)| operation.name());
        assert_eq!(found(None), Ok("ListLayers"));
        assert_eq!(found(Some("CompatibleRuntime=nodejs22.x")), Ok("ListLayers"));
        assert_eq!(found(Some("find=LayerVersion&Arn=arn%3Aaws")), Ok("GetLayerVersionByArn"));
    }
}
