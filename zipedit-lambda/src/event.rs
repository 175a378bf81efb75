//! What the function is asked for.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use zipedit::{Changes, Content, EntryName, Stamp};

/// An edit of one artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Event {
    /// The artifact: `s3://bucket/key`, or `bucket/key`.
    pub src: String,
    /// Entry names with what they shall hold; `null` deletes an entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, Option<Change>>,
    /// `s3://bucket/key` of a zip with further puts, for change sets that are too large for an event (6 MB). Its deflated
    /// entries are taken over as they are compressed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Edit only if the artifact has this ETag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// Answer what would be done, and write nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What the version that is written says of its writer: user metadata of the object, whose keys begin with
    /// `quickdeploy-`. Such keys are not carried over from one version to the next; all others are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// What an entry shall hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Change {
    /// This text, as UTF-8.
    Text(String),
    /// This text or these bytes, perhaps with a mode.
    Content(ChangedContent),
}

/// Text or bytes, one of them, perhaps with a mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChangedContent {
    /// Text, as UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Bytes, in base64 (RFC 4648, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Permission bits in octal, such as `0644`. Without it a replaced entry keeps its mode and a new one gets 0755.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Written out, as the derived one for an untagged enum can't say what is wrong.
impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Change;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, {\"text\": …}, {\"base64\": …} or null")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Change, E> {
                Ok(Change::Text(text.to_owned()))
            }

            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Change, E> {
                Ok(Change::Text(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Change, A::Error> {
                let content = ChangedContent::deserialize(MapAccessDeserializer::new(map))?;
                match (&content.text, &content.base64) {
                    (Some(_), None) | (None, Some(_)) => Ok(Change::Content(content)),
                    _ => Err(A::Error::custom("give either `text` or `base64`")),
                }
            }
        }

        deserializer.deserialize_any(Form)
    }
}

