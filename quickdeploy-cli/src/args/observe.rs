//! The flags that make an edit seen to work: logs and invocations, as verbs of their own and after a deployment.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::Chosen;

/// `quickdeploy logs`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
Times are UTC. A function that was never invoked has no log group yet: `--follow` waits for it.

With `--json` there is one document. With `--json --follow` there is one event of the log in each line, as it comes.

Examples:
  quickdeploy logs --since 1h --filter ERROR
  quickdeploy logs --function app-api --follow")]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) artifacts: Chosen,

    /// The logs of these functions (repeat, or separate by commas), of this project or not [else: all of the project]
    #[arg(long = "function", value_name = "NAME", value_delimiter = ',')]
    pub(crate) functions: Vec<String>,

    /// Go on and show what is logged from now on, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// End `--follow` after this time, e.g. 30s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = period, requires = "follow")]
    pub(crate) length: Option<Duration>,

    /// Begin so long ago: 30s, 10m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = period, default_value = "10m")]
    pub(crate) since: Duration,

    /// Only what has these words in it; also a CloudWatch Logs filter pattern: '?ERROR ?WARN', '{ $.level = "error" }'
    #[arg(long, value_name = "TERM", allow_hyphen_values = true)]
    pub(crate) filter: Option<String>,
}

/// `quickdeploy invoke`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
The result goes to stdout, what the function logged to stderr. Exit code 1: the function failed.

Examples:
  quickdeploy invoke app-api --event event.json
  echo '{\"id\": 7}' | quickdeploy invoke app-api --event - | jq .body")]
pub(crate) struct Invoke {
    /// The function: its name or ARN
    #[arg(value_name = "FUNCTION")]
    pub(crate) function: String,

    /// Read the event, which is JSON, from FILE (`-`: standard input) [else: the event is {}]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,

    /// Invoke this version or alias [else: $LATEST]
    #[arg(long, value_name = "QUALIFIER")]
    pub(crate) qualifier: Option<String>,
}

/// What is to be seen after a deployment, for the verbs that deploy. With `--json` there is then a line for each: the
/// deployment, each invocation, each event of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub(crate) struct Afterwards {
    /// Then invoke a function with the event in FILE [else: {}], and show its result and log (repeat for more)
    #[arg(long, value_name = "FUNCTION[=FILE]", conflicts_with = "dry_run")]
    pub(crate) invoke: Vec<Call>,

    /// Then show what the functions log from then on, until Ctrl-C; with `--json` a line for each event
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) logs: bool,

    /// Like `--logs`, but end after this time, e.g. 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = period, conflicts_with = "dry_run")]
    pub(crate) logs_for: Option<Duration>,
}

/// `FUNCTION` or `FUNCTION=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) function: String,
    pub(crate) event: Option<PathBuf>,
}

impl FromStr for Call {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (function, event) = match text.split_once('=') {
            Some((function, file)) => (function, Some(file)),
            None => (text, None),
        };
        if function.is_empty() || event.is_some_and(str::is_empty) {
            return Err("wanted FUNCTION or FUNCTION=FILE: a function's name, `=`, a file with its event".to_owned());
        }
        Ok(Self { function: function.to_owned(), event: event.map(PathBuf::from) })
    }
}

/// A length of time as people write it: `90s`, `10m`, `2h`, `1d`.
fn period(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time such as 30s, 10m, 2h or 1d");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(seconds)
        .filter(|all| (1..=10 * 366 * 86_400).contains(all))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        assert_eq!(period("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(period("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(period("2h"), Ok(Duration::from_secs(7_200)));
        assert_eq!(period("1d"), Ok(Duration::from_secs(86_400)));
        for wrong in ["10", "m", "", "10 m", "-1m", "0s", "1w", "99999999999999999999d", "é"] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_call_names_a_function_and_perhaps_a_file() {
        let call =
            |function: &str, event: Option<&str>| Call { function: function.into(), event: event.map(Into::into) };
        assert_eq!("api".parse(), Ok(call("api", None)));
        assert_eq!("api=events/a=b.json".parse(), Ok(call("api", Some("events/a=b.json"))));
        assert_eq!("api=-".parse(), Ok(call("api", Some("-"))));
        for wrong in ["", "=x", "api="] {
            assert!(wrong.parse::<Call>().is_err(), "{wrong}");
        }
    }
}
