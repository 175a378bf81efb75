//! From a request to its service and back: reads the body where it is wanted whole, verifies the signature, and gives
//! refusals the form that the service's clients read.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};

use crate::cloudformation::{self, CloudFormation};
use crate::codebuild::CodeBuild;
use crate::credentials::{self, Credentials, Denied, Head};
use crate::faults::Faults;
use crate::iam::{self, Denial, Iam};
use crate::lambda::Lambda;
use crate::log::{Entry, Log, Service};
use crate::logs::Logs;
use crate::operation::{Protocol, Target};
use crate::permissions;
use crate::protocol::query::{self, Form};
use crate::protocol::{self, Caller, json};
use crate::s3::{self, Refusal};
use crate::sts;
use crate::wire::{AnyBody, Inbound, full};

/// The region where a request names none.
const REGION: &str = "us-east-1";

/// The services behind the listener, and what is wrapped around them.
pub(crate) struct Services {
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) s3: s3::Service,
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) cloudformation: Arc<CloudFormation>,
    pub(crate) iam: Arc<Iam>,
    pub(crate) codebuild: Arc<CodeBuild>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) log: Arc<Log>,
    pub(crate) faults: Arc<Faults>,
}

impl Services {
    /// Ends what the services do in the background.
    pub(crate) async fn shutdown(&self) {
        self.cloudformation.shutdown().await;
        tokio::join!(self.lambda.shutdown(), self.codebuild.shutdown());
    }
}

/// AWS's name of the operation as its service has found it, for the log.
#[derive(Clone, Debug)]
pub(crate) struct OperationName(pub(crate) String);

/// AWS's error code, for the log.
#[derive(Clone, Debug)]
pub(crate) struct ErrorCode(pub(crate) String);

/// A request whose body was read as far as its service's protocol wants it before anything is done.
pub(crate) enum Payload {
    /// For services that read their bodies themselves, or only once no fault has hit.
    Streamed(Request<Inbound>),
    /// The whole of it, or why it could not be read.
    Whole(Result<Request<Bytes>, Denied>),
}

impl Payload {
    /// Reads the body where it names the operation, and completes the request's name.
    pub(crate) async fn read(request: Request<Inbound>, target: &mut Target, entry: &Entry) -> Self {
        if matches!(target.service.protocol(), Protocol::S3 | Protocol::RestJson) {
            return Self::Streamed(request);
        }
        let whole = collected(request, protocol::MAX_REQUEST_BYTES).await;
        if let Ok(request) = &whole {
            target.name_by_body(request.uri().query().unwrap_or_default(), request.body());
            entry.set_operation(&target.operation);
            entry.set_resource(target.resource.as_deref());
        }
        Self::Whole(whole)
    }

    /// Marks headers that S3 is not to see. They are still part of what was signed.
    pub(crate) fn ignoring(self, headers: Vec<HeaderName>) -> Self {
        match self {
            Self::Streamed(mut request) if !headers.is_empty() => {
                request.extensions_mut().insert(s3::Ignored(headers));
                Self::Streamed(request)
            }
            other => other,
        }
    }

    async fn whole(self, limit: usize) -> Result<Request<Bytes>, Denied> {
        match self {
            Self::Streamed(request) => collected(request, limit).await,
            Self::Whole(request) => request,
        }
    }
}

/// Hands a request to its service.
pub(crate) async fn dispatch(
    services: &Services,
    target: &Target,
    request: Payload,
    entry: &Arc<Entry>,
) -> Response<AnyBody> {
    let request = match request {
        Payload::Streamed(request) if target.service == Service::S3 => {
            return services.s3.handle(request, &services.credentials, &services.iam, target, entry.id()).await;
        }
        other => other.whole(crate::lambda::MAX_REQUEST_BYTES).await,
    };
    if target.service == Service::Lambda {
        return lambda(services, request, entry).await;
    }
    let asked = request.and_then(|request| {
        let (request, key_id) = verified(services, request)?;
        let scope = credentials::scope(request.uri(), request.headers());
        let caller = Caller {
            key_id: key_id.unwrap_or_default(),
            region: scope.map_or_else(|| REGION.to_owned(), |scope| scope.region),
            endpoint: s3::endpoint(request.headers()),
            request_id: entry.id().to_owned(),
        };
        Ok((request, caller))
    });
    match (asked, target.service.protocol()) {
        (Err(denied), _) => refused(target.service, denied.status, denied.code, &denied.message, entry),
        (Ok((request, caller)), Protocol::Json) => of_json(services, target, request.body(), caller).await,
        (Ok((request, caller)), _) => of_query(services, target, &request, caller).await,
    }
}

