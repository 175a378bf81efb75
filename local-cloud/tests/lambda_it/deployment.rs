//! Deploying through S3: the artifact, its versions, its hash; and the code that `GetFunction` leads to.

use aws_sdk_lambda::types::{FunctionCode, LastUpdateStatus, LastUpdateStatusReasonCode, Runtime, S3ObjectStorageMode};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use base64::Engine as _;
use serde_json::json;
use sha2::Digest as _;

use crate::support::{Bench, ECHO, ROLE, installed, zipped};

async fn bucket(bench: &Bench) {
    bench.s3.create_bucket().bucket("artifacts").send().await.unwrap();
    let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    bench.s3.put_bucket_versioning().bucket("artifacts").versioning_configuration(versioning).send().await.unwrap();
}

async fn put(bench: &Bench, zip: Vec<u8>) -> String {
    let put = bench.s3.put_object().bucket("artifacts").key("app.zip").body(ByteStream::from(zip));
    put.send().await.unwrap().version_id.unwrap()
}

async fn create(bench: &Bench, name: &str) {
    bench
        .lambda
        .create_function()
        .function_name(name)
        .runtime(Runtime::Providedal2023)
        .handler("bootstrap")
        .role(ROLE)
        .code(FunctionCode::builder().s3_bucket("artifacts").s3_key("app.zip").build())
        .send()
        .await
        .unwrap();
    bench.settled(name).await;
}

#[tokio::test]
async fn an_artifact_in_s3_is_deployed_to_several_functions_with_one_hash() {
    let bench = Bench::start().await;
    bucket(&bench).await;
    let zip = zipped(&[("bootstrap", ECHO)]);
    put(&bench, zip.clone()).await;
    let expected = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(&zip));
    for name in ["a", "b", "c", "d"] {
        create(&bench, name).await;
        let configuration = bench.settled(name).await;
        assert_eq!(configuration.code_sha256.as_deref(), Some(expected.as_str()));
        assert_eq!(configuration.code_size, i64::try_from(zip.len()).unwrap());
    }
}

#[tokio::test]
async fn a_version_is_deployed_even_when_it_is_not_the_current_one() {
    let bench = Bench::start().await;
    bucket(&bench).await;
    let first = put(&bench, zipped(&[("bootstrap", "one")])).await;
    create(&bench, "f").await;
    let hash = bench.settled("f").await.code_sha256;
    put(&bench, zipped(&[("bootstrap", "two")])).await;
    let update = || bench.lambda.update_function_code().function_name("f").s3_bucket("artifacts").s3_key("app.zip");
    update().send().await.unwrap();
    assert_ne!(bench.settled("f").await.code_sha256, hash);
    update().s3_object_version(first).send().await.unwrap();
    assert_eq!(bench.settled("f").await.code_sha256, hash);
}

#[tokio::test]
async fn a_referenced_version_is_shown_until_an_update_copies_again() {
    let bench = Bench::start().await;
    bucket(&bench).await;
    let version = put(&bench, zipped(&[("bootstrap", ECHO)])).await;
    create(&bench, "f").await;
    let update = || bench.lambda.update_function_code().function_name("f").s3_bucket("artifacts").s3_key("app.zip");
    update().s3_object_storage_mode(S3ObjectStorageMode::Reference).send().await.unwrap();
    bench.settled("f").await;
    let code = bench.lambda.get_function().function_name("f").send().await.unwrap().code.unwrap();
    assert_eq!(code.resolved_s3_object.unwrap().s3_object_version, Some(version));
    update().send().await.unwrap();
    bench.settled("f").await;
    let code = bench.lambda.get_function().function_name("f").send().await.unwrap().code.unwrap();
    assert!(code.resolved_s3_object.is_none());
}

#[tokio::test]
async fn the_location_of_the_code_gives_the_zip_back_without_credentials() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    let files = [("bootstrap", ECHO)];
    bench.create("f", "provided.al2023", "bootstrap", &files).await;
    let code = bench.lambda.get_function().function_name("f").send().await.unwrap().code.unwrap();
    let location = code.location.unwrap();
    let download = || tokio::process::Command::new("curl").args(["-sSf", &location]).output();
    assert_eq!(download().await.unwrap().stdout, zipped(&files));
    bench.update("f", &[("bootstrap", "another")]).await;
    assert!(!download().await.unwrap().status.success());
}

#[tokio::test]
async fn a_failed_update_is_reported_and_the_old_code_keeps_answering() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    bench.create("f", "provided.al2023", "bootstrap", &[("bootstrap", ECHO)]).await;
    bench.cloud.functions().fail_next_update("f", "InternalError", "no luck");
    bench.update("f", &[("bootstrap", "broken")]).await;
    let configuration = bench.settled("f").await;
    assert_eq!(configuration.last_update_status, Some(LastUpdateStatus::Failed));
    assert_eq!(configuration.last_update_status_reason.as_deref(), Some("no luck"));
    assert_eq!(bench.invoke("f", &json!(1)).await.value()["echo"], 1);
}

#[tokio::test]
async fn damaged_code_never_answers() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    bucket(&bench).await;
    bench.create("f", "provided.al2023", "bootstrap", &[("bootstrap", ECHO)]).await;
    let mut zip = zipped(&[("bootstrap", &ECHO.replace("echo\\\"", "damaged\\\""))]);
    // The first byte of the entry's data (APPNOTE 4.3.7).
    zip[30 + "bootstrap".len()] ^= 0xFF;
    put(&bench, zip).await;
    let update = bench.lambda.update_function_code().function_name("f").s3_bucket("artifacts").s3_key("app.zip");
    update.send().await.unwrap();
    let configuration = bench.settled("f").await;
    assert_eq!(configuration.last_update_status, Some(LastUpdateStatus::Failed));
    assert_eq!(configuration.last_update_status_reason_code, Some(LastUpdateStatusReasonCode::InvalidZipFileException));
    let reason = configuration.last_update_status_reason.unwrap();
    assert!(reason.contains("the entry `bootstrap` can't be unpacked"), "{reason}");
    assert_eq!(bench.invoke("f", &json!(1)).await.value()["echo"], 1);
}
