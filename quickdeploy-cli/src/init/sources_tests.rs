use super::*;

struct Directory(tempfile::TempDir);

impl Directory {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(directory)
    }

    fn look(&self, env: Option<&str>) -> Sources {
        Sources::look(self.0.path(), env, &|name| (name == "OWNER").then(|| "ada".to_owned()))
    }

    fn one(&self, env: Option<&str>) -> Source {
        let mut sources = self.look(env);
        assert_eq!(sources.problems, [] as [String; 0]);
        assert_eq!(sources.found.len(), 1, "{sources:?}");
        sources.found.remove(0)
    }
}

/// From `sam init` for Node.js, with the parts that matter here as they are.
const SAM: &str = "AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage:
    Type: String
    Default: dev
Globals:
  Function:
    Timeout: 3
    Runtime: nodejs20.x
Resources:
  HelloWorldFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: hello-world/
      Handler: app.lambdaHandler
      Events:
        HelloWorld:
          Type: Api
          Properties:
            Path: /hello
            Method: get
  Named:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub '${AWS::StackName}-${Stage}-named'
      CodeUri: ./hello-world
      Handler: named.handler
Outputs:
  HelloWorldApi:
    Value: !Sub \"https://${ServerlessRestApi}.execute-api.${AWS::Region}.amazonaws.com/Prod/hello/\"
";

const SAMCONFIG: &str = "version = 0.1
[default.global.parameters]
stack_name = \"sam-app\"
[default.build.parameters]
cached = true
[default.deploy.parameters]
capabilities = \"CAPABILITY_IAM\"
s3_bucket = \"my-packages\"
s3_prefix = \"sam-app\"
region = \"eu-west-1\"
parameter_overrides = \"Stage=\\\"test\\\" Other=x\"
[prod.deploy.parameters]
stack_name = \"sam-app-prod\"
region = \"eu-central-1\"
profile = \"prod\"
";

#[test]
fn a_sam_project_names_its_stack_functions_and_bucket() {
    let directory =
        Directory::with(&[("template.yaml", SAM), ("samconfig.toml", SAMCONFIG), ("hello-world/app.mjs", "")]);
    let source = directory.one(None);
    assert_eq!(source.tool, Tool::Sam);
    assert_eq!(source.stack.as_deref(), Some("sam-app"));
    assert_eq!(source.region.as_deref(), Some("eu-west-1"));
    assert_eq!(source.packages, Some(("my-packages".into(), "sam-app".into())));
    let function = |id: &str| source.functions.iter().find(|function| function.id == id).unwrap();
    assert_eq!(function("HelloWorldFunction").directory.as_deref(), Some("hello-world"));
    assert_eq!(function("HelloWorldFunction").name, None);
    assert_eq!(function("Named").name.as_deref(), Some("sam-app-test-named"));
    let prod = Environment {
        name: "prod".into(),
        stack: Some("sam-app-prod".into()),
        region: Some("eu-central-1".into()),
        profile: Some("prod".into()),
    };
    assert_eq!(source.environments, [prod]);
}

#[test]
fn another_environment_of_samconfig_can_be_looked_at() {
    let directory = Directory::with(&[("template.yaml", SAM), ("samconfig.toml", SAMCONFIG)]);
    let source = directory.one(Some("prod"));
    assert_eq!(source.stack.as_deref(), Some("sam-app-prod"));
    assert_eq!(source.profile.as_deref(), Some("prod"));
}

#[test]
fn what_sam_built_is_found() {
    let directory = Directory::with(&[("template.yaml", SAM), (".aws-sam/build/Named/named.js", "")]);
    let source = directory.one(None);
    assert_eq!(source.built, [".aws-sam/build/Named"]);
    assert_eq!(source.stack, None);
    assert!(source.unknown[0].contains("stack"), "{:?}", source.unknown);
}

#[test]
fn a_template_without_resources_is_none() {
    assert!(Directory::with(&[("template.yaml", "name: not one\n")]).look(None).found.is_empty());
}

#[test]
fn a_file_with_a_mistake_is_told_and_stops_nothing() {
    let directory =
        Directory::with(&[("template.yaml", "a: [\n"), ("serverless.yml", "service: app\nprovider: {name: aws}\n")]);
    let sources = directory.look(None);
    assert_eq!(sources.problems.len(), 1);
    assert!(sources.problems[0].starts_with("template.yaml is not valid"), "{:?}", sources.problems);
    assert_eq!(sources.found.len(), 1);
}

