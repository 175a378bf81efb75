//! Python: what a source file loads.
//!
//! Every `import` counts, wherever it stands: conditional, in a function, for type checkers only. So do
//! `importlib.import_module` and `__import__` with a constant name. A computed one makes the file *dynamic*, and so does
//! what runs code from a text or a file (`exec`, `eval`, `runpy`, loaders), lists modules to load them (`pkgutil`,
//! entry points), or changes how modules are found (`sys.meta_path`; `sys.path` with anything but a constant).

use ruff_python_ast::visitor::{Visitor as _, walk_expr, walk_stmt};
use ruff_python_ast::{Arguments, Expr, ExprAttribute, Operator, Stmt, visitor};
use ruff_python_parser::{parse_expression, parse_module};
use ruff_text_size::Ranged as _;

use super::facts::{Facts, Import, line_of};
use super::tree::{TASK_ROOT, directory, join, normal};

const RUNS_TEXT: &str = "runs code that it has as text";
const COMPUTED: &str = "imports a computed name";
const CHANGES_PATH: &str = "changes where modules are found";

/// Functions that load what their arguments, or a listing, say.
const LOADERS: [&str; 16] = [
    "addsitedir",
    "entry_points",
    "exec_module",
    "execfile",
    "extend_path",
    "iter_entry_points",
    "iter_modules",
    "load_module",
    "load_source",
    "module_from_spec",
    "run_module",
    "run_path",
    "SourceFileLoader",
    "spec_from_file_location",
    "spec_from_loader",
    "walk_packages",
];

/// Whether the name is one of this language's sources.
pub(super) fn is_source(name: &str) -> bool {
    name.ends_with(".py")
}

/// What the file `name` with this content loads.
pub(super) fn facts(name: &str, content: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let source = String::from_utf8_lossy(content);
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
    match parse_module(source) {
        Ok(parsed) => {
            let mut visitor = Visitor { name, source, within: None, facts: &mut facts };
            visitor.visit_body(parsed.suite());
        }
        Err(error) => facts.set_dynamic(line_of(source, error.location.start().to_usize()), "can't be parsed"),
    }
    facts
}

struct Visitor<'s, 'f> {
    name: &'s str,
    source: &'s str,
    /// The line of the outer source, for code in a text of it.
    within: Option<u32>,
    facts: &'f mut Facts,
}

impl Visitor<'_, '_> {
    fn dynamic(&mut self, node: &impl ruff_text_size::Ranged, what: &'static str) {
        let line = self.within.unwrap_or_else(|| line_of(self.source, node.start().to_usize()));
        self.facts.set_dynamic(line, what);
    }

    fn module(&mut self, dotted: &str) {
        self.facts.imports.push(Import::Module(parts(dotted)));
    }

    fn call(&mut self, call: &ruff_python_ast::ExprCall) {
        let (name, object) = match call.func.as_ref() {
            Expr::Name(name) => (name.id.as_str(), None),
            Expr::Attribute(attribute) => (attribute.attr.as_str(), Some(attribute.value.as_ref())),
            _ => return,
        };
        let builtin = object.is_none() || is_name(object, "builtins");
        match name {
            "__import__" if builtin => self.imported(call, true),
            "import_module" | "find_spec" => self.imported(call, false),
            "exec" | "eval" if builtin => self.text_of_code(call, name == "eval"),
            name if LOADERS.contains(&name) => self.dynamic(call, "loads modules that it finds at run time"),
            "append" | "insert" | "extend" | "remove" | "pop" | "clear" | "reverse" | "sort"
                if object.is_some_and(is_sys_path) =>
            {
                self.search_path(call, name);
            }
            _ => {}
        }
    }

