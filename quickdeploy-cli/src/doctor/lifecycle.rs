//! What a bucket's lifecycle rules do to one object. Pure: rules and object go in, dangers come out.
//!
//! After <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>: a rule counts when it is
//! enabled and its filter covers the object: prefix, tags and sizes, all of those that it names. The expiration of a
//! current version deletes an object for good where there are no versions, and puts a delete marker in its place where
//! there are; from then on it is a noncurrent version. Uploads that were not completed know neither tags nor sizes: only
//! rules with nothing but a prefix abort them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule, LifecycleRuleAndOperator, Tag};

use crate::ui::plural;

/// The object that the rules are applied to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a str,
    /// In bytes.
    pub(crate) size: u64,
    /// Its tags; `None`: they may not be read.
    pub(crate) tags: Option<&'a [(String, String)]>,
}

/// Whether a rule counts for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Covers {
    Yes,
    No,
    /// It depends on tags that may not be read.
    Perhaps,
}

/// What a rule will do to the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Danger {
    /// The rule's name.
    pub(crate) rule: String,
    pub(crate) fate: Fate,
    /// Whether the rule counts is known.
    pub(crate) certain: bool,
}

/// What becomes of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The current version is deleted, or covered by a delete marker.
    Expires {
        /// When, as a phrase.
        when: String,
    },
    /// Versions that are no longer current are deleted.
    NoncurrentExpire {
        /// When, as a phrase.
        when: String,
    },
    /// The current version goes where it can't be read at once.
    Archived {
        /// When, as a phrase.
        when: String,
        /// Where to.
        class: String,
    },
}

/// What the rules will do to the object, in their order.
pub(crate) fn dangers(rules: &[LifecycleRule], subject: &Subject<'_>) -> Vec<Danger> {
    rules
        .iter()
        .filter(|rule| *rule.status() == ExpirationStatus::Enabled)
        .flat_map(|rule| {
            let covers = covers(rule, subject);
            let fates = if covers == Covers::No { Vec::new() } else { fates(rule) };
            let name = name(rule);
            fates.into_iter().map(move |fate| Danger { rule: name.to_owned(), fate, certain: covers == Covers::Yes })
        })
        .collect()
}

/// Whether uploads to `key` that are never completed will be aborted, after how many days.
pub(crate) fn aborts_uploads(rules: &[LifecycleRule], key: &str) -> Option<i32> {
    rules
        .iter()
        .filter(|rule| *rule.status() == ExpirationStatus::Enabled && key.starts_with(prefix(rule)))
        .filter_map(|rule| rule.abort_incomplete_multipart_upload()?.days_after_initiation())
        .min()
}

/// A version that is no longer current.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noncurrent {
    /// When the next one was written.
    pub(crate) since: SystemTime,
    /// So many noncurrent ones are newer.
    pub(crate) newer: usize,
}

/// How a noncurrent version ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It may be deleted from then on.
    On { rule: String, at: SystemTime, certain: bool },
    /// The rule keeps some noncurrent versions, and this is one of them, until there are so many more.
    After { rule: String, versions: usize, certain: bool },
}

impl End {
    /// Whether the rule counts is known.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Self::On { certain, .. } | Self::After { certain, .. } => *certain,
        }
    }
}

/// The first end that the rules make of a noncurrent version.
pub(crate) fn end_of_noncurrent(rules: &[LifecycleRule], subject: &Subject<'_>, version: &Noncurrent) -> Option<End> {
    let ends = rules.iter().filter(|rule| *rule.status() == ExpirationStatus::Enabled).filter_map(|rule| {
        let expiration = rule.noncurrent_version_expiration()?;
        let certain = match covers(rule, subject) {
            Covers::Yes => true,
            Covers::Perhaps => false,
            Covers::No => return None,
        };
        let kept = usize::try_from(expiration.newer_noncurrent_versions().unwrap_or(0)).unwrap_or(0);
        let rule = name(rule).to_owned();
        Some(match kept.checked_sub(version.newer).filter(|left| *left > 0) {
            Some(versions) => End::After { rule, versions, certain },
            None => End::On { rule, at: after(version.since, expiration.noncurrent_days().unwrap_or(0)), certain },
        })
    });
    ends.min_by_key(|end| match end {
        End::On { at, .. } => (0, *at, 0),
        End::After { versions, .. } => (1, UNIX_EPOCH, *versions),
    })
}

