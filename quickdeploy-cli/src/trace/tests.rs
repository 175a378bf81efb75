//! What handlers reach in small artifacts, one kind of import at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reach::Unbounded;
use super::{Contents, Entrance, Reach, Tracer, Tree};

struct Files(BTreeMap<String, String>);

impl Contents for Files {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(|text| text.clone().into_bytes())
    }
}

fn tracer(files: &[(&str, &str)]) -> Tracer {
    let tree = Tree::new(files.iter().map(|(name, _)| (*name, false)));
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Tracer::new(tree, Arc::new(Files(files)), |name| name.starts_with("node_modules/trusted/"))
}

fn entrance(runtime: &str, handler: &str) -> Entrance {
    Entrance { handler: handler.to_owned(), runtime: runtime.to_owned(), environment: Vec::new() }
}

fn node(files: &[(&str, &str)], handler: &str) -> Reach {
    tracer(files).reach(&entrance("nodejs22.x", handler))
}

fn python(files: &[(&str, &str)], handler: &str) -> Reach {
    tracer(files).reach(&entrance("python3.13", handler))
}

/// Whether `a.js` with this code reaches `lib/x.js`, with certainty.
fn reaches_x(code: &str) -> bool {
    let files = [("a.js", code), ("lib/x.js", "exports.x = 1"), ("lib/y.js", "")];
    let reach = node(&files, "a.handler");
    assert_eq!(reach.unbounded, None, "{code}");
    assert!(!reach.loads("lib/y.js"), "{code}");
    reach.loads("lib/x.js")
}

/// Why `a.js` with this code may load anything.
fn why_anything(code: &str) -> Option<String> {
    node(&[("a.js", code), ("lib/x.js", "")], "a.handler").unbounded.map(|why| why.to_string())
}

#[test]
fn javascript_that_loads_a_file() {
    for code in [
        "require('./lib/x')",
        "require('./lib/x.js')",
        "const { x } = require(`./lib/x`)",
        "if (process.env.X) { require('./lib/x') }",
        "exports.handler = async () => { const x = await import('./lib/x.js') }",
        "import './lib/x.js'",
        "import x, { y as z } from './lib/x.js'",
        "import * as x from './lib/x.js'",
        "export { x } from './lib/x.js'",
        "export * from './lib/x.js'",
        "export * as x from './lib/x.js'",
        "require.resolve('./lib/x')",
        "import.meta.resolve('./lib/x.js')",
        "module.require('./lib/x')",
        "(0, require)('./lib/x')",
        "require(__dirname + '/lib/x')",
        "require(`${__dirname}/lib/x.js`)",
        "const path = require('path'); require(path.join(__dirname, 'lib', 'x'))",
        "import { join } from 'node:path'; import { createRequire } from 'node:module';
         const require = createRequire(import.meta.url); require(join(import.meta.dirname, 'lib/x'))",
        "const path_1 = __importDefault(require('path')); require(path_1.default.resolve(__dirname, './lib/../lib/x'))",
        "const name = './lib/x'; require(name)",
        "require(process.env.X ? './lib/x' : './lib/missing')",
        "import { createRequire } from 'module'; createRequire(import.meta.url)('./lib/x')",
        "import { createRequire as make } from 'module'; const load = make(import.meta.url); load('./lib/x')",
        "import module from 'module'; const load = module.createRequire(import.meta.url); load('./lib/x')",
        "const again = require; again('./lib/x')",
        "new (require('worker_threads').Worker)('./lib/x.js')",
        "import { Worker } from 'worker_threads'; new Worker(new URL('./lib/x.js', import.meta.url))",
        "const { fork } = require('child_process'); fork('./lib/x')",
        "import cp from 'node:child_process'; import { fileURLToPath } from 'url';
         cp.fork(fileURLToPath(new URL('lib/x.js', import.meta.url)))",
        "eval('1 + 1'); require('./lib/x')",
        "eval('import(\"./lib/x.js\")')",
        "import x = require('./lib/x')",
        "require('lib/x')",
        "require('/var/task/lib/x')",
        "#!/usr/bin/env node\n'use strict'; if (1) return require('./lib/x'); ",
    ] {
        let code_is_typescript = code.starts_with("import x =");
        if code_is_typescript {
            let reach = node(&[("a.mts", code), ("h.js", "require('./a.mts')"), ("lib/x.js", "")], "h.handler");
            assert!(reach.loads("lib/x.js"), "{code}");
        } else {
            assert!(reaches_x(code), "{code}");
        }
    }
}

