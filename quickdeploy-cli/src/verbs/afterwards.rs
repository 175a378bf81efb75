//! What follows a deployment, so that the edit is seen to work: invocations, and the functions' logs.

use std::time::SystemTime;

use serde::Serialize;

use super::{invoke, logs};
use crate::args;
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions;
use crate::interrupt::Interrupts;
use crate::invoke::{Request, event};
use crate::logs::Tail;
use crate::ui::Ui;
use crate::update::Outcome;

/// What was asked for, with the events already read: a file that can't be read is found before anything is deployed.
#[derive(Debug)]
pub(super) struct Afterwards {
    requests: Vec<Request>,
    follow: Option<Follow>,
}

/// For how long the logs are followed.
#[derive(Clone, Copy, Debug)]
enum Follow {
    UntilInterrupted,
    For(std::time::Duration),
}

impl Afterwards {
    /// Reads the events.
    ///
    /// # Errors
    ///
    /// As for [`event`].
    pub(super) fn prepare(args: &args::Afterwards) -> Result<Self> {
        let follow = match (args.logs_for, args.logs) {
            (Some(length), _) => Some(Follow::For(length)),
            (None, true) => Some(Follow::UntilInterrupted),
            (None, false) => None,
        };
        Ok(Self { requests: requests(&args.invoke)?, follow })
    }

    /// The deployment's document: the only one, or the first of many lines.
    ///
    /// # Errors
    ///
    /// As for [`Ui::document`].
    pub(super) fn document(&self, ui: &Ui, document: &impl Serialize) -> Result<()> {
        if self.requests.is_empty() && self.follow.is_none() { ui.document(document) } else { ui.json_line(document) }
    }

    /// Does it, if the deployment went well: `ok`. `deployed` are the functions whose logs are followed. Gives the exit
    /// code of all together.
    ///
    /// # Errors
    ///
    /// A function can't be invoked, or logs can't be read.
    pub(super) async fn carry_out(
        &self,
        ui: &Ui,
        cloud: &Cloud,
        ok: bool,
        deployed: impl IntoIterator<Item = &Outcome>,
        interrupts: &Interrupts,
    ) -> Result<u8> {
        if !ok {
            return Ok(1);
        }
        let since = SystemTime::now();
        let mut code = 0;
        for request in &self.requests {
            let invocation = match invoke::carry_out(ui, cloud, request, interrupts).await {
                Ok(invocation) => invocation,
                Err(error) => return Err(deployed_all_the_same(error)),
            };
            // What is followed shows the same lines again.
            invoke::show(ui, &invocation, self.follow.is_none());
            ui.json_line(&invocation)?;
            code = code.max(u8::from(!invocation.ok));
        }
        let Some(follow) = self.follow else { return Ok(code) };
        let functions = functions::read_all(cloud, deployed.into_iter().map(|outcome| outcome.name.clone())).await;
        let mut functions = functions.map_err(deployed_all_the_same)?;
        functions.sort_by(|a, b| a.name.cmp(&b.name));
        let tail = Tail::new(cloud, &functions).since(since);
        let length = match follow {
            Follow::UntilInterrupted => None,
            Follow::For(length) => Some(length),
        };
        logs::follow(ui, tail, &functions, length, interrupts).await.map_err(deployed_all_the_same)?;
        Ok(code)
    }
}

/// What `--invoke` asks for, with the events read.
///
/// # Errors
///
/// As for [`event`].
pub(super) fn requests(calls: &[args::Call]) -> Result<Vec<Request>> {
    let request = |call: &args::Call| {
        let event = event(call.event.as_deref())?;
        Ok(Request { function: call.function.clone(), qualifier: None, event })
    };
    calls.iter().map(request).collect()
}

/// The deployment is not undone by what comes after it.
fn deployed_all_the_same(error: Error) -> Error {
    error.hint("what was deployed is live all the same")
}
