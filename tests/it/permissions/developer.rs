//! The policies in `docs/permissions.md`: every command does its work under exactly the policy that the page has for it,
//! and says for want of what it can't with each single action taken out.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use quickdeploy_tests::binaries::{bootstrap, quickdeploy};
use quickdeploy_tests::programs::is_there;
use serde_json::Value;

use super::page::{Documented, document, policies};
use super::scenarios::{SCENARIOS, Scenario, WITHOUT_REQUESTS};
use super::stage::{Ran, run};
use super::without_each;

/// So many run at the same time: they wait more than they compute.
const AT_ONCE: usize = 8;

/// Actions that a command finds missing only once the artifact is written: the next run goes on from there.
const AFTER_THE_WRITE: &[(&str, &str)] = &[
    ("deploy", "lambda:UpdateFunctionCode"),
    ("deploy", "s3:GetObjectVersion"),
    ("deploy-lambda", "lambda:UpdateFunctionCode"),
    ("deploy-lambda", "s3:GetObjectVersion"),
    ("rollback", "lambda:UpdateFunctionCode"),
];

/// What is tried of a scenario.
#[derive(Clone, Debug)]
enum Case {
    /// Exactly what is required.
    Required,
    /// That, and what it takes to see more.
    Whole,
    /// Without this action, which is required.
    Without(String),
    /// Without this action, for want of which less is seen.
    WithLess(String),
}

/// The cases of a scenario, each with its policy.
fn cases(scenario: &Scenario, policies: &BTreeMap<String, Documented>) -> Vec<(Case, Value)> {
    let Documented { required, for_more, on_failure } = policies[scenario.policy].clone();
    let others: Vec<Value> = scenario.with.iter().flat_map(|name| policies[*name].required.clone()).collect();
    let whole = |own: &[&[Value]]| document(own.concat().into_iter().chain(others.clone()));
    let reduced = |document: Value| super::statements(&document).to_vec();
    let mut cases = vec![(Case::Required, whole(&[&required]))];
    if !for_more.is_empty() || !on_failure.is_empty() {
        cases.push((Case::Whole, whole(&[&required, &for_more, &on_failure])));
    }
    for (action, left) in without_each(&document(required.clone())) {
        cases.push((Case::Without(action), whole(&[&reduced(left)])));
    }
    for (action, left) in without_each(&document(for_more)) {
        cases.push((Case::WithLess(action), whole(&[&required, &reduced(left)])));
    }
    cases
}

/// Whether a run shows that the action makes a difference. `Err`: what is wrong with how it ended.
fn judged(scenario: &Scenario, case: &Case, ran: &Ran) -> Result<bool, &'static str> {
    match case {
        Case::Required | Case::Whole if ran.code != Some(0) => Err("does not work"),
        Case::Required | Case::Whole => Ok(false),
        Case::WithLess(_) if ran.code != Some(0) => Err("does not work"),
        Case::WithLess(action) => Ok(says_how(ran, action)),
        Case::Without(action) if scenario.policy == "doctor" => match ran.code {
            Some(0 | 1) if says_how(ran, action) => Ok(true),
            _ => Err("does not say how to allow it"),
        },
        Case::Without(_) if ran.code == Some(0) => Ok(false),
        Case::Without(action) => {
            // What is looked at after a deployment doesn't take it back.
            let deploys = matches!(scenario.policy, "invoke" | "logs") && scenario.with == ["deploy"];
            let changes =
                AFTER_THE_WRITE.contains(&(scenario.policy, action)) || scenario.policy.starts_with("full") || deploys;
            if ran.code != Some(1) || !ran.said.contains(action.as_str()) {
                Err("does not say what is missing")
            } else if !says_how(ran, action) {
                Err("does not say how to allow it")
            } else if ran.functions_are_new && !deploys {
                Err("changed the function")
            } else if ran.artifact_is_new && !changes {
                Err("changed the artifact")
            } else {
                Ok(true)
            }
        }
    }
}

/// Whether it says how to allow an action: the statement, in a document or in a line for people.
fn says_how(ran: &Ran, action: &str) -> bool {
    let statement = format!(r#""Action": "{action}""#);
    ran.said.contains(&statement) || ran.said.contains(&statement.replace('"', r#"\""#))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_works_under_its_documented_policy_and_no_action_of_it_is_one_too_many() {
    if !is_there("node") {
        return;
    }
    quickdeploy();
    bootstrap();
    let policies = policies();
    let all = SCENARIOS.iter().flat_map(|scenario| {
        cases(scenario, &policies).into_iter().map(move |(case, policy)| (scenario, case, policy))
    });
    let all: Vec<_> = all.collect();
    let runs = futures::stream::iter(all).map(async |(scenario, case, policy)| {
        let ran = run(*scenario, &policy).await;
        (scenario, case, ran)
    });
    let runs: Vec<_> = runs.buffer_unordered(AT_ONCE).collect().await;

    let mut wrong = Vec::new();
    // Whether a run of some scenario shows that the action makes a difference.
    let mut shown: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for (scenario, case, ran) in &runs {
        let outcome = judged(scenario, case, ran);
        if let Err(what) = outcome {
            wrong.push(format!("{:?} {case:?} {what}: {ran:#?}", scenario.arguments));
        }
        if let Case::Without(action) | Case::WithLess(action) = case {
            *shown.entry((scenario.policy, action)).or_default() |= outcome != Ok(false);
        }
    }
    for ((policy, action), _) in shown.iter().filter(|(_, shown)| !**shown) {
        wrong.push(format!("nothing shows what {policy} needs {action} for"));
    }
    println!("{} commands, {} policies, {} actions, {} runs", SCENARIOS.len(), policies.len(), shown.len(), runs.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_command_of_the_program_has_a_policy_on_the_page_or_asks_nothing_of_aws() {
    let policies = policies();
    let named: BTreeSet<&str> = SCENARIOS
        .iter()
        .flat_map(|scenario| std::iter::once(scenario.policy).chain(scenario.with.iter().copied()))
        .collect();
    assert_eq!(named, policies.keys().map(String::as_str).collect(), "policies of the scenarios and of the page");

    let help = std::process::Command::new(quickdeploy()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: BTreeSet<&str> = names.map(|line| line.split_whitespace().next().unwrap()).collect();
    // Without a command, it deploys.
    let ran = SCENARIOS.iter().map(|scenario| scenario.arguments[0]).filter(|first| !first.starts_with("--"));
    let known: BTreeSet<&str> = ran.chain(WITHOUT_REQUESTS.iter().copied()).collect();
    assert!(names.len() > 15, "{help}");
    assert_eq!(names, known, "the program's commands, and those that are run under a policy or need none");
}
