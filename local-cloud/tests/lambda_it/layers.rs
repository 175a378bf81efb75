//! Layers: published, listed, given to functions, and found by what the functions run.

use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::operation::publish_layer_version::PublishLayerVersionOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Architecture, FunctionCode, LayerVersionContentInput, Runtime};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};

use crate::support::{Bench, ECHO, ROLE, installed, zipped};

type Files<'a> = &'a [(&'a str, &'a str)];

fn content(files: Files<'_>) -> LayerVersionContentInput {
    LayerVersionContentInput::builder().zip_file(Blob::new(zipped(files))).build()
}

async fn publish(bench: &Bench, name: &str, files: Files<'_>) -> PublishLayerVersionOutput {
    bench.lambda.publish_layer_version().layer_name(name).content(content(files)).send().await.unwrap()
}

/// A layer's version with these files, by its ARN.
async fn layer(bench: &Bench, name: &str, files: Files<'_>) -> String {
    publish(bench, name, files).await.layer_version_arn.unwrap()
}

async fn set_layers(bench: &Bench, function: &str, layers: &[String]) {
    let request = bench.lambda.update_function_configuration().function_name(function);
    request.set_layers(Some(layers.to_vec())).send().await.unwrap();
    bench.settled(function).await;
}

/// Code and message of the refusal to give a function layers.
async fn refused(bench: &Bench, function: &str, layers: &[String]) -> (String, String) {
    let request = bench.lambda.update_function_configuration().function_name(function);
    let error = request.set_layers(Some(layers.to_vec())).send().await.unwrap_err();
    (error.code().unwrap().to_owned(), error.message().unwrap().to_owned())
}

async fn invoked(bench: &Bench, function: &str) -> Value {
    bench.invoke(function, &json!({})).await.value()
}

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:layer:deps";

#[tokio::test]
async fn a_layer_is_published_described_and_downloaded() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    let zip = zipped(&[("nodejs/node_modules/a/index.js", "exports.a = 1;")]);
    let request = bench.lambda.publish_layer_version().layer_name("deps").description("what all need");
    let request = request.content(LayerVersionContentInput::builder().zip_file(Blob::new(zip.clone())).build());
    let request = request.compatible_runtimes(Runtime::Nodejs20x).compatible_architectures(Architecture::X8664);
    let made = request.license_info("MIT").send().await.unwrap();
    assert_eq!((made.version, made.layer_arn(), made.description()), (1, Some(ARN), Some("what all need")));
    assert_eq!(made.layer_version_arn(), Some(&*format!("{ARN}:1")));

    let shown = bench.lambda.get_layer_version().layer_name("deps").version_number(1).send().await.unwrap();
    let by_arn = bench.lambda.get_layer_version_by_arn().arn(format!("{ARN}:1")).send().await.unwrap();
    assert_eq!((shown.content(), shown.created_date()), (made.content(), made.created_date()));
    assert_eq!((by_arn.content(), by_arn.layer_version_arn()), (made.content(), made.layer_version_arn()));
    assert_eq!(shown.compatible_runtimes(), [Runtime::Nodejs20x]);
    assert_eq!((shown.compatible_architectures(), shown.license_info()), (&[Architecture::X8664][..], Some("MIT")));

    let content = shown.content().unwrap();
    assert_eq!(content.code_size(), i64::try_from(zip.len()).unwrap());
    let location = content.location().unwrap().to_owned();
    // Apart from the cloud, which runs on this thread.
    let download = move || std::process::Command::new("curl").args(["-sSf", "-m", "30", &location]).output();
    let downloaded = tokio::task::spawn_blocking(download).await.unwrap().unwrap();
    assert!(downloaded.status.success() && downloaded.stdout == zip);
}

