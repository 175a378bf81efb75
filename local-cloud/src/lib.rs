//! S3, Lambda, CloudFormation, IAM, CodeBuild and CloudWatch Logs over real HTTP/1.1 on loopback, in one process: for
//! demos with no account, and for tests that speak to the real SDK clients.
//!
//! ```no_run
//! # async fn demo() -> Result<(), local_cloud::Error> {
//! let cloud = local_cloud::LocalCloud::builder().start().await?;
//! println!("export AWS_ENDPOINT_URL={}", cloud.endpoint());
//! cloud.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! A request comes in through `server.rs`, which names its operation, opens a [`Record`] for it, lets the [`Link`]
//! delay it and a [`Fault`] spoil it. `dispatch.rs` verifies its signature and hands it to S3, Lambda, CloudFormation,
//! IAM, CodeBuild, CloudWatch Logs or to the one STS call that clients make. The services know nothing of any of that:
//! accounting, faults and the link are wrapped around them, and the protocols of the last five are in `protocol`.
//!
//! S3's wire protocol (routes, headers, XML) is `s3s`; what objects *do* is written here, after AWS's documentation:
//! conditional writes, versions, multipart uploads, ranges, checksums. Signatures are verified for the credentials the
//! cloud knows (`test` / `test`, and those that [`Builder::credential`] adds). A request signed with any other key id is
//! let in unless [`Builder::require_known_credentials`] is set, because nobody can check a signature without its secret.

mod cloudformation;
mod codebuild;
mod credentials;
mod dispatch;
mod faults;
mod iam;
mod lambda;
mod log;
mod logs;
mod operation;
mod permissions;
mod protocol;
mod record;
mod s3;
mod server;
mod sts;
mod watchdog;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

pub use cloudformation::{CloudFormationSettings, StackControl};
pub use codebuild::CodeBuildSettings;
pub use faults::{Action, Fault, Faults, Link};
pub use iam::{IamSettings, Identity};
pub use lambda::{BuiltinFunction, LambdaControl, LambdaSettings, LogEvent};
pub use log::{Record, Service};

use credentials::Credentials;