/// An event that doesn't say what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidEvent {
    /// A field is missing, unknown or of the wrong form.
    Field(String),
    /// A name in `changes` is none for an entry.
    Name(zipedit::NameError),
}

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidEvent::Field(reason) => write!(f, "the event is not valid: {reason}"),
            InvalidEvent::Name(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InvalidEvent {}

fn field(reason: impl Into<String>) -> InvalidEvent {
    InvalidEvent::Field(reason.into())
}

/// serde's messages quote the text that they didn't expect, which may be a file's content.
fn without_values(message: &str) -> String {
    match (message.find("string \""), message.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => format!("{}string{}", &message[..start], &message[end + 1..]),
        _ => message.to_owned(),
    }
}

/// A bucket and a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

impl Source {
    /// Takes `s3://bucket/key` or `bucket/key`.
    ///
    /// # Errors
    /// When there is no bucket or no key in it.
    pub fn parse(text: &str) -> Result<Self, InvalidEvent> {
        match text.strip_prefix("s3://").unwrap_or(text).split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !bucket.contains(':') && !key.is_empty() => {
                Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err(field(format!("`{}` is not of the form `s3://bucket/key`", text.escape_debug()))),
        }
    }
}

impl Event {
    /// Takes the event as Lambda hands it over.
    ///
    /// # Errors
    /// When a field is missing, unknown or of the wrong form, by its name.
    pub fn parse(event: Value) -> Result<Self, InvalidEvent> {
        if !event.is_object() {
            return Err(field("it has to be an object with `src` and `changes`"));
        }
        let says_what = event.get("changes").is_some() || event.get("overlay").is_some();
        let event: Self = serde_json::from_value(event).map_err(|error| field(without_values(&error.to_string())))?;
        if !says_what {
            return Err(field("it has neither `changes` nor `overlay`"));
        }
        Ok(event)
    }

    /// The changes that the event itself has, without its overlay.
    ///
    /// # Errors
    /// When a name is none for an entry, base64 is broken, or a mode is none.
    pub fn changes(&mut self) -> Result<Changes, InvalidEvent> {
        let mut changes = Changes::new();
        for (name, change) in std::mem::take(&mut self.changes) {
            let name = EntryName::new(name).map_err(InvalidEvent::Name)?;
            match change {
                None => changes.delete(name),
                Some(Change::Text(text)) => changes.put(name, Content::new(text)),
                Some(Change::Content(content)) => {
                    let content = content.decode(&name)?;
                    changes.put(name, content)
                }
            };
        }
        Ok(changes)
    }
}

impl Event {
    /// What the writer says of itself.
    ///
    /// # Errors
    /// When a key is another's to set, or S3 would store another value.
    pub fn stamp(&self) -> Result<Stamp, InvalidEvent> {
        self.metadata.iter().try_fold(Stamp::new(), |stamp, (key, value)| {
            stamp.with(key, value).map_err(|error| field(error.to_string()))
        })
    }
}

impl ChangedContent {
    fn decode(self, name: &EntryName) -> Result<Content, InvalidEvent> {
        let content = match (self.text, self.base64) {
            (Some(text), None) => Content::new(text),
            (None, Some(base64)) => {
                let bytes = BASE64_STANDARD.decode(base64);
                Content::new(bytes.map_err(|error| field(format!("the base64 for `{name}` is broken: {error}")))?)
            }
            _ => return Err(field(format!("give either `text` or `base64` for `{name}`"))),
        };
        match self.mode {
            None => Ok(content),
            Some(mode) => match u32::from_str_radix(&mode, 8) {
                Ok(bits @ 0..=0o7777) if !mode.starts_with('+') => Ok(content.with_mode(bits)),
                _ => Err(field(format!(
                    "the mode `{}` for `{name}` is not an octal number such as `0644`",
                    mode.chars().take(8).collect::<String>().escape_debug()
                ))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(event: Value) -> String {
        match Event::parse(event).and_then(|mut event| event.changes()) {
            Ok(changes) => panic!("it was taken: {changes:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_original_event_is_taken() {
        assert!(Event::parse(json!({"src": "bucket/a/b.zip", "changes": {}})).unwrap().changes().unwrap().is_empty());
        let mut event = Event::parse(json!({"src": "bucket/a/b.zip", "changes": {"x.js": "text"}})).unwrap();
        assert_eq!(Source::parse(&event.src).unwrap(), Source { bucket: "bucket".into(), key: "a/b.zip".into() });
        assert_eq!(event.changes().unwrap().len(), 1);
    }

    #[test]
    fn unknown_fields_are_named() {
        let unknown = refusal(json!({"src": "s3://b/k", "changes": {"a": ""}, "chnages": {}}));
        assert!(unknown.contains("`chnages`") && unknown.contains("`overlay`"), "{unknown}");
        let unknown = refusal(json!({"src": "s3://b/k", "changes": {"a": {"text": "", "mod": "0644"}}}));
        assert!(unknown.contains("`mod`"), "{unknown}");
    }

    #[test]
    fn what_is_missing_or_of_the_wrong_form_is_named() {
        for (event, named) in [
            (json!("text"), "object"),
            (json!({"changes": {"a": ""}}), "`src`"),
            (json!({"src": "s3://b/k"}), "`changes`"),
            (json!({"src": "s3://b/k", "changes": {"a": 5}}), "base64"),
            (json!({"src": "s3://b/k", "changes": {"a": {}}}), "either `text` or `base64`"),
            (json!({"src": "s3://b/k", "changes": {"a": {"text": "", "base64": ""}}}), "either `text` or `base64`"),
            (json!({"src": "s3://b/k", "changes": {"a": {"base64": "%"}}}), "base64 for `a`"),
            (json!({"src": "s3://b/k", "changes": {"a": {"text": "", "mode": "0999"}}}), "`0999`"),
            (json!({"src": "s3://b/k", "changes": {"a": {"text": "", "mode": "100644"}}}), "`100644`"),
            (json!({"src": "s3://b/k", "changes": {"../a": ""}}), "`../a`"),
            (json!({"src": "s3://b/k", "changes": {"a": ""}, "dryRun": "yes"}), "boolean"),
        ] {
            let message = refusal(event.clone());
            assert!(message.contains(named), "{event}: {message}");
        }
        for source in ["", "bucket", "s3://", "s3://bucket", "s3://bucket/", "/key", "https://host/key"] {
            assert!(Source::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn metadata_is_taken_for_the_writers_own_keys_only() {
        let event =
            |key: &str| Event::parse(json!({"src": "s3://b/k", "changes": {}, "metadata": {key: "me"}})).unwrap();
        let stamp = event("quickdeploy-by").stamp().unwrap();
        assert_eq!(stamp.iter().collect::<Vec<_>>(), [("quickdeploy-by", "me")]);
        let refused = event("commit").stamp().unwrap_err().to_string();
        assert!(refused.contains("`commit`") && refused.contains("`quickdeploy-`"), "{refused}");
    }

    #[test]
    fn what_may_be_a_files_content_is_not_repeated() {
        for event in [
            json!({"src": "s3://b/k", "changes": "THE \", expected CONTENT"}),
            json!({"src": "s3://b/k", "changes": {"a": {"text": "t", "mode": "mode: THE CONTENT"}}}),
            json!({"src": "s3://b/k", "changes": {"a": {"base64": "THE CONTENT"}}}),
            json!({"src": "s3://b/k", "changes": {"a": ["THE CONTENT"]}}),
            json!({"src": "s3://b/k", "changes": {}, "dryRun": "THE CONTENT"}),
        ] {
            let message = refusal(event);
            assert!(!message.contains("CONTENT"), "{message}");
        }
    }

    #[test]
    fn every_form_of_content_is_taken() {
        let changes = json!({
            "text": "ü", "more": {"text": "x", "mode": "0644"}, "bytes": {"base64": "/wA="}, "gone": null, "empty": "",
        });
        let changes = Event::parse(json!({"src": "s3://b/k", "changes": changes})).unwrap().changes().unwrap();
        let content = |name: &str| match changes.get(name) {
            Some(zipedit::Change::Put(content)) => Some((content.plain().to_vec(), content.mode())),
            _ => None,
        };
        assert_eq!(content("text"), Some(("ü".as_bytes().to_vec(), None)));
        assert_eq!(content("more"), Some((b"x".to_vec(), Some(0o644))));
        assert_eq!(content("bytes"), Some((vec![0xff, 0], None)));
        assert_eq!(content("empty"), Some((vec![], None)));
        assert_eq!(content("gone"), None);
        assert_eq!(changes.len(), 5);
    }
}
