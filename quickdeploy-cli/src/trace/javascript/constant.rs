//! Expressions whose text is known without running them: literals, their concatenation, and paths made of them.
//!
//! `__dirname` is known, too: it is where the file lies in `/var/task`. So `require(path.join(__dirname, 'a', 'b'))` is
//! as good as `require('./a/b')`.

use oxc_ast::ast::{Argument, BinaryOperator, CallExpression, Expression, NewExpression};

use super::bindings::Bindings;
use crate::trace::tree::{TASK_ROOT, directory, join, normal};

/// More alternatives than this are not followed.
const MOST: usize = 16;

/// Knows the file whose expressions it looks at.
#[derive(Clone, Copy)]
pub(super) struct Constants<'b> {
    /// The file's name in the artifact.
    pub(super) file: &'b str,
    pub(super) bindings: &'b Bindings,
}

impl Constants<'_> {
    /// Every text that `expression` may have: more than one for `x ? 'a' : 'b'`. `None`: it can't be told.
    pub(super) fn texts(&self, expression: &Expression<'_>) -> Option<Vec<String>> {
        match expression {
            Expression::StringLiteral(literal) => Some(vec![literal.value.to_string()]),
            Expression::TemplateLiteral(template) => {
                let mut texts = vec![String::new()];
                for (index, quasi) in template.quasis.iter().enumerate() {
                    texts = appended(&texts, &[quasi.value.cooked.as_ref()?.to_string()])?;
                    if let Some(expression) = template.expressions.get(index) {
                        texts = appended(&texts, &self.texts(expression)?)?;
                    }
                }
                Some(texts)
            }
            Expression::BinaryExpression(sum) if sum.operator == BinaryOperator::Addition => {
                appended(&self.texts(&sum.left)?, &self.texts(&sum.right)?)
            }
            Expression::ConditionalExpression(choice) => {
                either(self.texts(&choice.consequent)?, self.texts(&choice.alternate)?)
            }
            Expression::LogicalExpression(choice) => either(self.texts(&choice.left)?, self.texts(&choice.right)?),
            Expression::Identifier(name) => match name.name.as_str() {
                "__dirname" => Some(vec![self.directory()]),
                "__filename" => Some(vec![self.filename()]),
                name => self.bindings.constant(name).map(|text| vec![text.to_owned()]),
            },
            Expression::StaticMemberExpression(member) if matches!(member.object, Expression::ImportMeta(_)) => {
                match member.property.name.as_str() {
                    "dirname" => Some(vec![self.directory()]),
                    "filename" => Some(vec![self.filename()]),
                    "url" => Some(vec![format!("file://{}", self.filename())]),
                    _ => None,
                }
            }
            Expression::StaticMemberExpression(member) if member.property.name == "href" => self.texts(&member.object),
            Expression::NewExpression(new) => self.url(new),
            Expression::CallExpression(call) => self.call(call),
            Expression::ParenthesizedExpression(inner) => self.texts(&inner.expression),
            Expression::TSAsExpression(inner) => self.texts(&inner.expression),
            Expression::TSNonNullExpression(inner) => self.texts(&inner.expression),
            Expression::TSSatisfiesExpression(inner) => self.texts(&inner.expression),
            _ => None,
        }
    }

    /// As [`Constants::texts`] of an argument.
    pub(super) fn argument(&self, argument: Option<&Argument<'_>>) -> Option<Vec<String>> {
        self.texts(argument?.as_expression()?)
    }

    fn directory(&self) -> String {
        join(TASK_ROOT, directory(self.file))
    }

    fn filename(&self) -> String {
        join(TASK_ROOT, self.file)
    }

    /// `new URL('./x', import.meta.url)`.
    fn url(&self, new: &NewExpression<'_>) -> Option<Vec<String>> {
        if !new.callee.is_specific_id("URL") || new.arguments.len() != 2 {
            return None;
        }
        let bases = self.argument(new.arguments.get(1))?;
        let [base] = bases.as_slice() else { return None };
        let base = base.strip_prefix("file://")?;
        let texts = self.argument(new.arguments.first())?;
        Some(
            texts
                .into_iter()
                .map(|text| match text.split_once(':') {
                    Some(_) => text,
                    None if text.starts_with('/') => format!("file://{text}"),
                    None => format!("file:///{}", normal(&join(directory(base), &text))),
                })
                .collect(),
        )
    }

    /// `path.join(…)` and its like, `fileURLToPath(…)`, `pathToFileURL(…)`.
    fn call(&self, call: &CallExpression<'_>) -> Option<Vec<String>> {
        let (name, of_path) = match &call.callee {
            Expression::Identifier(name) => (name.name.as_str(), self.bindings.is_path_function(name.name.as_str())),
            Expression::StaticMemberExpression(member) => {
                (member.property.name.as_str(), self.bindings.is_path_module(&member.object))
            }
            _ => return None,
        };
        match name {
            "fileURLToPath" => {
                let texts = self.argument(call.arguments.first())?;
                texts.into_iter().map(|text| text.strip_prefix("file://").map(str::to_owned)).collect()
            }
            "pathToFileURL" => {
                let texts = self.argument(call.arguments.first())?;
                Some(texts.into_iter().map(|text| format!("file://{text}")).collect())
            }
            "toString" if call.arguments.is_empty() => match &call.callee {
                Expression::StaticMemberExpression(member) => self.texts(&member.object),
                _ => None,
            },
            "join" | "resolve" | "normalize" | "dirname" if of_path => {
                let mut texts = vec![String::new()];
                for argument in &call.arguments {
                    let next = self.argument(Some(argument))?;
                    let next: Vec<String> = next.into_iter().map(|text| format!("/{text}")).collect();
                    // An absolute part begins anew in `resolve`.
                    let begins = name == "resolve" && next.iter().any(|text| text.starts_with("//"));
                    texts = if begins { next } else { appended(&texts, &next)? };
                }
                let absolute = |text: &String| text.starts_with("//");
                let begins_at_the_root = texts.iter().all(absolute);
                if !begins_at_the_root && texts.iter().any(absolute) {
                    return None;
                }
                let clean = |text: String| {
                    let text = normal(text.trim_start_matches('/'));
                    let text = if name == "dirname" { directory(&text).to_owned() } else { text };
                    if begins_at_the_root {
                        format!("/{text}")
                    } else if name == "resolve" {
                        join(TASK_ROOT, &text)
                    } else {
                        text
                    }
                };
                Some(texts.into_iter().map(clean).collect())
            }
            _ => None,
        }
    }
}

/// Every text of `left` followed by every text of `right`.
fn appended(left: &[String], right: &[String]) -> Option<Vec<String>> {
    if left.len() * right.len() > MOST {
        return None;
    }
    Some(left.iter().flat_map(|left| right.iter().map(move |right| format!("{left}{right}"))).collect())
}

fn either(mut left: Vec<String>, right: Vec<String>) -> Option<Vec<String>> {
    left.extend(right);
    (left.len() <= MOST).then_some(left)
}
