//! Whether a source file is one that its language accepts.
//!
//! A file is *refused* when no reading of it is valid. A `.js` file may be a module, a script, JSX or typed by Flow, and a
//! runtime may be newer than the parsers here: on doubt it is accepted.

use oxc_allocator::Allocator;
use oxc_parser::{ParseOptions, Parser};
use oxc_span::SourceType;

use super::{javascript, python};

/// Larger files are bundles, which a tool has written whole, and would cost what a save has not.
pub(crate) const LARGEST: u64 = 1 << 20;

/// So much of a line is shown, in characters.
const SHOWN: usize = 72;

/// Where a file is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// As the parser says it.
    pub(crate) message: String,
    /// The line, or what is around the place in a long one, and below it a `^` under the place.
    pub(crate) excerpt: String,
}

/// Whether a file with this name is looked at.
pub(crate) fn is_known(name: &str) -> bool {
    !javascript_readings(name).is_empty() || python::is_source(name) || is_package_json(name)
}

/// Why the file `name` with this content is refused; `None`: it isn't, or is of no language that is known here.
pub(crate) fn refusal(name: &str, content: &[u8]) -> Option<Refusal> {
    let source = std::str::from_utf8(content).ok()?;
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let (offset, message) = if is_package_json(name) {
        let error = serde_json::from_str::<serde::de::IgnoredAny>(source).err()?;
        let text = error.to_string();
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
        (offset_of(source, error.line(), error.column()), message)
    } else if python::is_source(name) {
        let error = ruff_python_parser::parse_module(source).err()?;
        (error.location.start().to_usize(), error.error.to_string())
    } else {
        refused_javascript(name, source)?
    };
    Some(Refusal::at(source, offset, message))
}

/// npm and Node.js read it as strict JSON, and without it no module of the package is found. Other JSON has comments.
fn is_package_json(name: &str) -> bool {
    name.rsplit('/').next() == Some("package.json")
}

/// The kinds of source that a file with this name may be.
fn javascript_readings(name: &str) -> Vec<SourceType> {
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    match suffix {
        "js" | "jsx" => {
            vec![SourceType::unambiguous().with_jsx(true), SourceType::script().with_jsx(true), SourceType::tsx()]
        }
        "mjs" => vec![SourceType::mjs().with_jsx(true), SourceType::tsx()],
        "cjs" => vec![SourceType::cjs().with_jsx(true), SourceType::script().with_jsx(true)],
        "tsx" => vec![SourceType::tsx()],
        _ if javascript::source_type(name).is_some() => vec![SourceType::ts(), SourceType::ts().with_script(true)],
        _ => Vec::new(),
    }
}

/// Where the reading that came furthest ended; `None` when one came through.
fn refused_javascript(name: &str, source: &str) -> Option<(usize, String)> {
    let mut furthest = None;
    for kind in javascript_readings(name) {
        let allocator = Allocator::default();
        let options = ParseOptions { allow_return_outside_function: true, ..Default::default() };
        let parsed = Parser::new(&allocator, source, kind).with_options(options).parse();
        if !parsed.panicked && !parsed.diagnostics.has_errors() {
            return None;
        }
        let Some(error) = parsed.diagnostics.errors().next() else { continue };
        let offset = error.labels.first().map_or(0, |label| label.offset() as usize);
        if furthest.as_ref().is_none_or(|(known, _)| offset > *known) {
            furthest = Some((offset, error.message.to_string()));
        }
    }
    furthest
}

/// The offset of a line (from 1) and a column in bytes (from 1).
fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let before: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(source.len())
}

