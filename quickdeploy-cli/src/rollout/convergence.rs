//! Functions that all end up on the artifact's last version, though several machines deploy it at the same time.
//!
//! Each deployment writes a version of the artifact, upon that of the one before, and points the functions at it. S3 puts
//! the writes in an order. Nothing does that for the updates: Lambda keeps what it was told last, and the last word on a
//! function can be that of a deployment whose version is no longer the newest one.
//!
//! # Who has updated functions looks at the artifact again
//!
//! When Lambda has taken the last of its updates, a deployment asks S3 for the current version: one HEAD, sent while it
//! waits for the functions to be live, so that nobody waits for it. Is it another version than the one that it has rolled
//! out, it rolls out that one, to every function that it has updated, and then looks again.
//!
//! # Why that is enough
//!
//! Let all of them have ended. Take a function, and the last update of it that Lambda took: one to version V, sent by D.
//! D looked afterwards and found V to be the current one, or it would have sent a further update. Is there a version in
//! the end that is newer than V, then it was written after that look, and so after the last update of the function. But
//! whoever wrote it updates its functions after writing, if they run anything else; so that would be a later update than
//! the last one. There is none: V is the newest.
//!
//! The functions that a deployment leaves alone because they run its bytes already are part of that: they are judged by
//! what they ran after it has written (see [`super::Since`]).
//!
//! A function that another update is in progress for is a sign that somebody else deploys, too: then it is looked at once,
//! and what is out of date by then isn't sent any more.
//!
//! In a bucket without versions an update names the key, and Lambda takes what is there: V or what came after it, never
//! anything from before. A look that finds another ETag rolls out again; so does code of another length, or another
//! CodeSha256 than the other functions have.
//!
//! # That it ends
//!
//! Each further round is for a version that somebody else has written in the meantime: there are no more of them than
//! there were writes, and [`ROUNDS`] at most. Where the version is still ours and a function has other code all the same
//! (an older version of somebody who has not looked yet, or a zip of another program), it is sent ours again, in
//! [`PERSISTENCE`] rounds at most.

use std::collections::BTreeMap;

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{self, Function};
use crate::lookout::{Look, Lookout, Newer};
use crate::ui::{Progress, Ui};
use crate::update::{Latch, MISMATCH, OVERTAKEN, Outcome, Round, Status, Target, Updates};

/// So many times in all the functions are updated. As often as an edit tries to get its turn.
const ROUNDS: u32 = 30;
/// So many times to one version.
const PERSISTENCE: u32 = 3;

/// Functions that are to run the artifact.
pub(super) struct Convergence<'a> {
    pub(super) ui: &'a Ui,
    pub(super) cloud: &'a Cloud,
    /// Those that don't run it.
    pub(super) stale: &'a [Function],
    /// Names of those that this run has given it by other means.
    pub(super) given: &'a [String],
}

/// Where it ended.
pub(super) struct Converged {
    /// Of the functions that were updated, by name.
    pub(super) outcomes: Vec<Outcome>,
    /// The version that they run, if it isn't the first target.
    pub(super) newer: Option<Newer>,
}

impl Convergence<'_> {
    /// Updates the functions, until what they run is the artifact's current version. `target` is that version in the end.
    pub(super) async fn reach(&self, target: &mut Target, progress: &Progress<'_>) -> Converged {
        let mut functions = self.stale.to_vec();
        let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
        let mut newer = None;
        let mut to_this_version = 0;
        for number in 1..=ROUNDS {
            to_this_version += 1;
            let round = if number == 1 { Round::First } else { Round::Further };
            let (updated, look) = self.round(&functions, target, round, progress).await;
            for outcome in updated {
                let before = outcomes.remove(&outcome.name);
                outcomes.insert(outcome.name.clone(), joined(before, outcome));
            }
            match look {
                Ok(Look::Current) => {
                    let differs = |outcome: &Outcome| {
                        outcome.error.as_ref().is_some_and(|error| [OVERTAKEN, MISMATCH].contains(&error.error_type()))
                    };
                    if to_this_version >= PERSISTENCE || !outcomes.values().any(differs) {
                        break;
                    }
                    // What the first function told may have been another version's.
                    target.sha256 = None;
                }
                Ok(Look::Other(other)) if number < ROUNDS => {
                    self.tell(target);
                    if newer.is_none() {
                        self.add_given(&mut functions, target, &mut outcomes).await;
                    }
                    target.etag.clone_from(&other.etag);
                    target.version_id.clone_from(&other.version_id);
                    target.size = other.size;
                    target.sha256 = None;
                    newer = Some(other);
                    to_this_version = 0;
                }
                Ok(Look::Other(_)) => {
                    for outcome in outcomes.values_mut() {
                        outcome.status = Status::Failed;
                        outcome.error = Some(never_the_last(&outcome.name, target));
                    }
                    break;
                }
                Ok(Look::Gone) => {
                    let what = format!("s3://{}/{} was deleted meanwhile", target.bucket, target.key);
                    self.ui.warning(what, &["the functions run what it was".to_owned()]);
                    break;
                }
                Err(error) => {
                    self.ui.warning(&error, &[format!("if others deploy too, run `{}` again", target.again)]);
                    break;
                }
            }
        }
        Converged { outcomes: outcomes.into_values().collect(), newer }
    }

    /// Updates all of them, and looks at the artifact as soon as the last update was taken.
    async fn round(
        &self,
        functions: &[Function],
        target: &Target,
        round: Round,
        progress: &Progress<'_>,
    ) -> (Vec<Outcome>, Result<Look>) {
        let sent = Latch::of(functions.len());
        let lookout = Lookout::of(self.cloud, target);
        let updates = Updates::of(self.cloud, target, round, functions.len(), &lookout);
        let updating = updates.all(functions, &sent, |outcome| {
            if round == Round::First {
                progress.advance();
            }
            match &outcome.error {
                None => self.ui.verbose(format!("`{}` is live", outcome.name)),
                Some(error) => self.ui.verbose(error),
            }
        });
        let looking = async {
            sent.open().await;
            lookout.look().await
        };
        tokio::join!(updating, looking)
    }

    /// Those that were given the artifact by other means follow a newer version, too.
    async fn add_given(
        &self,
        functions: &mut Vec<Function>,
        target: &Target,
        outcomes: &mut BTreeMap<String, Outcome>,
    ) {
        for name in self.given {
            if functions.iter().any(|function| function.name == *name) {
                continue;
            }
            match functions::read(self.cloud, name).await {
                Ok(function) => functions.push(function),
                Err(error) => {
                    let error = error.hint(format!("run `{}` again", target.again));
                    outcomes.insert(name.clone(), Outcome::unread(name, error));
                }
            }
        }
    }

    fn tell(&self, target: &Target) {
        self.ui.status("Overtaken", format!("s3://{}/{}: another version came after", target.bucket, target.key));
        self.ui.detail("the functions are brought to that one");
    }
}

/// The outcome of all rounds so far.
fn joined(before: Option<Outcome>, outcome: Outcome) -> Outcome {
    let elapsed_ms = outcome.elapsed_ms + before.map_or(0, |before| before.elapsed_ms);
    Outcome { elapsed_ms, ..outcome }
}

fn never_the_last(name: &str, target: &Target) -> Error {
    Error::new("Conflict", format!("`{name}` may run an older version: others deployed {ROUNDS} times meanwhile"))
        .hint(format!("run `{}` again when they are done", target.again))
}
