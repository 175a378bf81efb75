//! Conditions of statements: an operator, a key of the request's context, and the values it is held against.
//!
//! A key that the request doesn't have meets no positive operator and every negated one, as in AWS; `…IfExists` is then
//! met in any case. Several values of a policy are alternatives, for a negated operator they are all to be missed.

use serde_json::Value;

use super::Context;
use super::pattern::{arn_matches, matches};

/// One operator with one key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    quantifier: Quantifier,
    operator: Operator,
    negated: bool,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

/// How the values of a request that has several are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    One,
    ForAllValues,
    ForAnyValue,
}

#[derive(Clone, Copy, Debug)]
enum Operator {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Arn,
    Bool,
    Null,
    Numeric(fn(f64, f64) -> bool),
}

/// Every condition of a `Condition` element. `Err`: the operator that is not known here.
pub(super) fn conditions(element: &Value) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (operator, keys) in element.as_object().into_iter().flatten() {
        for (key, values) in keys.as_object().into_iter().flatten() {
            conditions.push(Condition::new(operator, key, values)?);
        }
    }
    Ok(conditions)
}

impl Condition {
    fn new(name: &str, key: &str, values: &Value) -> Result<Self, String> {
        let (quantifier, rest) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::ForAnyValue, rest),
            Some(_) => return Err(name.to_owned()),
            None => (Quantifier::One, name),
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (operator, negated) = match base {
            "StringEquals" => (Operator::StringEquals, false),
            "StringNotEquals" => (Operator::StringEquals, true),
            "StringEqualsIgnoreCase" => (Operator::StringEqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Operator::StringEqualsIgnoreCase, true),
            "StringLike" => (Operator::StringLike, false),
            "StringNotLike" => (Operator::StringLike, true),
            "ArnEquals" | "ArnLike" => (Operator::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Operator::Arn, true),
            "Bool" => (Operator::Bool, false),
            "Null" => (Operator::Null, false),
            "NumericEquals" => (Operator::Numeric(|request, policy| request == policy), false),
            "NumericNotEquals" => (Operator::Numeric(|request, policy| request == policy), true),
            "NumericLessThan" => (Operator::Numeric(|request, policy| request < policy), false),
            "NumericLessThanEquals" => (Operator::Numeric(|request, policy| request <= policy), false),
            "NumericGreaterThan" => (Operator::Numeric(|request, policy| request > policy), false),
            "NumericGreaterThanEquals" => (Operator::Numeric(|request, policy| request >= policy), false),
            _ => return Err(name.to_owned()),
        };
        let values = match values {
            Value::Array(values) => values.iter().map(text).collect(),
            one => vec![text(one)],
        };
        Ok(Self { quantifier, operator, negated, if_exists, key: key.to_ascii_lowercase(), values })
    }

    pub(super) fn is_met(&self, context: &Context) -> bool {
        let found = context.values(&self.key);
        if matches!(self.operator, Operator::Null) {
            let absent = found.is_empty();
            return self.values.iter().any(|value| value.eq_ignore_ascii_case("true") == absent);
        }
        if found.is_empty() {
            return self.if_exists || self.negated || self.quantifier == Quantifier::ForAllValues;
        }
        let suits = |value: &String| {
            let among = self.values.iter().any(|wanted| self.operator.holds(&context.filled(wanted), value));
            among != self.negated
        };
        match self.quantifier {
            Quantifier::One | Quantifier::ForAllValues => found.iter().all(suits),
            Quantifier::ForAnyValue => found.iter().any(suits),
        }
    }
}

impl Operator {
    fn holds(self, policy: &str, request: &str) -> bool {
        match self {
            Self::StringEquals => policy == request,
            Self::StringEqualsIgnoreCase | Self::Bool => policy.eq_ignore_ascii_case(request),
            Self::StringLike => matches(policy, request),
            Self::Arn => arn_matches(policy, request),
            Self::Numeric(compare) => match (request.parse(), policy.parse()) {
                (Ok(request), Ok(policy)) => compare(request, policy),
                _ => false,
            },
            Self::Null => false,
        }
    }
}

