//! Full builds that belong together: one artifact's, or those of all artifacts that end in one stack.
//!
//! A stack is updated once, when every package that it points at is there: so the builds come first, all of them, then
//! the uploads, then one change set with what each of the packages fills in, then the functions. A build that fails ends
//! it before anything is uploaded, for all of them: a stack with half of its packages is what nobody asked for.

use futures::future::try_join_all;
use owo_colors::OwoColorize as _;

use super::infrastructure::{Filling, Infrastructure, stack_of};
use super::{Full, FullDocument, Looked, Stored};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::project::{Functions, Project};
use crate::stack::{self, Mode, Stacks};
use crate::ui::Ui;

/// One or more full builds with one end.
#[derive(Debug)]
pub(crate) struct Together<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    /// In the order of their names; at least one.
    pub(crate) members: Vec<Full<'a>>,
    /// What becomes of the change set; a dry run changes nothing else either.
    pub(crate) mode: Mode,
}

/// Why they came to nothing.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The place of the member whose error it is; the first one's, when it is about all of them.
    pub(crate) member: usize,
    pub(crate) error: Error,
}

/// The projects by what they belong to: those that deploy the same stack together, every other alone.
pub(crate) fn together(projects: Vec<Project>) -> Vec<Vec<Project>> {
    let mut groups: Vec<(Option<String>, Vec<Project>)> = Vec::new();
    for project in projects {
        let settings = project.settings();
        let stack = stack_of(settings).filter(|_| settings.full.template.is_some());
        match groups.iter_mut().find(|(known, _)| stack.is_some() && *known == stack) {
            Some((_, group)) => group.push(project),
            None => groups.push((stack, vec![project])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl Together<'_> {
    /// Carries them out.
    ///
    /// # Errors
    ///
    /// Everything that ends them before the functions are updated. That single functions failed is in the answers.
    pub(crate) async fn carry_out(&self, interrupts: &Interrupts) -> Result<Vec<FullDocument>, Broken> {
        let of_all = |error| Broken { member: 0, error };
        let settings: Vec<_> = self.members.iter().map(|member| member.project.settings()).collect();
        let infrastructure = Infrastructure::of(&settings).map_err(of_all)?;
        self.check_functions()?;
        let looked = {
            let _progress = self.ui.progress("Looking at what is there");
            tokio::select! {
                looked = self.look(infrastructure.as_ref()) => looked?,
                () = interrupts.nth(1) => return Err(of_all(nothing_changed())),
            }
        };
        if self.mode == Mode::DryRun {
            return self.rehearse(looked, infrastructure.as_ref(), interrupts).await;
        }

        for (member, (full, looked)) in self.members.iter().zip(&looked).enumerate() {
            // Before anybody waits for a build.
            if looked.bucket {
                full.ask_store(full.writes(), interrupts).await.map_err(|error| Broken { member, error })?;
            }
        }
        let mut prepared = Vec::with_capacity(looked.len());
        for (member, (full, looked)) in self.members.iter().zip(looked).enumerate() {
            self.head(full);
            prepared.push(full.prepare(looked, interrupts).await.map_err(|error| Broken { member, error })?);
        }
        let mut stored: Vec<Stored> = Vec::with_capacity(prepared.len());
        for (member, (full, prepared)) in self.members.iter().zip(prepared).enumerate() {
            match full.store(prepared, interrupts).await {
                Ok(one) => stored.push(one),
                Err(error) => {
                    self.disown_template(&stored).await;
                    return Err(Broken { member, error });
                }
            }
        }
        if let Some(infrastructure) = &infrastructure {
            let fillings = stored.iter().map(|one| Filling::new(one.location(), one.document.role.clone())).collect();
            let deploying = infrastructure.deploy(self.ui, self.cloud, fillings, self.mode, interrupts).await;
            match deploying {
                Ok(deployed) if deployed.changed && !deployed.executed => {
                    self.disown_template(&stored).await;
                    let error = Error::new("Refused", "the change set was not executed, as you said");
                    return Err(of_all(self.uploaded_already(error)));
                }
                Ok(deployed) => stored.iter_mut().for_each(|one| one.document.stack = Some(deployed.clone())),
                Err(error) => {
                    self.disown_template(&stored).await;
                    return Err(of_all(self.uploaded_already(error)));
                }
            }
        }
        let mut documents = Vec::with_capacity(stored.len());
        for (member, (full, stored)) in self.members.iter().zip(stored).enumerate() {
            let finished = full.finish(stored, infrastructure.is_some(), interrupts).await;
            documents.push(finished.map_err(|error| Broken { member, error })?);
        }
        Ok(documents)
    }

    /// Everything that can be known beforehand, and everything that would end it later.
    async fn look(&self, infrastructure: Option<&Infrastructure<'_>>) -> Result<Vec<Looked>, Broken> {
        let stack = async {
            if let Some(Infrastructure { stack, .. }) = infrastructure {
                let found = Stacks::new(self.cloud).find(stack).await;
                found
                    .and_then(|found| stack::plan(found.as_ref(), stack))
                    .map_err(|error| Broken { member: 0, error })?;
            }
            Ok(())
        };
        let members = self.members.iter().enumerate().map(|(member, full)| async move {
            full.look(infrastructure.is_some()).await.map_err(|error| Broken { member, error })
        });
        let ((), looked) = tokio::try_join!(stack, try_join_all(members))?;
        Ok(looked)
    }

    async fn rehearse(
        &self,
        looked: Vec<Looked>,
        infrastructure: Option<&Infrastructure<'_>>,
        interrupts: &Interrupts,
    ) -> Result<Vec<FullDocument>, Broken> {
        let mut fillings = Vec::with_capacity(looked.len());
        let mut documents = Vec::with_capacity(looked.len());
        for (full, looked) in self.members.iter().zip(looked) {
            self.head(full);
            let (document, filling) = full.rehearse(looked);
            documents.push(document);
            fillings.push(filling);
        }
        if let Some(infrastructure) = infrastructure {
            let deployed = infrastructure.deploy(self.ui, self.cloud, fillings, self.mode, interrupts).await;
            let deployed = deployed.map_err(|error| Broken { member: 0, error })?;
            documents.iter_mut().for_each(|document| document.stack = Some(deployed.clone()));
        }
        Ok(documents)
    }

    /// Of several artifacts in one stack, each has to name its functions: which of the stack's run which package is
    /// nowhere else.
    fn check_functions(&self) -> Result<(), Broken> {
        if self.members.len() < 2 {
            return Ok(());
        }
        for (member, full) in self.members.iter().enumerate() {
            let settings = full.project.settings();
            if let Some(Functions::Stack(stack)) = &settings.functions {
                let name = settings.name.as_deref().unwrap_or_default();
                let error = Error::new(
                    "Config",
                    format!(
                        "several artifacts are in the stack `{stack}`, and `{name}` does not say which functions run it"
                    ),
                )
                .hint(format!("add a line like functions = [\"NAME\"] to [artifacts.{name}] in quickdeploy.toml"));
                return Err(Broken { member, error });
            }
        }
        Ok(())
    }

    /// The stack doesn't have the template that the artifacts were uploaded with: the next deploy has to say so.
    async fn disown_template(&self, stored: &[Stored]) {
        for (full, stored) in self.members.iter().zip(stored) {
            full.disown_template(stored).await;
        }
    }

    fn uploaded_already(&self, error: Error) -> Error {
        match self.members.as_slice() {
            [full] => {
                error.hint(format!("{} is uploaded already; `quickdeploy full` goes on from there", full.artifact))
            }
            _ => error.hint("the packages are uploaded already; `quickdeploy full` goes on from there"),
        }
    }

    /// Whose lines follow, where there are several.
    fn head(&self, full: &Full<'_>) {
        if self.members.len() > 1 {
            self.ui.aside(format!("[{}]", full.project.settings().name.as_deref().unwrap_or_default()).bold());
        }
    }
}
