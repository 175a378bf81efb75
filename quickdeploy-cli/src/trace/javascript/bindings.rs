//! What the names in a file stand for, as far as loading goes: other names for `require`, the modules that can load or
//! run code, and constants.
//!
//! There is no scope analysis here. A name counts for the whole file, and as a constant only if it is declared once.

use std::collections::{HashMap, HashSet};

use oxc_ast::ast::{
    AssignmentExpression, AssignmentTarget, BindingIdentifier, BindingPattern, Expression, ImportDeclaration,
    ImportDeclarationSpecifier, PropertyKey, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};

/// The names of one file.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    /// How often a name is declared.
    declared: HashMap<String, u32>,
    assigned: HashSet<String>,
    constants: HashMap<String, String>,
    /// `require`, and what was made of it or by `createRequire`.
    requires: HashSet<String>,
    /// Whether `require` is declared in the file: an ES module has none unless it makes one.
    pub(super) makes_require: bool,
    /// Names of whole modules, by name.
    modules: HashMap<String, &'static str>,
    /// Names of parts of modules: (module, what it is there).
    parts: HashMap<String, (&'static str, String)>,
}

/// The modules that are of interest.
const MODULES: [&str; 6] = ["child_process", "module", "path", "url", "vm", "worker_threads"];

/// The module of interest that a specifier names.
pub(super) fn module_of(specifier: &str) -> Option<&'static str> {
    let name = specifier.strip_prefix("node:").unwrap_or(specifier);
    let name = if matches!(name, "path/posix" | "path/win32") { "path" } else { name };
    MODULES.into_iter().find(|module| *module == name)
}

impl Bindings {
    pub(super) fn is_require(&self, name: &str) -> bool {
        name == "require" || self.requires.contains(name)
    }

    /// The text of a name that is declared once and never assigned to.
    pub(super) fn constant(&self, name: &str) -> Option<&str> {
        let only = self.declared.get(name) == Some(&1) && !self.assigned.contains(name);
        self.constants.get(name).filter(|_| only).map(String::as_str)
    }

    /// `join` after `import { join } from 'path'`.
    pub(super) fn is_path_function(&self, name: &str) -> bool {
        self.parts.get(name).is_some_and(|(module, part)| *module == "path" && part == name)
    }

    /// `path`, `path.posix`, `path_1.default`.
    pub(super) fn is_path_module(&self, object: &Expression<'_>) -> bool {
        self.module(object) == Some("path")
    }

    /// The module that an expression is: a name for it, or `require('module')` on the spot.
    pub(super) fn module(&self, object: &Expression<'_>) -> Option<&'static str> {
        match object {
            Expression::Identifier(name) => self.module_named(&name.name),
            Expression::StaticMemberExpression(member)
                if matches!(member.property.name.as_str(), "default" | "posix" | "win32") =>
            {
                self.module(&member.object)
            }
            Expression::ParenthesizedExpression(inner) => self.module(&inner.expression),
            expression => self.required(expression),
        }
    }

    /// The whole module that a name stands for.
    pub(super) fn module_named(&self, name: &str) -> Option<&'static str> {
        self.modules.get(name).copied()
    }

    /// What a called or constructed expression is in one of the modules: `("worker_threads", "Worker")`.
    pub(super) fn part(&self, callee: &Expression<'_>) -> Option<(&'static str, String)> {
        match callee {
            Expression::Identifier(name) => self.parts.get(name.name.as_str()).cloned(),
            Expression::StaticMemberExpression(member) => {
                Some((self.module(&member.object)?, member.property.name.to_string()))
            }
            Expression::ParenthesizedExpression(inner) => self.part(&inner.expression),
            // `(0, child_process_1.fork)(…)`
            Expression::SequenceExpression(sequence) => self.part(sequence.expressions.last()?),
            _ => None,
        }
    }

