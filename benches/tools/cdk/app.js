'use strict';

// Four functions of one project, as one asset. The account has no bootstrap stack: assets go to a bucket that is there.

const { App, CliCredentialsStackSynthesizer, Stack } = require('aws-cdk-lib');
const { Code, Function: LambdaFunction, Runtime } = require('aws-cdk-lib/aws-lambda');
const { Role } = require('aws-cdk-lib/aws-iam');

const { BUCKET, PREFIX, PROJECT } = process.env;
const app = new App({ analyticsReporting: false });
const synthesizer = new CliCredentialsStackSynthesizer({ fileAssetsBucketName: BUCKET });
const stack = new Stack(app, PREFIX, { synthesizer, env: { account: '000000000000', region: 'us-east-1' } });
const role = Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::000000000000:role/app');
for (const letter of 'abcd') {
  new LambdaFunction(stack, letter.toUpperCase(), {
    functionName: `${PREFIX}-${letter}`,
    runtime: Runtime.NODEJS_20_X,
    handler: `handlers/${letter}.handler`,
    code: Code.fromAsset(PROJECT),
    role,
  });
}