/// Why a local cloud could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or may not be listened on.
    #[error("cannot listen on {address}: {source}; choose another address, or port 0 for any free one")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address is reachable from other machines, and the local cloud has no real access control.
    #[error(
        "{address} is not a loopback address: the local cloud lets any client in, so it listens on 127.0.0.1 or [::1] only"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// A policy of an identity is none, or can't be evaluated.
    #[error("cannot use {0}")]
    Policy(String),
    /// The request log cannot be written.
    #[error("cannot open the request log {path}: {source}", path = path.display())]
    LogFile {
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The data directory cannot be used, or what is in it was not written by this program.
    #[error("cannot use the data directory: {path}: {message}", path = path.display())]
    DataDir {
        /// The file or directory that is at fault.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// How a local cloud is to be. Made by [`LocalCloud::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    listen: SocketAddr,
    log_file: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    functions: Vec<BuiltinFunction>,
    lambda: LambdaSettings,
    function_environment: BTreeMap<String, String>,
    codebuild: CodeBuildSettings,
    cloudformation: CloudFormationSettings,
    iam: IamSettings,
    credentials: Credentials,
    identities: Vec<(String, Identity)>,
    enforce_iam: bool,
    link: Link,
}

impl Builder {
    /// Where to listen; a loopback address. Port 0, the default, takes any free port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Appends one line of JSON per request (a [`Record`]) to this file. It is created if need be.
    #[must_use]
    pub fn log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_file = Some(path.into());
        self
    }

    /// Keeps buckets, objects, unfinished uploads, functions, stacks, roles and build projects in this directory, and
    /// reads them at the next start. It is created if need be. Without it everything is in memory and gone at the end.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Adds a function that exists from the start.
    #[must_use]
    pub fn function(mut self, function: BuiltinFunction) -> Self {
        self.functions.push(function);
        self
    }

    /// How Lambda behaves.
    #[must_use]
    pub fn lambda(mut self, settings: LambdaSettings) -> Self {
        self.lambda = settings;
        self
    }

    /// An environment variable of every function process, which a function's own ones win over.
    #[must_use]
    pub fn function_environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.function_environment.insert(name.into(), value.into());
        self
    }

    /// How CodeBuild behaves.
    #[must_use]
    pub fn codebuild(mut self, settings: CodeBuildSettings) -> Self {
        self.codebuild = settings;
        self
    }

    /// How CloudFormation behaves.
    #[must_use]
    pub fn cloudformation(mut self, settings: CloudFormationSettings) -> Self {
        self.cloudformation = settings;
        self
    }

    /// How IAM behaves.
    #[must_use]
    pub fn iam(mut self, settings: IamSettings) -> Self {
        self.iam = settings;
        self
    }

    /// A further access key id and its secret. Requests signed with this id are verified. `test` / `test` is always known.
    #[must_use]
    pub fn credential(self, access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        self.credentials.add(access_key_id.into(), secret_access_key.into());
        self
    }

    /// An access key that belongs to an IAM user with policies. They count once IAM is enforced.
    #[must_use]
    pub fn identity(
        mut self,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        identity: Identity,
    ) -> Self {
        let key_id = access_key_id.into();
        self.identities.push((key_id.clone(), identity));
        self.credential(key_id, secret_access_key)
    }

    /// Denies what policies don't allow, as AWS does and in its words, and requests from access key ids that are not
    /// known. Users may do what the policies of their [`Identity`] allow; functions and stacks with a role what the role's
    /// do. A key that belongs to no identity is the account's own: it may do everything. Not enforced by default.
    #[must_use]
    pub fn enforce_iam(mut self) -> Self {
        self.enforce_iam = true;
        self.require_known_credentials()
    }

    /// Refuses requests from access key ids that are not known, with `InvalidAccessKeyId`. By default they are let in
    /// unverified, so that a client works with any dummy credentials.
    #[must_use]
    pub fn require_known_credentials(mut self) -> Self {
        self.credentials.require_known();
        self
    }

    /// The latency and bandwidth between clients and the cloud. By default none is added.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// Starts to listen and to answer, on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error`]: the address, the log file or the data directory cannot be used.
    pub async fn start(self) -> Result<LocalCloud, Error> {
        if !self.listen.ip().is_loopback() {
            return Err(Error::NotLoopback { address: self.listen });
        }
        let log = Arc::new(log::Log::open(self.log_file)?);
        let faults = Arc::new(Faults::new(self.link));
        let store = match &self.data_dir {
            Some(path) => s3::Store::open(path.clone()).await?,
            None => s3::Store::in_memory(),
        };
        let logs: Arc<logs::Logs> = Arc::default();
        let objects = Arc::clone(&store) as Arc<dyn lambda::Objects>;
        let iam = Arc::new(iam::Iam::new(self.iam));
        iam.enforce(self.identities, self.enforce_iam, self.credentials.clone()).map_err(Error::Policy)?;
        let mut settings = self.lambda;
        settings.environment.extend(self.function_environment);
        let lambda = lambda::Lambda::new(settings, objects, Arc::clone(&iam), Arc::clone(&logs));
        if let Some(path) = &self.data_dir {
            let kept = lambda.keep_in(path.join("lambda")).await;
            kept.map_err(|(path, message)| Error::DataDir { path, message })?;
        }
        let codebuild =
            codebuild::CodeBuild::new(self.codebuild, Arc::clone(&store), Arc::clone(&logs), Arc::clone(&iam));
        if let Some(path) = &self.data_dir {
            let kept = codebuild.keep_in(path.join("codebuild")).await;
            kept.map_err(|(path, message)| Error::DataDir { path, message })?;
        }
        let cloudformation = cloudformation::CloudFormation::new(
            self.cloudformation,
            cloudformation::Services {
                lambda: Arc::clone(&lambda),
                store: Arc::clone(&store),
                iam: Arc::clone(&iam),
                logs: Arc::clone(&logs),
            },
        );
        if let Some(path) = &self.data_dir {
            let data_dir = |(path, message)| Error::DataDir { path, message };
            iam.keep_in(path.join("iam.json")).await.map_err(data_dir)?;
            cloudformation.keep_in(path.join("stacks.json")).await.map_err(data_dir)?;
        }
        for function in self.functions {
            lambda.add_builtin(function);
        }
        let listen_error = |source| Error::Listen { address: self.listen, source };
        let listener = tokio::net::TcpListener::bind(self.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        lambda.set_endpoint(format!("http://{address}"));

        let services = dispatch::Services {
            s3: s3::Service::new(Arc::clone(&store), &self.credentials),
            credentials: Arc::new(self.credentials.clone()),
            lambda: Arc::clone(&lambda),
            cloudformation: Arc::clone(&cloudformation),
            iam: Arc::clone(&iam),
            codebuild,
            logs,
            log: Arc::clone(&log),
            faults: Arc::clone(&faults),
        };
        let server = server::Server::start(listener, address, services);
        let stacks = StackControl::new(cloudformation);
        let credentials = self.credentials;
        Ok(LocalCloud { address, log, faults, iam, lambda: lambda.control(), stacks, server, credentials })
    }
}

