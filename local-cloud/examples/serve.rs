//! The local cloud as a server: `cargo run -p local-cloud --example serve -- --listen 127.0.0.1:4566 --log requests.jsonl`.
//!
//! It answers until it is interrupted. `--data DIR` keeps buckets and objects in a directory, and
//! `--require-known-credentials` refuses every access key id but `test`, as AWS refuses ids it doesn't know.

use std::error::Error;
use std::net::SocketAddr;

use local_cloud::LocalCloud;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = LocalCloud::builder();
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        if option == "--require-known-credentials" {
            builder = builder.require_known_credentials();
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("`{option}` needs a value"))?;
        builder = match option.as_str() {
            "--listen" => builder.listen(value.parse::<SocketAddr>()?),
            "--log" => builder.log_file(value),
            "--data" => builder.data_dir(value),
            _ => {
                return Err(format!(
                    "unknown option `{option}`; there are --listen, --log, --data and --require-known-credentials"
                )
                .into());
            }
        };
    }
    let cloud = builder.start().await?;
    eprintln!("listening on {}", cloud.endpoint());
    tokio::signal::ctrl_c().await?;
    cloud.shutdown().await;
    Ok(())
}
