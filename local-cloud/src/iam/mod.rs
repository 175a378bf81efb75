//! IAM: roles, their policies, and managed policies. They are kept and held against AWS's rules for their shape.
//!
//! Every caller may do everything, unless the cloud enforces policies: then [`evaluation`] says what a set of policies
//! allows, [`identities`] whose they are, and [`authorization`] puts the two together. What a request needs is not said
//! here but in `crate::permissions`.
//!
//! Lambda alone asks whether it may assume a function's role ([`Iam::can_be_assumed`]): a role whose trust policy doesn't
//! name it can't be, and neither can a new one for as long as [`IamSettings::propagation`] says. A role that was never
//! made here is taken at its word.
//!
//! IAM is one for all regions. CloudFormation creates and deletes roles through the same methods as the operations do.

mod authorization;
mod documents;
mod evaluation;
mod identities;
mod operations;
mod policies;
mod roles;
mod settings;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::log::timestamp;
use crate::protocol::query::{Answer, Call, Refusal};
use crate::record::{Fault, RecordFile};

use authorization::Enforcement;
pub(crate) use authorization::{Denial, SessionKeys};
pub(crate) use evaluation::{Need, Policy as PolicyDocument};
pub use identities::Identity;
pub(crate) use identities::Principal;
pub(crate) use roles::{Role, RoleInput};
pub use settings::IamSettings;

use policies::Policies;
use roles::Roles;

/// Of IAM's documents.
pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

type Result<T> = std::result::Result<T, Refusal>;

/// The IAM of a local cloud.
#[derive(Debug, Default)]
pub(crate) struct Iam {
    settings: IamSettings,
    /// Whether every role is known everywhere, whatever the settings say.
    propagated: watch::Sender<bool>,
    state: Mutex<State>,
    enforcement: Mutex<Enforcement>,
    file: OnceLock<RecordFile>,
}

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct State {
    roles: Roles,
    policies: Policies,
}

impl Iam {
    pub(crate) fn new(settings: IamSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Keeps everything in a file, and brings back what is already in it.
    pub(crate) async fn keep_in(&self, file: PathBuf) -> std::result::Result<(), Fault> {
        let file = RecordFile::at(file);
        *self.state() = file.load().await?;
        let _ = self.file.set(file);
        Ok(())
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, call: &Call) -> Answer {
        let answer = operations::perform(self, call)?;
        if !call.action.starts_with("Get") && !call.action.starts_with("List") {
            self.save().await?;
        }
        Ok(answer)
    }

    /// Brings the file up to date, where there is one.
    pub(crate) async fn save(&self) -> Result<()> {
        let Some(file) = self.file.get() else { return Ok(()) };
        file.save(|| self.state().clone()).await.map_err(|(path, message)| {
            Refusal::new(500, "ServiceFailure", format!("IAM could not be saved in {}: {message}", path.display()))
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_such_entity(message: String) -> Refusal {
    Refusal::new(404, "NoSuchEntity", message)
}

fn already_exists(message: String) -> Refusal {
    Refusal::new(409, "EntityAlreadyExists", message)
}

fn conflict(message: &str) -> Refusal {
    Refusal::new(409, "DeleteConflict", message)
}

fn invalid(value: &str, member: &str, rule: &str) -> Refusal {
    let message =
        format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}");
    Refusal::new(400, "ValidationError", message)
}

/// The names of entities: letters, digits and `+=,.@_-`.
fn checked_name(name: &str, member: &str, longest: usize) -> Result<String> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
        let rule = r"Member must satisfy regular expression pattern: [\w+=,.@-]+";
        return Err(invalid(name, member, rule));
    }
    if name.len() > longest {
        return Err(invalid(name, member, &format!("Member must have length less than or equal to {longest}")));
    }
    Ok(name.to_owned())
}

/// A path such as `/service-role/`.
fn checked_path(path: Option<&str>) -> Result<String> {
    let path = path.unwrap_or("/");
    if !path.starts_with('/') || !path.ends_with('/') || path.len() > 512 {
        let rule = "Member must satisfy regular expression pattern: (\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)";
        return Err(invalid(path, "path", rule));
    }
    Ok(path.to_owned())
}

/// An id such as `AROA` and 17 capital letters and digits.
fn entity_id(prefix: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    format!("{prefix}{}", &random[..17])
}

fn now() -> String {
    // IAM's times have no fractions of a second.
    let now = timestamp(SystemTime::now());
    format!("{}Z", now.split('.').next().unwrap_or_default())
}
