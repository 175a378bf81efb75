//! Versions of an artifact: what their writers say of themselves, and how an earlier one becomes the current one again.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use bytes::Bytes;
use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::project;
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use zipedit::{Object as _, Options, S3Object, Stamp, Stop, Store as _, edit};

use crate::strategies::puts;

const KEY: &str = "artifact.zip";

fn stamp(by: &str) -> Stamp {
    Stamp::new().with("quickdeploy-by", by).unwrap().with("quickdeploy-verb", "deploy").unwrap()
}

async fn metadata(cloud: &Cloud) -> BTreeMap<String, String> {
    let head = cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    head.metadata().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_writers_stamp_is_on_its_own_version_only_by_every_strategy() {
    let cloud = Cloud::start().await;
    for (strategy, body) in
        [("small", project(3, 1000)), ("splice", project(30, 400_000)), ("rewrite", project(30, 400_000))]
    {
        if strategy == "rewrite" {
            let refused = Action::Respond { status: 501, code: "NotImplemented" };
            cloud.faults().inject(Fault::on("UploadPartCopy").always().then(refused));
        }
        cloud.s3.put_object().bucket(BUCKET).key(KEY).body(body.into()).metadata("commit", "abc").send().await.unwrap();
        let write = async |store: zipedit::S3Store, content: &str| {
            let report = edit(&store, &puts([("util.js", content)]), &Options::new()).await.unwrap();
            assert_eq!(report.strategy.as_str(), strategy);
        };

        write(cloud.store(KEY).stamped(stamp("ada")), "1").await;
        let hers = [("commit", "abc"), ("quickdeploy-by", "ada"), ("quickdeploy-verb", "deploy")];
        assert_eq!(metadata(&cloud).await, map(&hers), "{strategy}");

        write(cloud.store(KEY).stamped(Stamp::new().with("quickdeploy-by", "bob").unwrap()), "2").await;
        assert_eq!(metadata(&cloud).await, map(&[("commit", "abc"), ("quickdeploy-by", "bob")]), "{strategy}");

        write(cloud.store(KEY), "3").await;
        assert_eq!(metadata(&cloud).await, map(&[("commit", "abc")]), "{strategy}");
    }
}

#[tokio::test]
async fn an_object_with_as_much_metadata_as_s3_takes_is_edited_without_a_stamp() {
    let cloud = Cloud::start().await;
    let note = "x".repeat(2000);
    let body = project(3, 1000);
    cloud.s3.put_object().bucket(BUCKET).key(KEY).body(body.into()).metadata("note", &note).send().await.unwrap();
    edit(&cloud.store(KEY).stamped(stamp("ada")), &puts([("util.js", "1")]), &Options::new()).await.unwrap();
    assert_eq!(metadata(&cloud).await, map(&[("note", &note)]));
}

/// An artifact with two versions; the ids of both.
async fn two_versions(cloud: &Cloud, old: Bytes) -> (String, String) {
    cloud.keep_versions().await;
    let put = cloud.s3.put_object().bucket(BUCKET).key(KEY).body(old.into());
    let old = put
        .content_type("application/zip")
        .metadata("commit", "old")
        .metadata("quickdeploy-by", "ada")
        .tagging("team=one")
        .storage_class(StorageClass::StandardIa)
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555")
        .send()
        .await
        .unwrap();
    let new = cloud.s3.put_object().bucket(BUCKET).key(KEY).body(project(4, 2000).into()).send().await.unwrap();
    cloud.clear_requests();
    (old.version_id.unwrap(), new.version_id.unwrap())
}

async fn head(cloud: &Cloud) -> S3Object {
    cloud.store(KEY).head().await.unwrap()
}

#[tokio::test]
async fn a_restored_version_is_a_copy_inside_s3_with_all_that_it_had() {
    let cloud = Cloud::start().await;
    let old = project(30, 400_000);
    let (version, replaced) = two_versions(&cloud, old.clone()).await;
    let current = head(&cloud).await;
    cloud.clear_requests();

    let restored =
        cloud.store(KEY).stamped(stamp("bob")).version(&version).restore(Some(&current), &Stop::never()).await.unwrap();

    assert_eq!(cloud.operations(), ["HeadObject", "GetObjectTagging", "CopyObject"]);
    assert_eq!(cloud.requests().iter().map(|request| request.bytes_in).sum::<u64>(), 0, "nothing is uploaded");
    assert_eq!(cloud.get(KEY).await, old);
    let now = cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!((now.version_id(), now.e_tag()), (restored.version_id(), Some(restored.etag())));
    assert!(![version.as_str(), replaced.as_str()].contains(&restored.version_id().unwrap()));
    assert_eq!(now.content_type(), Some("application/zip"));
    let told = [("commit", "old"), ("quickdeploy-by", "bob"), ("quickdeploy-verb", "deploy")];
    assert_eq!(metadata(&cloud).await, map(&told));
    assert!(now.ssekms_key_id().is_some());
    // A lifecycle rule may have moved the old version to another class.
    assert_eq!(now.storage_class(), None, "that of the version it replaces");
    let tags = cloud.s3.get_object_tagging().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(tags.tag_set()[0].key(), "team");
}

#[tokio::test]
async fn another_writers_version_is_never_hidden_by_a_restored_one() {
    let cloud = Cloud::start().await;
    let (version, _) = two_versions(&cloud, project(3, 1000)).await;
    let seen = head(&cloud).await;
    edit(&cloud.store(KEY), &puts([("theirs.js", "1")]), &Options::new()).await.unwrap();
    let theirs = cloud.get(KEY).await;
    let error = cloud.store(KEY).version(&version).restore(Some(&seen), &Stop::never()).await.unwrap_err();
    assert_eq!(error.kind(), "Conflict");
    assert_eq!(cloud.get(KEY).await, theirs);

    // Deleted meanwhile, and the other way round: restored although it was seen deleted.
    let seen = head(&cloud).await;
    cloud.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(
        cloud.store(KEY).version(&version).restore(Some(&seen), &Stop::never()).await.unwrap_err().kind(),
        "Conflict"
    );
    let restored = cloud.store(KEY).version(&version).restore(None, &Stop::never()).await.unwrap();
    assert_eq!(cloud.store(KEY).version(&version).restore(None, &Stop::never()).await.unwrap_err().kind(), "Conflict");
    assert_eq!(head(&cloud).await.version_id(), restored.version_id());
}

#[tokio::test]
async fn a_copy_whose_answer_is_lost_is_recognised_as_made() {
    for action in [Action::ResetAfter, Action::RespondAfter { status: 500, code: "InternalError" }] {
        let cloud = Cloud::start().await;
        let old = project(3, 1000);
        let (version, _) = two_versions(&cloud, old.clone()).await;
        let current = head(&cloud).await;
        cloud.faults().inject(Fault::on("CopyObject").then(action));
        let restored = cloud
            .store(KEY)
            .stamped(stamp("bob"))
            .version(&version)
            .restore(Some(&current), &Stop::never())
            .await
            .unwrap();
        assert!(cloud.requests().iter().any(|request| request.fault.is_some()), "the fault was met");
        assert_eq!(restored.version_id(), head(&cloud).await.version_id(), "{action}");
        assert_eq!(cloud.get(KEY).await, old);
    }
}

#[tokio::test]
async fn a_copy_that_s3_refuses_changes_nothing() {
    for (action, kind) in [
        (Action::Respond { status: 403, code: "AccessDenied" }, "AccessDenied"),
        (Action::ErrorInside200 { code: "InvalidRequest" }, "Store"),
        (Action::Respond { status: 500, code: "InternalError" }, "Store"),
    ] {
        let cloud = Cloud::start().await;
        let (version, replaced) = two_versions(&cloud, project(3, 1000)).await;
        let current = head(&cloud).await;
        cloud.faults().inject(Fault::on("CopyObject").always().then(action));
        let error = cloud.store(KEY).version(&version).restore(Some(&current), &Stop::never()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(head(&cloud).await.version_id(), Some(replaced.as_str()));
    }
}

#[tokio::test]
async fn a_version_that_is_gone_or_has_no_content_is_named() {
    let cloud = Cloud::start().await;
    let (version, _) = two_versions(&cloud, project(3, 1000)).await;
    let current = head(&cloud).await;
    cloud.s3.delete_object().bucket(BUCKET).key(KEY).version_id(&version).send().await.unwrap();
    let gone = cloud.store(KEY).version(&version);
    let marker = cloud.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap().version_id.unwrap();
    cloud.s3.delete_object().bucket(BUCKET).key(KEY).version_id(&marker).send().await.unwrap();
    let error = gone.open().await.unwrap_err();
    assert_eq!(error.kind(), "ArtifactNotFound");
    assert!(error.to_string().contains(&version), "{error}");
    assert_eq!(gone.restore(Some(&current), &Stop::never()).await.unwrap_err().kind(), "ArtifactNotFound");

    let marker = cloud.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap().version_id.unwrap();
    let error = cloud.store(KEY).version(&marker).open().await.unwrap_err().to_string();
    assert!(error.contains("delete marker"), "{error}");
}

#[tokio::test]
async fn an_archived_version_is_said_to_be_archived() {
    let cloud = Cloud::start().await;
    cloud.keep_versions().await;
    let put = cloud.s3.put_object().bucket(BUCKET).key(KEY).body(project(3, 1000).into());
    let version = put.storage_class(StorageClass::Glacier).send().await.unwrap().version_id.unwrap();
    cloud.put(KEY, project(4, 2000)).await;
    let current = head(&cloud).await;
    for error in [
        cloud.store(KEY).version(&version).open().await.unwrap_err(),
        cloud.store(KEY).version(&version).restore(Some(&current), &Stop::never()).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("restore-object"), "{error}");
    }
    assert_eq!(head(&cloud).await.version_id(), current.version_id());
}

#[tokio::test]
async fn a_version_tells_when_and_how_it_was_written() {
    let cloud = Cloud::start().await;
    let (version, _) = two_versions(&cloud, project(3, 1000)).await;
    let old = cloud.store(KEY).version(&version).open().await.unwrap();
    assert_eq!(cloud.operations(), ["GetObject"], "tags are not asked for");
    assert_eq!(old.object().stamp("quickdeploy-by"), Some("ada"));
    assert_eq!(old.object().stamp("commit"), None, "that is no stamp");
    assert_eq!(old.object().storage_class(), "STANDARD_IA");
    assert_eq!(old.object().encryption().map(|(algorithm, key)| (algorithm, key.is_some())), Some(("aws:kms", true)));
    let age = old.object().last_modified().unwrap().elapsed().unwrap_or_default();
    assert!(age < Duration::from_secs(60), "{age:?}");
}