#[tokio::test]
async fn versions_are_listed_newest_first_and_numbers_are_not_given_again() {
    let bench = Bench::start().await;
    for number in 1..=3 {
        assert_eq!(publish(&bench, "deps", &[("n", &number.to_string())]).await.version, number);
    }
    // As `sam sync` does it: by the layer's ARN.
    assert_eq!(publish(&bench, ARN, &[("n", "4")]).await.version, 4);
    bench.lambda.delete_layer_version().layer_name("deps").version_number(4).send().await.unwrap();
    bench.lambda.delete_layer_version().layer_name("deps").version_number(4).send().await.unwrap();
    assert_eq!(publish(&bench, "deps", &[("n", "5")]).await.version, 5);

    let first = bench.lambda.list_layer_versions().layer_name("deps").max_items(2).send().await.unwrap();
    assert_eq!(first.layer_versions().iter().map(|it| it.version).collect::<Vec<_>>(), [5, 3]);
    let rest = bench.lambda.list_layer_versions().layer_name(ARN).set_marker(first.next_marker).send().await.unwrap();
    assert_eq!(rest.layer_versions().iter().map(|it| it.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(rest.next_marker(), None);
    let none = bench.lambda.list_layer_versions().layer_name("nothing").send().await.unwrap();
    assert_eq!(none.layer_versions(), []);

    let gone = bench.lambda.get_layer_version().layer_name("deps").version_number(4).send().await.unwrap_err();
    assert_eq!(gone.code(), Some("ResourceNotFoundException"));
    let zero = bench.lambda.get_layer_version().layer_name("deps").version_number(0).send().await.unwrap_err();
    assert_eq!(zero.code(), Some("InvalidParameterValueException"));
}

#[tokio::test]
async fn layers_are_listed_with_their_newest_version_that_fits() {
    let bench = Bench::start().await;
    for (name, runtime) in [
        ("both", Runtime::Python312),
        ("both", Runtime::Nodejs20x),
        ("node", Runtime::Nodejs20x),
        ("node", Runtime::Nodejs22x),
    ] {
        let request = bench.lambda.publish_layer_version().layer_name(name).compatible_runtimes(runtime);
        request.content(content(&[("n", "1")])).send().await.unwrap();
    }
    publish(&bench, "any", &[("n", "1")]).await;
    let newest = async |runtime: Option<Runtime>| -> Vec<String> {
        let listed = bench.lambda.list_layers().set_compatible_runtime(runtime).send().await.unwrap();
        let shown = |it: &aws_sdk_lambda::types::LayersListItem| {
            format!("{} {}", it.layer_name().unwrap(), it.latest_matching_version().unwrap().version)
        };
        listed.layers().iter().map(shown).collect()
    };
    assert_eq!(newest(None).await, ["any 1", "both 2", "node 2"]);
    assert_eq!(newest(Some(Runtime::Python312)).await, ["both 1"]);
    assert_eq!(newest(Some(Runtime::Nodejs20x)).await, ["both 2", "node 1"]);
    for number in [1, 2] {
        bench.lambda.delete_layer_version().layer_name("node").version_number(number).send().await.unwrap();
    }
    assert_eq!(newest(None).await, ["any 1", "both 2"]);
}

#[tokio::test]
async fn a_layer_comes_from_s3_and_a_damaged_one_is_refused() {
    let bench = Bench::start().await;
    bench.s3.create_bucket().bucket("layers").send().await.unwrap();
    let zip = zipped(&[("n", "from s3")]);
    bench.s3.put_object().bucket("layers").key("deps.zip").body(ByteStream::from(zip.clone())).send().await.unwrap();
    let in_s3 = |key: &str| LayerVersionContentInput::builder().s3_bucket("layers").s3_key(key).build();
    let made = bench.lambda.publish_layer_version().layer_name("deps").content(in_s3("deps.zip")).send().await.unwrap();
    assert_eq!(made.content().unwrap().code_size(), i64::try_from(zip.len()).unwrap());

    let missing = bench.lambda.publish_layer_version().layer_name("deps").content(in_s3("no.zip")).send().await;
    let missing = missing.unwrap_err();
    assert_eq!(missing.code(), Some("InvalidParameterValueException"));
    assert!(missing.message().unwrap().contains("NoSuchKey"), "{missing:?}");
    let mut damaged = zip;
    // The first byte of the only entry's data.
    damaged[30 + 1] ^= 0xFF;
    let damaged = LayerVersionContentInput::builder().zip_file(Blob::new(damaged)).build();
    let refused = bench.lambda.publish_layer_version().layer_name("deps").content(damaged).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterValueException"));
    assert!(refused.message().unwrap().starts_with("Could not unzip uploaded file"), "{refused:?}");
    assert_eq!(publish(&bench, "deps", &[("n", "2")]).await.version, 2);
}

const GREETS: &str =
    "const [greet, own] = [require('greet'), require('own')]; exports.handler = async () => [greet.text, own.text];";

#[tokio::test]
async fn a_node_function_finds_modules_in_its_layers_and_the_later_layer_wins() {
    if !installed("node") {
        return;
    }
    let bench = Bench::start().await;
    let files = [("index.js", GREETS), ("node_modules/own/index.js", "exports.text = 'own';")];
    bench.create("f", "nodejs20.x", "index.handler", &files).await;
    assert_eq!(bench.invoke("f", &json!({})).await.error_type(), "Runtime.ImportModuleError");

    let module = "nodejs/node_modules/greet/index.js";
    let first = layer(
        &bench,
        "first",
        &[
            (module, "exports.text = 'first ' + require('base');"),
            ("nodejs/node_modules/base.js", "module.exports = 'base';"),
        ],
    )
    .await;
    set_layers(&bench, "f", std::slice::from_ref(&first)).await;
    assert_eq!(invoked(&bench, "f").await, json!(["first base", "own"]));

    // The function's own module wins over one of a layer; what only the first layer has is still there.
    let second = layer(
        &bench,
        "second",
        &[
            (module, "exports.text = 'second ' + require('base');"),
            ("nodejs/node_modules/own/index.js", "exports.text = 'of the layer';"),
        ],
    )
    .await;
    set_layers(&bench, "f", &[first.clone(), second.clone()]).await;
    assert_eq!(invoked(&bench, "f").await, json!(["second base", "own"]));
    set_layers(&bench, "f", &[second, first]).await;
    assert_eq!(invoked(&bench, "f").await, json!(["first base", "own"]));

    let of_version =
        layer(&bench, "third", &[("nodejs/node20/node_modules/greet.js", "exports.text = 'node20';")]).await;
    set_layers(&bench, "f", &[of_version]).await;
    assert_eq!(invoked(&bench, "f").await, json!(["node20", "own"]));
    set_layers(&bench, "f", &[]).await;
    assert_eq!(bench.invoke("f", &json!({})).await.error_type(), "Runtime.ImportModuleError");
    assert_eq!(bench.settled("f").await.layers(), []);
}

#[tokio::test]
async fn a_python_function_finds_modules_in_its_layers() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::start().await;
    let app = "import greet, site_greet, own\ndef handler(event, context):\n    return [greet.text, site_greet.text, own.text]\n";
    bench.create("f", "python3.12", "app.handler", &[("app.py", app), ("own.py", "text = 'own'\n")]).await;
    let deps = layer(
        &bench,
        "deps",
        &[
            ("python/greet.py", "text = 'of the layer'\n"),
            ("python/own.py", "text = 'of the layer'\n"),
            ("python/lib/python3.12/site-packages/site_greet.py", "text = 'of its packages'\n"),
        ],
    )
    .await;
    set_layers(&bench, "f", &[deps]).await;
    assert_eq!(invoked(&bench, "f").await, json!(["of the layer", "of its packages", "own"]));
}

#[tokio::test]
async fn a_runtime_may_lie_in_a_layer() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    bench.create("f", "provided.al2023", "none", &[("data.txt", "no bootstrap")]).await;
    assert_eq!(bench.invoke("f", &json!({})).await.error_type(), "Runtime.InvalidEntrypoint");
    let runtime = layer(&bench, "runtime", &[("bootstrap", ECHO)]).await;
    set_layers(&bench, "f", &[runtime]).await;
    assert_eq!(bench.invoke("f", &json!({ "n": 1 })).await.value()["echo"], json!({ "n": 1 }));
}