    /// `import_module('a.b')`, `import_module('.c', __package__)`, `__import__('a.b')`.
    fn imported(&mut self, call: &ruff_python_ast::ExprCall, builtin: bool) {
        let Some(texts) = call.arguments.find_argument_value("name", 0).and_then(|value| self.texts(value)) else {
            return self.dynamic(call, COMPUTED);
        };
        for text in texts {
            let level = text.len() - text.trim_start_matches('.').len();
            let own_package = |value: &Expr| is_name(Some(value), "__package__") || is_name(Some(value), "__name__");
            let package = call.arguments.find_argument_value("package", 1);
            match u32::try_from(level).unwrap_or(u32::MAX) {
                0 if builtin && has_level(&call.arguments) => self.dynamic(call, COMPUTED),
                0 => self.module(&text),
                // `__name__` is the package only in its `__init__.py`, and then the directory is the same.
                level if !builtin && package.is_some_and(own_package) => {
                    self.facts.imports.push(Import::Relative { level, module: parts(&text[level as usize..]) });
                }
                _ => self.dynamic(call, COMPUTED),
            }
        }
    }

    fn text_of_code(&mut self, call: &ruff_python_ast::ExprCall, is_expression: bool) {
        let texts = call.arguments.args.first().and_then(|value| self.texts(value));
        let Some(texts) = texts.filter(|_| self.within.is_none()) else { return self.dynamic(call, RUNS_TEXT) };
        let line = line_of(self.source, call.start().to_usize());
        for text in texts {
            let mut inner = Visitor { name: self.name, source: &text, within: Some(line), facts: self.facts };
            if is_expression {
                match parse_expression(text.trim()) {
                    Ok(parsed) => inner.visit_expr(parsed.expr()),
                    Err(_) => self.dynamic(call, RUNS_TEXT),
                }
            } else {
                match parse_module(&text) {
                    Ok(parsed) => inner.visit_body(parsed.suite()),
                    Err(_) => self.dynamic(call, RUNS_TEXT),
                }
            }
        }
    }

    /// `sys.path.insert(0, …)`.
    fn search_path(&mut self, call: &ruff_python_ast::ExprCall, method: &str) {
        let added = match method {
            "append" => call.arguments.args.first(),
            "insert" => call.arguments.args.get(1),
            _ => None,
        };
        let Some(texts) = added.and_then(|value| self.texts(value)) else { return self.dynamic(call, CHANGES_PATH) };
        for text in texts {
            // Relative to the working directory, which is the artifact's top; elsewhere is a layer.
            let below = if text.starts_with('/') {
                let text = format!("/{}", normal(text.trim_start_matches('/')));
                match text.strip_prefix(TASK_ROOT) {
                    Some(below) => below.trim_start_matches('/').to_owned(),
                    None => continue,
                }
            } else {
                normal(&text)
            };
            self.facts.imports.push(Import::SearchPath(below));
        }
    }

