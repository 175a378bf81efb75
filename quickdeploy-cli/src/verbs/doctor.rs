//! `quickdeploy doctor`: what is wrong, and how to mend it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use owo_colors::OwoColorize as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::compare::in_background;
use crate::doctor::{self, Area, Examination, Finding, Level, Upload};
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::{Project, Settings};
use crate::ui::{Ui, duration, plural};

/// The document of `--json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    /// Whether a deployment has all that it needs.
    ok: bool,
    findings: Vec<Finding>,
    /// A policy that allows what is denied; `null` if nothing is.
    policy: Option<Value>,
    /// Keys and ids of the uploads that `--fix` aborted.
    aborted: Vec<Aborted>,
    elapsed_ms: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Aborted {
    bucket: String,
    key: String,
    upload_id: String,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Doctor) -> Result<u8> {
    if args.fix && !args.yes && !std::io::stdin().is_terminal() {
        return Err(Error::usage("`--fix` asks before it aborts anything, and there is nobody to ask")
            .hint("`--fix --yes` doesn't ask"));
    }
    let started = Instant::now();
    let interrupts = Interrupts::listen();
    let progress = ui.progress("Examining");
    let examined = examine(global, args);
    tokio::pin!(examined);
    let (cloud, examination) = tokio::select! {
        biased;
        done = &mut examined => done?,
        // An upload that was begun to try whether it is permitted is aborted a moment later: not before that.
        () = interrupts.nth(1) => tokio::select! {
            done = &mut examined => done?,
            () = interrupts.nth(2) => return Err(Error::new("Interrupted", "interrupted")),
        },
    };
    drop(progress);
    let Examination { findings, left_behind } = examination;

    ui.result(screen(ui, &findings));
    let policy = policy(&findings);
    if let Some(policy) = &policy {
        let text = serde_json::to_string_pretty(policy).unwrap_or_default();
        ui.result(format!("\n{}\n{text}\n", "A policy that allows what is denied".bold()));
    }
    let aborted = match &cloud {
        Some(cloud) if args.fix => fix(ui, cloud, args, &left_behind).await?,
        _ => Vec::new(),
    };
    let failed = count(&findings, Level::Failed);
    summary(ui, &findings, started.elapsed());
    ui.document(&Document {
        command: "doctor",
        ok: failed == 0,
        findings,
        policy,
        aborted,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })?;
    Ok(u8::from(failed > 0))
}

/// Looks at everything. What stands in the way of looking at more is a finding, too.
async fn examine(global: &Global, args: &args::Doctor) -> Result<(Option<Cloud>, Examination)> {
    let mut findings = Vec::new();
    let projects = match super::find_projects(global, &args.artifacts) {
        Ok(projects) => projects,
        Err(error) if error.exit_code() == 2 => return Err(error),
        Err(error) => {
            findings.push(Finding::of_error(Level::Failed, Area::Project, "config", &error));
            Vec::new()
        }
    };
    let settings: Vec<&Settings> = projects.iter().map(Project::settings).collect();
    for settings in settings.iter().map(|&settings| settings.clone()) {
        let name = settings.name.clone();
        let mut of_directory = in_background(move || doctor::examine_directory(&settings)).await?;
        for finding in &mut of_directory {
            finding.artifact.clone_from(&name);
        }
        findings.extend(of_directory);
    }
    let cloud = match super::connect(global, settings.first().copied()).await {
        Ok(cloud) => cloud,
        Err(error) if error.exit_code() == 2 => return Err(error),
        Err(error) => {
            findings.insert(0, Finding::of_error(Level::Failed, Area::Account, "credentials", &error));
            return Ok((None, Examination { findings, left_behind: Vec::new() }));
        }
    };
    let mut examination = doctor::examine(&cloud, &settings).await;
    examination.findings.splice(0..0, findings);
    examination.findings.sort_by_key(|finding| finding.area);
    Ok((Some(cloud), examination))
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// Findings under the headings of their areas. What is permitted is one line, however much it is.
fn screen(ui: &Ui, findings: &[Finding]) -> String {
    let several = findings.iter().filter_map(|finding| finding.artifact.as_ref()).collect::<BTreeSet<_>>().len() > 1;
    let mut lines = Vec::new();
    let mut area = None;
    for finding in findings {
        if area != Some(finding.area) {
            area = Some(finding.area);
            lines.push(finding.area.title().bold().to_string());
            lines.extend(permitted(ui, findings, finding.area));
        }
        let is_permitted = finding.level == Level::Ok && finding.permission.is_some();
        if is_permitted && !ui.is_verbose() {
            continue;
        }
        let whose = match &finding.artifact {
            Some(name) if several => format!("[{name}] "),
            _ => String::new(),
        };
        let text = ui.paragraph(&format!("{whose}{}", finding.message), INDENT);
        lines.push(format!("{} {text}", mark(finding.level)));
        for how in &finding.mend {
            lines.push(format!("{:INDENT$}{} {}", "", "→".cyan(), ui.paragraph(how, INDENT + 2)));
        }
    }
    lines.join("\n")
}

/// Column at which texts begin: that of status lines.
const INDENT: usize = 13;

fn mark(level: Level) -> String {
    match level {
        Level::Ok => format!("{:>12}", "ok").green().to_string(),
        Level::Warning => format!("{:>12}", "warning").yellow().bold().to_string(),
        Level::Failed => format!("{:>12}", "FAILED").red().bold().to_string(),
        Level::NotChecked => format!("{:>12}", "not checked").dimmed().to_string(),
    }
}

/// The actions of an area that are permitted, one after the other; with `-v`, each has a line of its own.
fn permitted(ui: &Ui, findings: &[Finding], area: Area) -> Option<String> {
    if ui.is_verbose() {
        return None;
    }
    let actions: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| finding.area == area && finding.level == Level::Ok)
        .filter_map(|finding| Some(finding.permission.as_ref()?.action.as_str()))
        .collect();
    let list = actions.into_iter().collect::<Vec<_>>().join(", ");
    (!list.is_empty()).then(|| format!("{} {}", mark(Level::Ok), ui.list(&list, INDENT)))
}