#[tokio::test]
async fn a_function_keeps_its_layers_when_its_code_changes_and_when_they_are_deleted() {
    if !installed("node") {
        return;
    }
    let bench = Bench::start().await;
    let greet = [("nodejs/node_modules/greet.js", "exports.text = 'hello';")];
    let made = publish(&bench, "deps", &greet).await;
    let index = |text: &str| format!("exports.handler = async () => require('greet').text + ' {text}';");
    let code = FunctionCode::builder().zip_file(Blob::new(zipped(&[("index.js", &index("one"))]))).build();
    let request =
        bench.lambda.create_function().function_name("f").runtime(Runtime::Nodejs20x).handler("index.handler");
    let created = request.role(ROLE).code(code).layers(format!("{ARN}:1")).send().await.unwrap();
    let used = &created.layers()[0];
    assert_eq!((used.arn(), used.code_size()), (Some(&*format!("{ARN}:1")), made.content().unwrap().code_size()));
    bench.settled("f").await;
    assert_eq!(invoked(&bench, "f").await, "hello one");

    bench.lambda.delete_layer_version().layer_name("deps").version_number(1).send().await.unwrap();
    bench.update("f", &[("index.js", &index("two"))]).await;
    assert_eq!(invoked(&bench, "f").await, "hello two");
    assert_eq!(bench.settled("f").await.layers(), created.layers());
}

