//! Updates and their states, code from S3, limits, request rates.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::support::{Bench, damaged, encoded, zipped};

const FILES: &[(&str, &str)] = &[("app.py", "def handler(event, context): return 1\n")];
const OTHER: &[(&str, &str)] = &[("app.py", "def handler(event, context): return 2\n")];

fn slow() -> Bench {
    Bench::with(|settings| settings.update_delay = Duration::from_secs(1))
}

async fn created(bench: &Bench, name: &str) {
    let answer = bench.create(name, "python3.12", "app.handler", FILES).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn an_update_is_in_progress_then_successful_and_gives_two_revisions() {
    let bench = slow();
    created(&bench, "f").await;
    let before = bench.configuration("f").await;
    assert_eq!(before["State"], "Active");
    let zip = zipped(OTHER);
    let during = bench.update_code("f", json!({ "ZipFile": encoded(&zip) })).await.body;
    assert_eq!(during["LastUpdateStatus"], "InProgress");
    assert_eq!(during["State"], "Active");
    assert_eq!(during["CodeSize"], zip.len());

    let refused = bench.update_code("f", json!({ "ZipFile": encoded(&zip) })).await;
    assert_eq!(refused.error.as_deref(), Some("ResourceConflictException"));
    assert_eq!(
        refused.body["message"],
        "The operation cannot be performed at this time. An update is in progress for resource: arn:aws:lambda:us-east-1:000000000000:function:f"
    );

    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let after = bench.configuration("f").await;
    assert_eq!(after["LastUpdateStatus"], "Successful");
    assert_eq!(after["CodeSha256"], during["CodeSha256"]);
    assert_ne!(before["RevisionId"], during["RevisionId"]);
    assert_ne!(during["RevisionId"], after["RevisionId"]);
}

#[tokio::test(start_paused = true)]
async fn identical_code_goes_through_the_same_states() {
    let bench = slow();
    created(&bench, "f").await;
    let answer = bench.update_code("f", json!({ "ZipFile": encoded(&zipped(FILES)) })).await;
    assert_eq!(answer.body["LastUpdateStatus"], "InProgress");
}

#[tokio::test(start_paused = true)]
async fn a_new_function_is_pending_and_cannot_be_invoked_or_updated() {
    let bench = Bench::with(|settings| settings.create_delay = Duration::from_secs(1));
    let answer = bench.create("f", "python3.12", "app.handler", FILES).await;
    assert_eq!((&answer.body["State"], &answer.body["StateReasonCode"]), (&json!("Pending"), &json!("Creating")));
    for refused in [bench.invoke("f", json!({})).await, bench.update_code("f", json!({ "ZipFile": "" })).await] {
        assert_eq!(refused.error.as_deref(), Some("ResourceConflictException"));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.configuration("f").await["State"], "Active");
}

#[tokio::test]
async fn a_failed_update_says_why_and_leaves_the_old_code() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let before = bench.configuration("f").await;
    bench.lambda.control().fail_next_update("f", "InvalidZipFileException", "the zip is odd");
    bench.update_code("f", json!({ "ZipFile": encoded(&zipped(OTHER)) })).await;
    let after = bench.configuration("f").await;
    assert_eq!(after["LastUpdateStatus"], "Failed");
    assert_eq!(after["LastUpdateStatusReasonCode"], "InvalidZipFileException");
    assert_eq!(after["LastUpdateStatusReason"], "the zip is odd");
    assert_eq!(after["CodeSha256"], before["CodeSha256"]);
    bench.update_code("f", json!({ "ZipFile": encoded(&zipped(OTHER)) })).await;
    assert_eq!(bench.configuration("f").await["LastUpdateStatus"], "Successful");
}

