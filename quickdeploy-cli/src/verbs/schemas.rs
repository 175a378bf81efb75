//! The JSON Schemas of what `--json` prints, in `schema/`, are those of the types.

#![allow(dead_code, clippy::large_enum_variant, reason = "the enums are only there to be described")]

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use crate::Failure;

/// Each verb's documents; any of them may be the failure's instead.
macro_rules! documents {
    ($($verb:ident: $($variant:ident($document:ty)),+;)+) => {
        $(
            #[derive(JsonSchema)]
            #[serde(untagged)]
            enum $verb {
                $($variant($document),)+
                Failure(Failure<'static>),
            }
        )+

        #[test]
        fn the_schemas_are_those_of_the_types() {
            $(check::<$verb>(stringify!($verb));)+
        }

        /// The verbs that have a schema.
        const VERBS: &[&str] = &[$(stringify!($verb)),+];
    };
}

documents! {
    Bootstrap: Done(crate::bootstrap::BootstrapDocument), Deleted(super::bootstrap::Deleted<'static>);
    Completions: Script(super::completions::Document);
    Demo: Shown(super::demo::Document);
    Deploy: One(crate::deployment::Deploy), Several(super::deploy::Several);
    Diff: One(super::diff::Document), Several(super::diff::Several);
    Doctor: Findings(super::doctor::Document);
    Full: One(crate::full::FullDocument), Several(super::full::Several);
    History: Versions(super::history::Document);
    Init: Found(super::init::Document);
    Invoke: Invocation(crate::invoke::Invocation);
    Local: Stopped(super::local::Document);
    Logs: Events(super::logs::Document<'static>), Event(crate::logs::Event);
    Man: Pages(super::man::Document);
    Patch: Patched(super::patch::Document<'static>);
    Rollback: Done(crate::rollback::RolledBack);
    Status: One(super::status::Document), Several(super::status::Several);
    Watch: Event(crate::watch::Event<'static>);
}

fn check<T: JsonSchema>(verb: &str) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let path = directory.join(format!("{}.schema.json", verb.to_lowercase()));
    // As it is written: what is always there is required.
    let schema = SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<T>();
    let now = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, now, "{} is out of date: run this test with UPDATE_SCHEMAS=1", path.display());
}

#[test]
fn every_verb_has_a_schema() {
    for verb in crate::args::public_command().get_subcommands() {
        let has = VERBS.iter().any(|name| name.to_lowercase() == verb.get_name());
        assert!(has, "`{}` has no schema", verb.get_name());
    }
}
