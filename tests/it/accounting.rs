//! What an edit costs, by the cloud's own request log: O(changed bytes + directory), not O(artifact).

use bytes::Bytes;
use local_cloud::Record;
use quickdeploy_tests::archives::{big_projects, contents, project};
use quickdeploy_tests::cloud::Cloud;
use quickdeploy_tests::programs::is_there;
use zipedit::{Directory, Options, Strategy, directory::Search, edit};

use crate::strategies::puts;

const TAIL: u64 = 512 << 10;

#[derive(Debug, PartialEq, Eq)]
struct Bill {
    read: u64,
    written: u64,
    round_trips: u64,
}

fn bill(requests: &[Record], round_trips: u64) -> Bill {
    let sum = |operations: &[&str], bytes: fn(&Record) -> u64| {
        requests.iter().filter(|it| operations.contains(&it.operation.as_str())).map(bytes).sum()
    };
    Bill {
        read: sum(&["GetObject"], |it| it.bytes_out),
        written: sum(&["UploadPart", "PutObject"], |it| it.bytes_in),
        round_trips,
    }
}

fn directory(archive: &Bytes) -> Directory {
    match Directory::find(archive, archive.len() as u64).unwrap() {
        Search::Found(directory) => directory,
        Search::ReadFrom(_) => panic!("it is all there"),
    }
}

/// How many requests had to wait for the end of another: the longest chain, by the log's times.
fn longest_chain(requests: &[Record]) -> usize {
    // Parts go at the same time, so the kinds of requests that follow each other are the chain.
    let mut kinds: Vec<&str> = Vec::new();
    for request in requests {
        let kind = match request.operation.as_str() {
            "UploadPart" | "UploadPartCopy" => "parts",
            operation => operation,
        };
        if kind != "parts" || kinds.last() != Some(&"parts") {
            kinds.push(kind);
        }
    }
    kinds.len()
}

#[tokio::test]
async fn an_edit_of_a_real_project_moves_what_changed_and_the_directory_whatever_the_artifacts_size() {
    if !is_there("npm") || !is_there("python3") {
        return;
    }
    let (normal, large) = big_projects();
    let cloud = Cloud::start().await;
    let mut bills = Vec::new();
    for path in [normal, large] {
        let old = Bytes::from(std::fs::read(&path).unwrap());
        assert!(old.len() >= 60_000_000, "{} is not large", path.display());
        let found = directory(&old);
        let (directory_size, handler) =
            (found.size(), found.entries().find(|entry| entry.name() == "handler.js").unwrap());
        let text = contents(&old)["handler.js"].0.clone();
        let edited = String::from_utf8(text).unwrap().replacen("exports.", "// edited\nexports.", 1);
        assert!(edited.contains("// edited"), "the handler exports something");
        let hot_tail: u64 = found.start() - handler.span().start;

        cloud.put("artifact.zip", old.clone()).await;
        let store = cloud.store("artifact.zip");
        let report = edit(&store, &puts([("handler.js", edited.as_str())]), &Options::new()).await.unwrap();
        let requests = cloud.s3_requests();
        let bill = bill(&requests, report.traffic.round_trips);

        assert_eq!(report.strategy, Strategy::Splice);
        assert_eq!((bill.read, report.traffic.bytes_copied + report.traffic.bytes_written), (TAIL, report.size));
        let changed = edited.len() as u64;
        assert!(
            bill.read + bill.written <= TAIL + 2 * directory_size + changed + hot_tail,
            "{bill:?}, directory {directory_size}, changed {changed}, hot tail {hot_tail}"
        );
        assert!(bill.round_trips <= 4 && longest_chain(&requests) <= 4, "{requests:#?}");
        assert_eq!(bill.written, report.traffic.bytes_written, "the report says what the log says");

        let new = cloud.get("artifact.zip").await;
        assert_eq!(contents(&new)["handler.js"].0, edited.as_bytes());
        println!("{} bytes: {bill:?}, {} requests", old.len(), requests.len());
        bills.push(bill);
    }
    assert_eq!(bills[0].read, bills[1].read);
    assert_eq!(bills[0].round_trips, bills[1].round_trips);
    // The directories are of one length, but what the files compress to is in them, and in the hot tail.
    assert!(bills[0].written.abs_diff(bills[1].written) < 64, "{bills:?}");
}

#[tokio::test]
async fn the_same_change_costs_the_same_at_20_60_and_240_mb() {
    let cloud = Cloud::start().await;
    let mut bills = Vec::new();
    for size in [20_000, 60_000, 240_000] {
        cloud.put("artifact.zip", project(1000, size)).await;
        let change = puts([("handlers/stop.js", "exports.name = 'edited';\n")]);
        let report = edit(&cloud.store("artifact.zip"), &change, &Options::new()).await.unwrap();
        bills.push(bill(&cloud.s3_requests(), report.traffic.round_trips));
    }
    assert_eq!(bills[0], bills[1]);
    assert_eq!(bills[1], bills[2]);
}

#[tokio::test]
async fn no_byte_of_an_unchanged_entry_is_fetched_but_for_runs_shorter_than_a_part() {
    let cloud = Cloud::start().await;
    // Changes in the middle: what lies between them is one run of 3 MB, which S3 won't copy.
    let old = project(300, 100_000);
    cloud.put("artifact.zip", old).await;
    let change = puts([("node_modules/package-00100/index.js", "one"), ("node_modules/package-00131/index.js", "two")]);
    let report = edit(&cloud.store("artifact.zip"), &change, &Options::new()).await.unwrap();
    let short_run = 30 * 100_200;
    assert_eq!(report.strategy, Strategy::Splice);
    assert!(report.traffic.bytes_read > TAIL && report.traffic.bytes_read < TAIL + short_run, "{:?}", report.traffic);
}