async fn of_query(services: &Services, target: &Target, request: &Request<Bytes>, caller: Caller) -> Response<AnyBody> {
    let form = Form::of_request(request.uri().query().unwrap_or_default(), request.body());
    let call = query::Call { action: form.get("Action").unwrap_or_default().to_owned(), form, caller };
    let stack_id = |name: &str| services.cloudformation.stack_id(&call.caller.region, name);
    let needs = permissions::of_query(target.service, &call, stack_id);
    let permitted = services.iam.authorize(&services.iam.principal(&call.caller.key_id), &needs);
    let answer = match (permitted, target.service) {
        (Err(denial), _) => Err(query::Refusal::new(403, "AccessDenied", denial.message())),
        (Ok(()), Service::CloudFormation) => services.cloudformation.handle(&call).await,
        (Ok(()), Service::Iam) => services.iam.handle(&call).await,
        (Ok(()), _) => sts::handle(&call, &services.iam),
    };
    let code = answer.as_ref().err().map(|refusal| refusal.code);
    let mut response = query::response(namespace(target.service), &call, answer).map(full);
    finish(&mut response, &call.caller.request_id, code);
    response
}

async fn of_json(services: &Services, target: &Target, body: &Bytes, caller: Caller) -> Response<AnyBody> {
    let request_id = caller.request_id.clone();
    let principal = services.iam.principal(&caller.key_id);
    let permitted = |call: json::Call| {
        let needs = permissions::of_json(target.service, &call);
        let denied = |denial: Denial| json::Exception::new("AccessDeniedException", denial.message());
        services.iam.authorize(&principal, &needs).map(|()| call).map_err(denied)
    };
    let answer = match json::Call::new(&target.operation, body, caller).and_then(permitted) {
        Ok(call) if target.service == Service::CodeBuild => services.codebuild.handle(&call).await,
        Ok(call) => services.logs.handle(&call),
        Err(exception) => Err(exception),
    };
    let mut response = json::response(&answer).map(full);
    finish(&mut response, &request_id, answer.err().map(|exception| exception.kind));
    response
}

/// The namespace of a service's XML.
fn namespace(service: Service) -> &'static str {
    match service {
        Service::CloudFormation => cloudformation::NAMESPACE,
        Service::Iam => iam::NAMESPACE,
        _ => sts::NAMESPACE,
    }
}

/// What every answer carries, and what the log wants to know of it.
fn finish(response: &mut Response<AnyBody>, request_id: &str, error: Option<&str>) {
    response.headers_mut().insert("x-amzn-requestid", header_value(request_id));
    if let Some(code) = error {
        response.extensions_mut().insert(ErrorCode(code.to_owned()));
    }
}

async fn lambda(services: &Services, request: Result<Request<Bytes>, Denied>, entry: &Arc<Entry>) -> Response<AnyBody> {
    let (request, key_id) = match request.and_then(|request| verified(services, request)) {
        Ok(verified) => verified,
        Err(denied) => return json_error(denied.status, lambda_code(denied.code), &denied.message, entry),
    };
    let caller = key_id.map(|key_id| services.iam.principal(&key_id));
    let answer = services.lambda.handle(request, caller).await;
    let mut response = answer.response.map(full);
    response.extensions_mut().insert(OperationName(answer.operation.to_owned()));
    let headers = response.headers_mut();
    headers.entry("x-amzn-requestid").or_insert_with(|| header_value(entry.id()));
    if let Some(code) = headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok()).map(str::to_owned) {
        response.extensions_mut().insert(ErrorCode(code));
    }
    response
}

/// Reads a request's whole body.
async fn collected(request: Request<Inbound>, limit: usize) -> Result<Request<Bytes>, Denied> {
    let (parts, body) = request.into_parts();
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(Request::from_parts(parts, body.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("Request must be smaller than {limit} bytes");
            Err(denied(413, "RequestEntityTooLargeException", &message))
        }
        Err(_) => Err(denied(400, "InvalidRequestContentException", "the request's body ended early")),
    }
}

