//! The stack that the template describes, with the packages in it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::placeholders;
use super::role::{self, Role};
use super::template::{PackageLocation, Template};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::Settings;
use crate::stack::{self, Deployed, Mode, Request, Stacks};
use crate::ui::{Ui, duration};

/// A stack that comes to nothing because Lambda doesn't know the new role yet is tried so often.
const ROLE_TRIES: u32 = 3;
const ROLE_PAUSE: Duration = Duration::from_secs(10);

/// The stack and its template.
#[derive(Debug)]
pub(super) struct Infrastructure<'a> {
    pub(super) stack: String,
    template: Template,
    /// The artifacts that end in it; at least one.
    members: Vec<&'a Settings>,
}

/// What one artifact fills into the template.
#[derive(Debug)]
pub(super) struct Filling {
    package: PackageLocation,
    /// `None`: there is none, or none is asked for.
    role: Option<Role>,
}

impl Filling {
    pub(super) fn new(package: PackageLocation, role: Option<Role>) -> Self {
        Self { package, role }
    }
}

impl<'a> Infrastructure<'a> {
    /// What the settings of artifacts that belong together ask for. `None`: no stack.
    ///
    /// # Errors
    ///
    /// The template can't be read, or the settings don't fit to it, or not to each other.
    pub(super) fn of(members: &[&'a Settings]) -> Result<Option<Self>> {
        let Some((first, others)) = members.split_first() else { return Ok(None) };
        let Some((written, path)) = &first.full.template else {
            return match first.full.parameters.keys().next() {
                Some(name) => Err(Error::new("Config", format!("`parameters` has `{name}`, but there is no template"))
                    .hint("add a line like template = \"template.yaml\" to quickdeploy.toml")),
                None => Ok(None),
            };
        };
        let Some(stack) = stack_of(first) else {
            return Err(Error::new("Config", format!("`template` is {written}, but no stack is named"))
                .hint("add a line like stack = \"NAME\" to quickdeploy.toml"));
        };
        for other in others {
            if let Some(key) = difference(first, other) {
                return Err(Error::new(
                    "Config",
                    format!("{} are in the stack `{stack}`, but have not the same `{key}`", named(&[first, other])),
                )
                .hint(format!("write `{key}` once, at the top of quickdeploy.toml")));
            }
        }
        let roots: Vec<_> = members.iter().map(|settings| settings.root.as_path()).collect();
        let template = Template::read(path, &roots)?;
        for settings in members {
            if let Some(unknown) = settings.full.parameters.keys().find(|name| !template.declared.contains(name)) {
                return Err(Error::new("Config", format!("{written} has no parameter `{unknown}`")).hint(
                    match template.declared.as_slice() {
                        [] => "it has no parameters at all".to_owned(),
                        known => format!("it has {}", known.join(", ")),
                    },
                ));
            }
        }
        Ok(Some(Self { stack, template, members: members.to_vec() }))
    }

    /// Creates or updates the stack, with one change set. `fillings`: one for each artifact, in their order.
    ///
    /// # Errors
    ///
    /// As [`stack::deploy`]; two artifacts want different values of one parameter.
    pub(super) async fn deploy(
        &self,
        ui: &Ui,
        cloud: &Cloud,
        fillings: Vec<Filling>,
        mode: Mode,
        interrupts: &Interrupts,
    ) -> Result<Deployed> {
        let request = self.request(&fillings)?;
        let stacks = Stacks::new(cloud);
        let settling = fillings.iter().filter_map(|filling| filling.role.as_ref()).any(|role| role.settling);
        let mut tries = 1;
        loop {
            let error = match stack::deploy(ui, &stacks, &request, mode, interrupts).await {
                Ok(deployed) => return Ok(deployed),
                Err(error) => error,
            };
            if !settling || tries == ROLE_TRIES || !error.causes().iter().any(|cause| role::is_unknown_yet(cause)) {
                return Err(error);
            }
            tries += 1;
            ui.status("Waiting", format!("{}, as Lambda does not know the new role yet", duration(ROLE_PAUSE)));
            ui.detail(format!("then the stack is tried again, for the {tries}. time of {ROLE_TRIES}"));
            tokio::select! {
                () = tokio::time::sleep(ROLE_PAUSE) => {}
                () = interrupts.nth(1) => return Err(error),
            }
        }
    }

    fn request(&self, fillings: &[Filling]) -> Result<Request> {
        let mut parameters: BTreeMap<String, String> = BTreeMap::new();
        for (settings, Filling { package, role }) in self.members.iter().zip(fillings) {
            for (name, value) in placeholders::fill(&settings.full.parameters, package, role.as_ref())? {
                match parameters.get(&name) {
                    Some(other) if *other != value => return Err(self.two_values(&name)),
                    _ => drop(parameters.insert(name, value)),
                }
            }
        }
        let packages: Vec<&PackageLocation> = fillings.iter().map(|filling| &filling.package).collect();
        let full = &self.members[0].full;
        let place = packages[0];
        Ok(Request {
            stack: self.stack.clone(),
            template: self.template.packaged_at(&packages),
            declared: self.template.declared.clone(),
            parameters,
            capabilities: full.capabilities.clone(),
            tags: full.tags.clone(),
            mode: full.deployment_mode,
            upload_to: Some((place.bucket.clone(), beside(&place.key))),
        })
    }

    fn two_values(&self, parameter: &str) -> Error {
        let of: Vec<&Settings> =
            self.members.iter().copied().filter(|settings| settings.full.parameters.contains_key(parameter)).collect();
        Error::new("Config", format!("{} give the parameter `{parameter}` different values", named(&of)))
            .cause(format!("they are in the same stack, `{}`", self.stack))
            .hint("give each artifact a parameter of its own, in [artifacts.NAME.parameters] of quickdeploy.toml")
    }
}

/// The first key of the stack in which two artifacts differ.
fn difference(one: &Settings, other: &Settings) -> Option<&'static str> {
    let (one, other) = (&one.full, &other.full);
    let differs = [
        ("template", one.template != other.template),
        ("capabilities", one.capabilities != other.capabilities),
        ("tags", one.tags != other.tags),
        ("deployment-mode", one.deployment_mode != other.deployment_mode),
    ];
    differs.into_iter().find(|(_, differs)| *differs).map(|(key, _)| key)
}

fn named(members: &[&Settings]) -> String {
    let names: Vec<String> =
        members.iter().map(|settings| format!("`{}`", settings.name.as_deref().unwrap_or_default())).collect();
    names.join(" and ")
}

/// The stack's name: `stack`, or that of `functions = { stack = … }`.
pub(super) fn stack_of(settings: &Settings) -> Option<String> {
    let of_functions = match &settings.functions {
        Some(crate::project::Functions::Stack(stack)) => Some(stack.clone()),
        _ => None,
    };
    settings.full.stack.clone().or(of_functions)
}

/// The prefix of the artifact's neighbours: `app/` of `app/code.zip`.
fn beside(key: &str) -> String {
    key.rsplit_once('/').map_or_else(String::new, |(directory, _)| format!("{directory}/"))
}