#[tokio::test]
async fn code_whose_checksum_lies_fails_the_update_and_the_old_code_stays() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let before = bench.configuration("f").await;
    let zip = damaged(&[("app.py", "x = 1"), ("lib/helper.py", "y = 1")]);
    let during = bench.update_code("f", json!({ "ZipFile": encoded(&zip), "Publish": true })).await.body;
    assert_eq!(during["State"], "Pending");
    let after = bench.configuration("f").await;
    assert_eq!((&after["State"], &after["LastUpdateStatus"]), (&json!("Active"), &json!("Failed")));
    assert_eq!(after["LastUpdateStatusReasonCode"], "InvalidZipFileException");
    assert_eq!(
        after["LastUpdateStatusReason"],
        "Could not unzip uploaded file: the entry `lib/helper.py` can't be unpacked: Invalid checksum. Please check your file, then try to upload again."
    );
    assert_eq!(after["CodeSha256"], before["CodeSha256"]);
    let published = bench.get("/2015-03-31/functions/f?Qualifier=1").await.body["Configuration"].take();
    assert_eq!((&published["State"], &published["CodeSha256"]), (&json!("Failed"), &during["CodeSha256"]));

    bench.update_code("f", json!({ "ZipFile": encoded(&zipped(OTHER)) })).await;
    assert_eq!(bench.configuration("f").await["LastUpdateStatus"], "Successful");
}

#[tokio::test]
async fn a_function_of_damaged_code_fails_and_only_whole_code_mends_it() {
    let bench = Bench::new();
    bench.create_from("f", "python3.12", "app.handler", json!({ "ZipFile": encoded(&damaged(FILES)) })).await;
    let expect_failed = |shown: serde_json::Value| {
        assert_eq!(shown["State"], "Failed");
        assert_eq!(shown["StateReasonCode"], "InvalidZipFileException");
        assert!(shown["StateReason"].as_str().unwrap().contains("the entry `app.py`"), "{shown}");
    };
    expect_failed(bench.configuration("f").await);
    assert_eq!(bench.invoke("f", json!({})).await.error.as_deref(), Some("ResourceConflictException"));
    let other_memory = json!({ "MemorySize": 256 });
    bench.send(http::Method::PUT, "/2015-03-31/functions/f/configuration", other_memory).await;
    expect_failed(bench.configuration("f").await);
    bench.update_code("f", json!({ "ZipFile": encoded(&zipped(FILES)) })).await;
    assert_eq!(bench.configuration("f").await["State"], "Active");
}

#[tokio::test(start_paused = true)]
async fn an_update_is_in_progress_until_its_code_is_checked_however_long_that_takes() {
    let bench = slow();
    created(&bench, "f").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let suspended = crate::lambda::integrity::suspended().await;
    let input = json!({ "ZipFile": encoded(&zipped(OTHER)) });
    let answer = bench.send(http::Method::PUT, "/2015-03-31/functions/f/code", input).await;
    assert_eq!(answer.status, 200);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.configuration("f").await["LastUpdateStatus"], "InProgress");
    drop(suspended);
    bench.lambda.finish_checks().await;
    assert_eq!(bench.configuration("f").await["LastUpdateStatus"], "Successful");
}

#[tokio::test]
async fn code_that_was_checked_is_not_checked_again() {
    let bench = Bench::new();
    bench.objects.put("versioned", "a.zip", zipped(OTHER));
    let code = json!({ "S3Bucket": "versioned", "S3Key": "a.zip" });
    bench.create_from("a", "python3.12", "app.handler", code.clone()).await;
    created(&bench, "b").await;
    let _suspended = crate::lambda::integrity::suspended().await;
    for (name, change, input) in
        [("a", "code", code.clone()), ("b", "code", code), ("b", "configuration", json!({ "MemorySize": 256 }))]
    {
        let path = format!("/2015-03-31/functions/{name}/{change}");
        let answer = bench.send(http::Method::PUT, &path, input).await;
        assert_eq!(answer.body["LastUpdateStatus"], "InProgress");
        assert_eq!(bench.configuration(name).await["LastUpdateStatus"], "Successful", "{path}");
    }
}

