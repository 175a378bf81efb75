//! Every strategy makes the same archive, in S3.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use zipedit::{Changes, Content, EntryName, Options, Strategy, edit};

pub(crate) fn puts<'a>(of: impl IntoIterator<Item = (&'a str, &'a str)>) -> Changes {
    let mut changes = Changes::new();
    for (name, content) in of {
        changes.put(EntryName::new(name).unwrap(), Content::new(content.to_owned()));
    }
    changes
}

fn the_edit() -> Changes {
    let mut changes = puts([("handlers/stop.js", "exports.name = 'edited';\n"), ("added.js", "// new\n")]);
    changes.delete(EntryName::new("handlers/list.js").unwrap());
    changes
}

async fn edited(cloud: &Cloud, key: &str, body: Bytes) -> (zipedit::Report, Bytes) {
    cloud.put(key, body).await;
    let report = edit(&cloud.store(key), &the_edit(), &Options::new()).await.unwrap();
    assert_eq!((report.added, report.modified, report.deleted), (1, 1, 1));
    let new = cloud.get(key).await;
    assert_eq!(report.size, new.len() as u64);
    assert_eq!(cloud.open_uploads().await, 0);
    (report, new)
}

#[tokio::test]
async fn small_artifacts_are_read_once_and_put_under_the_condition_that_they_are_the_same() {
    let cloud = Cloud::start().await;
    let (report, new) = edited(&cloud, "small.zip", project(30, 100_000)).await;
    assert_eq!(report.strategy, Strategy::Small);
    assert_eq!(&cloud.operations()[..3], ["GetObject", "GetObject", "PutObject"]);
    let read: u64 = cloud.s3_requests()[..2].iter().map(|request| request.bytes_out).sum();
    assert!(read <= project(30, 100_000).len() as u64, "no byte is read twice");
    assert_eq!(contents(&new)["handlers/stop.js"].0, b"exports.name = 'edited';\n");
}

#[tokio::test]
async fn all_strategies_make_the_same_archive_in_content() {
    let cloud = Cloud::start().await;
    let old = project(30, 400_000);
    let (spliced, by_splice) = edited(&cloud, "splice.zip", old.clone()).await;
    assert_eq!(spliced.strategy, Strategy::Splice);

    cloud
        .faults()
        .inject(Fault::on("UploadPartCopy").always().then(Action::Respond { status: 501, code: "NotImplemented" }));
    let (rewritten, by_rewrite) = edited(&cloud, "rewrite.zip", old.clone()).await;
    assert_eq!(rewritten.strategy, Strategy::Rewrite);
    cloud.faults().clear();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("artifact.zip");
    std::fs::write(&file, &old).unwrap();
    edit(&zipedit::FileStore::new(&file), &the_edit(), &Options::new()).await.unwrap();

    let expected = contents(&by_splice);
    assert_eq!(contents(&by_rewrite), expected);
    assert_eq!(contents(&std::fs::read(&file).unwrap()), expected);
    let mut model = contents(&old);
    model.remove("handlers/list.js");
    model.insert("handlers/stop.js".into(), (b"exports.name = 'edited';\n".to_vec(), Some(0o100_644)));
    model.insert("added.js".into(), (b"// new\n".to_vec(), Some(0o100_755)));
    assert_eq!(expected, model);
}

#[tokio::test]
async fn a_rewrite_reads_the_artifact_once_in_one_stream() {
    let cloud = Cloud::start().await;
    cloud
        .faults()
        .inject(Fault::on("UploadPartCopy").always().then(Action::Respond { status: 501, code: "NotImplemented" }));
    let old = project(60, 400_000);
    cloud.put("artifact.zip", old.clone()).await;
    edit(&cloud.store("artifact.zip"), &the_edit(), &Options::new()).await.unwrap();
    let streams = cloud.s3_requests().into_iter().filter(|it| it.operation == "GetObject" && it.bytes_out > 600_000);
    assert_eq!(streams.count(), 1);
    // Whatever breaks off in the middle goes on from there.
    cloud.put("artifact.zip", old.clone()).await;
    cloud.faults().inject(Fault::on("GetObject").nth(3).then(Action::CutBody { after: 5_000_000 }));
    edit(&cloud.store("artifact.zip"), &the_edit(), &Options::new()).await.unwrap();
    assert!(cloud.requests().iter().any(|request| request.fault.is_some()), "the fault was met");
    assert_eq!(contents(&cloud.get("artifact.zip").await)["added.js"].0, b"// new\n");
}

