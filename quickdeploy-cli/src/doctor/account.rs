//! Who asks, where, until when, and by which clock.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};

use super::finding::{Area, Finding, Level};
use crate::aws::{Cloud, CredentialsLife, CredentialsSource};
use crate::ui::duration;

/// AWS refuses a request that was signed longer ago than this:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html>.
const REFUSED_SKEW: Duration = Duration::from_secs(5 * 60);
/// From here on something is wrong with the clock. The server's date has full seconds only.
const NOTABLE_SKEW: Duration = Duration::from_secs(30);
/// Credentials that end within this time may end during a deployment.
const SHORT_LIFE: Duration = Duration::from_secs(15 * 60);

/// Who asks, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// `None`: STS could not be asked.
    pub(crate) arn: Option<String>,
}

impl Caller {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub(crate) fn partition(&self) -> &str {
        self.part(1).unwrap_or("aws")
    }

    /// The account's number, or `*`.
    pub(crate) fn account(&self) -> &str {
        self.part(4).unwrap_or("*")
    }

    fn part(&self, at: usize) -> Option<&str> {
        self.arn.as_deref()?.split(':').nth(at).filter(|part| !part.is_empty())
    }
}

/// What was found, and who asks. `None`: AWS doesn't accept the credentials or can't be reached, so that nothing else
/// need be asked.
pub(crate) async fn examine(cloud: &Cloud) -> (Vec<Finding>, Option<Caller>) {
    let mut findings = vec![place(cloud), expiry(&cloud.credentials_life().await, SystemTime::now())];
    let date = Date::default();
    let begun = SystemTime::now();
    let answer = cloud.sts().get_caller_identity().customize().interceptor(date.clone()).send().await;
    let here = begun + begun.elapsed().unwrap_or_default() / 2;
    findings.extend(date.seen().map(|there| skew(here, there)));
    let caller = match answer {
        Ok(identity) => {
            let arn = identity.arn().unwrap_or_default().to_owned();
            findings.insert(0, Finding::ok(Area::Account, "credentials", format!("you are {arn}")));
            Some(Caller { arn: Some(arn).filter(|arn| !arn.is_empty()) })
        }
        Err(error) => {
            let told = cloud.explain("could not ask AWS who you are", &error);
            // The services that a deployment needs may be there without STS: other endpoints, a private network.
            let hopeless = matches!(told.error_type(), "ExpiredCredentials" | "InvalidCredentials");
            let level = if hopeless { Level::Failed } else { Level::NotChecked };
            findings.insert(0, Finding::of_error(level, Area::Account, "credentials", &told));
            (!hopeless).then_some(Caller { arn: None })
        }
    };
    (findings, caller)
}

fn place(cloud: &Cloud) -> Finding {
    let place = match &cloud.endpoint {
        Some(url) => format!("region {}, at {url} instead of AWS", cloud.region),
        None => format!("region {}", cloud.region),
    };
    Finding::ok(Area::Account, "region", place)
}

fn expiry(life: &CredentialsLife, now: SystemTime) -> Finding {
    let CredentialsLife { end, source, temporary } = life;
    let found = |level, message: String| Finding::new(level, Area::Account, "expiry", message);
    let Some(end) = end else {
        let message = if *temporary {
            "the credentials are temporary, and don't say until when"
        } else {
            "the credentials name no end"
        };
        return found(Level::Ok, message.to_owned());
    };
    let (level, message) = match end.duration_since(now) {
        Ok(left) if left >= SHORT_LIFE => (Level::Ok, format!("the credentials end in {}", duration(left))),
        Ok(left) => (Level::Warning, format!("the credentials end in {}, maybe during a deployment", duration(left))),
        Err(ago) => {
            (Level::Warning, format!("the credentials ended {} ago, by their own words", duration(ago.duration())))
        }
    };
    if level == Level::Ok {
        return found(level, message);
    }
    let how = match source {
        CredentialsSource::Environment => "nothing renews those of the AWS_* variables: set new ones, such as by \
             `eval \"$(aws configure export-credentials --profile PROFILE --format env)\"`"
            .to_owned(),
        CredentialsSource::Profile(profile) => format!(
            "`aws sso login --profile {profile}` renews those of IAM Identity Center; others come from where the profile says"
        ),
        CredentialsSource::Other => "`aws sso login` renews those of IAM Identity Center".to_owned(),
    };
    found(level, message).mend(how)
}

/// What to say of two clocks.
fn skew(here: SystemTime, there: SystemTime) -> Finding {
    let (apart, direction) = match here.duration_since(there) {
        Ok(apart) => (apart, "ahead of"),
        Err(error) => (error.duration(), "behind"),
    };
    if apart < NOTABLE_SKEW {
        return Finding::ok(Area::Account, "clock", "this machine's clock agrees with the server's");
    }
    let level = if apart < REFUSED_SKEW { Level::Warning } else { Level::Failed };
    let message = format!("this machine's clock is {} {direction} the server's", duration(apart));
    Finding::new(level, Area::Account, "clock", message)
        .mend("AWS refuses requests that are off by more than 5 minutes: set the clock, or let NTP do it")
}

/// The `Date` of the last answer, whether or not it was an error.
#[derive(Clone, Debug, Default)]
struct Date(Arc<Mutex<Option<SystemTime>>>);

impl Date {
    fn seen(&self) -> Option<SystemTime> {
        self.0.lock().ok().and_then(|seen| *seen)
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date.and_then(|date| SystemTime::try_from(date).ok())
            && let Ok(mut seen) = self.0.lock()
        {
            *seen = Some(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skewed(ahead: i64) -> Finding {
        let there = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let by = Duration::from_secs(ahead.unsigned_abs());
        skew(if ahead < 0 { there - by } else { there + by }, there)
    }

    #[test]
    fn a_clock_that_is_off_is_told_before_aws_refuses_it() {
        assert_eq!(skewed(1).level, Level::Ok);
        assert_eq!(skewed(-29).level, Level::Ok);
        assert_eq!(skewed(120).level, Level::Warning);
        assert_eq!(skewed(-600).level, Level::Failed);
        assert_eq!(skewed(-600).message, "this machine's clock is 10 min 0 s behind the server's");
        assert_eq!(skewed(120).message, "this machine's clock is 2 min 0 s ahead of the server's");
    }

    #[test]
    fn partition_and_account_are_in_the_arn() {
        let caller = Caller { arn: Some("arn:aws-cn:sts::111122223333:assumed-role/Dev/me".into()) };
        assert_eq!((caller.partition(), caller.account()), ("aws-cn", "111122223333"));
        let nobody = Caller { arn: None };
        assert_eq!((nobody.partition(), nobody.account()), ("aws", "*"));
    }
}