    /// `require('path')`, also inside of `__importStar(require('path'))`.
    fn required(&self, expression: &Expression<'_>) -> Option<&'static str> {
        let Expression::CallExpression(call) = expression else { return None };
        let first = call.arguments.first()?.as_expression()?;
        match (&call.callee, first) {
            (Expression::Identifier(name), Expression::StringLiteral(specifier))
                if self.is_require(name.name.as_str()) =>
            {
                module_of(&specifier.value)
            }
            (_, inner @ Expression::CallExpression(_)) => self.required(inner),
            _ => None,
        }
    }

    /// Whether this makes a `require`: `createRequire(…)`, another name for one, or what bundlers write for one.
    pub(super) fn is_made_require(&self, expression: &Expression<'_>) -> bool {
        match expression {
            Expression::Identifier(name) => {
                self.is_require(name.name.as_str()) || name.name == "__non_webpack_require__"
            }
            Expression::CallExpression(call) => {
                self.part(&call.callee).is_some_and(|(module, part)| module == "module" && part == "createRequire")
            }
            Expression::ConditionalExpression(choice) => {
                let nothing = |expression: &Expression<'_>| {
                    expression.is_null_or_undefined() || matches!(expression, Expression::BooleanLiteral(_))
                };
                let sides = [&choice.consequent, &choice.alternate];
                sides.iter().any(|side| self.is_made_require(side))
                    && sides.iter().all(|side| self.is_made_require(side) || nothing(side))
            }
            Expression::ParenthesizedExpression(inner) => self.is_made_require(&inner.expression),
            _ => false,
        }
    }

    fn bind(&mut self, pattern: &BindingPattern<'_>, module: &'static str) {
        match pattern {
            BindingPattern::BindingIdentifier(name) => {
                self.modules.insert(name.name.to_string(), module);
            }
            BindingPattern::ObjectPattern(object) => {
                for property in &object.properties {
                    if let (PropertyKey::StaticIdentifier(key), BindingPattern::BindingIdentifier(name)) =
                        (&property.key, &property.value)
                    {
                        self.parts.insert(name.name.to_string(), (module, key.name.to_string()));
                    }
                }
            }
            _ => {}
        }
    }

    /// A variable named `__require`, as esbuild has it in every ES module that it makes of CommonJS modules.
    pub(super) fn is_bundlers_require(declarator: &VariableDeclarator<'_>) -> bool {
        let BindingPattern::BindingIdentifier(name) = &declarator.id else { return false };
        let digits = name.name.as_str().strip_prefix("__require");
        let named = digits.is_some_and(|digits| digits.chars().all(|digit| digit.is_ascii_digit()));
        named && matches!(declarator.init, Some(Expression::CallExpression(_)))
    }
}

impl<'a> Visit<'a> for Bindings {
    fn visit_binding_identifier(&mut self, name: &BindingIdentifier<'a>) {
        *self.declared.entry(name.name.to_string()).or_default() += 1;
    }

    fn visit_assignment_expression(&mut self, assignment: &AssignmentExpression<'a>) {
        if let AssignmentTarget::AssignmentTargetIdentifier(name) = &assignment.left {
            self.assigned.insert(name.name.to_string());
        }
        walk::walk_assignment_expression(self, assignment);
    }

    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        if let Some(module) = module_of(&import.source.value) {
            for specifier in import.specifiers.iter().flatten() {
                match specifier {
                    ImportDeclarationSpecifier::ImportSpecifier(part) if part.imported.name() != "default" => {
                        let name = part.local.name.to_string();
                        self.parts.insert(name, (module, part.imported.name().to_string()));
                    }
                    other => {
                        self.modules.insert(other.local().name.to_string(), module);
                    }
                }
            }
        }
        walk::walk_import_declaration(self, import);
    }

    fn visit_variable_declarator(&mut self, declarator: &VariableDeclarator<'a>) {
        if let Some(init) = &declarator.init {
            if let Some(module) = self.module(init) {
                self.bind(&declarator.id, module);
            } else if let (Some(part), BindingPattern::BindingIdentifier(name)) = (self.part(init), &declarator.id) {
                self.parts.insert(name.name.to_string(), part);
            }
            if let BindingPattern::BindingIdentifier(name) = &declarator.id {
                if self.is_made_require(init) || Self::is_bundlers_require(declarator) {
                    self.makes_require |= name.name == "require";
                    self.requires.insert(name.name.to_string());
                }
                if let Expression::StringLiteral(text) = init {
                    self.constants.insert(name.name.to_string(), text.value.to_string());
                }
            }
        }
        walk::walk_variable_declarator(self, declarator);
    }
}
