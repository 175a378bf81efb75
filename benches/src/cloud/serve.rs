//! The cloud of one tool, in a process of its own: `benches serve`. It ends when its stdin does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, LastUpdateStatus, LogType, Runtime, State};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local_cloud::{BuiltinFunction, LambdaSettings, LocalCloud, Record};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::process;
use crate::stage::STORE_CHECK;

use super::protocol::{Answer, Called, DEVELOPER, Done, Ended, HARNESS, Listening, Question, Request};

/// The arguments of `benches serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The executable of the function `zipedit`.
    #[arg(long)]
    bootstrap: PathBuf,
    /// Listen here too, and pass on what comes to the cloud.
    #[arg(long)]
    forward: Option<SocketAddr>,
    /// How long an update of a function takes, in ms.
    #[arg(long)]
    update_ms: u64,
}

/// Serves until stdin ends.
///
/// # Errors
/// An address can't be listened on.
pub(crate) fn serve(arguments: &Serve) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serving(arguments))
}

async fn serving(arguments: &Serve) -> Result<()> {
    let delay = Duration::from_millis(arguments.update_ms);
    let settings = LambdaSettings { update_delay: delay, create_delay: delay, ..LambdaSettings::default() };
    let mut zipedit = BuiltinFunction::new("zipedit", [&arguments.bootstrap]);
    zipedit.memory_size = 1769;
    let cloud = LocalCloud::builder()
        .lambda(settings)
        .function(zipedit)
        .function_environment("QUICKDEPLOY_STORE_CHECK", STORE_CHECK)
        .start()
        .await?;
    let mut endpoint = cloud.endpoint();
    if let Some(address) = arguments.forward {
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        endpoint = format!("http://{}", listener.local_addr()?);
        tokio::spawn(forward(listener, cloud.address()));
    }
    print(&Listening { endpoint });
    let clients = Clients::of(&cloud.endpoint());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            Question::Requests => {
                let requests: Vec<Request> = cloud.requests().iter().filter_map(request).collect();
                cloud.clear_requests();
                print(&Answer::Ok(requests));
            }
            Question::Put { bucket, key, file } => answer(clients.put(&bucket, &key, &file).await),
            Question::End { bucket, key, length, file } => {
                answer(clients.end(&bucket, &key, length, &file).await);
            }
            Question::Quota { per_second } => {
                cloud.functions().set_control_plane_rate(per_second);
                answer(Ok(Done {}));
            }
            Question::Bucket { name, versioned } => answer(clients.bucket(&name, versioned).await),
            Question::Function { name, runtime, handler, zip } => {
                answer(clients.function(&name, &runtime, &handler, &zip).await);
            }
            Question::Live { functions } => answer(clients.live(&functions).await),
            Question::Invoke { function, event } => answer(clients.invoke(&function, &event).await),
        }
    }
    cloud.shutdown().await;
    Ok(())
}

/// Passes bytes on, both ways. With `TCP_NODELAY`, as client and cloud set it.
async fn forward(listener: TcpListener, to: SocketAddr) {
    while let Ok((mut client, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut cloud = TcpStream::connect(to).await?;
            client.set_nodelay(true)?;
            cloud.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut cloud).await
        });
    }
}

fn answer<T: Serialize>(result: Result<T>) {
    print(&match result {
        Ok(answer) => Answer::Ok(answer),
        Err(error) => Answer::Err(format!("{error:#}")),
    });
}

#[allow(clippy::print_stdout)]
fn print(message: &impl Serialize) {
    println!("{}", serde_json::to_string(message).unwrap_or_default());
}

/// A record as the harness counts it; `None` for its own.
fn request(record: &Record) -> Option<Request> {
    let key = record.access_key_id.as_deref();
    let begin = record.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3;
    (key != Some(HARNESS)).then(|| Request {
        operation: record.operation.clone(),
        status: record.status,
        developers: key == Some(DEVELOPER),
        up: record.bytes_in + record.header_bytes_in,
        down: record.bytes_out + record.header_bytes_out,
        body_up: record.bytes_in,
        body_down: record.bytes_out,
        begin,
        end: begin + record.ms,
    })
}

/// A figure of the `REPORT` line at the end of an invocation's log.
fn reported(log: &str, name: &str) -> Option<f64> {
    let report = log.rsplit_once("REPORT ")?.1;
    report.split_once(name)?.1.split_whitespace().next()?.parse().ok()
}

