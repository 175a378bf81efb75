//! A fault at every request of every strategy.
//!
//! The cases are generated: each [`Scenario`](scenario::Scenario) is run once without faults, and the requests that it made
//! are then spoiled one after the other, in each [`Kind`](kind::Kind) of way, once or from there on. After each of them:
//!
//! - the key holds the whole old or the whole new artifact;
//! - the answer told the truth about which: success is success, an error that says "nothing was changed" is right, and only
//!   an answer that says that it doesn't know may be either;
//! - what passes by itself is ridden out;
//! - no upload is left open, but where our process could not have learned of it or could not end it;
//! - the same change once more, without a fault, goes through.
//!
//! `cargo test --workspace --test it faults -- --nocapture` prints how many cases there were and how they ended.

mod interrupts;
mod kills;
mod kind;
mod scenario;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use local_cloud::{Fault, Record};

use self::kind::{Kind, Lasting};
use self::scenario::{Answer, Held, KEY, Scenario, Stage};

/// Cases that go on at once. Each has a cloud of its own; most of their time they wait.
const AT_ONCE: usize = 32;

/// What hangs is a failure, too. A client is stopped after two seconds at most; the rest is for a machine that has much else
/// to do: with 64 cases at once on two busy cores, those that move a whole artifact took more than 40 s.
const LONGEST: Duration = Duration::from_secs(300);

/// One request of a scenario: the `nth` of its operation, and of all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct At {
    operation: String,
    nth: usize,
    of_all: usize,
}

impl At {
    fn each(requests: &[Record]) -> Vec<At> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let numbered = requests.iter().zip(1..).map(|(request, of_all)| {
            let nth = seen.entry(&request.operation).or_default();
            *nth += 1;
            At { operation: request.operation.clone(), nth: *nth, of_all }
        });
        numbered.collect()
    }
}

#[derive(Debug, Clone)]
struct Case {
    scenario: Scenario,
    at: At,
    kind: Kind,
    lasting: Lasting,
}

/// How the cases of one kind ended.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    done: usize,
    unchanged: usize,
    unknown: usize,
    left_open: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_at_any_request_leaves_a_whole_artifact_and_a_true_answer() {
    let mut cases = Vec::new();
    for scenario in Scenario::ALL {
        let (requests, usual) = without_faults(scenario).await;
        println!("{scenario:?}: {}", requests.iter().map(|it| it.operation.as_str()).collect::<Vec<_>>().join(", "));
        for at in At::each(&requests) {
            for kind in Kind::ALL.into_iter().filter(|kind| kind.concerns(&at.operation)) {
                for lasting in [Lasting::Once, Lasting::FromThereOn] {
                    cases.push((Case { scenario, at: at.clone(), kind, lasting }, usual.clone()));
                }
            }
        }
    }
    let count = cases.len();
    let outcomes: Vec<_> = futures::stream::iter(cases)
        .map(|(case, usual)| async move {
            let running = tokio::time::timeout(LONGEST, run(case.clone(), usual));
            (case, tokio::spawn(running).await)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;

    let mut tallies: BTreeMap<(Scenario, Lasting), Tally> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, outcome) in outcomes {
        let tally = tallies.entry((case.scenario, case.lasting)).or_default();
        tally.cases += 1;
        match outcome {
            Ok(Ok(Ok((answer, left_open)))) => {
                match answer {
                    Answer::Done => tally.done += 1,
                    Answer::Unchanged(_) => tally.unchanged += 1,
                    Answer::Unknown(_) => tally.unknown += 1,
                }
                tally.left_open += left_open;
            }
            Ok(Err(_)) => wrong.push(format!("{case:?}: took longer than {LONGEST:?}")),
            Ok(Ok(Err(complaint))) => wrong.push(format!("{case:?}: {complaint}")),
            Err(panic) => wrong.push(format!("{case:?}: {panic}")),
        }
    }
    println!(
        "{:<12} {:<12} {:>6} {:>6} {:>9} {:>8} {:>12}",
        "", "", "cases", "done", "unchanged", "unknown", "uploads left"
    );
    for ((scenario, lasting), tally) in &tallies {
        let Tally { cases, done, unchanged, unknown, left_open } = tally;
        println!("{scenario:<12?} {lasting:<12?} {cases:>6} {done:>6} {unchanged:>9} {unknown:>8} {left_open:>12}");
    }
    println!("{count} cases, {} wrong", wrong.len());
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {count} cases went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The requests of a run without faults, and the artifact after it.
async fn without_faults(scenario: Scenario) -> (Vec<Record>, Bytes) {
    let stage = Stage::set(scenario).await;
    let answer = stage.run(None).await;
    assert!(matches!(answer, Answer::Done), "{scenario:?}: {answer:?}");
    let requests = stage.requests();
    assert_eq!(stage.holds().await, Held::New, "{scenario:?}");
    (requests, stage.cloud.get(KEY).await)
}

/// The answer and the uploads that are left open; or what is wrong.
async fn run(case: Case, usual: Bytes) -> Result<(Answer, usize), String> {
    let Case { scenario, at, kind, lasting } = &case;
    let mut stage = Stage::set(*scenario).await;
    stage.usual = Some(usual);
    let fault = match lasting {
        Lasting::Once => Fault::on(&at.operation).nth(at.nth),
        Lasting::FromThereOn => Fault::on("*").nth(at.of_all).always(),
    };
    stage.cloud.faults().inject(fault.then(kind.action(*lasting)));
    let answer = stage.run(kind.patience(*lasting)).await;
    if !stage.requests().iter().any(|request| request.fault.is_some()) {
        return Err(format!("the fault was not met; answered {answer:?}"));
    }
    stage.cloud.faults().clear();
    stage.cloud.faults().come_back();
    stage.settled().await;

    let held = stage.holds().await;
    if let Answer::Unchanged(told) | Answer::Unknown(told) = &answer
        && !told.contains("s3://")
    {
        return Err(format!("the error doesn't say what it is about: {told}"));
    }
    match (&answer, held) {
        (Answer::Done, Held::New) | (Answer::Unchanged(_), Held::Old) => {}
        (Answer::Unknown(_), Held::Old | Held::New) => {}
        _ => return Err(format!("answered {answer:?}, and holds {held:?}")),
    }
    if kind.passes_by_itself(*scenario, *lasting) && !matches!(answer, Answer::Done) {
        return Err(format!("was not ridden out: {answer:?}"));
    }
    let left_open = stage.cloud.open_uploads().await;
    let may_be_left =
        kind.acts_without_telling() && at.operation == "CreateMultipartUpload" || *lasting == Lasting::FromThereOn;
    if left_open > 0 && !may_be_left {
        return Err(format!("{left_open} uploads are left open; answered {answer:?}"));
    }

    let again = stage.run(None).await;
    if !matches!(again, Answer::Done) || stage.holds().await != Held::New {
        return Err(format!("first answered {answer:?}; once more: {again:?}, and holds {:?}", stage.holds().await));
    }
    let open_now = stage.cloud.open_uploads().await;
    if open_now != left_open {
        return Err(format!("{left_open} uploads were left open, after another run {open_now} are"));
    }
    Ok((answer, left_open))
}
