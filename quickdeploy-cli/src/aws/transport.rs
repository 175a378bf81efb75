//! The HTTP client that all services share.
//!
//! The SDK's own makes each service's client a TLS configuration as soon as the client is made, one more at its first
//! request, and reads all certificates that this machine trusts for that: about 300 files on Debian, some 10 ms of a
//! command that is to take 40. Here a connector has two ways, each made when the first request needs it: one for
//! `http://`, which trusts nobody and reads nothing, and one for everything else. For AWS, whose endpoints are all
//! `https://`, [`Transport::prepare`] begins reading the certificates on a thread of its own, while files are looked at.
//!
//! Settings (timeouts, proxies from the environment, the crypto provider) are the SDK's.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder, HttpClientError};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Connect and read time-out: what connectors differ in.
type Timeouts = (Option<Duration>, Option<Duration>);

/// One client for any number of services.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    /// Few: one for each pair of time-outs.
    connectors: Mutex<Vec<(Timeouts, SharedHttpConnector)>>,
}

impl Transport {
    /// Reads this machine's certificates in the background. They are read once in a process.
    pub(crate) fn prepare() {
        // Without a thread to spare, the first request reads them.
        _ = std::thread::Builder::new().name("certificates".to_owned()).spawn(|| drop(trusting(Connector::builder())));
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = connectors.iter().find(|(other, _)| *other == timeouts) {
            return connector.clone();
        }
        let mut builder = settled(settings);
        builder.set_sleep_impl(components.sleep_impl());
        let connector = SharedHttpConnector::new(Ways::new(builder));
        connectors.push((timeouts, connector.clone()));
        connector
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        // As the SDK's client says of itself in `User-Agent`.
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}

/// A connector for requests that no service's client makes.
pub(crate) fn connector(settings: &HttpConnectorSettings) -> impl HttpConnector {
    Ways::new(settled(settings))
}

fn settled(settings: &HttpConnectorSettings) -> ConnectorBuilder {
    Connector::builder().connector_settings(settings.clone()).proxy_config(ProxyConfig::from_env())
}

/// A connector's two ways.
#[derive(Debug, Default)]
struct Ways {
    builder: ConnectorBuilder,
    plain: OnceLock<Connector>,
    secure: OnceLock<Connector>,
}

impl Ways {
    fn new(builder: ConnectorBuilder) -> Self {
        Self { builder, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    fn plain(&self) -> Result<&Connector, HttpClientError> {
        if let Some(made) = self.plain.get() {
            return Ok(made);
        }
        let trust = TlsContext::builder().with_trust_store(TrustStore::empty()).build()?;
        Ok(self.plain.get_or_init(|| self.builder.clone().tls_provider(provider()).tls_context(trust).build()))
    }

    fn secure(&self) -> &Connector {
        self.secure.get_or_init(|| trusting(self.builder.clone()))
    }
}

impl HttpConnector for Ways {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let plain = if request.uri().starts_with("http://") && !may_be_proxied() { self.plain().ok() } else { None };
        plain.unwrap_or_else(|| self.secure()).call(request)
    }
}

/// One that trusts whom this machine trusts.
fn trusting(builder: ConnectorBuilder) -> Connector {
    builder.tls_provider(provider()).build()
}

fn provider() -> Provider {
    Provider::Rustls(CryptoMode::AwsLc)
}

/// Whether a request without TLS may go through a proxy, the way to which may be one with TLS.
fn may_be_proxied() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].into_iter().any(set)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request, whatever it is.
    fn server() -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            String::from_utf8(request).unwrap()
        });
        (format!("http://{address}/path"), served)
    }

    fn settings() -> HttpConnectorSettings {
        HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(30)).build()
    }

    #[tokio::test]
    async fn a_request_without_tls_reads_no_certificates() {
        let (url, served) = server();
        let ways = Ways::new(settled(&settings()));
        let answer = ways.call(HttpRequest::get(url).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), 204);
        assert!(served.join().unwrap().starts_with("GET /path HTTP/1.1\r\n"));
        assert!(ways.plain.get().is_some() && ways.secure.get().is_none());
    }

    #[tokio::test]
    async fn a_request_with_tls_never_goes_the_way_that_trusts_nobody() {
        let ways = Ways::new(settled(&settings()));
        // Nothing listens there.
        assert!(ways.call(HttpRequest::get("https://127.0.0.1:1/").unwrap()).await.is_err());
        assert!(ways.plain.get().is_none() && ways.secure.get().is_some());
    }
}