#[test]
fn javascript_that_does_not() {
    for code in [
        "// require('./lib/x')",
        "/require('.lib')/.test(a)",
        "const text = \"require('./lib/x')\"",
        "require('fs'); require('node:fs/promises'); import('aws-sdk')",
        "typeof require === 'function' && require.main === module",
        "Object.keys(require.cache)",
        "const that = Function('return this')(); require('os')",
        "x instanceof Function; Function.prototype.call",
        "const { builtinModules } = require('module'); builtinModules.includes('fs')",
        "model.eval(x); shell.exec(y); db.require(z)",
        "[1, 2].join(', '); resolve(a)",
        // An ES module has no `require`: what bundlers leave there is dead.
        "export const a = typeof require !== 'undefined' ? require : undefined",
    ] {
        assert!(!reaches_x(code), "{code}");
    }
}

#[test]
fn javascript_that_may_load_anything() {
    for (code, why) in [
        ("require(process.env.X)", "a.js:1 requires a computed name"),
        ("\n\nrequire(`./lib/${x}`)", "a.js:3 requires a computed name"),
        ("const name = './a'; function f(name) { require(name) }", "a.js:1 requires a computed name"),
        ("let name = './a'; name = x; require(name)", "a.js:1 requires a computed name"),
        ("import(x)", "a.js:1 imports a computed name"),
        ("files.map(require)", "a.js:1 hands `require` on"),
        ("require.apply(this, arguments)", "a.js:1 hands `require` on"),
        ("require.extensions['.x'] = f", "a.js:1 hands `require` on"),
        ("require.main.require('./lib/x')", "a.js:1 requires from another module"),
        ("process.mainModule.require('./lib/x')", "a.js:1 requires from another module"),
        ("require.resolve(x)", "a.js:1 resolves a computed name"),
        ("eval(x)", "a.js:1 runs code that it has as text"),
        ("globalThis.eval(x)", "a.js:1 runs code that it has as text"),
        ("eval('require')('./lib/x')", "a.js:1 runs code that it has as text"),
        ("new Function('x', 'return import(x)')('./lib/x.js')", "a.js:1 runs code that it has as text"),
        ("new Function(x)()", "a.js:1 runs code that it has as text"),
        ("require('vm').runInThisContext(x)", "a.js:1 runs code that it has as text"),
        ("import vm from 'node:vm'", "a.js:1 runs code that it has as text"),
        ("require('module')._load(x)", "a.js:1 changes how modules load"),
        ("const M = require('module'); M._extensions['.js'] = f", "a.js:1 changes how modules load"),
        ("import { register } from 'node:module'; register(x)", "a.js:1 changes how modules load"),
        ("const M = require('module'); patch(M)", "a.js:1 hands the module loader on"),
        ("module.paths.push('/tmp')", "a.js:1 changes how modules load"),
        ("module.constructor._load(x)", "a.js:1 changes how modules load"),
        ("process.dlopen(module, x)", "a.js:1 opens a native library"),
        ("const { Worker } = require('worker_threads'); new Worker(x)", "a.js:1 starts a worker from a computed file"),
        (
            "const { Worker } = require('worker_threads'); new Worker('x', { eval: true })",
            "a.js:1 runs code that it has as text",
        ),
        ("require('child_process').fork(x)", "a.js:1 forks a computed file"),
        (
            "import { createRequire } from 'module'; const require = createRequire('/opt/x.js'); require('y')",
            "a.js:1 requires from another place",
        ),
        ("function (", "a.js:1 can't be parsed"),
    ] {
        assert_eq!(why_anything(code).as_deref(), Some(why), "{code}");
    }
}

