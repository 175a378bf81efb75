//! Flags of the verbs that run the local cloud: `demo`, `local`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;

/// `quickdeploy demo`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Demo {
    /// The project to show it with; it is copied, never touched [default: a small Node.js project]
    pub(crate) dir: Option<PathBuf>,

    /// Use this `bootstrap` as the zipedit function, instead of this program itself
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap: Option<PathBuf>,
}

/// `quickdeploy local`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Local {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4580", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,

    /// Write a JSON line per request: service, operation, status, bytes in and out, ms
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// Keep buckets and functions in this directory [else: in memory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Use this `bootstrap` as the zipedit function, instead of this program itself
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap: Option<PathBuf>,
}

/// An IP address and a port; `localhost` is one that everybody types.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| "wanted ADDR:PORT, e.g. 127.0.0.1:4580".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_is_an_ip_address_or_localhost() {
        assert_eq!(listen_address("localhost:0"), Ok(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert_eq!(listen_address("127.0.0.1:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        for wrong in ["foo", "4580", "localhost", "127.0.0.1:99999"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }
}