/// S3 adds the days, and goes on to the next midnight, UTC.
fn after(since: SystemTime, days: i32) -> SystemTime {
    const DAY: u64 = 24 * 60 * 60;
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
    let end = since + Duration::from_secs(u64::try_from(days).unwrap_or(0) * DAY);
    UNIX_EPOCH + Duration::from_secs((end.as_secs() / DAY + 1) * DAY)
}

/// A rule's name.
fn name(rule: &LifecycleRule) -> &str {
    rule.id().filter(|id| !id.is_empty()).unwrap_or("without a name")
}

fn fates(rule: &LifecycleRule) -> Vec<Fate> {
    let mut fates = Vec::new();
    if let Some(expiration) = rule.expiration() {
        let when = match (expiration.days(), expiration.date()) {
            (Some(days), _) => Some(format!("{} after it was written", days_of(days))),
            (None, Some(date)) => Some(format!("on {}", date.to_string().split('T').next().unwrap_or_default())),
            // Only clears delete markers away that hide nothing.
            (None, None) => None,
        };
        fates.extend(when.map(|when| Fate::Expires { when }));
    }
    if let Some(expiration) = rule.noncurrent_version_expiration() {
        let days = days_of(expiration.noncurrent_days().unwrap_or(0));
        let kept = match expiration.newer_noncurrent_versions() {
            Some(kept @ 1..) => format!(", except for the newest {kept}"),
            _ => String::new(),
        };
        fates.push(Fate::NoncurrentExpire { when: format!("{days} after they were replaced{kept}") });
    }
    // Of the classes, these two can't be read without a restoration first.
    let archive = rule.transitions().iter().filter(|transition| {
        transition.storage_class().is_some_and(|class| matches!(class.as_str(), "GLACIER" | "DEEP_ARCHIVE"))
    });
    for transition in archive {
        let when = match (transition.days(), transition.date()) {
            (_, Some(date)) => format!("on {}", date.to_string().split('T').next().unwrap_or_default()),
            (days, None) => format!("{} after it was written", days_of(days.unwrap_or(0))),
        };
        let class = transition.storage_class().map(|class| class.as_str().to_owned()).unwrap_or_default();
        fates.push(Fate::Archived { when, class });
    }
    fates
}

fn days_of(days: i32) -> String {
    plural(usize::try_from(days).unwrap_or(0), "day")
}

/// The prefix of a rule, which older ones have outside of the filter.
fn prefix(rule: &LifecycleRule) -> &str {
    #[allow(deprecated, reason = "rules that were written before there were filters are still there")]
    let old = rule.prefix();
    let filter = rule.filter();
    let of_filter = filter.and_then(|filter| filter.prefix().or_else(|| filter.and().and_then(|and| and.prefix())));
    of_filter.or(old).unwrap_or_default()
}