/// A running local cloud. It answers until [`shutdown`](LocalCloud::shutdown) is called or it is dropped.
#[derive(Debug)]
pub struct LocalCloud {
    address: SocketAddr,
    log: Arc<log::Log>,
    faults: Arc<Faults>,
    iam: Arc<iam::Iam>,
    lambda: LambdaControl,
    stacks: StackControl,
    server: server::Server,
    credentials: Credentials,
}

impl LocalCloud {
    /// A cloud on `127.0.0.1` and any free port, in memory, with no functions, no faults and no added latency.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            log_file: None,
            data_dir: None,
            functions: Vec::new(),
            lambda: LambdaSettings::default(),
            function_environment: BTreeMap::new(),
            codebuild: CodeBuildSettings::default(),
            cloudformation: CloudFormationSettings::default(),
            iam: IamSettings::default(),
            credentials: Credentials::default(),
            identities: Vec::new(),
            enforce_iam: false,
            link: Link::default(),
        }
    }

    /// What goes into `AWS_ENDPOINT_URL`: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request since the start or the last [`clear_requests`](LocalCloud::clear_requests), in the order of their
    /// arrival, those still under way included.
    #[must_use]
    pub fn requests(&self) -> Vec<Record> {
        self.log.records()
    }

    /// How many of them are still under way: neither answered to the last byte nor given up, because their client has
    /// gone or a fault ended them. What was given up is not carried out any more.
    pub fn requests_under_way(&self) -> usize {
        self.log.under_way()
    }

    /// Forgets the requests so far, so that the next ones can be counted alone. The log file keeps them.
    pub fn clear_requests(&self) {
        self.log.clear();
    }

    /// Sets the cloud's clock from now on: so many seconds ahead of this machine's, behind it when negative. Signatures are
    /// checked by it, and answers carry it as their `Date`.
    pub fn set_clock(&self, ahead: i64) {
        self.credentials.set_clock(ahead);
    }

    /// Lambda can assume every role from now on, however new it is: [`IamSettings::propagation`] is over.
    pub fn end_propagation(&self) {
        self.iam.end_propagation();
    }

    /// Faults to come, and the link's latency and bandwidth.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What can be done to the functions beyond AWS's API: failing and slow updates, and a look at the logs.
    #[must_use]
    pub fn functions(&self) -> &LambdaControl {
        &self.lambda
    }

    /// What can be done to the stacks beyond AWS's API: failing and slow resources.
    #[must_use]
    pub fn stacks(&self) -> &StackControl {
        &self.stacks
    }

    /// Stops listening, lets requests under way finish for up to five seconds, and ends every function process.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}
