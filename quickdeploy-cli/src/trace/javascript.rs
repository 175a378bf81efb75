//! JavaScript and TypeScript: what a source file loads.
//!
//! Static are `import`, `export … from`, and `require`, `import()`, `require.resolve`, `new Worker` and `fork` with a
//! text that is known ([`constant`]). Everything else that loads code makes the file *dynamic*: a computed name,
//! `require` handed on as a value, `eval` and `Function` with anything but a constant text, the loader's own doors
//! (`module`'s `_load` and `register`, `vm`, `process.dlopen`). A constant text of code is looked at like a file.
//!
//! Names are matched as they are written, without scopes: a local variable called `require` is taken for the real one.
//! That errs on the side of more imports, never of fewer. What gets by is code that hides on purpose.

mod bindings;
mod constant;

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    CallExpression, Expression, IdentifierReference, ImportExpression, NewExpression, StaticMemberExpression,
    StringLiteral, TSImportEqualsDeclaration, TSModuleReference, TemplateLiteral, UnaryExpression, UnaryOperator,
    VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::{ParseOptions, Parser};
use oxc_span::{SourceType, Span};

use self::bindings::{Bindings, module_of};
use self::constant::Constants;
use super::facts::{Conditions, Facts, Import, line_of};

/// What of `module` does not load anything.
const HARMLESS_OF_MODULE: [&str; 9] = [
    "builtinModules",
    "constants",
    "createRequire",
    "enableCompileCache",
    "findPackageJSON",
    "findSourceMap",
    "isBuiltin",
    "SourceMap",
    "stripTypeScriptTypes",
];

/// Code in texts in code: deeper is not looked.
const DEEPEST: u32 = 3;

/// The kind of source that the name's suffix stands for; `None` if it is not one of this language.
pub(super) fn source_type(name: &str) -> Option<SourceType> {
    Some(match name.rsplit_once('.')?.1 {
        // By what stands in it; Node.js goes by the next package.json, and then by what stands in it.
        "js" => SourceType::unambiguous(),
        "cjs" => SourceType::cjs(),
        "mjs" => SourceType::mjs(),
        "ts" | "cts" | "mts" => SourceType::ts(),
        _ => return None,
    })
}

/// What the file `name` with this content loads.
pub(super) fn facts(name: &str, content: &[u8]) -> Facts {
    let source = String::from_utf8_lossy(content);
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
    let mut facts = Facts::default();
    let kind = source_type(name).unwrap_or_else(SourceType::unambiguous);
    look_at(name, source, kind, 0, &mut facts);
    facts
}

fn look_at(name: &str, source: &str, kind: SourceType, depth: u32, facts: &mut Facts) {
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, preserve_parens: false, ..Default::default() };
    let parsed = Parser::new(&allocator, source, kind).with_options(options).parse();
    if parsed.panicked || parsed.diagnostics.has_errors() {
        let first = parsed.diagnostics.errors().next();
        let at = first.and_then(|error| error.labels.first()).map_or(0, oxc_span::LabeledSpan::offset);
        facts.set_dynamic(line_of(source, at as usize), "can't be parsed");
        return;
    }
    for (specifier, requests) in &parsed.module_record.requested_modules {
        if requests.iter().any(|request| !request.is_type) {
            facts.import(specifier, Conditions::Import);
            if let ("vm", Some(request)) = (module_of(specifier).unwrap_or_default(), requests.first()) {
                facts.set_dynamic(line_of(source, request.span.start as usize), RUNS_TEXT);
            }
        }
    }
    let mut bindings = Bindings::default();
    bindings.visit_program(&parsed.program);
    let has_require = !parsed.module_record.has_module_syntax || bindings.makes_require;
    let mut visitor = Visitor { name, source, depth, has_require, bindings: &bindings, facts };
    visitor.visit_program(&parsed.program);
}

/// What a text of code for `Function` would have to have in it to load anything.
const LOADS_IN_TEXT: [&str; 2] = ["import(", "mainModule"];

const RUNS_TEXT: &str = "runs code that it has as text";

impl Facts {
    fn import(&mut self, specifier: &str, conditions: Conditions) {
        self.imports.push(Import::Node { specifier: specifier.to_owned(), conditions });
    }
}

struct Visitor<'s, 'f> {
    name: &'s str,
    source: &'s str,
    /// How many texts of code this one is in.
    depth: u32,
    /// Whether `require` is anything at all here.
    has_require: bool,
    bindings: &'s Bindings,
    facts: &'f mut Facts,
}

