use super::*;
use crate::stack::DeploymentMode;

fn parse(text: &str) -> Settings {
    only(Settings::parse(Path::new("/p/quickdeploy.toml"), text, None).unwrap())
}

fn only(mut settings: Vec<Settings>) -> Settings {
    assert_eq!(settings.len(), 1);
    settings.remove(0)
}

/// The whole message, as a person sees it.
fn error(text: &str) -> String {
    Settings::parse(Path::new("quickdeploy.toml"), text, None).unwrap_err().to_string()
}

#[test]
fn an_empty_file_packages_its_own_directory() {
    let settings = parse("");
    assert_eq!(settings.root, Path::new("/p"));
    assert_eq!(settings.map, [(String::new(), String::new())]);
    assert_eq!(settings.state_dir.as_deref(), Some(Path::new("/p/.quickdeploy")));
    assert_eq!((settings.artifact, settings.functions, settings.via), (None, None, Via::Auto));
}

#[test]
fn every_key_is_read() {
    let settings = parse(
        r#"
        artifact = "s3://my-bucket/app/backend.zip"
        functions = ["api", "arn:aws:lambda:eu-central-1:123456789012:function:worker"]
        include = ["dist/**"]
        exclude = ["*.test.js", "docs/"]
        via = "direct"
        build = "npm run build"
        zipedit = "my-zipedit"
        region = "eu-central-1"
        profile = "work"
        endpoint-url = "http://127.0.0.1:4566"
        [map]
        "./src/" = ""
        "lib" = "vendor/lib/"
        "#,
    );
    let artifact = settings.artifact.unwrap();
    assert_eq!((artifact.bucket.as_str(), artifact.key.as_str()), ("my-bucket", "app/backend.zip"));
    assert_eq!(artifact.to_string(), "s3://my-bucket/app/backend.zip");
    let Some(Functions::Names(names)) = settings.functions else { panic!("names") };
    assert_eq!(names.len(), 2);
    assert_eq!(settings.map, [("src".into(), String::new()), ("lib".into(), "vendor/lib/".into())]);
    assert_eq!(settings.include, ["dist/**"]);
    assert_eq!(settings.exclude, ["*.test.js", "docs/"]);
    assert_eq!(settings.via, Via::Direct);
    assert_eq!(settings.full.build.as_deref(), Some("npm run build"));
    assert_eq!(settings.zipedit.as_deref(), Some("my-zipedit"));
    assert_eq!(settings.region.as_deref(), Some("eu-central-1"));
    assert_eq!(settings.profile.as_deref(), Some("work"));
    assert_eq!(settings.endpoint_url.as_deref(), Some("http://127.0.0.1:4566"));
}

#[test]
fn the_keys_of_a_full_build_are_read() {
    let settings = parse(
        r#"
        codebuild = "builder"
        role = "app-role"
        stack = "app"
        template = "infra/template.yaml"
        capabilities = ["CAPABILITY_IAM"]
        deployment-mode = "express"
        parameters = { CodeKey = "{key}", Memory = 256, Debug = false }
        [create.api]
        handler = "api.handler"
        runtime = "nodejs22.x"
        architecture = "arm64"
        "#,
    );
    let full = settings.full;
    assert_eq!(
        (full.build, full.codebuild.as_deref(), full.role.as_deref()),
        (None, Some("builder"), Some("app-role"))
    );
    assert_eq!(full.template, Some(("infra/template.yaml".into(), Path::new("/p/infra/template.yaml").into())));
    assert_eq!(full.deployment_mode, DeploymentMode::Express);
    let parameters: Vec<_> = full.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(parameters, [("CodeKey", "{key}"), ("Debug", "false"), ("Memory", "256")]);
    assert_eq!(full.create["api"].architecture, Some(Architecture::Arm));
    // Nothing else says which functions there are.
    assert_eq!(settings.functions, Some(Functions::Stack("app".into())));
}

#[test]
fn functions_that_are_created_need_not_be_named_twice() {
    let settings = parse("[create.api]\nhandler = \"a.handler\"\nruntime = \"nodejs22.x\"\n");
    assert_eq!(settings.functions, Some(Functions::Names(vec!["api".into()])));
}

