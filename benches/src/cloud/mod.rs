//! The cloud that a tool is measured on: a child process, so that it can be on the far side of a link, and so that each
//! tool has one of its own.

pub(crate) mod bill;
pub(crate) mod protocol;
pub(crate) mod serve;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context as _, Result, anyhow};
use serde::de::DeserializeOwned;

use self::protocol::{Answer, Called, DEVELOPER, Done, Ended, Listening, Question, Request};
use crate::link::Place;

/// A cloud under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Cloud {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    endpoint: String,
}

impl Cloud {
    /// Starts one at this place, with `bootstrap` as the function `zipedit` and updates that take so many ms. Functions
    /// run with `path` as their `PATH`.
    ///
    /// # Errors
    /// It doesn't start.
    pub(crate) fn start(place: &Place, bootstrap: &Path, update_ms: u64, path: &str) -> Result<Self> {
        let own = std::env::current_exe()?;
        let mut command = place.cloud_side(&own);
        command.arg("serve").arg("--bootstrap").arg(bootstrap).args(["--update-ms", &update_ms.to_string()]);
        if let Some(address) = place.forward() {
            command.args(["--forward", &address]);
        }
        command.env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let questions = child.stdin.take();
        let stdout = child.stdout.take().context("the cloud has no stdout")?;
        let mut cloud = Self { child, questions, answers: BufReader::new(stdout), endpoint: String::new() };
        cloud.endpoint = cloud.read::<Listening>().context("the cloud did not start")?.endpoint;
        Ok(cloud)
    }

    /// The environment of a tool, beside this machine's own.
    #[must_use]
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", DEVELOPER.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", DEVELOPER.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// S3 refuses.
    pub(crate) fn bucket(&mut self, name: &str, versioned: bool) -> Result<()> {
        self.ask::<Done>(&Question::Bucket { name: name.to_owned(), versioned }).map(drop)
    }

    /// Puts a file of this machine into a bucket.
    ///
    /// # Errors
    /// S3 refuses.
    pub(crate) fn put(&mut self, bucket: &str, key: &str, file: &Path) -> Result<()> {
        let (bucket, key, file) = (bucket.to_owned(), key.to_owned(), file.to_owned());
        self.ask::<Done>(&Question::Put { bucket, key, file }).map(drop)
    }

    /// Writes the last bytes of an object to a file on this machine, and says how many all of it has.
    ///
    /// # Errors
    /// S3 refuses.
    pub(crate) fn end(&mut self, bucket: &str, key: &str, length: u64, file: &Path) -> Result<u64> {
        let (bucket, key, file) = (bucket.to_owned(), key.to_owned(), file.to_owned());
        Ok(self.ask::<Ended>(&Question::End { bucket, key, length, file })?.size)
    }

    /// Sets how many control-plane calls Lambda takes a second; 0: any number.
    ///
    /// # Errors
    /// The cloud is gone.
    pub(crate) fn quota(&mut self, per_second: f64) -> Result<()> {
        self.ask::<Done>(&Question::Quota { per_second }).map(drop)
    }

    /// Makes a function of a zip on this machine. It is not live yet.
    ///
    /// # Errors
    /// Lambda refuses.
    pub(crate) fn function(&mut self, name: &str, runtime: &str, handler: &str, zip: &Path) -> Result<()> {
        let (name, runtime, handler) = (name.to_owned(), runtime.to_owned(), handler.to_owned());
        self.ask::<Done>(&Question::Function { name, runtime, handler, zip: zip.to_owned() }).map(drop)
    }

    /// Waits until functions run what they were last updated to.
    ///
    /// # Errors
    /// An update failed.
    pub(crate) fn live(&mut self, functions: &[String]) -> Result<()> {
        self.ask::<Done>(&Question::Live { functions: functions.to_vec() }).map(drop)
    }

    /// Calls a function.
    ///
    /// # Errors
    /// It can't be called. That it fails is no error.
    pub(crate) fn invoke(&mut self, function: &str, event: serde_json::Value) -> Result<Called> {
        self.ask(&Question::Invoke { function: function.to_owned(), event })
    }

    /// The requests since the last time.
    ///
    /// # Errors
    /// The cloud is gone.
    pub(crate) fn requests(&mut self) -> Result<Vec<Request>> {
        self.ask(&Question::Requests)
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &Question) -> Result<T> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.questions.as_mut().context("the cloud has ended")?.write_all(&line)?;
        match self.read()? {
            Answer::Ok(answer) => Ok(answer),
            Answer::Err(error) => Err(anyhow!(error)),
        }
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the cloud said {line:?}"))
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}
