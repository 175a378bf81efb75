//! STS, as far as clients call it by themselves: `GetCallerIdentity`.

use bytes::Bytes;
use http::{Response, StatusCode, header};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The `Action` of a query or form, such as `Action=GetCallerIdentity&Version=2011-06-15`.
fn action(form: &[u8]) -> Option<&str> {
    let form = std::str::from_utf8(form).ok()?;
    form.split('&').find_map(|pair| pair.strip_prefix("Action="))
}

/// Answers one request, given its query string and its body.
pub(crate) fn answer(query: Option<&str>, body: &[u8], key_id: &str, request_id: &str) -> Response<Bytes> {
    let asked = action(body).or_else(|| action(query.unwrap_or_default().as_bytes()));
    let (status, xml) = match asked {
        Some("GetCallerIdentity") => (
            StatusCode::OK,
            format!(
                "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult>\
                 <Arn>arn:aws:iam::000000000000:user/{user}</Arn><UserId>{user}</UserId><Account>000000000000</Account>\
                 </GetCallerIdentityResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
                 </GetCallerIdentityResponse>",
                user = plain(key_id),
            ),
        ),
        other => (
            StatusCode::BAD_REQUEST,
            format!(
                "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>InvalidAction</Code>\
                 <Message>The local cloud's STS answers GetCallerIdentity only, not {}</Message></Error>\
                 <RequestId>{request_id}</RequestId></ErrorResponse>",
                plain(other.unwrap_or("a request without an Action")),
            ),
        ),
    };
    let mut response = Response::new(Bytes::from(xml));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/xml"));
    response
}

/// Without the characters that mean something in XML: neither a key id nor an action has any.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '<' | '>' | '&' | '"')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_the_user_of_the_key_id() {
        let response = answer(None, b"Action=GetCallerIdentity&Version=2011-06-15", "test", "r1");
        assert_eq!(response.status(), 200);
        let body = String::from_utf8(response.into_body().to_vec()).unwrap();
        assert!(body.contains("<Account>000000000000</Account>") && body.contains(":user/test</Arn>"));
    }

    #[test]
    fn any_other_action_is_refused_by_name() {
        let response = answer(Some("Action=AssumeRole"), b"", "test", "r1");
        assert_eq!(response.status(), 400);
        assert!(String::from_utf8_lossy(response.body()).contains("AssumeRole"));
    }
}