#[tokio::test]
async fn a_dry_run_answers_with_the_new_code_and_changes_nothing() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let before = bench.configuration("f").await;
    let zip = encoded(&zipped(OTHER));
    let answer = bench.update_code("f", json!({ "ZipFile": zip, "DryRun": true })).await;
    assert_ne!(answer.body["CodeSha256"], before["CodeSha256"]);
    assert_eq!(bench.configuration("f").await, before);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let zip = encoded(&zipped(OTHER));
    let refused = bench.update_code("f", json!({ "ZipFile": zip, "RevisionId": "old" })).await;
    assert_eq!((refused.status.as_u16(), refused.error.as_deref()), (412, Some("PreconditionFailedException")));
    let revision = bench.configuration("f").await["RevisionId"].clone();
    let accepted = bench.update_code("f", json!({ "ZipFile": zip, "RevisionId": revision })).await;
    assert_eq!(accepted.status, 200);
}

#[tokio::test]
async fn four_functions_of_one_object_have_one_hash_and_one_package() {
    let bench = Bench::new();
    bench.objects.put("versioned", "a.zip", zipped(FILES));
    let code = json!({ "S3Bucket": "versioned", "S3Key": "a.zip" });
    let names = ["a", "b", "c", "d"];
    let answers =
        futures::future::join_all(names.map(|name| bench.create_from(name, "python3.12", "app.handler", code.clone())))
            .await;
    assert!(answers.iter().all(|answer| answer.body["CodeSha256"] == answers[0].body["CodeSha256"]));
    let registry = bench.lambda.registry();
    let packages: Vec<_> =
        names.iter().filter_map(|name| registry.functions[*name].latest.shown().artifact.code()).collect();
    assert_eq!(packages.len(), 4);
    assert!(packages.iter().all(|code| std::sync::Arc::ptr_eq(code, packages[0])));
}

#[tokio::test]
async fn a_new_object_under_the_same_key_is_new_code() {
    let bench = Bench::new();
    bench.objects.put("versioned", "a.zip", zipped(FILES));
    let code = json!({ "S3Bucket": "versioned", "S3Key": "a.zip" });
    let first = bench.create_from("f", "python3.12", "app.handler", code.clone()).await;
    bench.objects.put("versioned", "a.zip", zipped(OTHER));
    let second = bench.update_code("f", code.clone()).await;
    assert_ne!(first.body["CodeSha256"], second.body["CodeSha256"]);
    let pinned = json!({ "S3Bucket": "versioned", "S3Key": "a.zip", "S3ObjectVersion": "v1" });
    let third = bench.update_code("f", pinned).await;
    assert_eq!(first.body["CodeSha256"], third.body["CodeSha256"]);
}

#[tokio::test]
async fn what_s3_does_not_have_is_told_in_lambdas_words() {
    let bench = Bench::new();
    created(&bench, "f").await;
    bench.objects.put("versioned", "a.zip", zipped(FILES));
    let message = async |bucket: &str, key: &str, version: serde_json::Value| {
        let input = json!({ "S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": version });
        let refused = bench.update_code("f", input).await;
        assert_eq!(refused.error.as_deref(), Some("InvalidParameterValueException"));
        refused.body["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        message("versioned", "no.zip", json!(null)).await,
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
    );
    assert!(message("nothing", "a.zip", json!(null)).await.contains("S3 Error Code: NoSuchBucket."));
    assert!(message("versioned", "a.zip", json!("v9")).await.contains("S3 Error Code: NoSuchVersion."));
}

#[tokio::test]
async fn a_referenced_object_is_shown_and_its_loss_makes_the_function_inactive() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let version = bench.objects.put("versioned", "a.zip", zipped(OTHER));
    let reference = json!({ "S3Bucket": "versioned", "S3Key": "a.zip", "S3ObjectStorageMode": "REFERENCE" });
    bench.update_code("f", reference.clone()).await;
    let shown = bench.get("/2015-03-31/functions/f").await.body;
    assert_eq!(
        shown["Code"]["ResolvedS3Object"],
        json!({ "S3Bucket": "versioned", "S3Key": "a.zip", "S3ObjectVersion": version })
    );
    bench.objects.lose("versioned", "a.zip", &version);
    assert_eq!(bench.configuration("f").await["State"], "Inactive");
    assert_eq!(bench.invoke("f", json!({})).await.error.as_deref(), Some("ResourceConflictException"));

    // Without the mode, the next update copies again.
    bench.objects.put("versioned", "b.zip", zipped(OTHER));
    bench.update_code("f", json!({ "S3Bucket": "versioned", "S3Key": "b.zip" })).await;
    let shown = bench.get("/2015-03-31/functions/f").await.body;
    assert_eq!(shown["Code"].get("ResolvedS3Object"), None);
    assert_eq!(shown["Configuration"]["State"], "Active");
}

