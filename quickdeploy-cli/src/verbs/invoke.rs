//! `quickdeploy invoke`: one event, one answer.

use std::time::Duration;

use owo_colors::OwoColorize;

use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::invoke::{self, Invocation, Request, millis};
use crate::logs;
use crate::project::Settings;
use crate::ui::{Ui, duration};

pub(super) async fn run(ui: &Ui, global: &Global, args: args::Invoke) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let event = invoke::event(args.event.as_deref())?;
    let request = Request { function: args.function, qualifier: args.qualifier, event };
    let cloud = connect(global).await?;
    let invocation = carry_out(ui, &cloud, &request, &interrupts).await?;
    show(ui, &invocation, true);
    ui.document(&invocation)?;
    Ok(u8::from(!invocation.ok))
}

/// As the project around here says, where there is one: any function can be invoked from anywhere.
async fn connect(global: &Global) -> Result<Cloud> {
    let here = std::env::current_dir().ok();
    let projects = match here.and_then(|here| Settings::locate(&here)) {
        Some(_) => super::find_projects(global, &args::Chosen::default())?,
        None => Vec::new(),
    };
    super::connect(global, projects.first().map(crate::project::Project::settings)).await
}

/// Invokes, unless Ctrl-C comes before the answer.
pub(super) async fn carry_out(
    ui: &Ui,
    cloud: &Cloud,
    request: &Request,
    interrupts: &Interrupts,
) -> Result<Invocation> {
    let _progress = ui.progress("Invoking");
    let so_far = interrupts.so_far();
    tokio::select! {
        invocation = invoke::invoke(cloud, request) => invocation,
        () = interrupts.nth(so_far + 1) => {
            let what = format!("interrupted while `{}` ran: its answer is not waited for", request.function);
            Err(Error::new("Interrupted", what).hint("Lambda can't be told to stop: it runs to its end, and logs what it does"))
        }
    }
}

/// What came of it: the figures and the log for people, the result on stdout.
pub(super) fn show(ui: &Ui, invocation: &Invocation, with_log: bool) {
    let took = match &invocation.report {
        Some(report) => millis(report.duration_ms),
        None => duration(Duration::from_millis(invocation.elapsed_ms)),
    };
    let status = if invocation.ok { invocation.status_code.to_string() } else { "FAILED".to_owned() };
    ui.status("Invoked", format_args!("`{}`: {status} in {took}", invocation.function));
    if let Some(report) = &invocation.report {
        ui.detail(report.costs());
    }
    if with_log && ui.is_verbose() {
        for line in invocation.log_tail.lines() {
            ui.detail(logs::readable(line).dimmed());
        }
    } else if with_log {
        for line in logs::written_by_the_function(&invocation.log_tail) {
            ui.detail(line.trim_end());
        }
    }
    if let Some(error) = &invocation.error {
        ui.error(error);
        for line in invocation.trace.iter().filter(|line| ui.is_verbose() || logs::is_of_function(line)) {
            ui.detail(logs::readable(line).dimmed());
        }
    }
    if invocation.ok && !ui.is_json() {
        ui.result(readable_result(&invocation.raw));
    }
}

/// JSON in lines, anything else as it is.
fn readable_result(raw: &str) -> String {
    match serde_json::from_str::<serde::de::IgnoredAny>(raw) {
        Ok(_) => indented(raw),
        Err(_) => raw.lines().map(logs::readable).collect::<Vec<_>>().join("\n"),
    }
}

/// JSON with line breaks and two spaces for each level. Members stay in their order and numbers as they were written.
fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut level = 0;
    let mut in_string = false;
    let mut escaped = false;
    let mut characters = json.trim().chars().peekable();
    let line = |text: &mut String, level: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", level));
    };
    while let Some(character) = characters.next() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            text.push(character);
            continue;
        }
        match character {
            c if c.is_whitespace() => {}
            '{' | '[' => {
                text.push(character);
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                // What is empty stays in one line.
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    level += 1;
                    line(&mut text, level);
                }
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                line(&mut text, level);
                text.push(character);
            }
            ',' => {
                text.push(',');
                line(&mut text, level);
            }
            ':' => text.push_str(": "),
            other => {
                in_string = other == '"';
                text.push(other);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_without_being_changed() {
        let json = r#"{"z":[1.50,{"a":"x, {y}: \"q\" \\"},[],{ }],"big":12345678901234567890123,"a":null}"#;
        let expected = r#"{
  "z": [
    1.50,
    {
      "a": "x, {y}: \"q\" \\"
    },
    [],
    {}
  ],
  "big": 12345678901234567890123,
  "a": null
}"#;
        assert_eq!(readable_result(json), expected);
        assert_eq!(readable_result(expected), expected);
        assert_eq!(readable_result("\"text\""), "\"text\"");
        assert_eq!(readable_result("no JSON\nat all\u{7}"), "no JSON\nat all\\u{7}");
    }
}
