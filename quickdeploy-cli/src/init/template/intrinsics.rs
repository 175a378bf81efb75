//! CloudFormation's intrinsic functions, as far as they are used to say where code is and what functions are called.
//!
//! What is only known inside CloudFormation (exports of other stacks, attributes of resources, secrets) stays unknown,
//! and is named: a wrong bucket would be worse than none.

use std::collections::BTreeMap;

use serde_json::Value;

/// Conditions may refer to each other; one that comes round to itself is not valid, and must not hang.
const MAX_DEPTH: usize = 64;

/// What the names in a template stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Parameters, with the values of the stack or their defaults.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Physical ids of the stack's resources, by logical id. `None`: the template is a file, not a live stack.
    pub(crate) resources: Option<BTreeMap<String, String>>,
    pub(crate) stack_name: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) account: Option<String>,
}

impl Scope {
    /// Whether this is about a file, not about a live stack.
    pub(crate) fn is_local(&self) -> bool {
        self.resources.is_none()
    }

    /// What `Ref` says.
    fn reference(&self, name: &str) -> Result<String, String> {
        let pseudo = |value: &Option<String>| value.clone().ok_or_else(|| format!("`{name}` is not known here"));
        match name {
            "AWS::Region" => pseudo(&self.region),
            "AWS::AccountId" => pseudo(&self.account),
            "AWS::StackName" => pseudo(&self.stack_name),
            "AWS::Partition" => Ok(self.partition().to_owned()),
            "AWS::URLSuffix" => {
                let suffix = if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
                Ok(suffix.to_owned())
            }
            "AWS::NoValue" => Ok(String::new()),
            name => {
                let parameter = self.parameters.get(name);
                let resource = || self.resources.as_ref().and_then(|resources| resources.get(name));
                match parameter.or_else(resource) {
                    // What CloudFormation shows of a `NoEcho` parameter.
                    Some(value) if value == "****" => Err(format!("the parameter `{name}` is secret (NoEcho)")),
                    Some(value) => Ok(value.clone()),
                    None => Err(format!("`{name}` is not known here")),
                }
            }
        }
    }

    fn partition(&self) -> &'static str {
        match self.region.as_deref() {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }
}

/// `value` as text, with its intrinsic functions carried out. The error says what isn't known.
pub(super) fn resolve(value: &Value, template: &Value, scope: &Scope) -> Result<String, String> {
    let resolved = Evaluation { template, scope }.value(value, 0)?;
    text(&resolved).ok_or_else(|| "it is not a text".to_owned())
}

/// A scalar as CloudFormation takes it: text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

struct Evaluation<'a> {
    template: &'a Value,
    scope: &'a Scope,
}

