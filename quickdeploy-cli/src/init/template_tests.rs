use super::*;

fn scope(parameters: &[(&str, &str)]) -> Scope {
    Scope {
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        resources: Some(BTreeMap::from([("Deployments".to_owned(), "app-deployments-1x2y".to_owned())])),
        stack_name: Some("app".to_owned()),
        region: Some("eu-central-1".to_owned()),
        account: Some("012345678901".to_owned()),
    }
}

fn code_of(properties: &str, scope: &Scope) -> Code {
    let text = format!(
        "Parameters:\n  Stage: {{Type: String, Default: dev}}\n\
         Mappings:\n  Buckets:\n    eu-central-1: {{name: mapped}}\n\
         Conditions:\n  IsProd: !Equals [!Ref Stage, prod]\n  IsDev: !Not [!Condition IsProd]\n\
         Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code: {properties}\n"
    );
    let template = Template::parse(&text).unwrap();
    template.functions(scope).remove(0).code
}

fn s3(bucket: &str, key: &str) -> Code {
    Code::S3 { bucket: bucket.into(), key: key.into(), version: None }
}

#[test]
fn references_are_parameters_resources_and_pseudo_parameters() {
    let scope = scope(&[("Stage", "prod")]);
    for (code, expected) in [
        ("{S3Bucket: b, S3Key: k.zip}", s3("b", "k.zip")),
        ("{S3Bucket: !Ref Deployments, S3Key: !Sub '${Stage}/k.zip'}", s3("app-deployments-1x2y", "prod/k.zip")),
        (
            "{S3Bucket: !Sub 'assets-${AWS::AccountId}-${AWS::Region}', S3Key: !Join ['/', [a, !Ref AWS::StackName]]}",
            s3("assets-012345678901-eu-central-1", "a/app"),
        ),
        ("{S3Bucket: !FindInMap [Buckets, !Ref AWS::Region, name], S3Key: k}", s3("mapped", "k")),
        ("{S3Bucket: !If [IsProd, p, d], S3Key: !If [IsDev, d, p]}", s3("p", "p")),
        (
            "{S3Bucket: !Select [1, !Split ['/', 'x/y/z']], S3Key: !Sub ['${A}.zip', {A: !Ref Stage}]}",
            s3("y", "prod.zip"),
        ),
    ] {
        assert_eq!(code_of(code, &scope), expected, "{code}");
    }
}

#[test]
fn an_object_version_is_kept() {
    let code = code_of("{S3Bucket: b, S3Key: k, S3ObjectVersion: v1}", &scope(&[]));
    assert_eq!(code, Code::S3 { bucket: "b".into(), key: "k".into(), version: Some("v1".into()) });
}

#[test]
fn what_only_cloudformation_knows_is_named() {
    let scope = scope(&[("Secret", "****")]);
    for (code, named) in [
        ("{S3Bucket: !GetAtt Other.Name, S3Key: k}", "Other.Name"),
        ("{S3Bucket: !Ref Missing, S3Key: k}", "Missing"),
        ("{S3Bucket: !Ref Secret, S3Key: k}", "Secret"),
        ("{S3Bucket: !ImportValue shared-bucket, S3Key: k}", "another stack"),
        ("{S3Bucket: !Sub '${Other.Arn}', S3Key: k}", "Other.Arn"),
    ] {
        let Code::Unknown(why) = code_of(code, &scope) else { panic!("{code}") };
        assert!(why.contains(named), "{code}: {why}");
    }
}

#[test]
fn inline_code_and_images_have_no_artifact() {
    assert_eq!(code_of("{ZipFile: 'exports.handler = 1'}", &scope(&[])), Code::Inline);
    assert_eq!(code_of("{ImageUri: 1.dkr.ecr/x}", &scope(&[])), Code::Image);
}

#[test]
fn a_condition_that_refers_to_itself_ends() {
    let text = "Conditions: {A: {Condition: A}}\nResources: {F: {Type: AWS::Lambda::Function, Properties: {Code: {S3Bucket: !If [A, x, y], S3Key: k}}}}";
    let template = Template::parse(text).unwrap();
    assert!(matches!(&template.functions(&scope(&[]))[0].code, Code::Unknown(_)));
}

#[test]
fn sams_globals_count_where_the_function_says_nothing() {
    let text = "
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: nodejs20.x, CodeUri: src/, Handler: app.handler}
Resources:
  Start:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: !Sub '${AWS::StackName}-start'}
  Stop:
    Type: AWS::Serverless::Function
    Properties: {Handler: stop.handler, CodeUri: s3://b/k}
  Api: {Type: AWS::Serverless::Api}
";
    let template = Template::parse(text).unwrap();
    assert!(template.is_sam());
    let functions = template.functions(&scope(&[]));
    assert_eq!(functions.len(), 2);
    assert_eq!(functions[0].name.as_deref(), Some("app-start"));
    assert_eq!(functions[0].handler.as_deref(), Some("app.handler"));
    assert_eq!(functions[0].code, Code::Local("src/".into()));
    assert_eq!(functions[1].handler.as_deref(), Some("stop.handler"));
    assert_eq!(functions[1].code, s3("b", "k"));
}

fn parsed(text: &str) -> Template {
    Template::parse(text).unwrap()
}

#[test]
fn parameters_that_say_where_the_code_is_are_found() {
    let template = parsed(
        "Parameters: {B: {Type: String}, K: {Type: String}, V: {Type: String}, Other: {Type: String}}\n\
         Resources:\n\
         \x20 F: {Type: AWS::Lambda::Function, Properties: {Code: {S3Bucket: !Ref B, S3Key: !Sub '${K}', \
         S3ObjectVersion: !If [C, !Ref V, !Ref AWS::NoValue]}}}\n\
         \x20 G: {Type: AWS::Lambda::Function, Properties: {Code: {S3Bucket: fixed, S3Key: !Ref Other}}}\n",
    );
    let of_f: Vec<(String, &str)> = template.code_parameters(&|id, _| id == "F").into_iter().collect();
    assert_eq!(of_f, [("B".to_owned(), "{bucket}"), ("K".to_owned(), "{key}"), ("V".to_owned(), "{version}")]);
}

#[test]
fn what_has_to_be_acknowledged_follows_from_the_resources() {
    let of = |resources: &str| parsed(&format!("Resources:\n{resources}")).capabilities();
    assert_eq!(of("  F: {Type: AWS::Lambda::Function}\n"), [""; 0]);
    assert_eq!(of("  R: {Type: AWS::IAM::Role}\n"), ["CAPABILITY_IAM"]);
    assert_eq!(of("  P: {Type: AWS::IAM::Policy, Properties: {PolicyName: p}}\n"), ["CAPABILITY_IAM"]);
    assert_eq!(of("  R: {Type: AWS::IAM::Role, Properties: {RoleName: r}}\n"), ["CAPABILITY_NAMED_IAM"]);
    let sam = parsed("Transform: AWS::Serverless-2016-10-31\nResources:\n  F: {Type: AWS::Serverless::Function}\n");
    assert_eq!(sam.capabilities(), ["CAPABILITY_IAM"]);
}
