//! 64 edits of distinct files at once, half of them through the Lambda, and a full build in between.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use local_cloud::Link;
use quickdeploy_tests::archives::project;
use quickdeploy_tests::binaries::bootstrap;
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use serde_json::json;
use zipedit::{Error, Object as _, Options, Stamp, Stop, Store as _, edit};

use crate::strategies::puts;

const KEY: &str = "artifact.zip";
const WRITERS: usize = 64;
/// As far as S3 is from a Lambda: without any way to go, hardly anybody would be in anybody's way.
const LATENCY: Duration = Duration::from_millis(8);
/// The engine gives up after so many.
const ATTEMPTS: u64 = 30;

/// What a writer was told.
#[derive(Debug)]
struct Told {
    name: String,
    version: String,
    attempts: u64,
    took: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_edits_at_once_each_is_in_the_end_state_or_its_answer_is_of_a_version_before_the_full_build() {
    let cloud = Cloud::with_zipedit(bootstrap()).await;
    cloud.keep_versions().await;
    for (strategy, body, built) in
        [("small", project(3, 1000), project(4, 1000)), ("splice", project(22, 400_000), project(23, 400_000))]
    {
        cloud.put(KEY, body).await;
        cloud.faults().set_link(Link { latency: LATENCY, ..Link::default() });
        let writers = futures::future::join_all((0..WRITERS).map(|at| writer(&cloud, at)));
        let (mut told, build) = futures::join!(writers, full_build(&cloud, built));
        cloud.faults().set_link(Link::default());
        report(strategy, &told);
        // One is sure to come after the full build, which may be the last of them all.
        told.push(writer(&cloud, WRITERS).await);

        let versions = versions(&cloud).await;
        let position = |version: &str| versions.iter().position(|(id, _)| id == version).expect("it was written");
        let build = position(&build);
        // Each version is what the one before it was, with exactly the file of the one who was told that it is theirs.
        for (at, pair) in versions.windows(2).enumerate() {
            let (older, newer) = (&pair[0].1, &pair[1]);
            if at + 1 == build {
                continue;
            }
            let told = told.iter().find(|told| told.version == newer.0).expect("each version is somebody's");
            let expected: BTreeSet<String> = older.iter().chain([&told.name]).cloned().collect();
            assert_eq!(newer.1, expected, "{strategy}: {}'s version", told.name);
        }
        let (last, end) = versions.last().unwrap();
        let current = cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        assert_eq!(current.version_id(), Some(last.as_str()), "{strategy}: the last one written is the current one");
        let mut superseded = 0;
        for told in &told {
            let before = position(&told.version) < build;
            assert_eq!(end.contains(&told.name), !before, "{strategy}: {told:?}, the full build is version {build}");
            superseded += usize::from(before);
        }
        println!("{strategy}: {superseded} of {WRITERS} superseded by the full build, as their answers' versions tell");
        assert!(superseded > 0, "the full build came before all of them");
        assert!(told.iter().any(|told| told.attempts > 1), "nobody was in anybody's way");
        assert_eq!(cloud.open_uploads().await, 0);
        delete_all(&cloud).await;
    }
}

/// One edit: every other one through the Lambda.
async fn writer(cloud: &Cloud, at: usize) -> Told {
    let name = format!("writer-{at:02}.js");
    let start = Instant::now();
    let (version, attempts) = if at.is_multiple_of(2) {
        let event = json!({ "src": format!("s3://{BUCKET}/{KEY}"), "changes": { &name: name } });
        let answer = cloud.invoke("zipedit", &event).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        (answer["versionId"].as_str().unwrap().to_owned(), answer["attempts"].as_u64().unwrap())
    } else {
        let changes = puts([(name.as_str(), name.as_str())]);
        let edited = edit(&cloud.store(KEY), &changes, &Options::new()).await;
        let report = edited.unwrap_or_else(|error| panic!("{name}: {error}"));
        (report.version_id.unwrap(), u64::from(report.attempts))
    };
    Told { name, version, attempts, took: start.elapsed() }
}

/// Takes the artifact's place when a third of the writers are through, the way `quickdeploy full` does: on the condition
/// that it is what was seen, and by a run of its own again where it isn't. The version that its answer names.
async fn full_build(cloud: &Cloud, body: Bytes) -> String {
    let through = || {
        let commits = ["PutObject", "CompleteMultipartUpload"];
        let written = |it: &local_cloud::Record| commits.contains(&it.operation.as_str()) && it.status == 200;
        cloud.requests().iter().filter(|it| written(it)).count()
    };
    while through() < WRITERS / 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stamp = Stamp::new().with("quickdeploy-verb", "full").unwrap();
    let store = cloud.store(KEY).stamped(stamp);
    for run in 1..=200 {
        let base = store.head().await.unwrap();
        let read = |range: Range<u64>| {
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            std::future::ready(Ok(body.slice(start..end)))
        };
        match store.replace(&base, body.len() as u64, read, |_| {}, &Stop::never()).await {
            Ok(object) => {
                println!("the full build got its turn in run {run}");
                assert_eq!(object.size(), body.len() as u64);
                return object.version_id().unwrap().to_owned();
            }
            Err(error) => assert!(matches!(error, Error::Overtaken { .. }), "it says that it was overtaken: {error}"),
        }
    }
    panic!("the full build never got its turn");
}

/// How fair it was.
fn report(strategy: &str, told: &[Told]) {
    let mut attempts: Vec<u64> = told.iter().map(|told| told.attempts).collect();
    attempts.sort_unstable();
    let mut took: Vec<u128> = told.iter().map(|told| told.took.as_millis()).collect();
    took.sort_unstable();
    let (median, most) = (attempts[WRITERS / 2], attempts[WRITERS - 1]);
    println!(
        "{strategy}: {WRITERS} writers, attempts {} to {most} (median {median}, {} in all), {} to {} ms (median {})",
        attempts[0],
        attempts.iter().sum::<u64>(),
        took[0],
        took[WRITERS - 1],
        took[WRITERS / 2],
    );
    assert!(most < ATTEMPTS, "{strategy}: somebody nearly gave up: {attempts:?}");
}

/// Ids of all versions, oldest first, with the names in each.
async fn versions(cloud: &Cloud) -> Vec<(String, BTreeSet<String>)> {
    let listed = cloud.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    let ids: Vec<String> = listed.versions().iter().rev().map(|it| it.version_id().unwrap().to_owned()).collect();
    let mut versions = Vec::new();
    for id in ids {
        let artifact = cloud.store(KEY).version(&id).open().await.unwrap();
        let names = artifact.directory().entries().map(|entry| entry.name().into_owned()).collect();
        versions.push((id, names));
    }
    versions
}

async fn delete_all(cloud: &Cloud) {
    let listed = cloud.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    for version in listed.versions() {
        let id = version.version_id().unwrap();
        cloud.s3.delete_object().bucket(BUCKET).key(KEY).version_id(id).send().await.unwrap();
    }
}