#[tokio::test]
async fn a_reference_needs_a_versioned_bucket() {
    let bench = Bench::new();
    created(&bench, "f").await;
    bench.objects.put("plain", "a.zip", zipped(OTHER));
    let input = json!({ "S3Bucket": "plain", "S3Key": "a.zip", "S3ObjectStorageMode": "REFERENCE" });
    assert_eq!(bench.update_code("f", input).await.error.as_deref(), Some("InvalidParameterValueException"));
}

#[tokio::test]
async fn packages_beyond_the_limits_are_refused() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let refused = bench.update_code("f", json!({ "ZipFile": encoded(b"not a zip") })).await;
    assert_eq!(
        refused.body["message"],
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    );
    // 250 MiB of nothing deflate to a few hundred kilobytes.
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("zeros", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 262_144_000), &mut writer).unwrap();
    let refused = bench.update_code("f", json!({ "ZipFile": encoded(&writer.finish().unwrap().into_inner()) })).await;
    assert_eq!(refused.body["message"], "Unzipped size must be smaller than 262144000 bytes");
    let large = bench.update_code("f", json!({ "ZipFile": encoded(&vec![0; 52_428_801]) })).await;
    assert_eq!((large.status.as_u16(), large.error.as_deref()), (413, Some("RequestEntityTooLargeException")));
}

#[tokio::test]
async fn a_package_whose_sizes_follow_its_data_is_taken() {
    let bench = Bench::new();
    created(&bench, "f").await;
    // A writer that can't go back puts a data descriptor behind each entry.
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    writer.start_file("index.js", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, b"exports.handler = async () => 1;\n").unwrap();
    let zip = writer.finish().unwrap().into_inner();
    let taken = bench.update_code("f", json!({ "ZipFile": encoded(&zip) })).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
}

#[tokio::test]
async fn an_image_function_takes_no_zip() {
    let bench = Bench::new();
    let input = json!({
        "FunctionName": "image",
        "PackageType": "Image",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Code": { "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1" },
    });
    assert_eq!(bench.send(http::Method::POST, "/2015-03-31/functions", input).await.status, 201);
    let refused = bench.update_code("image", json!({ "ZipFile": encoded(&zipped(FILES)) })).await;
    assert_eq!(refused.body["message"], "Please provide ImageUri when updating a function with packageType Image.");
}

#[tokio::test]
async fn the_sixteenth_control_plane_request_of_a_moment_is_throttled_and_get_function_is_not() {
    let bench = Bench::with(|settings| {
        settings.control_plane_rate = 15.0;
        settings.get_function_rate = 100.0;
    });
    let mut throttled = None;
    for _ in 0..40 {
        let answer = bench.get("/2015-03-31/functions").await;
        if answer.status == 429 {
            throttled = Some(answer);
        }
    }
    let throttled = throttled.unwrap();
    assert_eq!(throttled.error.as_deref(), Some("TooManyRequestsException"));
    assert_eq!(throttled.body["Reason"], "CallerRateLimitExceeded");
    assert_eq!(throttled.headers["retry-after"], "1");
    for _ in 0..50 {
        assert_eq!(bench.get("/2015-03-31/functions/none").await.status, 404);
    }
}