/// Verifies a request's signature, and says who signed it.
fn verified(services: &Services, request: Request<Bytes>) -> Result<(Request<Bytes>, Option<String>), Denied> {
    let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
    let verified = services.credentials.verify(&head, Some(request.body()))?;
    if verified.key_id.is_none() && !crate::lambda::is_public(request.uri()) {
        return Err(denied(403, "MissingAuthenticationTokenException", "Missing Authentication Token"));
    }
    Ok((request, verified.key_id))
}

fn denied(status: u16, code: &'static str, message: &str) -> Denied {
    Denied { status, code, message: message.to_owned(), details: Vec::new() }
}

/// The name that services with forms give to a refusal that S3 or Lambda names otherwise.
fn query_code(code: &'static str) -> &'static str {
    match code {
        "InvalidAccessKeyId" => "InvalidClientTokenId",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "RequestTimeTooSkewed" => "SignatureDoesNotMatch",
        "RequestEntityTooLargeException" => "RequestEntityTooLarge",
        "InvalidRequestContentException" => "MalformedInput",
        other => other,
    }
}

/// A refusal before the service has seen the request, in the service's own form.
fn refused(service: Service, status: u16, code: &'static str, message: &str, entry: &Entry) -> Response<AnyBody> {
    match service.protocol() {
        Protocol::Query => {
            let code = query_code(code);
            let refusal = query::Refusal::new(status, code, message);
            let mut response = query::error(namespace(service), &refusal, entry.id()).map(full);
            finish(&mut response, entry.id(), Some(code));
            response
        }
        Protocol::Json => {
            let kind = lambda_code(code);
            // These services answer 400 where others answer 403.
            let status = if status == 403 { 400 } else { status };
            let exception = json::Exception { status, kind, message: message.to_owned() };
            let mut response = json::response(&Err(exception)).map(full);
            finish(&mut response, entry.id(), Some(kind));
            response
        }
        Protocol::S3 | Protocol::RestJson => json_error(status, code, message, entry),
    }
}

/// The name that Lambda and the JSON services give to a refusal that S3 names otherwise.
fn lambda_code(code: &'static str) -> &'static str {
    match code {
        "SignatureDoesNotMatch" | "RequestTimeTooSkewed" => "InvalidSignatureException",
        "InvalidAccessKeyId" => "UnrecognizedClientException",
        "AccessDenied" => "AccessDeniedException",
        other => other,
    }
}

fn json_error(status: u16, code: &str, message: &str, entry: &Entry) -> Response<AnyBody> {
    let body = serde_json::json!({ "Type": if status < 500 { "User" } else { "Service" }, "message": message });
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amzn-errortype", header_value(code));
    headers.insert("x-amzn-requestid", header_value(entry.id()));
    response.extensions_mut().insert(ErrorCode(code.to_owned()));
    response
}

/// The answer of a fault.
pub(crate) fn injected(target: &Target, status: u16, code: &'static str, entry: &Entry) -> Response<AnyBody> {
    let message = match code {
        "SlowDown" => "Please reduce your request rate.",
        "InternalError" => "We encountered an internal error. Please try again.",
        "ServiceUnavailable" => "Service is unable to handle request.",
        "TooManyRequestsException" | "Throttling" | "ThrottlingException" => "Rate exceeded",
        _ => "This error was injected by the local cloud.",
    };
    match target.service.protocol() {
        Protocol::S3 => {
            let resource = target.resource.as_deref().unwrap_or_default();
            let head = target.operation.starts_with("Head");
            Refusal::new(code, status, message).into_response(resource, entry.id(), head)
        }
        Protocol::RestJson => json_error(status, code, message, entry),
        Protocol::Query => {
            let refusal = query::Refusal::new(status, code, message);
            let mut response = query::error(namespace(target.service), &refusal, entry.id()).map(full);
            finish(&mut response, entry.id(), Some(code));
            response
        }
        Protocol::Json => {
            let exception = json::Exception { status, kind: code, message: message.to_owned() };
            let mut response = json::response(&Err(exception)).map(full);
            finish(&mut response, entry.id(), Some(code));
            response
        }
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