/// One statement for each set of resources that is denied the same.
fn policy(findings: &[Finding]) -> Option<Value> {
    let mut actions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let denied = |finding: &&Finding| {
        // An explicit denial is not mended by an allowance.
        matches!(finding.level, Level::Failed | Level::Warning)
            && finding.mend.iter().any(|how| how.contains("\"Allow\""))
    };
    // What the role of the function lacks, its own stack gives it.
    for finding in findings.iter().filter(denied).filter(|finding| finding.area == Area::Permissions) {
        if let Some(permission) = &finding.permission {
            actions.entry(&permission.resource).or_default().insert(&permission.action);
        }
    }
    let statements: Vec<Value> = actions
        .into_iter()
        .map(|(resource, actions)| json!({ "Effect": "Allow", "Action": actions, "Resource": resource }))
        .collect();
    (!statements.is_empty()).then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// Aborts the uploads that are left behind, after asking.
async fn fix(ui: &Ui, cloud: &Cloud, args: &args::Doctor, left_behind: &[Upload]) -> Result<Vec<Aborted>> {
    if left_behind.is_empty() {
        ui.status("Fixed", "nothing: there are no uploads that are older than a day");
        return Ok(Vec::new());
    }
    let what = plural(left_behind.len(), "upload");
    for upload in left_behind {
        ui.detail(upload.described());
    }
    if !args.yes && !ui.confirm(&format!("Abort {what}? Nobody can complete them then.")).await? {
        ui.status("Fixed", "nothing");
        return Ok(Vec::new());
    }
    let mut aborted = Vec::new();
    for upload in left_behind {
        doctor::abort(cloud, upload).await?;
        aborted.push(Aborted { bucket: upload.bucket.clone(), key: upload.key.clone(), upload_id: upload.id.clone() });
    }
    ui.status("Aborted", what);
    Ok(aborted)
}

fn summary(ui: &Ui, findings: &[Finding], took: Duration) {
    let took = duration(took);
    let (failed, warnings) = (count(findings, Level::Failed), count(findings, Level::Warning));
    let unknown = match count(findings, Level::NotChecked) {
        0 => String::new(),
        number => format!(", {number} not checked"),
    };
    if failed > 0 {
        let message = format!(
            "{} that a deployment needs {} broken{}{unknown}",
            plural(failed, "thing"),
            if failed == 1 { "is" } else { "are" },
            if warnings > 0 { format!("; {}", plural(warnings, "warning")) } else { String::new() },
        );
        ui.error(&Error::new("Unhealthy", message));
    } else {
        let warned = if warnings > 0 { plural(warnings, "warning") } else { "no warning".to_owned() };
        ui.status("Finished", format!("all that a deployment needs is there; {warned}{unknown}, in {took}"));
    }
}
