//! What is to be done about one function: the same for whoever updates it and whoever only says how things stand. Pure.

use super::Effect;
use crate::functions::{Function, Staleness, UpdateState};

/// How a function stands to an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It runs the artifact.
    Current,
    /// It runs other code, and need not leave it.
    Unaffected { why: String },
    /// It has to be updated; where imports were followed, why.
    Stale { why: Option<String> },
}

/// Judges one function by its code, and where imports were followed, by what that means for it.
pub(crate) fn judge(function: &Function, staleness: Staleness, effect: Option<&Effect>) -> Judgement {
    // An update that failed is to be repeated, and one that is under way is not to be judged by what it leads to.
    let effect = effect.filter(|_| function.update == UpdateState::Successful);
    match (staleness, effect) {
        (Staleness::Current, _) | (Staleness::Unsure, Some(Effect::Same)) => Judgement::Current,
        (_, Some(Effect::Same)) => Judgement::Unaffected { why: "runs the same files".to_owned() },
        (_, Some(Effect::Unaffected { why })) => Judgement::Unaffected { why: why.clone() },
        (_, Some(Effect::Affected { why })) => Judgement::Stale { why: Some(why.clone()) },
        (_, None) => Judgement::Stale { why: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::function;

    fn unaffected() -> Effect {
        Effect::Unaffected { why: "does not load it".to_owned() }
    }

    #[test]
    fn a_function_on_older_code_is_left_there_if_it_loads_nothing_of_what_changed() {
        let function = function("f", "A", 1);
        let judged = |staleness, effect: Option<&Effect>| judge(&function, staleness, effect);
        let left = Judgement::Unaffected { why: "does not load it".to_owned() };
        assert_eq!(judged(Staleness::Stale, Some(&unaffected())), left);
        assert_eq!(judged(Staleness::Unsure, Some(&unaffected())), left);
        assert_eq!(judged(Staleness::Current, Some(&unaffected())), Judgement::Current);
        assert_eq!(judged(Staleness::Stale, None), Judgement::Stale { why: None });
    }

    #[test]
    fn an_update_that_failed_or_is_under_way_is_not_excused() {
        let mut function = function("f", "A", 1);
        for update in [UpdateState::InProgress, UpdateState::Failed { code: "c".into(), reason: "r".into() }] {
            function.update = update;
            assert_eq!(judge(&function, Staleness::Stale, Some(&unaffected())), Judgement::Stale { why: None });
        }
    }

    #[test]
    fn the_same_files_are_the_artifact_unless_the_zip_is_known_to_be_another() {
        let function = function("f", "A", 1);
        assert_eq!(judge(&function, Staleness::Unsure, Some(&Effect::Same)), Judgement::Current);
        let why = "runs the same files".to_owned();
        assert_eq!(judge(&function, Staleness::Stale, Some(&Effect::Same)), Judgement::Unaffected { why });
    }
}