    /// Every text that `expression` may have; paths made of `__file__` included.
    fn texts(&self, expression: &Expr) -> Option<Vec<String>> {
        match expression {
            Expr::StringLiteral(text) => Some(vec![text.value.to_str().to_owned()]),
            Expr::Name(name) if name.id == "__file__" => Some(vec![join(TASK_ROOT, self.name)]),
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                let (left, right) = (self.one(&sum.left)?, self.one(&sum.right)?);
                Some(vec![format!("{left}{right}")])
            }
            // `Path(__file__).parent / 'vendor'`
            Expr::BinOp(path) if path.op == Operator::Div => {
                let (left, right) = (self.one(&path.left)?, self.one(&path.right)?);
                Some(vec![format!("{left}/{right}")])
            }
            Expr::If(choice) => {
                let mut texts = self.texts(&choice.body)?;
                texts.extend(self.texts(&choice.orelse)?);
                Some(texts)
            }
            Expr::Attribute(attribute) if attribute.attr.as_str() == "parent" => {
                let path = self.one(&attribute.value)?;
                path.starts_with('/').then(|| vec![directory(&path).to_owned()])
            }
            Expr::Call(call) => {
                let name = match call.func.as_ref() {
                    Expr::Name(name) => name.id.as_str(),
                    Expr::Attribute(attribute) => attribute.attr.as_str(),
                    _ => return None,
                };
                let arguments = &call.arguments.args;
                let all = || arguments.iter().map(|argument| self.one(argument)).collect::<Option<Vec<String>>>();
                match (name, arguments.as_ref()) {
                    ("dirname", [path]) => self.one(path).map(|path| vec![directory(&path).to_owned()]),
                    ("abspath" | "realpath" | "normpath" | "str" | "fspath" | "Path", [path]) => {
                        self.one(path).map(|path| vec![path])
                    }
                    // `Path(__file__).resolve()`
                    ("resolve" | "absolute", []) => match call.func.as_ref() {
                        Expr::Attribute(attribute) => self.one(&attribute.value).map(|path| vec![path]),
                        _ => None,
                    },
                    ("join", [_, _, ..]) => all().map(|parts| vec![parts.join("/")]),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The only text that `expression` may have.
    fn one(&self, expression: &Expr) -> Option<String> {
        let mut texts = self.texts(expression)?;
        if texts.len() == 1 { texts.pop() } else { None }
    }
}

fn parts(dotted: &str) -> Vec<String> {
    dotted.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn is_name(expression: Option<&Expr>, name: &str) -> bool {
    matches!(expression, Some(Expr::Name(found)) if found.id == name)
}

/// `__import__(name, globals, locals, fromlist, level)` with a level.
fn has_level(arguments: &Arguments) -> bool {
    arguments.find_argument_value("level", 4).is_some()
}

fn is_sys_path(expression: &Expr) -> bool {
    matches!(expression, Expr::Attribute(attribute) if is_of_sys(attribute, &["path"]))
}

fn is_of_sys(attribute: &ExprAttribute, names: &[&str]) -> bool {
    names.contains(&attribute.attr.as_str()) && is_name(Some(&attribute.value), "sys")
}

impl<'a> visitor::Visitor<'a> for Visitor<'_, '_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    self.module(&alias.name);
                }
            }
            Stmt::ImportFrom(import) => {
                let module = import.module.as_ref().map_or_else(Vec::new, |module| parts(module));
                if import.level == 0
                    && module == ["sys"]
                    && import.names.iter().any(|alias| alias.name.as_str() == "path")
                {
                    self.dynamic(import, CHANGES_PATH);
                }
                for alias in &import.names {
                    let imports = &mut self.facts.imports;
                    // The name may be a module of the package; if not, there is no such file.
                    let with_name = || [module.as_slice(), &[alias.name.to_string()]].concat();
                    match (import.level, alias.name.as_str()) {
                        (0, "*") => imports.push(Import::Star(module.clone())),
                        (0, _) => imports.push(Import::Module(with_name())),
                        (level, "*") => imports.push(Import::RelativeStar { level, module: module.clone() }),
                        (level, _) => imports.push(Import::Relative { level, module: with_name() }),
                    }
                }
            }
            Stmt::Assign(assignment) => {
                for target in &assignment.targets {
                    self.assigned(target);
                }
            }
            Stmt::AugAssign(assignment) => self.assigned(&assignment.target),
            _ => {}
        }
        walk_stmt(self, statement);
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Call(call) => self.call(call),
            Expr::Attribute(attribute) if is_of_sys(attribute, &["meta_path", "path_hooks", "path_importer_cache"]) => {
                self.dynamic(attribute, CHANGES_PATH);
            }
            Expr::StringLiteral(text) => self.facts.mention(text.value.to_str()),
            _ => {}
        }
        walk_expr(self, expression);
    }
}

impl Visitor<'_, '_> {
    /// `sys.path = …`, `sys.path[0] = …`, `__path__ = …`.
    fn assigned(&mut self, target: &Expr) {
        let changed = match target {
            Expr::Subscript(subscript) => is_sys_path(&subscript.value),
            Expr::Name(name) => name.id == "__path__",
            target => is_sys_path(target),
        };
        if changed {
            self.dynamic(target, CHANGES_PATH);
        }
    }
}
