//! What one edit costs in dollars, by the price list in `benches/prices.toml`.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::engine::Edited;
use crate::paths;

/// The memory of the zipedit function in `template.yaml`, in GB: what Lambda bills.
const FUNCTION_GB: f64 = 1769.0 / 1024.0;

/// Dollars.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    s3: S3,
    lambda: Lambda,
    codebuild: CodeBuild,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct S3 {
    put_per_1000: f64,
    get_per_1000: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lambda {
    gb_second: f64,
    request_per_million: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBuild {
    minute: f64,
}

impl Prices {
    /// From the list in the repository.
    ///
    /// # Errors
    /// It isn't there, or of another form.
    pub(crate) fn listed() -> Result<Self> {
        let text = std::fs::read_to_string(paths::own().join("prices.toml"))?;
        toml::from_str(&text).context("cannot read benches/prices.toml")
    }

    /// An edit by the function, started anew: its time, and its requests, of which one reads.
    pub(crate) fn edit(&self, edited: &Edited) -> f64 {
        let seconds = (edited.ms + edited.init_ms.unwrap_or_default()) / 1e3;
        let writes = edited.requests.saturating_sub(1) as f64;
        seconds * FUNCTION_GB * self.lambda.gb_second
            + self.lambda.request_per_million / 1e6
            + writes * self.s3.put_per_1000 / 1e3
            + self.s3.get_per_1000 / 1e3
    }

    /// A build of so many seconds: CodeBuild bills each minute that has begun.
    pub(crate) fn build(&self, seconds: f64) -> f64 {
        (seconds / 60.0).ceil().max(1.0) * self.codebuild.minute
    }
}