impl Visitor<'_, '_> {
    fn constants(&self) -> Constants<'_> {
        Constants { file: self.name, bindings: self.bindings }
    }

    fn dynamic(&mut self, span: Span, what: &'static str) {
        self.facts.set_dynamic(line_of(self.source, span.start as usize), what);
    }

    fn is_require(&self, expression: &Expression<'_>) -> bool {
        match expression {
            Expression::Identifier(name) => self.bindings.is_require(&name.name),
            // `(0, require)(…)`
            Expression::SequenceExpression(sequence) => {
                sequence.expressions.last().is_some_and(|last| self.is_require(last))
            }
            // `module.require(…)`
            Expression::StaticMemberExpression(member) => {
                member.property.name == "require" && member.object.is_specific_id("module")
            }
            // `createRequire(import.meta.url)(…)`
            Expression::CallExpression(_) => self.bindings.is_made_require(expression),
            _ => false,
        }
    }

    /// Whether a reference to this name is one to a `require` that is there.
    fn is_live_require(&self, name: &str) -> bool {
        self.bindings.is_require(name) && (name != "require" || self.has_require)
    }

    fn required(&mut self, call: &CallExpression<'_>, what: &'static str) {
        match self.constants().argument(call.arguments.first()) {
            Some(specifiers) => {
                for specifier in specifiers {
                    if module_of(&specifier) == Some("vm") {
                        self.dynamic(call.span, RUNS_TEXT);
                    }
                    self.facts.import(&specifier, Conditions::Require);
                }
            }
            // In an ES module without one, `require` is an error before it is a require.
            None if self.has_require || !call.callee.is_specific_id("require") => self.dynamic(call.span, what),
            None => {}
        }
    }

    /// A path or `file:` URL that is opened and run.
    fn opened(&mut self, paths: Option<Vec<String>>, span: Span, what: &'static str) {
        let Some(paths) = paths else { return self.dynamic(span, what) };
        for path in paths {
            let path = path.strip_prefix("file://").unwrap_or(&path);
            self.facts.imports.push(Import::NodeFile(path.to_owned()));
        }
    }

    /// Code in a text.
    fn text_of_code(&mut self, texts: Option<Vec<String>>, span: Span) {
        let Some(texts) = texts.filter(|_| self.depth < DEEPEST) else { return self.dynamic(span, RUNS_TEXT) };
        for text in texts {
            let mut inner = Facts::default();
            look_at(self.name, &text, SourceType::script(), self.depth + 1, &mut inner);
            self.facts.imports.append(&mut inner.imports);
            if inner.dynamic.is_some() {
                self.dynamic(span, RUNS_TEXT);
            }
        }
    }

    /// `Function('a', 'return a')`, with or without `new`.
    fn function_of_text(&mut self, arguments: &[oxc_ast::ast::Argument<'_>], span: Span) {
        let texts: Option<Vec<Vec<String>>> =
            arguments.iter().map(|argument| self.constants().argument(Some(argument))).collect();
        match texts {
            Some(mut texts) => self.text_of_code(texts.pop(), span),
            // Such code sees nothing but globals: there is no `require`, only `import()`. Installed packages write their
            // texts themselves, to compile templates and schemas.
            None if super::reach::package(self.name).is_some()
                && !LOADS_IN_TEXT.iter().any(|word| self.source.contains(word)) => {}
            None => self.dynamic(span, RUNS_TEXT),
        }
    }

    /// Calls and constructions that open a file to run it. Whether it was one.
    fn starts_a_file(&mut self, callee: &Expression<'_>, arguments: &[oxc_ast::ast::Argument<'_>], span: Span) {
        let Some((module, part)) = self.bindings.part(callee) else { return };
        match (module, part.as_str()) {
            ("worker_threads", "Worker") => {
                if evaluates(arguments.get(1)) {
                    return self.dynamic(span, RUNS_TEXT);
                }
                let paths = self.constants().argument(arguments.first());
                self.opened(paths, span, "starts a worker from a computed file");
            }
            ("child_process", "fork") => {
                let paths = self.constants().argument(arguments.first());
                self.opened(paths, span, "forks a computed file");
            }
            ("module", part) if !HARMLESS_OF_MODULE.contains(&part) => self.dynamic(span, "changes how modules load"),
            _ => {}
        }
    }
}

fn is_global(object: &Expression<'_>) -> bool {
    ["globalThis", "global"].iter().any(|name| object.is_specific_id(name))
}

/// `module.paths`.
fn is_paths_of_module(object: &Expression<'_>) -> bool {
    matches!(object, Expression::StaticMemberExpression(member)
        if member.property.name == "paths" && member.object.is_specific_id("module"))
}

/// `{ eval: true }`, or options that can't be looked into.
fn evaluates(options: Option<&oxc_ast::ast::Argument<'_>>) -> bool {
    match options.and_then(|options| options.as_expression()) {
        None => options.is_some(),
        Some(Expression::ObjectExpression(object)) => object.properties.iter().any(|property| match property {
            oxc_ast::ast::ObjectPropertyKind::ObjectProperty(property) => property.key.is_specific_static_name("eval"),
            oxc_ast::ast::ObjectPropertyKind::SpreadProperty(_) => true,
        }),
        Some(_) => true,
    }
}

