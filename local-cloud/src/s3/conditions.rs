//! Conditional requests: reads, copies and writes that take place only if the object is what the client thinks it is.

use s3s::dto::{ETagCondition, Timestamp};

use super::Refusal;
use super::model::{Bucket, Moment, Object, Time, Version};

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

/// The four conditions of a read.
pub(crate) struct Read<'a> {
    pub(crate) if_match: Option<&'a ETagCondition>,
    pub(crate) if_none_match: Option<&'a ETagCondition>,
    pub(crate) if_modified_since: Option<&'a Timestamp>,
    pub(crate) if_unmodified_since: Option<&'a Timestamp>,
}

impl Read<'_> {
    /// 412 or 304 when the object is not what was asked for. A date says nothing when there is an entity tag.
    pub(crate) fn check(&self, object: &Object, version: &Version) -> Result<(), Refusal> {
        let etag = object.etag();
        match (self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) if !matches(wanted, etag) => return Err(Refusal::precondition_failed("If-Match")),
            (None, Some(since)) if version.modified > Time::from(since) => {
                return Err(Refusal::precondition_failed("If-Unmodified-Since"));
            }
            _ => {}
        }
        let unchanged = match (self.if_none_match, self.if_modified_since) {
            (Some(known), _) => matches(known, etag),
            // A date that is yet to come is ignored.
            (None, Some(since)) => version.modified <= Time::from(since) && Time::from(since) <= Time::now(),
            (None, None) => false,
        };
        if !unchanged {
            return Ok(());
        }
        let mut modified = Vec::new();
        let time = Timestamp::from(version.modified);
        let _ = time.format(s3s::dto::TimestampFormat::HttpDate, &mut modified);
        Err(Refusal::new("NotModified", 304, "Not Modified")
            .header("etag", &format!("\"{etag}\""))
            .header("last-modified", &String::from_utf8_lossy(&modified)))
    }

    /// The same conditions on the source of a copy, where there is no 304.
    pub(crate) fn check_source(&self, object: &Object, version: &Version) -> Result<(), Refusal> {
        let etag = object.etag();
        let modified = version.modified;
        let failed = |name| Err(Refusal::precondition_failed(name));
        if let Some(wanted) = self.if_match {
            if !matches(wanted, etag) {
                return failed("x-amz-copy-source-If-Match");
            }
        } else if let Some(since) = self.if_unmodified_since
            && modified > Time::from(since)
        {
            return failed("x-amz-copy-source-If-Unmodified-Since");
        }
        if let Some(known) = self.if_none_match {
            if matches(known, etag) {
                return failed("x-amz-copy-source-If-None-Match");
            }
        } else if let Some(since) = self.if_modified_since
            && modified <= Time::from(since)
            && Time::from(since) <= Time::now()
        {
            return failed("x-amz-copy-source-If-Modified-Since");
        }
        Ok(())
    }
}

/// The condition of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Always,
    /// `If-None-Match: *`.
    IfAbsent,
    /// `If-Match`, without quotes.
    IfMatch(String),
}

impl Write {
    pub(crate) fn of(if_match: Option<&ETagCondition>, if_none_match: Option<&ETagCondition>) -> Result<Self, Refusal> {
        let unaccepted = |name: &str| {
            let message = format!("We don't accept the provided value of {name} header for this API");
            Refusal::header_not_implemented(name, &message)
        };
        match (if_match, if_none_match) {
            (None, None) => Ok(Self::Always),
            (Some(_), Some(_)) => {
                let message = "Multiple conditional request headers present in the request";
                Err(Refusal::header_not_implemented("If-Match,If-None-Match", message))
            }
            (None, Some(ETagCondition::Any)) => Ok(Self::IfAbsent),
            (None, Some(ETagCondition::ETag(_))) => Err(unaccepted("If-None-Match")),
            (Some(ETagCondition::ETag(etag)), None) => Ok(Self::IfMatch(etag.value().to_owned())),
            (Some(ETagCondition::Any), None) => Err(unaccepted("If-Match")),
        }
    }