impl Evaluation<'_> {
    /// Scalars and lists: other maps have no meaning here.
    fn value(&self, value: &Value, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("its functions are nested too deeply".to_owned());
        }
        let deeper = depth + 1;
        let map = match value {
            Value::Object(map) => map,
            Value::Array(items) => {
                return items.iter().map(|item| self.value(item, deeper)).collect::<Result<_, _>>().map(Value::Array);
            }
            scalar => return Ok(scalar.clone()),
        };
        let Some((name, argument)) = map.iter().next().filter(|_| map.len() == 1) else {
            return Err("it is a table, not a text".to_owned());
        };
        match name.as_str() {
            "Ref" => self.scope.reference(&self.text(argument, deeper)?).map(Value::String),
            "Fn::Sub" => self.sub(argument, deeper).map(Value::String),
            "Fn::Join" => {
                let [separator, items] = self.arguments(argument, "Fn::Join")?;
                let items = self.list(items, deeper)?;
                let items: Vec<String> = items.iter().filter_map(text).collect();
                Ok(Value::String(items.join(&self.text(separator, deeper)?)))
            }
            "Fn::Split" => {
                let [separator, whole] = self.arguments(argument, "Fn::Split")?;
                let (separator, whole) = (self.text(separator, deeper)?, self.text(whole, deeper)?);
                Ok(Value::from(whole.split(&separator).collect::<Vec<_>>()))
            }
            "Fn::Select" => {
                let [index, items] = self.arguments(argument, "Fn::Select")?;
                let index: usize =
                    self.text(index, deeper)?.parse().map_err(|_| "`Fn::Select` has no number".to_owned())?;
                let items = self.list(items, deeper)?;
                items.get(index).cloned().ok_or_else(|| format!("`Fn::Select` finds no item {index}"))
            }
            "Fn::FindInMap" => {
                let [map, first, second] = self.arguments(argument, "Fn::FindInMap")?;
                let path = [self.text(map, deeper)?, self.text(first, deeper)?, self.text(second, deeper)?];
                let found =
                    path.iter().try_fold(self.template.get("Mappings"), |at, key| Some(at.and_then(|at| at.get(key))));
                found.flatten().cloned().ok_or_else(|| format!("the mapping has no {}", path.join(".")))
            }
            "Fn::If" => {
                let [condition, yes, no] = self.arguments(argument, "Fn::If")?;
                let chosen = if self.named_condition(&self.text(condition, deeper)?, deeper)? { yes } else { no };
                self.value(chosen, deeper)
            }
            "Fn::GetAtt" => Err(format!("{} is only known to CloudFormation", spelled(argument))),
            "Fn::ImportValue" => Err("it is exported by another stack".to_owned()),
            name => Err(format!("`{name}` is not carried out here")),
        }
    }

    fn text(&self, value: &Value, depth: usize) -> Result<String, String> {
        text(&self.value(value, depth)?).ok_or_else(|| "it is not a text".to_owned())
    }

    fn list(&self, value: &Value, depth: usize) -> Result<Vec<Value>, String> {
        match self.value(value, depth)? {
            Value::Array(items) => Ok(items),
            // The value of a parameter of a list type.
            Value::String(joined) => Ok(joined.split(',').map(|item| Value::from(item.trim())).collect()),
            _ => Err("it is not a list".to_owned()),
        }
    }

    fn arguments<'v, const N: usize>(&self, value: &'v Value, function: &str) -> Result<[&'v Value; N], String> {
        let items: Vec<&Value> = value.as_array().into_iter().flatten().collect();
        items.try_into().map_err(|_| format!("`{function}` does not have {N} arguments"))
    }

    /// `${Name}` and `${Resource.Attribute}`; `${!Name}` is `${Name}` to the letter.
    fn sub(&self, argument: &Value, depth: usize) -> Result<String, String> {
        let (pattern, own) = match argument {
            Value::Array(parts) => (parts.first(), parts.get(1).and_then(Value::as_object)),
            pattern => (Some(pattern), None),
        };
        let pattern = pattern.and_then(Value::as_str).ok_or("`Fn::Sub` has no text")?;
        let mut result = String::new();
        let mut rest = pattern;
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            let Some(length) = rest[start..].find('}') else { break };
            let name = &rest[start + 2..start + length];
            rest = &rest[start + length + 1..];
            match (name.strip_prefix('!'), own.and_then(|own| own.get(name))) {
                (Some(literal), _) => result.push_str(&format!("${{{literal}}}")),
                (None, Some(value)) => result.push_str(&self.text(value, depth)?),
                (None, None) if name.contains('.') => return Err(format!("`{name}` is only known to CloudFormation")),
                (None, None) => result.push_str(&self.scope.reference(name.trim())?),
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    fn named_condition(&self, name: &str, depth: usize) -> Result<bool, String> {
        let condition = self.template.get("Conditions").and_then(|all| all.get(name));
        self.condition(condition.ok_or_else(|| format!("there is no condition `{name}`"))?, depth)
    }

    fn condition(&self, value: &Value, depth: usize) -> Result<bool, String> {
        if depth > MAX_DEPTH {
            return Err("its conditions are nested too deeply".to_owned());
        }
        let deeper = depth + 1;
        let Some((name, argument)) = value.as_object().and_then(|map| map.iter().next()) else {
            return Err("a condition is not one".to_owned());
        };
        let all = || argument.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        match name.as_str() {
            "Condition" => self.named_condition(argument.as_str().unwrap_or_default(), deeper),
            "Fn::Equals" => {
                let [left, right] = self.arguments(argument, "Fn::Equals")?;
                Ok(self.text(left, deeper)? == self.text(right, deeper)?)
            }
            "Fn::Not" => {
                let [inner] = self.arguments(argument, "Fn::Not")?;
                Ok(!self.condition(inner, deeper)?)
            }
            "Fn::And" => all().try_fold(true, |so_far, inner| Ok(so_far && self.condition(inner, deeper)?)),
            "Fn::Or" => all().try_fold(false, |so_far, inner| Ok(so_far || self.condition(inner, deeper)?)),
            name => Err(format!("`{name}` is not carried out here")),
        }
    }
}

fn spelled(value: &Value) -> String {
    match value {
        Value::Array(parts) => format!("`{}`", parts.iter().filter_map(text).collect::<Vec<_>>().join(".")),
        value => format!("`{}`", text(value).unwrap_or_default()),
    }
}