impl<'a> Visit<'a> for Visitor<'_, '_> {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let arguments = &call.arguments;
        if self.is_require(&call.callee) {
            self.required(call, "requires a computed name");
            return self.visit_arguments(arguments);
        }
        match &call.callee {
            Expression::Identifier(name) if name.name == "eval" => {
                let texts = self.constants().argument(arguments.first());
                self.text_of_code(texts, call.span);
            }
            Expression::Identifier(name) if name.name == "Function" => self.function_of_text(arguments, call.span),
            Expression::StaticMemberExpression(member) => {
                let property = member.property.name.as_str();
                let object = &member.object;
                if is_global(object) && property == "eval" {
                    let texts = self.constants().argument(arguments.first());
                    self.text_of_code(texts, call.span);
                }
                if is_global(object) && property == "Function" {
                    self.function_of_text(arguments, call.span);
                }
                if matches!(property, "push" | "unshift" | "splice") && is_paths_of_module(object) {
                    self.dynamic(call.span, "changes how modules load");
                }
                if property == "resolve" && self.is_require(object) {
                    self.required(call, "resolves a computed name");
                    return self.visit_arguments(arguments);
                }
                if property == "resolve" && matches!(object, Expression::ImportMeta(_)) {
                    match self.constants().argument(arguments.first()) {
                        Some(texts) => {
                            texts.iter().for_each(|specifier| self.facts.import(specifier, Conditions::Import));
                        }
                        None => self.dynamic(call.span, "resolves a computed name"),
                    }
                }
                if property == "dlopen" && object.is_specific_id("process") {
                    self.dynamic(call.span, "opens a native library");
                }
                if property == "require"
                    && let Expression::StaticMemberExpression(of) = object
                    && matches!(of.property.name.as_str(), "main" | "mainModule" | "parent")
                {
                    self.dynamic(call.span, "requires from another module");
                }
            }
            _ => {}
        }
        self.starts_a_file(&call.callee, arguments, call.span);
        walk::walk_call_expression(self, call);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if new.callee.is_specific_id("Function") {
            self.function_of_text(&new.arguments, new.span);
        }
        self.starts_a_file(&new.callee, &new.arguments, new.span);
        walk::walk_new_expression(self, new);
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        match self.constants().texts(&import.source) {
            Some(specifiers) => {
                for specifier in specifiers {
                    self.facts.import(&specifier, Conditions::Import);
                }
            }
            None => self.dynamic(import.span, "imports a computed name"),
        }
        walk::walk_import_expression(self, import);
    }

    fn visit_identifier_reference(&mut self, name: &IdentifierReference<'a>) {
        if self.is_live_require(&name.name) {
            self.dynamic(name.span, "hands `require` on");
        } else if self.bindings.module_named(&name.name) == Some("module") {
            self.dynamic(name.span, "hands the module loader on");
        }
    }

    fn visit_static_member_expression(&mut self, member: &StaticMemberExpression<'a>) {
        let property = member.property.name.as_str();
        if self.is_require(&member.object) {
            // `require.main`, `require.cache`: they load nothing.
            if matches!(property, "extensions" | "apply" | "call" | "bind" | "resolve") {
                self.dynamic(member.span, "hands `require` on");
            }
            return;
        }
        if property == "constructor" && member.object.is_specific_id("module") {
            self.dynamic(member.span, "changes how modules load");
        }
        if self.bindings.module(&member.object) == Some("module") && property != "default" {
            if !HARMLESS_OF_MODULE.contains(&property) {
                self.dynamic(member.span, "changes how modules load");
            }
            return;
        }
        walk::walk_static_member_expression(self, member);
    }

    fn visit_unary_expression(&mut self, unary: &UnaryExpression<'a>) {
        // `typeof require` looks without touching.
        if unary.operator != UnaryOperator::Typeof || !matches!(unary.argument, Expression::Identifier(_)) {
            walk::walk_unary_expression(self, unary);
        }
    }

    fn visit_variable_declarator(&mut self, declarator: &VariableDeclarator<'a>) {
        if Bindings::is_bundlers_require(declarator) {
            return;
        }
        match &declarator.init {
            // The new name is followed like the old one.
            Some(init) if self.bindings.is_made_require(init) && declarator.id.is_binding_identifier() => {
                if let Expression::CallExpression(call) = init {
                    let own = format!("{}/{}", super::tree::TASK_ROOT, self.name);
                    let texts = self.constants().argument(call.arguments.first()).unwrap_or_default();
                    let is_own = |text: &String| text.strip_prefix("file://").unwrap_or(text) == own;
                    if texts.is_empty() || !texts.iter().all(is_own) {
                        self.dynamic(call.span, "requires from another place");
                    }
                }
            }
            Some(init) if self.bindings.module(init) == Some("module") => {
                // `const Module = require('module')`: what is made of the name is looked at where it is used.
                if let Expression::CallExpression(_) = init {
                    self.visit_expression(init);
                }
            }
            _ => walk::walk_variable_declarator(self, declarator),
        }
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        if let TSModuleReference::ExternalModuleReference(reference) = &import.module_reference {
            self.facts.import(&reference.expression.value, Conditions::Require);
        }
    }

    fn visit_string_literal(&mut self, literal: &StringLiteral<'a>) {
        self.facts.mention(&literal.value);
    }

    fn visit_template_literal(&mut self, template: &TemplateLiteral<'a>) {
        for quasi in &template.quasis {
            if let Some(text) = &quasi.value.cooked {
                self.facts.mention(text);
            }
        }
        walk::walk_template_literal(self, template);
    }
}
