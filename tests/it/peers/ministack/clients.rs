//! The examples of an IDE's backend, as boto3 and the AWS SDK for JavaScript run them.

use std::path::Path;

use super::super::installation::clients;
use super::super::project::Project;
use super::{bootstrapped, make_role, ministack};
use crate::ide_backend::{ROLE, javascript, python, saves};

#[tokio::test]
async fn a_backend_in_python_saves_through_the_function_in_ministack() {
    let Some(server) = ministack().await else { return };
    let Some(programs) = clients() else { return };
    bootstrapped(&Project::new(&server, &[])).await;
    make_role(&server, ROLE).await;
    saves(&server, &programs.join("python"), &python()).await;
}

#[tokio::test]
async fn a_backend_in_javascript_saves_through_the_function_in_ministack() {
    let Some(server) = ministack().await else { return };
    let Some(script) = javascript() else { return };
    bootstrapped(&Project::new(&server, &[])).await;
    make_role(&server, ROLE).await;
    saves(&server, Path::new("node"), script).await;
}