#[tokio::test]
async fn a_function_without_code_signing_is_named_and_nothing_else() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let shown = bench.get("/2020-06-30/functions/f/code-signing-config").await;
    assert_eq!((shown.status.as_u16(), shown.body), (200, json!({ "FunctionName": "f" })));
    assert_eq!(bench.get("/2020-06-30/functions/none/code-signing-config").await.status, 404);
}

#[tokio::test]
async fn enforced_code_signing_refuses_a_zip() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let config = json!({
        "AllowedPublishers": { "SigningProfileVersionArns": [] },
        "CodeSigningPolicies": { "UntrustedArtifactOnDeployment": "Enforce" },
    });
    let config = bench.send(http::Method::POST, "/2020-04-22/code-signing-configs", config).await;
    let arn = &config.body["CodeSigningConfig"]["CodeSigningConfigArn"];
    let path = "/2020-06-30/functions/f/code-signing-config";
    bench.send(http::Method::PUT, path, json!({ "CodeSigningConfigArn": arn })).await;
    let refused = bench.update_code("f", json!({ "ZipFile": encoded(&zipped(OTHER)) })).await;
    assert_eq!(refused.error.as_deref(), Some("CodeVerificationFailedException"));
}

#[tokio::test]
async fn publishing_twice_without_a_change_gives_one_version() {
    let bench = Bench::new();
    created(&bench, "f").await;
    let publish = async || bench.send(http::Method::POST, "/2015-03-31/functions/f/versions", json!({})).await.body;
    assert_eq!(publish().await["Version"], "1");
    assert_eq!(publish().await["Version"], "1");
    bench.update_code("f", json!({ "ZipFile": encoded(&zipped(OTHER)) })).await;
    let second = publish().await;
    assert_eq!(second["Version"], "2");
    assert_eq!(second["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:2");
    let listed = bench.get("/2015-03-31/functions/f/versions").await.body;
    let versions: Vec<_> = listed["Versions"].as_array().unwrap().iter().map(|v| v["Version"].clone()).collect();
    assert_eq!(versions, ["$LATEST", "1", "2"]);
}

#[tokio::test]
async fn a_listing_goes_on_where_its_marker_says() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        created(&bench, name).await;
    }
    let first = bench.get("/2015-03-31/functions?MaxItems=2").await.body;
    assert_eq!(first["Functions"].as_array().unwrap().len(), 2);
    let marker = first["NextMarker"].as_str().unwrap();
    let rest = bench.get(&format!("/2015-03-31/functions?MaxItems=2&Marker={marker}")).await.body;
    assert_eq!(rest["Functions"][0]["FunctionName"], "c");
    assert_eq!(rest.get("NextMarker"), None);
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_refused_by_name() {
    let bench = Bench::new();
    let refused = bench.get("/2015-03-31/event-source-mappings").await;
    assert_eq!(refused.error.as_deref(), Some("NotImplementedException"));
    assert!(refused.body["message"].as_str().unwrap().contains("GET /2015-03-31/event-source-mappings"));
}

#[tokio::test]
async fn a_copied_package_needs_its_object_no_more() {
    let bench = Bench::new();
    bench.objects.put("plain", "a.zip", zipped(FILES));
    let code = json!({ "S3Bucket": "plain", "S3Key": "a.zip" });
    bench.create_from("f", "python3.12", "app.handler", code).await;
    assert_eq!(bench.objects.lookups.load(Ordering::Relaxed), 1);
    bench.objects.lose("plain", "a.zip", "v1");
    assert_eq!(bench.configuration("f").await["State"], "Active");
    assert_eq!(bench.objects.lookups.load(Ordering::Relaxed), 1);
}
