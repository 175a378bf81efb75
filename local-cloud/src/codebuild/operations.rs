//! The operations on projects and builds.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::build::{Build, Plan, seconds};
use super::project::{Artifacts, CloudWatchLogs, LogsConfig, Project, Settings, Variable, check_timeout};
use super::run::run;
use super::{CodeBuild, KEPT, PATIENCE, State, invalid};
use crate::protocol::json::{Answer, Call, Exception};
use crate::s3::ACCOUNT;

/// The most items that a list shows at one time, and that a batch may ask for.
const MOST: usize = 100;

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Names {
    names: Vec<String>,
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    sort_by: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfProject {
    project_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    project_name: String,
    source_version: Option<String>,
    source_type_override: Option<String>,
    source_location_override: Option<String>,
    buildspec_override: Option<String>,
    artifacts_override: Option<Artifacts>,
    #[serde(default)]
    environment_variables_override: Vec<Variable>,
    image_override: Option<String>,
    service_role_override: Option<String>,
    timeout_in_minutes_override: Option<u32>,
    queued_timeout_in_minutes_override: Option<u32>,
    logs_config_override: Option<LogsConfig>,
}

impl CodeBuild {
    pub(super) async fn create_project(&self, call: &Call) -> Answer {
        let settings: Settings = call.input()?;
        let arn = project_arn(call, &settings.name);
        let project = Project::create(settings, arn, seconds(SystemTime::now()))?;
        {
            let mut state = self.shared.state();
            if state.projects.contains_key(&project.name) {
                let message = format!("Project already exists: {}", project.arn);
                return Err(Exception::new("ResourceAlreadyExistsException", message));
            }
            state.projects.insert(project.name.clone(), project.clone());
        }
        self.save().await?;
        Ok(json!({ "project": project }))
    }

    pub(super) async fn update_project(&self, call: &Call) -> Answer {
        let settings: Settings = call.input()?;
        let updated = {
            let mut state = self.shared.state();
            let name = settings.name.clone();
            let project = state.projects.get_mut(&name).ok_or_else(|| no_such_project(call, &name))?;
            *project = project.updated(settings, seconds(SystemTime::now()))?;
            project.clone()
        };
        self.save().await?;
        Ok(json!({ "project": updated }))
    }

    /// Deleting what isn't there is no error.
    pub(super) async fn delete_project(&self, call: &Call) -> Answer {
        let Named { name } = call.input()?;
        self.shared.state().projects.remove(name_of(&name));
        self.save().await?;
        Ok(json!({}))
    }

    pub(super) fn batch_get_projects(&self, call: &Call) -> Answer {
        let Names { names } = call.input()?;
        check_batch(&names, "names")?;
        let state = self.shared.state();
        let (found, missing): (Vec<_>, Vec<_>) =
            names.iter().map(|name| (name, state.projects.get(name_of(name)))).partition(|(_, found)| found.is_some());
        let projects: Vec<&Project> = found.into_iter().filter_map(|(_, project)| project).collect();
        let missing: Vec<&String> = missing.into_iter().map(|(name, _)| name).collect();
        Ok(json!({ "projects": projects, "projectsNotFound": missing }))
    }

    pub(super) fn list_projects(&self, call: &Call) -> Answer {
        let input: List = call.input()?;
        let state = self.shared.state();
        let mut projects: Vec<&Project> = state.projects.values().collect();
        match input.sort_by.as_deref() {
            None | Some("NAME") => {}
            Some("CREATED_TIME") => projects.sort_by(|a, b| a.created().total_cmp(&b.created())),
            Some("LAST_MODIFIED_TIME") => projects.sort_by(|a, b| a.last_modified().total_cmp(&b.last_modified())),
            Some(other) => return Err(invalid(format!("Invalid sortBy: {other}"))),
        }
        if input.sort_order.as_deref() == Some("DESCENDING") {
            projects.reverse();
        }
        let names = projects.into_iter().map(|project| project.name.clone()).collect();
        page("projects", names, input.next_token.as_deref())
    }

    /// Begins a build. The answer shows it before it has done anything.
    pub(super) fn start_build(&self, call: &Call) -> Answer {
        let start: Start = call.input()?;
        let (build, stopped) = {
            let mut state = self.shared.state();
            let name = name_of(&start.project_name);
            let project = state.projects.get(name).ok_or_else(|| no_such_project(call, name))?;
            let uuid = uuid::Uuid::new_v4().to_string();
            let plan = plan(call, project, start, &uuid)?;
            let build = state.add(uuid, plan);
            let (stop, stopped) = watch::channel(false);
            state.stops.insert(build.id(), stop);
            (build, stopped)
        };
        let mut running = self.running();
        while running.try_join_next().is_some() {}
        let (shared, shown, id) = (Arc::clone(&self.shared), build.shown(), build.id());
        running.spawn(async move {
            run(Arc::clone(&shared), build, stopped).await;
            shared.state().stops.remove(&id);
        });
        Ok(json!({ "build": shown }))
    }

    /// Stops a build, and shows it when it has stopped.
    pub(super) async fn stop_build(&self, call: &Call) -> Answer {
        let Id { id } = call.input()?;
        let id = name_of(&id).to_owned();
        if let Some(stop) = self.shared.state().stops.get(&id) {
            stop.send_replace(true);
        }
        let mut changes = self.shared.changes.subscribe();
        let complete = || self.shared.state().builds.get(&id).is_none_or(Build::is_complete);
        let _ = tokio::time::timeout(PATIENCE, changes.wait_for(|_| complete())).await;
        match self.shared.state().builds.get(&id) {
            Some(build) => Ok(json!({ "build": build.shown() })),
            None => Err(Exception::new("ResourceNotFoundException", format!("Build cannot be found: {id}"))),
        }
    }

    pub(super) fn batch_get_builds(&self, call: &Call) -> Answer {
        let Ids { ids } = call.input()?;
        check_batch(&ids, "ids")?;
        let state = self.shared.state();
        let mut builds = Vec::new();
        let mut missing = Vec::new();
        for id in &ids {
            match state.builds.get(name_of(id)) {
                Some(build) => builds.push(build.shown()),
                None => missing.push(id),
            }
        }
        Ok(json!({ "builds": builds, "buildsNotFound": missing }))
    }

    pub(super) fn list_builds_for_project(&self, call: &Call) -> Answer {
        let OfProject { project_name } = call.input()?;
        let name = name_of(&project_name);
        if !self.shared.state().projects.contains_key(name) {
            return Err(no_such_project(call, name));
        }
        self.list_builds(call, Some(name))
    }

    /// Builds of one project or of all, the newest first unless asked otherwise.
    pub(super) fn list_builds(&self, call: &Call, project: Option<&str>) -> Answer {
        let input: List = call.input()?;
        let state = self.shared.state();
        let of_project =
            |id: &&String| project.is_none_or(|project| id.rsplit_once(':').is_some_and(|(name, _)| name == project));
        let mut ids: Vec<String> = state.order.iter().filter(of_project).cloned().collect();
        if input.sort_order.as_deref() != Some("ASCENDING") {
            ids.reverse();
        }
        page("ids", ids, input.next_token.as_deref())
    }
}

impl State {
    /// Adds a build of which nothing has happened yet.
    fn add(&mut self, uuid: String, plan: Plan) -> Build {
        if self.order.len() >= KEPT
            && let Some(at) = self.order.iter().position(|id| self.builds.get(id).is_none_or(Build::is_complete))
        {
            self.builds.remove(&self.order.remove(at));
        }
        let number = self.numbers.entry(plan.project.clone()).or_default();
        *number += 1;
        let build = Build::submitted(uuid, *number, plan, SystemTime::now());
        self.order.push(build.id());
        self.builds.insert(build.id(), build.clone());
        build
    }
}

/// The project's settings with the overrides of one build.
fn plan(call: &Call, project: &Project, start: Start, uuid: &str) -> Result<Plan, Exception> {
    let mut source = project.source.clone();
    source.kind = start.source_type_override.unwrap_or(source.kind);
    source.location = start.source_location_override.or(source.location);
    source.buildspec = start.buildspec_override.or(source.buildspec);
    source.check()?;
    let artifacts = start.artifacts_override.unwrap_or_else(|| project.artifacts.clone());
    artifacts.check()?;
    let mut environment = project.environment.clone();
    environment.image = start.image_override.unwrap_or(environment.image);
    for variable in start.environment_variables_override {
        environment.environment_variables.retain(|other| other.name != variable.name);
        environment.environment_variables.push(variable);
    }
    let timeout_in_minutes = start.timeout_in_minutes_override.unwrap_or(project.timeout_in_minutes);
    check_timeout(timeout_in_minutes)?;
    let config = start.logs_config_override.or_else(|| project.logs_config.clone()).unwrap_or_default();
    let logs = config
        .cloud_watch_logs
        .unwrap_or_else(|| CloudWatchLogs { status: "ENABLED".to_owned(), ..CloudWatchLogs::default() });
    let group = logs.group_name.unwrap_or_else(|| format!("/aws/codebuild/{}", project.name));
    let recorded = |member: &str, usual: Value| project.recorded(member).cloned().unwrap_or(usual);
    Ok(Plan {
        project: project.name.clone(),
        region: call.caller.region.clone(),
        endpoint: call.caller.endpoint.clone(),
        source,
        source_version: start.source_version.or_else(|| project.source_version.clone()),
        artifacts,
        environment,
        service_role: start.service_role_override.unwrap_or_else(|| project.service_role.clone()),
        timeout_in_minutes,
        queued_timeout_in_minutes: start
            .queued_timeout_in_minutes_override
            .unwrap_or(project.queued_timeout_in_minutes),
        initiator: call.caller.key_id.clone(),
        cache: recorded("cache", json!({ "type": "NO_CACHE" })),
        encryption_key: recorded(
            "encryptionKey",
            format!("arn:aws:kms:{}:{ACCOUNT}:alias/aws/s3", call.caller.region).into(),
        ),
        log_group: (logs.status != "DISABLED").then_some(group),
        log_stream: logs.stream_name.map_or_else(|| uuid.to_owned(), |stream| format!("{stream}/{uuid}")),
    })
}

fn check_batch(items: &[String], member: &str) -> Result<(), Exception> {
    if (1..=MOST).contains(&items.len()) {
        return Ok(());
    }
    Err(invalid(format!("Invalid {member}: {} of them; 1 to {MOST} are allowed", items.len())))
}

/// One page of a list. A token holds how many items were shown before.
fn page(member: &str, items: Vec<String>, token: Option<&str>) -> Answer {
    let from: usize = match token.map(str::parse) {
        None => 0,
        Some(Ok(from)) => from,
        Some(Err(_)) => return Err(invalid("Invalid nextToken")),
    };
    let next = from + MOST;
    let mut page = json!({});
    if next < items.len() {
        page["nextToken"] = next.to_string().into();
    }
    page[member] = items.into_iter().skip(from).take(MOST).collect();
    Ok(page)
}

/// A project's name or a build's id, which may be given by its ARN.
fn name_of(given: &str) -> &str {
    match given.strip_prefix("arn:").and_then(|arn| arn.split_once('/')) {
        Some((_, name)) => name,
        None => given,
    }
}

fn project_arn(call: &Call, name: &str) -> String {
    format!("arn:aws:codebuild:{}:{ACCOUNT}:project/{name}", call.caller.region)
}

fn no_such_project(call: &Call, name: &str) -> Exception {
    Exception::new("ResourceNotFoundException", format!("Project cannot be found: {}", project_arn(call, name)))
}