#[test]
fn a_project_is_built_here_or_at_codebuild_and_an_environment_may_change_its_mind() {
    assert!(error("build = \"make\"\ncodebuild = \"x\"\n").contains("either `build`, which builds here"));
    assert!(error("capabilities = [\"IAM\"]\n").contains("`IAM` is no capability"));
    let text = "build = \"make\"\n[env.ci]\ncodebuild = \"builder\"\n";
    let settings = only(Settings::parse(Path::new("/p/quickdeploy.toml"), text, Some("ci")).unwrap());
    assert_eq!((settings.full.build, settings.full.codebuild.as_deref()), (None, Some("builder")));
}

#[test]
fn functions_are_found_in_one_of_three_ways() {
    let find = |text: &str| parse(&format!("functions = {text}")).functions.unwrap();
    assert_eq!(find(r#"{ stack = "app" }"#), Functions::Stack("app".into()));
    assert_eq!(find(r#"{ tag = "team=a=b" }"#), Functions::Tag { key: "team".into(), value: "a=b".into() });
    assert_eq!(find(r#"{ same-code-as = "api" }"#), Functions::SameCodeAs("api".into()));
}

#[test]
fn an_environment_replaces_what_it_names_and_keeps_the_rest() {
    let text = "artifact = 's3://dev-bucket/a.zip'\nregion = 'eu-west-1'\nexclude = ['a']\n\
                [env.prod]\nartifact = 's3://prod-bucket/a.zip'\nexclude = []\n";
    let settings = only(Settings::parse(Path::new("/p/quickdeploy.toml"), text, Some("prod")).unwrap());
    assert_eq!(settings.artifact.unwrap().bucket, "prod-bucket");
    assert_eq!(settings.region.as_deref(), Some("eu-west-1"));
    assert!(settings.exclude.is_empty());
    assert_eq!(settings.env.as_deref(), Some("prod"));
    assert_eq!(parse(text).artifact.unwrap().bucket, "dev-bucket");
}

#[test]
fn an_unknown_environment_suggests_the_right_one() {
    let ask = |env: &str, text: &str| {
        Settings::parse(Path::new("quickdeploy.toml"), text, Some(env)).unwrap_err().to_string()
    };
    let two = "[env.production]\n[env.staging]\n";
    assert_eq!(ask("prodution", two), "`quickdeploy.toml` has no `[env.prodution]`: did you mean `production`?");
    assert_eq!(ask("x", two), "`quickdeploy.toml` has no `[env.x]`: it has `production`, `staging`");
    assert_eq!(ask("x", ""), "`quickdeploy.toml` has no `[env.x]`: it defines no environments");
}

#[test]
fn a_misspelt_key_is_shown_with_a_suggestion() {
    assert_eq!(
        error("via = \"auto\"\nartefact = \"s3://bucket/a.zip\"\n"),
        "quickdeploy.toml:2:1: unknown key `artefact`\n\
         \x20 |\n\
         2 | artefact = \"s3://bucket/a.zip\"\n\
         \x20 | ^^^^^^^^ did you mean `artifact`?"
    );
}

#[test]
fn a_key_like_no_other_lists_them_all() {
    assert_eq!(
        error("colour = true\n"),
        "quickdeploy.toml:1:1: unknown key `colour`\n\
         \x20 |\n\
         1 | colour = true\n\
         \x20 | ^^^^^^ the keys are `artifact`, `functions`, `root`, `map`, `include`, `exclude`, `via`, `affected`, \
         `assume-static`, `compile`, `build`, `codebuild`, `role`, `stack`, `template`, `parameters`, `capabilities`, `tags`, \
         `deployment-mode`, `create`, `zipedit`, `region`, `profile`, `endpoint-url`, `store-check`, `artifacts`, `env`"
    );
}

#[test]
fn a_misspelt_key_in_an_environment_or_a_search_is_shown_too() {
    assert_eq!(
        error("[env.prod]\nregoin = \"x\"\n"),
        "quickdeploy.toml:2:1: unknown key `regoin`\n  |\n2 | regoin = \"x\"\n  | ^^^^^^ did you mean `region`?"
    );
    assert_eq!(
        error("functions = { stak = \"x\" }\n"),
        "quickdeploy.toml:1:15: unknown key `stak`\n  |\n1 | functions = { stak = \"x\" }\n\
         \x20 |               ^^^^ did you mean `stack`?"
    );
}

#[test]
fn a_wrong_word_for_via_is_shown_with_a_suggestion() {
    assert_eq!(
        error("via = \"lamda\"\n"),
        "quickdeploy.toml:1:7: unknown value `lamda`\n  |\n1 | via = \"lamda\"\n  |       ^^^^^^^ did you mean `lambda`?"
    );
}

#[test]
fn broken_toml_and_wrong_types_point_at_the_place() {
    assert_eq!(
        error("artifact = \n"),
        "quickdeploy.toml:1:12: string values must be quoted, expected literal string\n  |\n1 | artifact = \n\
         \x20 |            ^"
    );
    assert_eq!(
        error("\troot = 5\n"),
        "quickdeploy.toml:1:9: invalid type: integer `5`, expected a string\n  |\n1 | \troot = 5\n  | \t       ^"
    );
    assert_eq!(
        error("functions = 'all'\n"),
        "quickdeploy.toml:1:13: invalid type: string \"all\", expected a list of function names, or a table with \
         `stack`, `tag` or `same-code-as`\n  |\n1 | functions = 'all'\n  |             ^^^^^"
    );
}

#[test]
fn a_caret_is_counted_in_characters() {
    assert_eq!(
        error("map = { \"ä\" = \"/ü\" }\n"),
        "quickdeploy.toml:1:15: `/ü` is not a place in a zip: use names joined by `/`, without a leading `/`, `.` or \
         `..`; `\"\"` is the top\n  |\n1 | map = { \"ä\" = \"/ü\" }\n  |               ^^^^"
    );
}

/// Only the first line: the place and the message.
fn headline(text: &str) -> String {
    error(text).lines().next().unwrap().to_owned()
}

#[test]
fn an_artifact_that_is_no_s3_object_is_refused() {
    for (url, message) in [
        (
            "https://b.s3.amazonaws.com/a.zip",
            "`https://b.s3.amazonaws.com/a.zip` is not an S3 URL: write it as `s3://bucket/path/artifact.zip`",
        ),
        (
            "s3://bucket",
            "`s3://bucket` names a bucket but no object in it: write it as `s3://bucket/path/artifact.zip`",
        ),
        (
            "s3://bucket/dir/",
            "`s3://bucket/dir/` names a folder, not an object: write it as `s3://bucket/path/artifact.zip`",
        ),
        (
            "s3://My_Bucket/a.zip",
            "`My_Bucket` is not a bucket name: 3 to 63 lower-case letters, digits, hyphens and dots, with a letter or \
             digit at both ends",
        ),
    ] {
        assert_eq!(headline(&format!("artifact = \"{url}\"")), format!("quickdeploy.toml:1:12: {message}"));
    }
}

#[test]
fn functions_that_name_nothing_or_too_much_are_refused() {
    for (functions, message) in [
        ("[]", "`functions` is empty: name at least one function, or leave it out"),
        ("['a', 'a']", "function `a` is listed twice"),
        ("['a b']", "`a b` is not a function name: use letters, digits, `-` and `_`, or an ARN"),
        ("{ tag = 'team' }", "`team` is not a tag: write it as `key=value`"),
        ("{ tag = 'a=b', stack = 's' }", "give exactly one of `stack`, `tag` and `same-code-as`, or a list of names"),
        ("{}", "give exactly one of `stack`, `tag` and `same-code-as`, or a list of names"),
    ] {
        assert_eq!(headline(&format!("functions = {functions}")), format!("quickdeploy.toml:1:13: {message}"));
    }
}

#[test]
fn a_path_that_leaves_the_root_is_refused() {
    assert_eq!(
        headline("[map]\n\"../shared\" = \"shared\"\n"),
        "quickdeploy.toml:2:1: `../shared` leaves the root: `map` takes directories below it"
    );
    assert_eq!(
        headline("map = { \"/etc\" = \"\" }"),
        "quickdeploy.toml:1:9: `/etc` leaves the root: `map` takes directories below it"
    );
    assert_eq!(headline("map = { \"src\" = \"\", \"./src\" = \"x\" }"), "quickdeploy.toml:1:9: `src` is mapped twice");
    assert_eq!(headline("root = \"no/such\""), "quickdeploy.toml:1:8: there is no directory `no/such` here");
}

#[test]
fn a_broken_pattern_is_refused() {
    assert_eq!(
        headline("exclude = ['ok', 'a[b']"),
        "quickdeploy.toml:1:18: `a[b` is not a pattern: unclosed character class; missing ']'"
    );
}

#[test]
fn an_environment_that_is_not_in_use_is_checked_too() {
    assert_eq!(
        headline("[env.prod]\nendpoint-url = \"localhost\"\n"),
        "quickdeploy.toml:2:16: `localhost` is not a URL: it starts with `http://` or `https://`"
    );
    assert_eq!(headline("[env.prod.env.x]\n"), "quickdeploy.toml:1:6: `[env.prod]` can't hold environments of its own");
}

#[test]
fn the_file_is_found_upwards() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let file = directory.path().join(CONFIG_FILE);
    std::fs::write(&file, "").unwrap();
    assert_eq!(Settings::locate(&below), Some(file));
}

fn several(text: &str, env: Option<&str>) -> Vec<(String, String, Via)> {
    let all = Settings::parse(Path::new("/p/quickdeploy.toml"), text, env).unwrap();
    all.into_iter().map(|one| (one.name.unwrap(), one.artifact.unwrap().to_string(), one.via)).collect()
}

const TWO: &str = r#"
    via = "direct"
    [artifacts.worker]
    artifact = "s3://bkt/worker.zip"
    via = "lambda"
    [artifacts.api]
    artifact = "s3://bkt/api.zip"
    [env.prod]
    via = "auto"
    [env.prod.artifacts.api]
    artifact = "s3://prod/api.zip"
"#;

#[test]
fn each_artifact_has_its_own_settings_and_shares_the_rest() {
    assert_eq!(
        several(TWO, None),
        [
            ("api".to_owned(), "s3://bkt/api.zip".to_owned(), Via::Direct),
            ("worker".to_owned(), "s3://bkt/worker.zip".to_owned(), Via::Lambda),
        ]
    );
}

#[test]
fn what_is_said_of_one_artifact_wins_over_what_an_environment_says_of_all() {
    assert_eq!(
        several(TWO, Some("prod")),
        [
            ("api".to_owned(), "s3://prod/api.zip".to_owned(), Via::Auto),
            ("worker".to_owned(), "s3://bkt/worker.zip".to_owned(), Via::Lambda),
        ]
    );
}

#[test]
fn artifacts_that_contradict_each_other_are_refused_at_their_place() {
    let one = "[artifacts.a]\nartifact = \"s3://bkt/k\"\n";
    let cases = [
        (format!("artifact = \"s3://bkt/k\"\n{one}"), "1:12: either one `artifact`"),
        (format!("{one}[artifacts.b]\nartifact = \"s3://bkt/k\""), "4:12: `[artifacts.a]` has the same artifact"),
        (format!("{one}region = \"eu-west-1\""), "3:10: `region` is for the whole project"),
        (format!("{one}[artifacts.a.env.x]\nvia = \"auto\""), "`[artifacts.a]` can't hold other artifacts"),
        ("[artifacts.\"a,b\"]".to_owned(), "1:12: `a,b` is not a name for an artifact"),
    ];
    for (text, expected) in cases {
        let message = error(&text);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn one_of_several_artifacts_is_traced_and_the_only_one_is_not() {
    assert_eq!(parse("").affected, Affected::All);
    assert_eq!(parse("affected = \"traced\"").affected, Affected::Traced);
    let of = |text: &str| only(Settings::parse(Path::new("/p/quickdeploy.toml"), text, None).unwrap()).affected;
    assert_eq!(of("[artifacts.a]\nfunctions = [\"f\"]"), Affected::Traced);
    assert_eq!(of("affected = \"all\"\n[artifacts.a]\nfunctions = [\"f\"]"), Affected::All);
    // Functions that are found by their code have to be kept on the same code.
    assert_eq!(of("[artifacts.a]\nfunctions = { same-code-as = \"f\" }"), Affected::All);
}

#[test]
fn functions_that_are_found_by_their_code_can_not_be_traced() {
    let message = error("affected = \"traced\"\nfunctions = { same-code-as = \"f\" }");
    assert!(
        message.starts_with("quickdeploy.toml:1:12: `affected = \"traced\"` leaves functions on older code"),
        "{message}"
    );
}
