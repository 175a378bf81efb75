//! Which file a function's handler is in. A pure function.

/// The entry of `names` that `handler` is in, for this runtime. `None`: none of them, or a runtime whose handlers are
/// not files (Java's classes).
///
/// Node.js and Python split at the last dot of the last path part, Ruby at the first one; what is in front of it is a
/// file in the zip. `provided` runtimes start `bootstrap`, whatever the handler is called.
pub(crate) fn entry<'a>(handler: &str, runtime: &str, has: impl Fn(&str) -> bool + 'a) -> Option<String> {
    let (directory, name) = handler.rsplit_once('/').map_or(("", handler), |(directory, name)| (directory, name));
    let join = |file: &str| if directory.is_empty() { file.to_owned() } else { format!("{directory}/{file}") };
    let candidates: Vec<String> = if runtime.starts_with("nodejs") {
        let (module, _) = name.split_once('.')?;
        // In the order in which the runtime looks for them.
        ["", ".js", ".mjs", ".cjs"].iter().map(|ending| join(&format!("{module}{ending}"))).collect()
    } else if runtime.starts_with("python") {
        let (module, _) = handler.rsplit_once('.')?;
        let module = module.replace('.', "/");
        vec![format!("{module}.py"), format!("{module}/__init__.py")]
    } else if runtime.starts_with("ruby") {
        let (module, _) = handler.split_once('.')?;
        vec![format!("{module}.rb")]
    } else if runtime.starts_with("provided") || runtime.starts_with("go") {
        let go = runtime.starts_with("go").then(|| handler.to_owned());
        vec![go.unwrap_or_else(|| "bootstrap".to_owned())]
    } else {
        return None;
    };
    candidates.into_iter().map(|name| name.trim_start_matches("./").to_owned()).find(|name| has(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_a_file_as_its_runtime_reads_it() {
        let names = ["src/start.js", "app.mjs", "pkg/main.py", "pkg/sub/__init__.py", "h.rb", "bootstrap", "main"];
        for (handler, runtime, expected) in [
            ("src/start.handler", "nodejs20.x", Some("src/start.js")),
            ("./src/start.handler", "nodejs20.x", Some("src/start.js")),
            ("app.nested.handler", "nodejs22.x", Some("app.mjs")),
            ("pkg.main.handler", "python3.13", Some("pkg/main.py")),
            ("pkg/main.handler", "python3.13", Some("pkg/main.py")),
            ("pkg.sub.handler", "python3.13", Some("pkg/sub/__init__.py")),
            ("h.Module::Class.run", "ruby3.3", Some("h.rb")),
            ("anything", "provided.al2023", Some("bootstrap")),
            ("main", "go1.x", Some("main")),
            ("com.example.Handler::run", "java21", None),
            ("gone.handler", "nodejs20.x", None),
            ("nodot", "nodejs20.x", None),
        ] {
            let found = entry(handler, runtime, |name| names.contains(&name));
            assert_eq!(found.as_deref(), expected, "{handler} by {runtime}");
        }
    }
}