fn covers(rule: &LifecycleRule, subject: &Subject<'_>) -> Covers {
    if !subject.key.starts_with(prefix(rule)) {
        return Covers::No;
    }
    let Some(filter) = rule.filter() else { return Covers::Yes };
    let and = filter.and();
    let over =
        filter.object_size_greater_than().or_else(|| and.and_then(LifecycleRuleAndOperator::object_size_greater_than));
    let under =
        filter.object_size_less_than().or_else(|| and.and_then(LifecycleRuleAndOperator::object_size_less_than));
    let size = i64::try_from(subject.size).unwrap_or(i64::MAX);
    if over.is_some_and(|limit| size <= limit) || under.is_some_and(|limit| size >= limit) {
        return Covers::No;
    }
    let wanted: Vec<&Tag> =
        filter.tag().into_iter().chain(and.map(LifecycleRuleAndOperator::tags).unwrap_or_default()).collect();
    match subject.tags {
        _ if wanted.is_empty() => Covers::Yes,
        None => Covers::Perhaps,
        Some(tags) => {
            let has = |wanted: &&Tag| tags.iter().any(|(key, value)| key == wanted.key() && value == wanted.value());
            if wanted.iter().all(has) { Covers::Yes } else { Covers::No }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::builders::LifecycleRuleBuilder;
    use aws_sdk_s3::types::{
        AbortIncompleteMultipartUpload, LifecycleExpiration, LifecycleRuleFilter, NoncurrentVersionExpiration,
        Transition, TransitionStorageClass,
    };

    use super::*;

    const SUBJECT: Subject<'_> = Subject { key: "app/app.zip", size: 1000, tags: Some(&[]) };

    fn rule(filter: LifecycleRuleFilter) -> LifecycleRuleBuilder {
        LifecycleRule::builder().id("tidy").status(ExpirationStatus::Enabled).filter(filter)
    }

    fn expiring(filter: LifecycleRuleFilter) -> LifecycleRule {
        rule(filter).expiration(LifecycleExpiration::builder().days(30).build()).build().unwrap()
    }

    fn filter() -> aws_sdk_s3::types::builders::LifecycleRuleFilterBuilder {
        LifecycleRuleFilter::builder()
    }

    fn tag(key: &str, value: &str) -> Tag {
        Tag::builder().key(key).value(value).build().unwrap()
    }

    fn hits(filter: LifecycleRuleFilter, subject: &Subject<'_>) -> Vec<bool> {
        dangers(&[expiring(filter)], subject).into_iter().map(|danger| danger.certain).collect()
    }

    #[test]
    fn a_rule_without_a_filter_covers_everything_and_one_that_is_disabled_nothing() {
        let danger = Danger {
            rule: "tidy".into(),
            fate: Fate::Expires { when: "30 days after it was written".into() },
            certain: true,
        };
        assert_eq!(dangers(&[expiring(filter().build())], &SUBJECT), [danger]);
        let disabled = rule(filter().build())
            .status(ExpirationStatus::Disabled)
            .expiration(LifecycleExpiration::builder().days(1).build());
        assert_eq!(dangers(&[disabled.build().unwrap()], &SUBJECT), []);
    }

    #[test]
    fn the_prefix_decides_in_the_filter_and_in_the_rules_of_old() {
        assert_eq!(hits(filter().prefix("app/").build(), &SUBJECT), [true]);
        assert_eq!(hits(filter().prefix("other/").build(), &SUBJECT), [false; 0]);
        #[allow(deprecated)]
        let old = LifecycleRule::builder().status(ExpirationStatus::Enabled).prefix("other/");
        let old = old.expiration(LifecycleExpiration::builder().days(1).build()).build().unwrap();
        assert_eq!(dangers(&[old], &SUBJECT), []);
    }

    #[test]
    fn sizes_are_limits_that_are_not_included() {
        assert_eq!(hits(filter().object_size_greater_than(999).build(), &SUBJECT), [true]);
        assert_eq!(hits(filter().object_size_greater_than(1000).build(), &SUBJECT), [false; 0]);
        assert_eq!(hits(filter().object_size_less_than(1001).build(), &SUBJECT), [true]);
        assert_eq!(hits(filter().object_size_less_than(1000).build(), &SUBJECT), [false; 0]);
    }

    #[test]
    fn all_tags_of_a_rule_have_to_be_there_and_unreadable_ones_may_be() {
        let both = LifecycleRuleAndOperator::builder().prefix("app/").tags(tag("keep", "no")).tags(tag("a", "b"));
        let both = filter().and(both.build()).build();
        let with = |tags: &[(&str, &str)]| -> Vec<(String, String)> {
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let one = with(&[("keep", "no")]);
        let all = with(&[("keep", "no"), ("a", "b"), ("more", "x")]);
        assert_eq!(hits(both.clone(), &Subject { tags: Some(&one), ..SUBJECT }), [false; 0]);
        assert_eq!(hits(both.clone(), &Subject { tags: Some(&all), ..SUBJECT }), [true]);
        assert_eq!(hits(both, &Subject { tags: None, ..SUBJECT }), [false]);
    }

    #[test]
    fn noncurrent_versions_and_archives_are_told_apart_from_expiration() {
        let noncurrent = NoncurrentVersionExpiration::builder().noncurrent_days(7).newer_noncurrent_versions(3).build();
        let to = |class| Transition::builder().days(1).storage_class(class).build();
        let rule = rule(filter().build())
            .noncurrent_version_expiration(noncurrent)
            .transitions(to(TransitionStorageClass::Glacier))
            // Readable at once, if dearer.
            .transitions(to(TransitionStorageClass::GlacierIr))
            .expiration(LifecycleExpiration::builder().expired_object_delete_marker(true).build());
        let fates: Vec<Fate> =
            dangers(&[rule.build().unwrap()], &SUBJECT).into_iter().map(|found| found.fate).collect();
        assert_eq!(
            fates,
            [
                Fate::NoncurrentExpire { when: "7 days after they were replaced, except for the newest 3".into() },
                Fate::Archived { when: "1 day after it was written".into(), class: "GLACIER".into() },
            ]
        );
    }

    fn keeping(id: &str, days: i32, newer: Option<i32>) -> LifecycleRule {
        let noncurrent = NoncurrentVersionExpiration::builder().noncurrent_days(days);
        let noncurrent = noncurrent.set_newer_noncurrent_versions(newer).build();
        rule(filter().build()).id(id).noncurrent_version_expiration(noncurrent).build().unwrap()
    }

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn a_noncurrent_version_ends_at_the_midnight_after_its_days() {
        let version = Noncurrent { since: UNIX_EPOCH + 15 * HOUR, newer: 0 };
        let end = end_of_noncurrent(&[keeping("slow", 9, None), keeping("tidy", 1, None)], &SUBJECT, &version);
        assert_eq!(end, Some(End::On { rule: "tidy".into(), at: UNIX_EPOCH + 48 * HOUR, certain: true }));
        let other = Subject { key: "other.zip", ..SUBJECT };
        let elsewhere = rule(filter().prefix("app/").build());
        let noncurrent = NoncurrentVersionExpiration::builder().noncurrent_days(1).build();
        let elsewhere = elsewhere.noncurrent_version_expiration(noncurrent).build().unwrap();
        assert_eq!(end_of_noncurrent(&[elsewhere], &other, &version), None);
    }

    #[test]
    fn the_newest_noncurrent_versions_are_kept_until_there_are_more() {
        let ends = |newer| {
            let version = Noncurrent { since: UNIX_EPOCH, newer };
            end_of_noncurrent(&[keeping("tidy", 1, Some(3))], &SUBJECT, &version)
        };
        let after = |versions| Some(End::After { rule: "tidy".into(), versions, certain: true });
        assert_eq!((ends(0), ends(2)), (after(3), after(1)));
        assert_eq!(ends(3), Some(End::On { rule: "tidy".into(), at: UNIX_EPOCH + 48 * HOUR, certain: true }));
    }

    #[test]
    fn the_shortest_rule_for_unfinished_uploads_counts() {
        let aborting = |prefix: &str, days| {
            let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build();
            rule(filter().prefix(prefix).build()).abort_incomplete_multipart_upload(abort).build().unwrap()
        };
        let rules = [aborting("other/", 1), aborting("app/", 3), aborting("", 7)];
        assert_eq!(aborts_uploads(&rules, "app/app.zip"), Some(3));
        assert_eq!(aborts_uploads(&rules[..1], "app/app.zip"), None);
    }
}