impl Refusal {
    fn at(source: &str, offset: usize, message: String) -> Self {
        // What is missing at the end is missing where the text ends, not in an empty line below it.
        let mut offset = offset.min(source.trim_end().len());
        while !source.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &source[..offset];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = source[start..].lines().next().unwrap_or_default();
        let column = source[start..offset].chars().count();
        // From a long line, what is around the place.
        let skipped = if column < SHOWN - 8 { 0 } else { column - SHOWN / 2 };
        let shown: String = line.chars().skip(skipped).take(SHOWN).map(|c| if c == '\t' { ' ' } else { c }).collect();
        let excerpt = format!("{}\n{}^", shown.trim_end(), " ".repeat(column - skipped));
        Self { line: before.matches('\n').count() + 1, column: column + 1, message, excerpt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, source: &str) -> Option<(usize, usize)> {
        refusal(name, source.as_bytes()).map(|refusal| (refusal.line, refusal.column))
    }

    #[test]
    fn a_half_written_file_is_refused_where_it_ends_to_make_sense() {
        assert_eq!(place("a.js", "const a = 1;\nconst b = ;\n"), Some((2, 11)));
        assert_eq!(place("a.mjs", "import a from './a.mjs';\nexport const f = (x => {\n"), Some((2, 25)));
        assert_eq!(place("a.ts", "type A = { b: number\nconst a: = 1;\n"), Some((2, 1)));
        assert_eq!(place("a.py", "def f():\n    return (1\n"), Some((2, 14)));
        assert_eq!(place("a.py", "def f():\nreturn 1\n"), Some((2, 1)));
        assert_eq!(place("package.json", "{\n  \"type\": \"module\",\n}\n"), Some((3, 1)));
        for name in ["a.js", "a.cjs", "a.mjs", "a.jsx", "a.ts", "a.cts", "a.mts", "a.tsx"] {
            assert!(place(name, "<<<<<<< HEAD\nconst a = 1;\n=======\n").is_some(), "{name}");
        }
    }

    #[test]
    fn what_some_runtime_or_tool_accepts_is_accepted() {
        let sources = [
            ("return.js", "if (process.env.X) return;\nmodule.exports = 1;\n"),
            ("hashbang.js", "#!/usr/bin/env node\nconsole.log(1);\n"),
            ("bom.js", "\u{feff}const a = 1;\n"),
            ("sloppy.js", "with (o) { x = 010; }\ndelete y;\nvar let = 1;\n"),
            ("await.js", "const a = await import('./b.mjs');\nexport { a };\n"),
            ("await-name.js", "var await = 1;\nmodule.exports = await;\n"),
            ("jsx.js", "export const A = () => <div className='a'>{1}</div>;\n"),
            ("decorated.js", "@dec class A { @field x = 1; }\nexport { A };\n"),
            ("flow.js", "// @flow\nexport function f(x: number): string { return ''; }\n"),
            ("json.mjs", "import a from './a.json' with { type: 'json' };\n"),
            ("using.mjs", "{ using a = f(); }\n"),
            ("return.cjs", "return;\n"),
            ("esModule.ts", "import a = require('a');\nexport = a;\n"),
            ("enum.ts", "enum A { B }\nnamespace C { export const d = 1; }\nconst x = <number>y;\n"),
            ("new.py", "match x:\n    case {'a': [1, *rest]}: pass\ntype A[T] = list[T]\nprint(f'{'nested'}')\n"),
            ("empty.js", ""),
            ("empty.py", ""),
            ("tsconfig.json", "{ // a comment\n}\n"),
            ("latin1.css", "a {"),
        ];
        for (name, source) in sources {
            assert_eq!(refusal(name, source.as_bytes()), None, "{name}");
        }
        assert_eq!(refusal("a.js", b"const a = '\xe4'; ("), None, "no UTF-8: nothing is known of it");
    }

    #[test]
    fn the_place_is_marked_also_in_a_long_line_and_after_wide_letters() {
        let marked = |source: &str| refusal("a.js", source.as_bytes()).unwrap().excerpt;
        assert_eq!(marked("\tconst ä = ;"), " const ä = ;\n           ^");
        let excerpt = marked(&format!("{}let = = 1;{}", "f(1);".repeat(100), "g(2);".repeat(100)));
        let (line, mark) = excerpt.split_once('\n').unwrap();
        assert!(line.len() <= SHOWN && mark.len() <= SHOWN, "{excerpt}");
        assert_eq!(&line[mark.len() - 1..mark.len()], "=", "{excerpt}");
    }
}