/// Policies have `true` and `"true"`, `5` and `"5"` alike.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_met(element: &Value, context: &[(&'static str, &str)]) -> bool {
        let context = context.iter().fold(Context::default(), |context, (key, value)| context.with(key, *value));
        conditions(element).unwrap().iter().all(|condition| condition.is_met(&context))
    }

    #[test]
    fn values_are_alternatives_and_keys_are_not() {
        let element =
            json!({ "StringLike": { "s3:prefix": ["app/*", "web/*"] }, "StringEquals": { "s3:delimiter": "/" } });
        assert!(is_met(&element, &[("s3:prefix", "web/a"), ("s3:delimiter", "/")]));
        assert!(!is_met(&element, &[("s3:prefix", "web/a"), ("s3:delimiter", "-")]));
        assert!(!is_met(&element, &[("s3:prefix", "other"), ("s3:delimiter", "/")]));
    }

    #[test]
    fn keys_are_read_without_regard_to_case_and_values_with_it() {
        assert!(is_met(&json!({ "StringEquals": { "AWS:ResourceAccount": "1" } }), &[("aws:ResourceAccount", "1")]));
        assert!(!is_met(&json!({ "StringEquals": { "s3:prefix": "A" } }), &[("s3:prefix", "a")]));
        assert!(is_met(&json!({ "StringEqualsIgnoreCase": { "s3:prefix": "A" } }), &[("s3:prefix", "a")]));
    }

    #[test]
    fn a_key_that_the_request_does_not_have_meets_only_what_is_negated_or_optional() {
        for (operator, met) in [
            ("StringEquals", false),
            ("StringLike", false),
            ("StringNotEquals", true),
            ("ArnNotLike", true),
            ("StringEqualsIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAnyValue:StringEquals", false),
        ] {
            assert_eq!(is_met(&json!({ operator: { "iam:PassedToService": "x" } }), &[]), met, "{operator}");
        }
        assert!(is_met(&json!({ "Null": { "s3:prefix": "true" } }), &[]));
        assert!(!is_met(&json!({ "Null": { "s3:prefix": true } }), &[("s3:prefix", "a")]));
    }

    #[test]
    fn a_negated_operator_is_missed_by_any_of_its_values() {
        let element = json!({ "StringNotEquals": { "s3:prefix": ["a", "b"] } });
        assert!(!is_met(&element, &[("s3:prefix", "b")]));
        assert!(is_met(&element, &[("s3:prefix", "c")]));
    }

    #[test]
    fn numbers_truths_and_arns_are_compared_as_such() {
        assert!(is_met(&json!({ "NumericLessThanEquals": { "s3:max-keys": "10" } }), &[("s3:max-keys", "9")]));
        assert!(!is_met(&json!({ "NumericLessThan": { "s3:max-keys": 9 } }), &[("s3:max-keys", "9")]));
        assert!(is_met(&json!({ "Bool": { "aws:SecureTransport": false } }), &[("aws:SecureTransport", "false")]));
        let role = "arn:aws:iam::000000000000:role/app/api";
        assert!(is_met(&json!({ "ArnLike": { "k": "arn:aws:iam::*:role/app/*" } }), &[("k", role)]));
    }

    #[test]
    fn a_value_can_name_a_key_of_the_request() {
        let element = json!({ "StringLike": { "s3:prefix": "home/${aws:username}/*" } });
        assert!(is_met(&element, &[("s3:prefix", "home/ada/x"), ("aws:username", "ada")]));
        assert!(!is_met(&element, &[("s3:prefix", "home/bob/x"), ("aws:username", "ada")]));
    }

    #[test]
    fn an_operator_that_is_not_known_is_no_condition_that_is_met() {
        assert_eq!(conditions(&json!({ "DateLessThan": { "aws:CurrentTime": "x" } })).unwrap_err(), "DateLessThan");
    }
}