#[tokio::test]
async fn layers_that_a_function_cannot_have_are_refused_in_awss_words() {
    let bench = Bench::start().await;
    bench.create("f", "python3.12", "app.handler", &[("app.py", "def handler(event, context): return 1\n")]).await;
    let invalid = |message: String| ("InvalidParameterValueException".to_owned(), message);
    let missing = format!("{ARN}:1");
    assert_eq!(
        refused(&bench, "f", std::slice::from_ref(&missing)).await,
        invalid(format!("Layer version {missing} does not exist."))
    );
    let (one, two) = (layer(&bench, "deps", &[("n", "1")]).await, layer(&bench, "deps", &[("n", "2")]).await);
    assert_eq!(
        refused(&bench, "f", &[one.clone(), two.clone()]).await,
        invalid(format!(
            "Two different versions of the same layer are not allowed to be referenced in the same function. {one} and {two} are versions of the same layer."
        ))
    );
    let mut six = Vec::new();
    for number in 1..=6 {
        six.push(layer(&bench, &format!("deps{number}"), &[("n", "1")]).await);
    }
    assert_eq!(refused(&bench, "f", &six).await, invalid("Cannot reference more than 5 layers.".to_owned()));
    let elsewhere = one.replace("us-east-1", "eu-west-1");
    assert_eq!(
        refused(&bench, "f", &[elsewhere]).await,
        invalid(
            "Layers are not in the same region as the function. Layers are expected to be in region us-east-1."
                .to_owned()
        )
    );
    assert_eq!(refused(&bench, "f", &["deps".to_owned()]).await.0, "ValidationException");
    assert_eq!(bench.settled("f").await.layers(), []);
    set_layers(&bench, "f", &six[..5]).await;
    assert_eq!(bench.settled("f").await.layers().len(), 5);
}

#[tokio::test]
async fn a_function_and_its_layers_unzip_to_at_most_250_mib() {
    let bench = Bench::start().await;
    let large = "0".repeat(140_000_000);
    let deps = layer(&bench, "deps", &[("data", &large)]).await;
    bench.create("f", "python3.12", "app.handler", &[("app.py", "def handler(event, context): return 1\n")]).await;
    set_layers(&bench, "f", std::slice::from_ref(&deps)).await;
    let zip = Blob::new(zipped(&[("app.py", ""), ("data", &large)]));
    let update = bench.lambda.update_function_code().function_name("f").zip_file(zip).send().await.unwrap_err();
    assert_eq!(update.code(), Some("InvalidParameterValueException"));
    assert_eq!(
        update.message(),
        Some(
            "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is 280000000 bytes."
        )
    );
    let more = layer(&bench, "more", &[("data", &large)]).await;
    let (_, message) = refused(&bench, "f", &[deps, more]).await;
    assert_eq!(message, "Layers consume more than the available size of 262144000 bytes");
}