/// Of the functions' processes so far: they are this process's children.
fn functions_cpu() -> Result<Duration> {
    // One that ended in between has taken all it will take.
    Ok(process::children()?.into_iter().filter_map(|child| process::cpu(child).ok()).sum())
}

/// The harness's own clients.
struct Clients {
    s3: aws_sdk_s3::Client,
    lambda: aws_sdk_lambda::Client,
}

impl Clients {
    fn of(endpoint: &str) -> Self {
        let credentials = Credentials::new(HARNESS, HARNESS, None, None, "benches");
        let region = Region::new("us-east-1");
        let s3 = aws_sdk_s3::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .endpoint_url(endpoint)
            .force_path_style(true);
        let lambda = aws_sdk_lambda::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(region)
            .credentials_provider(credentials)
            .endpoint_url(endpoint);
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            lambda: aws_sdk_lambda::Client::from_conf(lambda.build()),
        }
    }

    async fn bucket(&self, name: &str, versioned: bool) -> Result<Done> {
        self.s3.create_bucket().bucket(name).send().await?;
        if versioned {
            let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            self.s3.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await?;
        }
        Ok(Done {})
    }

    async fn put(&self, bucket: &str, key: &str, file: &Path) -> Result<Done> {
        let body = ByteStream::from_path(file).await.with_context(|| format!("cannot read {}", file.display()))?;
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await?;
        Ok(Done {})
    }

    async fn end(&self, bucket: &str, key: &str, length: u64, file: &Path) -> Result<Ended> {
        let get = self.s3.get_object().bucket(bucket).key(key).range(format!("bytes=-{length}"));
        let answer = get.send().await?;
        let range = answer.content_range().context("S3 answered without a range")?;
        let size = range.rsplit_once('/').and_then(|(_, size)| size.parse().ok());
        let size = size.with_context(|| format!("S3 answered with the range {range:?}"))?;
        std::fs::write(file, answer.body.collect().await?.into_bytes())?;
        Ok(Ended { size })
    }

    async fn function(&self, name: &str, runtime: &str, handler: &str, zip: &Path) -> Result<Done> {
        let zip = std::fs::read(zip).with_context(|| format!("cannot read {}", zip.display()))?;
        let code = FunctionCode::builder().zip_file(Blob::new(zip)).build();
        let create = self.lambda.create_function().function_name(name).runtime(Runtime::from(runtime)).handler(handler);
        let create = create.role("arn:aws:iam::000000000000:role/app").timeout(300).memory_size(1769).code(code);
        create.send().await?;
        Ok(Done {})
    }

    /// In turn: whoever waits for one has waited for the others meanwhile. GetFunction's quota is 100 a second.
    async fn live(&self, functions: &[String]) -> Result<Done> {
        let deadline = Instant::now() + Duration::from_secs(60);
        for name in functions {
            loop {
                let found = self.lambda.get_function().function_name(name).send().await?.configuration;
                let found = found.context("GetFunction answered without a configuration")?;
                match (found.state(), found.last_update_status()) {
                    (Some(State::Active), Some(LastUpdateStatus::Successful) | None) => break,
                    (Some(State::Failed), _) | (_, Some(LastUpdateStatus::Failed)) => {
                        bail!("{name}: {}", found.last_update_status_reason().unwrap_or("its update failed"))
                    }
                    _ if Instant::now() > deadline => bail!("{name} is not live after a minute"),
                    _ => tokio::time::sleep(Duration::from_millis(12)).await,
                }
            }
        }
        Ok(Done {})
    }

    async fn invoke(&self, function: &str, event: &serde_json::Value) -> Result<Called> {
        let payload = Blob::new(serde_json::to_vec(event)?);
        let (begin, cpu) = (Instant::now(), functions_cpu()?);
        let invoke = self.lambda.invoke().function_name(function).payload(payload).log_type(LogType::Tail);
        let answer = invoke.send().await?;
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let cpu_ms = functions_cpu()?.saturating_sub(cpu).as_secs_f64() * 1e3;
        let log = STANDARD.decode(answer.log_result.unwrap_or_default())?;
        let log = String::from_utf8_lossy(&log);
        let payload = answer.payload.as_ref().map(Blob::as_ref).unwrap_or(b"null");
        Ok(Called {
            answer: serde_json::from_slice(payload)?,
            failed: answer.function_error.is_some(),
            ms,
            cpu_ms,
            init_ms: reported(&log, "Init Duration: "),
            memory_mib: reported(&log, "Max Memory Used: "),
        })
    }
}
