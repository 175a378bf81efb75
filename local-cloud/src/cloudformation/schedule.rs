//! Runs the steps of a deployment: each as soon as what it needs is done, as many at a time as there are.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

/// What a failure means for steps that haven't begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// None of them begins.
    EndsAll,
    /// Those that don't need the failed one still begin.
    EndsDependents,
}

/// Runs a step for each name in `needs`. A step gives its name and whether it succeeded. Gives the names of those that
/// failed; steps that never began are not among them.
pub(super) async fn in_order<F, S>(
    mut needs: BTreeMap<String, BTreeSet<String>>,
    failing: Failing,
    mut step: F,
) -> Vec<String>
where
    F: FnMut(String) -> S,
    S: Future<Output = (String, bool)>,
{
    // What nobody runs is not waited for.
    let names: BTreeSet<String> = needs.keys().cloned().collect();
    for needed in needs.values_mut() {
        needed.retain(|name| names.contains(name));
    }
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if failed.is_empty() || failing == Failing::EndsDependents {
            let ready: Vec<String> =
                needs.iter().filter(|(_, needed)| needed.is_empty()).map(|(name, _)| name.clone()).collect();
            for name in ready {
                needs.remove(&name);
                running.push(step(name));
            }
        }
        let Some((name, succeeded)) = running.next().await else { return failed };
        if succeeded {
            for needed in needs.values_mut() {
                needed.remove(&name);
            }
        } else {
            failed.push(name);
        }
    }
}

/// The other way round: each name with those that need it.
pub(super) fn reversed(needs: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let mut reversed: BTreeMap<String, BTreeSet<String>> =
        needs.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
    for (name, needed) in needs {
        for needed in needed {
            if let Some(dependents) = reversed.get_mut(needed) {
                dependents.insert(name.clone());
            }
        }
    }
    reversed
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn diamond() -> BTreeMap<String, BTreeSet<String>> {
        [("a", vec![]), ("b", vec!["a"]), ("c", vec!["a", "elsewhere"]), ("d", vec!["b", "c"])]
            .into_iter()
            .map(|(name, needs)| (name.to_owned(), needs.into_iter().map(str::to_owned).collect()))
            .collect()
    }

    async fn run(needs: BTreeMap<String, BTreeSet<String>>, failing: Failing, bad: &str) -> (Vec<String>, String) {
        let order = RefCell::new(String::new());
        let failed = in_order(needs, failing, |name| {
            order.borrow_mut().push_str(&name);
            let succeeded = name != bad;
            async move { (name, succeeded) }
        })
        .await;
        (failed, order.into_inner())
    }

    #[tokio::test]
    async fn a_step_runs_after_all_that_it_needs() {
        assert_eq!(run(diamond(), Failing::EndsAll, "").await, (vec![], "abcd".to_owned()));
        assert_eq!(run(reversed(&diamond()), Failing::EndsAll, "").await, (vec![], "dbca".to_owned()));
    }

    #[tokio::test]
    async fn a_failure_stops_what_needs_it() {
        let (failed, order) = run(diamond(), Failing::EndsDependents, "b").await;
        assert_eq!((failed, order.as_str()), (vec!["b".to_owned()], "abc"));
    }

    #[tokio::test]
    async fn a_failure_can_stop_everything() {
        let chain = [("a", vec![]), ("b", vec!["a"]), ("c", vec!["b"])]
            .into_iter()
            .map(|(name, needs)| (name.to_owned(), needs.into_iter().map(str::to_owned).collect()))
            .collect();
        let (failed, order) = run(chain, Failing::EndsAll, "a").await;
        assert_eq!((failed, order.as_str()), (vec!["a".to_owned()], "a"));
    }
}