#[test]
fn what_bundlers_write_for_require_is_followed() {
    let esbuild = "import { createRequire } from 'module'; const require = createRequire(import.meta.url);
        var __require = /* @__PURE__ */ ((x) => typeof require !== 'undefined' ? require : typeof Proxy !== 'undefined' ?
          new Proxy(x, { get: (a, b) => (typeof require !== 'undefined' ? require : a)[b] }) : x)(function(x) {
          if (typeof require !== 'undefined') return require.apply(this, arguments);
          throw Error('Dynamic require of \"' + x + '\" is not supported'); });
        var fs = __require('fs'); var x = __require('./lib/x');";
    assert!(reaches_x(esbuild));
}

#[test]
fn a_file_that_is_only_named_is_followed_too() {
    let files = [("a.js", "pool.start({ file: './jobs/x.js' })"), ("jobs/x.js", "require('./y')"), ("jobs/y.js", "")];
    let reach = node(&files, "a.handler");
    assert_eq!(reach.chain("jobs/y.js"), Some(vec!["a.js", "jobs/x.js", "jobs/y.js"]));
    // It may also be a text that is sent somewhere: no proof that it is a module.
    assert!(!reach.loads("jobs/x.js") && reach.loads("jobs/y.js"));
}

#[test]
fn what_packages_name_is_their_own() {
    let files = [
        ("a.js", "require('p')"),
        ("index.js", ""),
        ("node_modules/p/index.js", "start('./worker.js', './index.js')"),
        ("node_modules/p/worker.js", ""),
        ("worker.js", ""),
    ];
    let reach = node(&files, "a.handler");
    assert!(reach.chain("node_modules/p/worker.js").is_some());
    assert!(reach.chain("worker.js").is_none() && reach.chain("index.js").is_none());
}

/// What `a.js` resolves `specifier` to, by `require` and by `import`.
fn resolved(files: &[(&str, &str)], specifier: &str) -> [Vec<String>; 2] {
    ["require('SPECIFIER')", "import 'SPECIFIER'"].map(|code| {
        let code = code.replace("SPECIFIER", specifier);
        let mut all = vec![("src/a.js", code.as_str())];
        all.extend(files);
        let reach = node(&all, "src/a.handler");
        assert_eq!(reach.unbounded, None);
        files.iter().map(|(name, _)| *name).filter(|name| reach.loads(name)).map(str::to_owned).collect()
    })
}