#[tokio::test]
async fn an_edit_that_is_there_already_only_reads() {
    let cloud = Cloud::start().await;
    let (_, new) = edited(&cloud, "artifact.zip", project(30, 400_000)).await;
    cloud.put("artifact.zip", new.clone()).await;
    let again = edit(&cloud.store("artifact.zip"), &the_edit(), &Options::new()).await.unwrap();
    assert_eq!(again.strategy, Strategy::None);
    assert_eq!((again.identical, again.missing), (2, 1));
    assert_eq!(cloud.operations(), ["GetObject"]);
}

#[tokio::test]
async fn a_prefix_longer_than_nothing_and_shorter_than_a_part_stays_in_front() {
    let cloud = Cloud::start().await;
    let (program, archive) = (b"#!/usr/bin/env python3\n", project(30, 400_000));
    let old: Bytes = [&program[..], &archive].concat().into();
    cloud.put("zipapp", old).await;
    // The first entry is replaced, so that the prefix is a run of its own.
    let edit_first = puts([("node_modules/package-00000/index.js", "changed")]);
    let report = edit(&cloud.store("zipapp"), &edit_first, &Options::new()).await.unwrap();
    assert_eq!(report.strategy, Strategy::Splice);
    let new = cloud.get("zipapp").await;
    assert!(new.starts_with(program));
    assert_eq!(contents(&new)["node_modules/package-00000/index.js"].0, b"changed");
}

#[tokio::test]
async fn a_directory_longer_than_the_tail_is_read_by_a_second_request() {
    let cloud = Cloud::start().await;
    let files =
        (0..9_000).map(|at| (format!("node_modules/package-{at:05}/lib/some/longer/path/{at}.js"), vec![7; 1200]));
    let old = quickdeploy_tests::archives::archive(files);
    cloud.put("artifact.zip", old).await;
    let report = edit(&cloud.store("artifact.zip"), &puts([("new.js", "new")]), &Options::new()).await.unwrap();
    assert_eq!(report.strategy, Strategy::Splice);
    assert_eq!(report.entries, 9_001);
    let requests = cloud.s3_requests();
    assert_eq!((requests[0].operation.as_str(), requests[1].operation.as_str()), ("GetObject", "GetObject"));
    let directory = requests[0].bytes_out + requests[1].bytes_out;
    assert!(directory < 1_200_000, "what was read already is not read again: {directory}");
}

#[tokio::test]
async fn what_cannot_be_edited_is_refused_by_name_and_stays_as_it_is() {
    let cloud = Cloud::start().await;
    let attempt = async |key: &str| edit(&cloud.store(key), &the_edit(), &Options::new()).await.unwrap_err();
    assert_eq!(attempt("not-there.zip").await.kind(), "ArtifactNotFound");
    for (body, kind) in [
        (Bytes::new(), "NotAZip"),
        (Bytes::from_static(b"this is no zip"), "NotAZip"),
        (project(30, 400_000).slice(..9_000_000), "NotAZip"),
    ] {
        cloud.put("broken", body.clone()).await;
        let error = attempt("broken").await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("s3://artifacts/broken"), "{error}");
        assert_eq!(cloud.get("broken").await, body);
    }
    let elsewhere = zipedit::S3Store::new(cloud.s3.clone(), "no-such-bucket", "key");
    let error = edit(&elsewhere, &the_edit(), &Options::new()).await.unwrap_err();
    assert!(error.kind() == "ArtifactNotFound" && error.to_string().contains("bucket"), "{error}");
    cloud.faults().inject(Fault::on("GetObject").then(Action::Respond { status: 403, code: "AccessDenied" }));
    let error = attempt("broken").await;
    assert!(error.kind() == "AccessDenied" && error.to_string().contains("s3:GetObject"), "{error}");
    cloud.put("artifact.zip", project(30, 400_000)).await;
    cloud
        .faults()
        .inject(Fault::on("CreateMultipartUpload").then(Action::Respond { status: 403, code: "AccessDenied" }));
    let error = attempt("artifact.zip").await;
    assert!(error.kind() == "AccessDenied" && error.to_string().contains("s3:PutObject"), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_every_time_is_an_error_in_the_end() {
    let cloud = Cloud::start().await;
    let old = project(30, 400_000);
    cloud.s3.put_object().bucket(BUCKET).key("a").body(ByteStream::from(old)).send().await.unwrap();
    cloud.faults().inject(Fault::on("GetObject").always().then(Action::CutBody { after: 1000 }));
    let error = edit(&cloud.store("a"), &the_edit(), &Options::new()).await.unwrap_err();
    assert!(error.to_string().contains("broke off"), "{error}");
}