    /// Checks the condition under the store's lock, right before the write. `since` is when the write began: the arrival
    /// of a PUT, the creation of an upload. Whatever else was written in between makes the condition fail, even if it
    /// was the same bytes.
    pub(crate) fn check(&self, bucket: &Bucket, key: &str, since: Moment) -> Result<(), Refusal> {
        let current = bucket.current(key);
        match (self, current) {
            (Self::IfAbsent, Some(_)) => Err(Refusal::precondition_failed("If-None-Match")),
            (Self::IfAbsent, None) if bucket.removed_since(key, since) => Err(Refusal::conflict("If-None-Match", key)),
            (Self::IfMatch(_), None) => Err(Refusal::no_such_key(key)),
            (Self::IfMatch(wanted), Some((_, object))) if object.etag() != wanted => {
                Err(Refusal::precondition_failed("If-Match"))
            }
            (Self::IfMatch(_), Some((version, _))) if version.committed > since => {
                Err(Refusal::conflict("If-Match", key))
            }
            _ => Ok(()),
        }
    }
}

/// The condition of a delete: `If-Match` with an entity tag, or `*` for any object.
pub(crate) fn check_delete(condition: Option<&ETagCondition>, bucket: &Bucket, key: &str) -> Result<(), Refusal> {
    let Some(condition) = condition else { return Ok(()) };
    let Some(latest) = bucket.latest(key) else { return Err(Refusal::no_such_key(key)) };
    match &latest.object {
        Some(object) if matches(condition, object.etag()) => Ok(()),
        _ => Err(Refusal::precondition_failed("If-Match")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use s3s::dto::ETag;

    use super::*;
    use crate::s3::model::Content;
    use crate::s3::rope::Rope;

    fn bucket_with(etag: &str, committed: Moment) -> Bucket {
        let content = Content {
            data: Rope::default(),
            etag: etag.to_owned(),
            checksum: None,
            parts: Vec::new(),
            known: Mutex::default(),
        };
        let object = Object { content: Arc::new(content), attributes: Arc::default() };
        let mut bucket = Bucket::new(None, false);
        let version = Version {
            id: "null".to_owned(),
            initiated: committed,
            committed,
            modified: Time::now(),
            object: Some(object),
        };
        bucket.insert("k", version);
        bucket
    }

    fn code(result: Result<(), Refusal>) -> Option<String> {
        result.err().map(|refusal| refusal.code().to_owned())
    }

    #[test]
    fn if_match_fails_on_any_write_since_the_beginning() {
        let condition = Write::IfMatch("a".to_owned());
        assert_eq!(code(condition.check(&bucket_with("a", 1), "k", 2)), None);
        assert_eq!(code(condition.check(&bucket_with("b", 3), "k", 2)).as_deref(), Some("PreconditionFailed"));
        // The same bytes, written again.
        assert_eq!(code(condition.check(&bucket_with("a", 3), "k", 2)).as_deref(), Some("ConditionalRequestConflict"));
        let mut gone = bucket_with("a", 1);
        gone.delete("k", 3);
        assert_eq!(code(condition.check(&gone, "k", 2)).as_deref(), Some("NoSuchKey"));
    }

    #[test]
    fn if_none_match_fails_when_the_key_is_there_or_was_until_now() {
        assert_eq!(code(Write::IfAbsent.check(&Bucket::new(None, false), "k", 2)), None);
        assert_eq!(code(Write::IfAbsent.check(&bucket_with("a", 1), "k", 2)).as_deref(), Some("PreconditionFailed"));
        let mut gone = bucket_with("a", 1);
        gone.delete("k", 3);
        assert_eq!(code(Write::IfAbsent.check(&gone, "k", 2)).as_deref(), Some("ConditionalRequestConflict"));
        assert_eq!(code(Write::IfAbsent.check(&gone, "k", 4)), None);
    }

    #[test]
    fn both_conditions_and_unusable_values_are_not_implemented() {
        let etag = ETagCondition::ETag(ETag::Strong("a".to_owned()));
        let any = ETagCondition::Any;
        for (if_match, if_none_match) in [(Some(&etag), Some(&any)), (Some(&any), None), (None, Some(&etag))] {
            let refusal = Write::of(if_match, if_none_match).unwrap_err();
            assert_eq!(refusal.code(), "NotImplemented");
        }
    }
}
