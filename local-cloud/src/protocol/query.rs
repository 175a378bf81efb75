//! awsQuery: a form with an `Action` in, XML out.
//!
//! Lists are members `Name.member.1`, structures are members `Name.Field`, as in
//! `Parameters.member.2.ParameterKey=Bucket`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::Caller;
use super::xml::Xml;
use crate::operation::percent_decoded;

/// The parameters of one request, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// The parameters of a request's query and of its body. Of two with one name the body's counts.
    pub(crate) fn of_request(query: &str, body: &[u8]) -> Self {
        let mut parameters = BTreeMap::new();
        let body = String::from_utf8_lossy(body);
        for pair in query.split('&').chain(body.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.insert(decoded(name), decoded(value));
        }
        Self(parameters)
    }

    /// A parameter's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of the first of these parameters that is there.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A parameter that is a truth value; anything but `true` counts as false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The values of a list of texts, in their order. `None` when there is no such list.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        if let Some(empty) = self.get(name) {
            // An empty list is sent as the bare name.
            return empty.is_empty().then(Vec::new);
        }
        let items = self.items(name);
        (!items.is_empty()).then(|| items.iter().filter_map(|item| item.get("").map(str::to_owned)).collect())
    }

    /// The members of a list, in their order, each as a form of its own. A member that is a text has the name ``.
    pub(crate) fn items(&self, name: &str) -> Vec<Self> {
        let prefix = format!("{name}.member.");
        let mut items: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
        for (found, value) in self.0.range(prefix.clone()..).take_while(|(found, _)| found.starts_with(&prefix)) {
            let (index, field) = found[prefix.len()..].split_once('.').unwrap_or((&found[prefix.len()..], ""));
            if let Ok(index) = index.parse() {
                items.entry(index).or_default().insert(field.to_owned(), value.clone());
            }
        }
        items.into_values().map(Self).collect()
    }
}

fn decoded(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

/// One request to one operation.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// AWS's name of the operation, such as `CreateChangeSet`.
    pub(crate) action: String,
    pub(crate) form: Form,
    pub(crate) caller: Caller,
}

/// What an operation answers: the content of its `Result` element, or `None` for an operation that has none.
pub(crate) type Answer = Result<Option<Xml>, Refusal>;

/// One refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// AWS's code, such as `ValidationError`.
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// For an operation that the local cloud doesn't have.
    pub(crate) fn invalid_action(service: &str, action: &str) -> Self {
        let asked = if action.is_empty() { "a request without an Action" } else { action };
        Self::new(400, "InvalidAction", format!("The local cloud's {service} doesn't have the operation {asked}"))
    }
}

/// An answer on the wire.
pub(crate) fn response(namespace: &str, call: &Call, answer: Answer) -> Response<Bytes> {
    match answer {
        Ok(result) => {
            let mut xml = Xml::default();
            xml.within(&format!("{}Response xmlns=\"{namespace}\"", call.action), |xml| {
                if let Some(result) = result {
                    xml.within(&format!("{}Result", call.action), |xml| xml.append(&result));
                }
                xml.within("ResponseMetadata", |xml| xml.text("RequestId", &call.caller.request_id));
            });
            document(StatusCode::OK, xml)
        }
        Err(refusal) => error(namespace, &refusal, &call.caller.request_id),
    }
}

/// A refusal on the wire.
pub(crate) fn error(namespace: &str, refusal: &Refusal, request_id: &str) -> Response<Bytes> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut xml = Xml::default();
    xml.within(&format!("ErrorResponse xmlns=\"{namespace}\""), |xml| {
        xml.within("Error", |xml| {
            xml.text("Type", if status.is_server_error() { "Receiver" } else { "Sender" });
            xml.text("Code", refusal.code);
            xml.text("Message", &refusal.message);
        });
        xml.text("RequestId", request_id);
    });
    document(status, xml)
}

fn document(status: StatusCode, xml: Xml) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(xml.into_document()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let names: Vec<String> = (1..=11).map(|n| format!("L.member.{n}={n}")).collect();
        let form = Form::of_request("", names.join("&").as_bytes());
        assert_eq!(form.list("L").unwrap().join(" "), "1 2 3 4 5 6 7 8 9 10 11");
        assert_eq!(form.list("M"), None);
        assert_eq!(Form::of_request("", b"L=").list("L"), Some(Vec::new()));
    }

    #[test]
    fn members_that_are_structures_keep_their_fields() {
        let body = b"P.member.1.Key=a+b&P.member.1.Value=%3C%26%3E&P.member.2.Key=c&Px.member.1.Key=no";
        let items = Form::of_request("Action=X", body).items("P");
        assert_eq!(items.len(), 2);
        assert_eq!((items[0].get("Key"), items[0].get("Value")), (Some("a b"), Some("<&>")));
        assert_eq!((items[1].get("Key"), items[1].get("Value")), (Some("c"), None));
    }
}
