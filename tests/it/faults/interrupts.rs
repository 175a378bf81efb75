//! Ctrl-C at every request: while it is under way, the process is told to end.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::contents;
use quickdeploy_tests::cli::interrupt;

use super::kills::{KEY, Stage, every_request};

/// How long a request is held up: long enough for the signal to arrive meanwhile.
const HELD_UP: Duration = Duration::from_millis(500);

/// Whoever pressed Ctrl-C waits no longer than this.
const LONGEST: Duration = Duration::from_secs(20);

/// What it came to.
struct Ended {
    changed: bool,
    code: i32,
    after: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_at_any_request_ends_soon_with_a_whole_artifact_a_true_word_and_no_upload() {
    let cases = every_request().await;
    let count = cases.len();
    let ended: Vec<Ended> = futures::stream::iter(cases)
        .map(|(verb, at, after)| async move {
            let case = format!("{verb:?}, Ctrl-C at {} {}", at.operation, at.nth);
            let stage = Stage::set(verb).await;
            stage.cloud.faults().inject(Fault::on(&at.operation).nth(at.nth).then(Action::Delay(HELD_UP)));
            let child = stage.at_the_fault(verb, &case).await;
            let pressed = Instant::now();
            interrupt(&child);
            let output = tokio::time::timeout(LONGEST, child.wait_with_output()).await;
            let output = output.unwrap_or_else(|_| panic!("{case}: still running after {LONGEST:?}")).unwrap();
            let after_ms = pressed.elapsed();
            let told = String::from_utf8(output.stderr).unwrap();
            // What was given up may still be on its way.
            stage.cloud.at_rest().await;

            let held = stage.cloud.get(KEY).await;
            let changed = held != stage.before;
            assert!(!changed || contents(&held) == after, "{case}: neither the old nor the new artifact\n{told}");
            let code = output.status.code().unwrap_or_else(|| panic!("{case}: ended by the signal\n{told}"));
            match (code, changed) {
                (0, true) => assert!(!told.contains("nothing was changed"), "{case}: {told}"),
                (1, false) => assert!(told.contains("nothing was changed"), "{case}: {told}"),
                (1, true) => assert!(!told.contains("nothing was changed"), "{case}: {told}"),
                _ => panic!("{case}: exit code {code}, changed: {changed}\n{told}"),
            }
            assert_eq!(stage.cloud.open_uploads().await, 0, "{case}: an upload is left\n{told}");
            Ended { changed, code, after: after_ms }
        })
        .buffer_unordered(8)
        .collect()
        .await;
    let finished = ended.iter().filter(|ended| ended.code == 0).count();
    let unchanged = ended.iter().filter(|ended| !ended.changed).count();
    let longest = ended.iter().map(|ended| ended.after).max().unwrap_or_default();
    println!(
        "{count} times Ctrl-C: {unchanged} times nothing was changed, {finished} times it was finished, {} times left \
         half way and said so; at most {longest:.1?} from the key to the end",
        count - unchanged - finished
    );
    assert!(unchanged > 0 && finished > 0, "the signals came all at the same time");
}
