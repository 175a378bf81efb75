//! Finds out what a `quickdeploy.toml` has to say, from what runs and from what is here.
//!
//! [`sources`] reads the files of SAM, CloudFormation, the Serverless Framework and CDK for the names of stacks and
//! functions ([`template`] and [`document`] know their notation). [`live`] asks Lambda and CloudFormation what runs, and
//! which functions share a package. [`locate`] finds the object in S3 that the package came from, if need be by a
//! [`search`]; [`adopt`] puts it there when it is nowhere. [`tree`] compares the artifact's names and checksums with the
//! local files: [`mapping`] decides which directory lies where in it, [`excludes`] which files were left out on purpose,
//! [`handler`] which file a function's handler is in. [`infrastructure`] which stack and template a full build
//! deploys. [`proposal`] puts one artifact together, [`config_text`] writes all of it down, and [`discovery`] goes through these steps.
//!
//! What decides is pure and knows no network; what asks decides nothing.

mod adopt;
pub(crate) mod config_text;
pub(crate) mod discovery;
mod document;
mod excludes;
mod handler;
pub(crate) mod infrastructure;
pub(crate) mod live;
pub(crate) mod locate;
mod mapping;
pub(crate) mod proposal;
mod search;
pub(crate) mod sources;
mod template;
pub(crate) mod tree;
