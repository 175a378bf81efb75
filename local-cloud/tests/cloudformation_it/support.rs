//! A local cloud with clients, templates, and what tests ask of stacks.

use std::time::Duration;

use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{Capability, ChangeSetStatus, ChangeSetType, Parameter, Stack};
use local_cloud::{Builder, CloudFormationSettings, LambdaSettings, LocalCloud};

/// One function with a role, whose memory and greeting are parameters.
pub(crate) const HELLO: &str = r"
AWSTemplateFormatVersion: '2010-09-09'
Description: says hello
Parameters:
  Memory: { Type: Number, Default: 128, MinValue: 128 }
  Greeting: { Type: String, Default: hello }
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: { LogGroupName: !Sub '/aws/lambda/${AWS::StackName}', RetentionInDays: 7 }
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{ Effect: Allow, Principal: { Service: lambda.amazonaws.com }, Action: 'sts:AssumeRole' }]
      Policies:
        - PolicyName: log
          PolicyDocument:
            Version: '2012-10-17'
            Statement: [{ Effect: Allow, Action: 'logs:PutLogEvents', Resource: !GetAtt Logs.Arn }]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: !Ref AWS::StackName
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      MemorySize: !Ref Memory
      Environment: { Variables: { GREETING: !Ref Greeting } }
      Code:
        ZipFile: |
          import os
          def handler(event, context):
              return os.environ['GREETING']
Outputs:
  Arn: { Value: !GetAtt Function.Arn }
";

/// One bucket of a given name.
pub(crate) const BUCKET: &str = r"
Parameters: { Name: { Type: String } }
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Ref Name
      VersioningConfiguration: { Status: Enabled }
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, BlockPublicPolicy: true }
      LifecycleConfiguration:
        Rules: [{ Status: Enabled, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 } }]
";

/// A running cloud and clients of it that try everything once.
pub(crate) struct Bench {
    pub(crate) cloud: LocalCloud,
    pub(crate) cloudformation: aws_sdk_cloudformation::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) s3: aws_sdk_s3::Client,
}