#[test]
fn node_resolution_inside_the_artifact() {
    let both = |name: &str| [vec![name.to_owned()], vec![name.to_owned()]];
    let only_require = |name: &str| [vec![name.to_owned()], vec![]];

    let lib = [("src/lib.js", ""), ("src/lib/index.js", ""), ("src/data.json", "{}"), ("src/native.node", "")];
    assert_eq!(resolved(&lib, "./lib"), only_require("src/lib.js"));
    assert_eq!(resolved(&lib, "./lib/"), only_require("src/lib/index.js"));
    assert_eq!(resolved(&lib, "./data"), only_require("src/data.json"));
    assert_eq!(resolved(&lib, "./native.node"), both("src/native.node"));
    assert_eq!(resolved(&lib, "../src/lib.js"), both("src/lib.js"));
    assert_eq!(resolved(&[("src/m.mjs", "")], "./m.mjs"), both("src/m.mjs"));
    assert_eq!(resolved(&[("src/t.ts", "const x: number = 1")], "./t.ts"), both("src/t.ts"));

    let main = [("node_modules/p/package.json", r#"{"main": "lib/main"}"#), ("node_modules/p/lib/main.js", "")];
    assert_eq!(resolved(&main, "p"), both("node_modules/p/lib/main.js"));

    let exports = [
        (
            "node_modules/@s/p/package.json",
            r#"{"exports": {".": {"import": "./i.mjs", "require": "./r.cjs"}, "./sub/*": "./subs/*.js", "./off": null}}"#,
        ),
        ("node_modules/@s/p/i.mjs", ""),
        ("node_modules/@s/p/r.cjs", ""),
        ("node_modules/@s/p/subs/one.js", ""),
    ];
    assert_eq!(
        resolved(&exports, "@s/p"),
        [vec!["node_modules/@s/p/r.cjs".to_owned()], vec!["node_modules/@s/p/i.mjs".to_owned()]]
    );
    assert_eq!(resolved(&exports, "@s/p/sub/one"), both("node_modules/@s/p/subs/one.js"));
    assert_eq!(resolved(&exports, "@s/p/subs/one.js"), [vec![], vec![] as Vec<String>]);

    let nearest = [("node_modules/p/index.js", ""), ("src/node_modules/p/index.js", "")];
    assert_eq!(resolved(&nearest, "p"), both("src/node_modules/p/index.js"));

    let own = [
        ("package.json", r##"{"name": "app", "exports": {"./x": "./x.js"}, "imports": {"#x": "./x.js"}}"##),
        ("x.js", ""),
    ];
    assert_eq!(resolved(&own, "app/x"), both("x.js"));
    assert_eq!(resolved(&own, "#x"), both("x.js"));
}

#[test]
fn versions_of_node_that_differ_both_count() {
    let files = [
        ("node_modules/p/package.json", r#"{"exports": {"module-sync": "./s.js", "default": "./d.js"}}"#),
        ("node_modules/p/s.js", ""),
        ("node_modules/p/d.js", ""),
    ];
    assert_eq!(resolved(&files, "p")[0].len(), 2);
}

#[test]
fn handlers_of_node() {
    for (handler, file) in [
        ("src/api.handler", "src/api.js"),
        ("./src/api.handler", "src/api.js"),
        ("src/api.nested.handler", "src/api.js"),
        ("m.handler", "m.mjs"),
        ("dir.handler", "dir/index.js"),
        ("package.handler", "node_modules/package/index.js"),
    ] {
        let files = [("src/api.js", ""), ("m.mjs", ""), ("dir/index.js", ""), ("node_modules/package/index.js", "")];
        let reach = node(&files, handler);
        assert_eq!((reach.loads(file), reach.len()), (true, 1), "{handler}");
    }
    let missing = node(&[("a.js", "")], "/opt/wrapper.handler");
    assert_eq!(missing.unbounded, Some(Unbounded::Handler("/opt/wrapper.handler".to_owned())));
}

#[test]
fn a_chain_is_a_shortest_one() {
    let files = [
        ("start.js", "require('./long'); require('./lib/shared')"),
        ("long.js", "require('./lib/shared')"),
        ("lib/shared.js", "require('../start')"),
    ];
    let reach = node(&files, "start.handler");
    assert_eq!(reach.chain("lib/shared.js"), Some(vec!["start.js", "lib/shared.js"]));
    assert_eq!(reach.chain("start.js"), Some(vec!["start.js"]));
    assert_eq!(reach.chain("other.js"), None);
}

#[test]
fn the_word_of_the_configuration_is_taken() {
    let files = |package| {
        [
            ("a.js".to_owned(), format!("require('{package}')")),
            (format!("node_modules/{package}/index.js"), "require(x)".to_owned()),
        ]
    };
    for (package, taken) in [("trusted", true), ("other", false)] {
        let files = files(package);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(node(&files, "a.handler").unbounded.is_none(), taken, "{package}");
    }
}

#[test]
fn text_that_packages_compile_by_function_loads_nothing_but_by_import() {
    for (code, is_static) in
        [("new Function('a', text)", true), ("new Function('a', text + 'import(x)')", false), ("eval(text)", false)]
    {
        let files = [("a.js", "require('p')"), ("node_modules/p/index.js", code)];
        assert_eq!(node(&files, "a.handler").unbounded.is_none(), is_static, "{code}");
    }
}

#[test]
fn a_link_in_the_artifact_may_lead_anywhere() {
    let names = [("a.js", false), ("node_modules/p", true)];
    let files = Files(BTreeMap::from([("a.js".to_owned(), "require('p')".to_owned())]));
    let tracer = Tracer::new(Tree::new(names), Arc::new(files), |_| false);
    let reach = tracer.reach(&entrance("nodejs22.x", "a.handler"));
    assert_eq!(reach.unbounded, Some(Unbounded::Symlink("node_modules/p".to_owned())));
}

#[test]
fn what_is_not_at_hand_is_named_and_found_when_it_is() {
    struct Later(std::sync::Mutex<BTreeMap<String, String>>);
    impl Contents for Later {
        fn read(&self, name: &str) -> Option<Vec<u8>> {
            self.0.lock().unwrap().get(name).map(|text| text.clone().into_bytes())
        }
    }
    let names = ["a.js", "node_modules/p/package.json", "node_modules/p/main.js", "x.js"];
    let later = Arc::new(Later(BTreeMap::from([("a.js".to_owned(), "require('p')".to_owned())]).into()));
    let tracer = Tracer::new(Tree::new(names.map(|name| (name, false))), Arc::clone(&later) as _, |_| false);
    let from = entrance("nodejs22.x", "a.handler");

    let reach = tracer.reach(&from);
    assert_eq!(reach.absent, ["node_modules/p/package.json".to_owned()].into());
    assert!(matches!(reach.bounded_by_absence().unbounded, Some(Unbounded::Absent { .. })));

    later.0.lock().unwrap().extend([
        ("node_modules/p/package.json".to_owned(), r#"{"main": "main.js"}"#.to_owned()),
        ("node_modules/p/main.js".to_owned(), String::new()),
    ]);
    let reach = tracer.again().reach(&from);
    assert!(reach.absent.is_empty() && reach.loads("node_modules/p/main.js"));
}

#[test]
fn the_environment_can_load_what_no_import_says() {
    let reach = |name: &str, value: &str| {
        let environment = vec![(name.to_owned(), value.to_owned())];
        tracer(&[("a.js", "")]).reach(&Entrance { environment, ..entrance("nodejs22.x", "a.handler") }).unbounded
    };
    assert_eq!(reach("NODE_OPTIONS", "--enable-source-maps --max-old-space-size=512"), None);
    for (name, value) in [
        ("NODE_OPTIONS", "--require ./instrument.js"),
        ("AWS_LAMBDA_EXEC_WRAPPER", "/opt/otel-handler"),
        ("NODE_PATH", "/var/task/lib"),
    ] {
        assert_eq!(reach(name, value), Some(Unbounded::Environment(name.to_owned())));
    }
}

#[test]
fn other_runtimes_are_not_followed() {
    for runtime in ["provided.al2023", "java21", "ruby3.4", "dotnet8"] {
        let reach = tracer(&[("a.js", "")]).reach(&entrance(runtime, "a.handler"));
        assert_eq!(reach.unbounded, Some(Unbounded::Runtime(runtime.to_owned())));
    }
}

const PACKAGE: [(&str, &str); 8] = [
    ("pkg/__init__.py", ""),
    ("pkg/x.py", ""),
    ("pkg/y.py", ""),
    ("pkg/sub/__init__.py", ""),
    ("pkg/sub/z.py", ""),
    ("space/w.py", ""),
    ("vendor/v.py", ""),
    ("top.py", ""),
];

/// The modules that `pkg/main.py` with this code reaches besides its package, with certainty.
fn python_reaches(code: &str) -> Vec<&'static str> {
    let mut files = vec![("pkg/main.py", code)];
    files.extend(PACKAGE);
    let reach = python(&files, "pkg.main.handler");
    assert_eq!(reach.unbounded, None, "{code}");
    PACKAGE.iter().map(|(name, _)| *name).filter(|name| *name != "pkg/__init__.py" && reach.loads(name)).collect()
}

#[test]
fn python_that_loads_modules() {
    let cases: [(&str, &[&str]); 26] = [
        ("import pkg.x", &["pkg/x.py"]),
        ("import os, pkg.x as y", &["pkg/x.py"]),
        ("from pkg import x", &["pkg/x.py"]),
        ("from pkg.x import anything", &["pkg/x.py"]),
        ("from . import x", &["pkg/x.py"]),
        ("from .x import a", &["pkg/x.py"]),
        ("from .sub import z", &["pkg/sub/__init__.py", "pkg/sub/z.py"]),
        ("from .sub.z import a", &["pkg/sub/__init__.py", "pkg/sub/z.py"]),
        ("from pkg.sub import *", &["pkg/sub/__init__.py", "pkg/sub/z.py"]),
        ("import space.w", &["space/w.py"]),
        ("from space import w", &["space/w.py"]),
        ("import top", &["top.py"]),
        ("try:\n    import missing\nexcept ImportError:\n    import top", &["top.py"]),
        ("def f():\n    from . import x", &["pkg/x.py"]),
        ("if TYPE_CHECKING:\n    import top", &["top.py"]),
        ("import importlib\nimportlib.import_module('pkg.x')", &["pkg/x.py"]),
        ("from importlib import import_module\nimport_module(name='pkg.x')", &["pkg/x.py"]),
        ("import importlib\nimportlib.import_module('.x', __package__)", &["pkg/x.py"]),
        (
            "import importlib\nimportlib.import_module('.sub.z', package=__package__)",
            &["pkg/sub/__init__.py", "pkg/sub/z.py"],
        ),
        ("__import__('top')", &["top.py"]),
        ("exec('import top')", &["top.py"]),
        ("import sys\nsys.path.insert(0, 'vendor')\nimport v", &["vendor/v.py"]),
        (
            "import os, sys\nsys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), 'vendor'))\nimport v",
            &["vendor/v.py"],
        ),
        (
            "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vendor'))\nimport v",
            &["vendor/v.py"],
        ),
        ("import sys\nsys.path.append('/opt/python')\nprint(sys.path)", &[]),
        ("import json, boto3\nfrom os import path\neval('1 + 1')\nmodel.eval(x)\nre.compile(x)", &[]),
    ];
    for (code, expected) in cases {
        assert_eq!(python_reaches(code), expected, "{code}");
    }
}

#[test]
fn python_that_may_load_anything() {
    for (code, why) in [
        ("import importlib\nimportlib.import_module(name)", "h.py:2 imports a computed name"),
        ("import importlib\nimportlib.import_module(f'plugins.{name}')", "h.py:2 imports a computed name"),
        ("__import__(name)", "h.py:1 imports a computed name"),
        ("exec(text)", "h.py:1 runs code that it has as text"),
        ("eval(text)", "h.py:1 runs code that it has as text"),
        ("exec('exec(x)')", "h.py:1 runs code that it has as text"),
        ("import builtins\nbuiltins.exec(text)", "h.py:2 runs code that it has as text"),
        ("import runpy\nrunpy.run_path(p)", "h.py:2 loads modules that it finds at run time"),
        ("import pkgutil\npkgutil.iter_modules(p)", "h.py:2 loads modules that it finds at run time"),
        (
            "from importlib.util import spec_from_file_location\nspec_from_file_location('a', p)",
            "h.py:2 loads modules that it finds at run time",
        ),
        (
            "from importlib.metadata import entry_points\nentry_points()",
            "h.py:2 loads modules that it finds at run time",
        ),
        ("import sys\nsys.path.insert(0, place)", "h.py:2 changes where modules are found"),
        ("import sys\nsys.path = []", "h.py:2 changes where modules are found"),
        ("import sys\nsys.path += [x]", "h.py:2 changes where modules are found"),
        ("from sys import path\npath.append(x)", "h.py:1 changes where modules are found"),
        ("import sys\nsys.meta_path.append(x)", "h.py:2 changes where modules are found"),
        ("__path__ = x", "h.py:1 changes where modules are found"),
        ("def f(:", "h.py:1 can't be parsed"),
    ] {
        let reach = python(&[("h.py", code)], "h.handler");
        assert_eq!(reach.unbounded.map(|why| why.to_string()).as_deref(), Some(why), "{code}");
    }
}

#[test]
fn python_modules_that_are_only_named_are_followed_too() {
    let code = "configure({'handlers': 'pkg.sub.z.Handler'})\nstart('jobs/run.py')";
    let mut files = vec![("h.py", code), ("jobs/run.py", "import helper"), ("helper.py", "")];
    files.extend(PACKAGE);
    let reach = python(&files, "h.handler");
    for name in ["pkg/__init__.py", "pkg/sub/z.py", "jobs/run.py", "helper.py"] {
        assert!(reach.chain(name).is_some(), "{name}");
    }
    assert!(reach.chain("pkg/x.py").is_none() && !reach.loads("pkg/sub/z.py"));
}

#[test]
fn handlers_of_python() {
    for handler in ["pkg/sub/z.handler", "pkg.sub.z.handler"] {
        let reach = python(&PACKAGE, handler);
        assert_eq!((reach.loads("pkg/sub/z.py"), reach.loads("pkg/__init__.py")), (true, true), "{handler}");
    }
    assert!(matches!(python(&PACKAGE, "missing.handler").unbounded, Some(Unbounded::Handler(_))));
}

#[test]
fn bytecode_without_its_source_can_not_be_looked_into() {
    let with_source = [("h.py", "import m"), ("m.py", ""), ("__pycache__/m.cpython-312.pyc", "")];
    assert_eq!(python(&with_source, "h.handler").unbounded, None);
    let without = python(&[("h.py", "import m"), ("m.pyc", "")], "h.handler");
    assert_eq!(without.unbounded, Some(Unbounded::Opaque { file: "m.pyc".to_owned() }));
}

/// The example project `name` in this repository, and the files in it.
fn example(name: &str) -> (std::path::PathBuf, Vec<String>) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let directory = directory.canonicalize().unwrap();
    let files = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().unwrap().is_file());
    let names = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    (directory, names)
}

/// What a handler of an example reaches, against what `program` says that it loaded: names, one a line. `None`: the
/// program is not installed.
fn compared(example: &(std::path::PathBuf, Vec<String>), runtime: &str, handler: &str, program: &[&str]) -> Option<()> {
    struct Disk(std::path::PathBuf);
    impl Contents for Disk {
        fn read(&self, name: &str) -> Option<Vec<u8>> {
            std::fs::read(self.0.join(name)).ok()
        }
    }
    let (directory, names) = example;
    let Ok(output) = std::process::Command::new(program[0]).args(&program[1..]).current_dir(directory).output() else {
        eprintln!("skipped: there is no {}", program[0]);
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    let loaded: std::collections::BTreeSet<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    let tree = Tree::new(names.iter().map(|name| (name.as_str(), false)));
    let reach = Tracer::new(tree, Arc::new(Disk(directory.clone())), |_| false).reach(&entrance(runtime, handler));
    assert_eq!(reach.unbounded, None);
    let reached: std::collections::BTreeSet<&str> =
        names.iter().map(String::as_str).filter(|name| reach.loads(name)).collect();
    assert_eq!(reached, loaded, "{handler}");
    assert!(loaded.len() > 1, "{loaded:?}");
    Some(())
}

#[test]
fn the_node_example_loads_what_node_says() {
    // Its dependency isn't installed here, and is no file of the artifact.
    const LOADED: &str = "
        const Module = require('module'), path = require('path');
        const load = Module._load;
        Module._load = function (name) {
          try { return load.apply(this, arguments); } catch (error) {
            if (error.code !== 'MODULE_NOT_FOUND') throw error;
            return new Proxy({}, { get: () => class {} });
          }
        };
        require('./' + process.argv[1]);
        for (const file of Object.keys(require.cache)) console.log(path.relative(process.cwd(), file));";
    let example = example("node-ec2-controller");
    for module in ["start", "stop"] {
        let handler = format!("{module}.handler");
        compared(&example, "nodejs22.x", &handler, &["node", "-e", LOADED, module]);
    }
}

#[test]
fn the_python_example_loads_what_python_says() {
    const LOADED: &str = "
import os, sys, types
sys.dont_write_bytecode = True
sys.path.insert(0, os.getcwd())
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('boto3', 'botocore'):
            from importlib.machinery import ModuleSpec
            return ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: (lambda *a, **k: None)
        return module
    def exec_module(self, module):
        pass
sys.meta_path.append(Missing())
__import__(sys.argv[1])
for module in list(sys.modules.values()):
    file = getattr(module, '__file__', None)
    if file and os.path.dirname(file) == os.getcwd():
        print(os.path.basename(file))";
    let example = example("python-thumbnailer");
    compared(&example, "python3.13", "handler.handler", &["python3", "-c", LOADED, "handler"]);
}