const SERVERLESS: &str = "service: shop
frameworkVersion: '3'
custom:
  prefix: ${self:service}-${sls:stage}
  bucket:
    dev: shop-dev-deploys
    prod: shop-prod-deploys
  shared: ${file(./shared.yml)}
provider:
  name: aws
  runtime: nodejs20.x
  stage: ${opt:stage, 'dev'}
  region: ${self:custom.shared.region, 'us-east-1'}
  profile: ${env:OWNER}
  deploymentBucket:
    name: ${self:custom.bucket.${sls:stage}}
params:
  prod: {size: large}
package:
  patterns: ['!**', 'src/**']
functions:
  start:
    handler: src/start.handler
  stop:
    handler: src/stop.handler
    name: ${self:custom.prefix}-halt
  looked-up:
    handler: src/other.handler
    name: ${ssm:/shop/name, 'x'}
";

#[test]
fn serverless_variables_are_resolved_as_far_as_can_be() {
    let directory = Directory::with(&[
        ("serverless.yml", SERVERLESS),
        ("shared.yml", "region: eu-north-1\n"),
        ("src/start.js", ""),
    ]);
    let source = directory.one(None);
    assert_eq!(source.stack.as_deref(), Some("shop-dev"));
    assert_eq!(source.region.as_deref(), Some("eu-north-1"));
    assert_eq!(source.profile.as_deref(), Some("ada"));
    assert_eq!(source.packages, Some(("shop-dev-deploys".into(), "serverless/shop/dev/".into())));
    let mut names: Vec<Option<&str>> = source.functions.iter().map(|function| function.name.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, [None, Some("shop-dev-halt"), Some("shop-dev-start")]);
    assert_eq!(source.unknown.len(), 1, "{:?}", source.unknown);
    assert!(source.unknown[0].contains("ssm:/shop/name"), "{:?}", source.unknown);
    assert_eq!(source.environments[0].name, "prod");
}

#[test]
fn a_stage_that_is_asked_for_is_the_one() {
    let directory = Directory::with(&[("serverless.yml", SERVERLESS)]);
    let source = directory.one(Some("prod"));
    assert_eq!(source.stack.as_deref(), Some("shop-prod"));
    assert_eq!(source.region.as_deref(), Some("us-east-1"));
    assert_eq!(source.packages.unwrap().0, "shop-prod-deploys");
    assert_eq!(source.environments, []);
}

#[test]
fn variables_that_lead_to_each_other_end() {
    let text =
        "service: ${self:custom.a}\ncustom: {a: '${self:custom.b}', b: '${self:custom.a}'}\nprovider: {name: aws}\n";
    let source = Directory::with(&[("serverless.yml", text)]).one(None);
    assert!(source.unknown[0].contains("lead to each other"), "{:?}", source.unknown);
}

#[test]
fn another_provider_is_not_for_us() {
    let text = "service: x\nprovider: {name: google}\n";
    assert!(Directory::with(&[("serverless.yml", text)]).look(None).found.is_empty());
}

#[test]
fn cdks_output_names_stacks_and_their_assets() {
    let manifest = r#"{"version": "36.0.0", "artifacts": {
        "App.assets": {"type": "cdk:asset-manifest"},
        "App": {"type": "aws:cloudformation:stack", "environment": "aws://012345678901/eu-west-1",
                "properties": {"templateFile": "App.template.json", "stackName": "app-live"}}}}"#;
    let template = r#"{"Resources": {"Fn1234": {"Type": "AWS::Lambda::Function",
        "Properties": {"Code": {"S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"},
                                "S3Key": "0a1b.zip"}, "Handler": "index.handler"},
        "Metadata": {"aws:asset:path": "asset.0a1b", "aws:asset:property": "Code"}}}}"#;
    let directory = Directory::with(&[
        ("cdk.out/manifest.json", manifest),
        ("cdk.out/App.template.json", template),
        ("cdk.out/asset.0a1b/index.js", ""),
    ]);
    let source = directory.one(None);
    assert_eq!(source.stack.as_deref(), Some("app-live"));
    assert_eq!(source.region.as_deref(), Some("eu-west-1"));
    assert_eq!(source.built, ["cdk.out/asset.0a1b"]);
}

#[test]
fn paths_are_named_as_the_configuration_names_them() {
    for (path, expected) in
        [("./src/", Some("src")), (".", Some("")), ("a/../b", Some("b")), ("../x", None), ("/abs", None)]
    {
        assert_eq!(relative(path).as_deref(), expected, "{path}");
    }
}