/// No request rates, and nothing that takes longer than it must.
pub(crate) fn quick() -> Builder {
    LocalCloud::builder()
        .lambda(LambdaSettings {
            update_delay: Duration::from_millis(10),
            create_delay: Duration::from_millis(10),
            control_plane_rate: 0.0,
            get_function_rate: 0.0,
            init_timeout: Duration::from_secs(60),
            ..LambdaSettings::default()
        })
        .cloudformation(CloudFormationSettings {
            resource_delay: Duration::from_millis(1),
            change_set_delay: Duration::from_millis(1),
        })
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(quick()).await
    }

    pub(crate) async fn with(builder: Builder) -> Self {
        let cloud = builder.start().await.unwrap();
        let credentials = Credentials::new("test", "test", None, None, "test");
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Config::builder()
                    .behavior_version($sdk::config::BehaviorVersion::latest())
                    .region($sdk::config::Region::new("us-east-1"))
                    .credentials_provider(credentials.clone())
                    .retry_config(RetryConfig::disabled())
                    .endpoint_url(cloud.endpoint())
            };
        }
        let cloudformation = aws_sdk_cloudformation::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials.clone())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(cloud.endpoint())
            .build();
        Self {
            cloudformation: aws_sdk_cloudformation::Client::from_conf(cloudformation),
            iam: aws_sdk_iam::Client::from_conf(client!(aws_sdk_iam).build()),
            lambda: aws_sdk_lambda::Client::from_conf(client!(aws_sdk_lambda).build()),
            s3: aws_sdk_s3::Client::from_conf(client!(aws_sdk_s3).force_path_style(true).build()),
            cloud,
        }
    }

    /// Creates a stack and waits for its end.
    pub(crate) async fn create(&self, name: &str, template: &str, parameters: &[(&str, &str)]) -> Stack {
        let request = self.cloudformation.create_stack().stack_name(name).template_body(template);
        let request = request.set_parameters(Some(given(parameters))).capabilities(Capability::CapabilityIam);
        request.send().await.unwrap();
        self.ended(name).await
    }

    /// Updates a stack and waits for its end.
    pub(crate) async fn update(&self, name: &str, template: &str, parameters: &[(&str, &str)]) -> Stack {
        let request = self.cloudformation.update_stack().stack_name(name).template_body(template);
        let request = request.set_parameters(Some(given(parameters))).capabilities(Capability::CapabilityIam);
        request.send().await.unwrap();
        self.ended(name).await
    }

    /// Deletes a stack and waits for its end.
    pub(crate) async fn delete(&self, name: &str) -> Stack {
        let id = self.stack(name).await.stack_id.unwrap();
        self.cloudformation.delete_stack().stack_name(name).send().await.unwrap();
        self.ended(&id).await
    }

    /// Makes a change set and waits until it is there.
    pub(crate) async fn change_set(
        &self,
        stack: &str,
        name: &str,
        kind: ChangeSetType,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> DescribeChangeSetOutput {
        let request = self.cloudformation.create_change_set().stack_name(stack).change_set_name(name);
        let request = request.change_set_type(kind).template_body(template).capabilities(Capability::CapabilityIam);
        request.set_parameters(Some(given(parameters))).send().await.unwrap();
        let made = async {
            loop {
                let shown = self.cloudformation.describe_change_set().stack_name(stack).change_set_name(name);
                let shown = shown.send().await.unwrap();
                if shown.status != Some(ChangeSetStatus::CreateInProgress) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), made).await.expect("the change set is never made")
    }

    pub(crate) async fn execute(&self, stack: &str, change_set: &str) -> Stack {
        let request = self.cloudformation.execute_change_set().stack_name(stack).change_set_name(change_set);
        request.send().await.unwrap();
        self.ended(stack).await
    }

    pub(crate) async fn stack(&self, name: &str) -> Stack {
        let shown = self.cloudformation.describe_stacks().stack_name(name).send().await.unwrap();
        shown.stacks.unwrap().remove(0)
    }

    /// Polls as clients do, until nothing is under way.
    pub(crate) async fn ended(&self, name: &str) -> Stack {
        self.until(name, |status| !status.ends_with("_IN_PROGRESS")).await
    }

    /// Polls until a stack's status is as wanted.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&str) -> bool) -> Stack {
        let poll = async {
            loop {
                let stack = self.stack(name).await;
                if wanted(status(&stack)) {
                    return stack;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), poll).await.expect("the stack never ends")
    }

    /// All events, oldest first: logical id, status and reason.
    pub(crate) async fn events(&self, name: &str) -> Vec<(String, String, String)> {
        let mut pages = self.cloudformation.describe_stack_events().stack_name(name).into_paginator().send();
        let mut events = Vec::new();
        while let Some(page) = pages.next().await {
            for event in page.unwrap().stack_events.unwrap_or_default() {
                events.push((
                    event.logical_resource_id.unwrap(),
                    event.resource_status.unwrap().as_str().to_owned(),
                    event.resource_status_reason.unwrap_or_default(),
                ));
            }
        }
        events.reverse();
        events
    }

    /// The statuses that one resource, or the stack itself, went through.
    pub(crate) async fn history(&self, stack: &str, logical_id: &str) -> Vec<String> {
        let events = self.events(stack).await;
        events.into_iter().filter(|(name, ..)| name == logical_id).map(|(_, status, _)| status).collect()
    }

    pub(crate) async fn has_function(&self, name: &str) -> bool {
        self.lambda.get_function().function_name(name).send().await.is_ok()
    }

    pub(crate) async fn memory(&self, function: &str) -> i32 {
        let shown = self.lambda.get_function_configuration().function_name(function).send().await.unwrap();
        shown.memory_size.unwrap()
    }
}

pub(crate) fn given(parameters: &[(&str, &str)]) -> Vec<Parameter> {
    parameters
        .iter()
        .map(|(key, value)| Parameter::builder().parameter_key(*key).parameter_value(*value).build())
        .collect()
}

pub(crate) fn status(stack: &Stack) -> &str {
    stack.stack_status.as_ref().unwrap().as_str()
}

pub(crate) fn reason(stack: &Stack) -> &str {
    stack.stack_status_reason.as_deref().unwrap_or_default()
}

/// The code and the message of a refusal.
pub(crate) fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata, R>(
    result: Result<T, SdkError<E, R>>,
) -> (String, String) {
    let Err(SdkError::ServiceError(error)) = result else { panic!("not refused by the service") };
    let error = error.into_err();
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}
