//! Calls to Lambda that are tried again when they should be.
//!
//! The SDK's own retries know nothing of the account's quota: a hundred throttled calls that all back off for the same
//! while come back as a hundred calls. So they are switched off for Lambda, and every try takes a token from the
//! [`Quota`] first.
//!
//! All pauses and limits here are by the monotonic clock. Only signatures depend on the time of day: the SDK takes the
//! server's from the `Date` of its answers, and signs by that from then on. So a call that is refused for its signature is
//! made once more.

use std::future::Future;
use std::time::Duration;

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use crate::rate::Quota;

/// A call is tried this often before its error is believed.
const TRIES: u32 = 8;
/// A server that was never reached is given up sooner: most often its address is wrong.
const CONNECTION_TRIES: u32 = 4;
/// One that was reached before is there, and the network is gone for a while: a call waits so long for it to come back.
const LONGEST_OUTAGE: Duration = Duration::from_secs(30);
/// The first pause; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// No pause of our own choosing is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A longer `Retry-After` than this is not obeyed to the letter: something is wrong with it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Makes a call, again after throttling, server errors and lost connections. A network that goes away in the middle of a
/// run is waited for.
///
/// The call has to be one that may be made twice. Every call that this program makes is: they read, or they set
/// something to a value.
pub(crate) async fn retried<T, E, F>(quota: &Quota, mut call: impl FnMut() -> F) -> Result<T, SdkError<E, HttpResponse>>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata,
{
    let mut tries = 1;
    let mut unreachable_since: Option<Instant> = None;
    loop {
        let error = match quota.call(call()).await {
            Ok(answer) => {
                quota.heard();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let goes_on = if is_unreachable(&error) {
            let since = *unreachable_since.get_or_insert_with(Instant::now);
            tries < CONNECTION_TRIES || quota.was_heard() && since.elapsed() < LONGEST_OUTAGE
        } else {
            quota.heard();
            unreachable_since = None;
            tries < tries_for(&error)
        };
        if !goes_on {
            return Err(error);
        }
        tokio::time::sleep(pause(tries, retry_after(&error), fastrand::f64())).await;
        tries += 1;
    }
}

/// Whether the call didn't get through, or nothing came back.
fn is_unreachable<E>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(error, SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io())
}

/// How often a call that the server heard and that ended like this is tried: once when its error will not pass by itself.
fn tries_for<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> u32 {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => TRIES,
        SdkError::ServiceError(service)
            if is_throttle(service.err().code()) || service.raw().status().as_u16() >= 500 =>
        {
            TRIES
        }
        // The SDK has set its clock by the answer's: what it signs from now on is right, if that was it.
        SdkError::ServiceError(service) if is_about_the_signature(service.err().code()) => 2,
        _ => 1,
    }
}

/// As services answer when the clock here is off.
fn is_about_the_signature(code: Option<&str>) -> bool {
    matches!(code, Some("InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "AuthFailure"))
}

fn is_throttle(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("TooManyRequestsException" | "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "SlowDown")
    )
}

/// What the server asks for, in the header `Retry-After`: seconds.
fn retry_after<E>(error: &SdkError<E, HttpResponse>) -> Option<Duration> {
    let seconds: f64 = error.raw_response()?.headers().get("retry-after")?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// How long to wait after try number `tries`, with `chance` in 0..1: at least what the server asks for, else
/// exponential with full jitter, so that callers that failed together don't come back together.
fn pause(tries: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let ceiling = (FIRST_PAUSE * 2_u32.saturating_pow(tries - 1)).min(LONGEST_PAUSE);
    let jitter = ceiling.mul_f64(chance.clamp(0.0, 1.0));
    match asked {
        Some(asked) => asked.min(LONGEST_RETRY_AFTER) + jitter.min(FIRST_PAUSE),
        None => jitter.max(FIRST_PAUSE / 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_limit_and_are_never_nothing() {
        assert_eq!(pause(1, None, 1.0), Duration::from_millis(200));
        assert_eq!(pause(3, None, 1.0), Duration::from_millis(800));
        assert_eq!(pause(30, None, 1.0), LONGEST_PAUSE);
        assert_eq!(pause(1, None, 0.0), Duration::from_millis(50));
    }

    #[test]
    fn retry_after_is_a_lower_bound_within_reason() {
        assert!(pause(1, Some(Duration::from_secs(2)), 0.0) >= Duration::from_secs(2));
        assert!(pause(1, Some(Duration::from_secs(2)), 1.0) <= Duration::from_millis(2200));
        assert!(pause(1, Some(Duration::from_secs(86_400)), 1.0) < Duration::from_secs(31));
    }
}
