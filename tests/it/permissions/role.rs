//! The role in `template.yaml`: the template is deployed, the real executable edits artifacts of every kind under exactly
//! the role's policies, and again with each single action taken out of them.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::{Parameter, StackStatus};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockLegalHoldStatus, ObjectLockMode};
use bytes::Bytes;
use local_cloud::{Action, Fault, LambdaSettings, LocalCloud};
use quickdeploy_tests::archives::{archive, contents, project};
use quickdeploy_tests::binaries::{bootstrap, root};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use serde_json::{Value, json};

use super::{statements, without_each};

const KMS_KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555";
/// Where the function may edit.
const PREFIX: &str = "app/";

/// Actions whose absence no error tells of, as AWS has none to give: what is seen instead, and why.
const SILENT: &[(&str, &str, &str)] = &[
    ("s3:GetObjectTagging", "tags", "S3 leaves `x-amz-tagging-count` out of the answer"),
    ("s3:GetObjectRetention", "retention", "S3 leaves `x-amz-object-lock-mode` out of the answer"),
    ("s3:GetObjectLegalHold", "legal hold", "S3 leaves `x-amz-object-lock-legal-hold` out of the answer"),
    ("s3:AbortMultipartUpload", "upload", "the edit has its own error to tell, or goes on and succeeds"),
    ("logs:CreateLogStream", "log", "Lambda runs a function that may not log"),
    ("logs:PutLogEvents", "log", "Lambda runs a function that may not log"),
];

/// One kind of edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Small,
    Splice,
    Rewrite,
    Overlay,
    Tagged,
    Encrypted,
    EncryptedSplice,
    Locked,
    /// The artifact isn't there.
    Missing,
    /// Somebody else writes while the upload is being completed.
    Overtaken,
    /// By a function that starts anew.
    Logged,
}

/// How an edit went other than well.
#[derive(Clone, Debug)]
enum Trouble {
    /// `errorType` and `errorMessage`.
    Refused(String, String),
    /// It was done, and this was lost or left over.
    Lost(&'static str),
}

/// The function with its role, and what it edits.
struct Stage {
    cloud: Cloud,
    iam: aws_sdk_iam::Client,
    bucket: &'static str,
    role: String,
    /// Documents by name.
    policies: BTreeMap<String, Value>,
    edits: &'static [Edit],
    small: Bytes,
    large: Bytes,
}

impl Stage {
    /// The template, deployed for a bucket.
    async fn deploy(bucket: &'static str, edits: &'static [Edit], parameters: &[(&str, &str)]) -> Self {
        let settings = LambdaSettings {
            update_delay: std::time::Duration::ZERO,
            create_delay: std::time::Duration::ZERO,
            ..LambdaSettings::default()
        };
        let cloud = Cloud::start_from(LocalCloud::builder().lambda(settings).enforce_iam()).await;
        if bucket != BUCKET {
            cloud.s3.create_bucket().bucket(bucket).object_lock_enabled_for_bucket(true).send().await.unwrap();
        }
        cloud.s3.create_bucket().bucket("code").send().await.unwrap();
        let zip = release::zipped(&std::fs::read(bootstrap()).unwrap()).unwrap();
        cloud.s3.put_object().bucket("code").key("bootstrap.zip").body(zip.into()).send().await.unwrap();
        let own = [
            ("ArtifactBucket", bucket),
            ("ArtifactPrefix", PREFIX),
            ("CodeBucket", "code"),
            ("CodeKey", "bootstrap.zip"),
            ("Architecture", "x86_64"),
        ];
        let parameters = own
            .iter()
            .chain(parameters)
            .map(|(key, value)| Parameter::builder().parameter_key(*key).parameter_value(*value).build());
        let stacks = aws_sdk_cloudformation::Client::from_conf(
            aws_sdk_cloudformation::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
                .endpoint_url(cloud.endpoint())
                .build(),
        );
        let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
        let create =
            stacks.create_stack().stack_name("zipedit").template_body(template).capabilities("CAPABILITY_IAM".into());
        create.set_parameters(Some(parameters.collect())).send().await.unwrap();
        let stack = loop {
            let found = stacks.describe_stacks().stack_name("zipedit").send().await.unwrap();
            let stack = found.stacks()[0].clone();
            match stack.stack_status().unwrap() {
                StackStatus::CreateInProgress => tokio::task::yield_now().await,
                StackStatus::CreateComplete => break stack,
                other => panic!("{other:?}: {:?}", stack.stack_status_reason()),
            }
        };
        let role = stack.outputs().iter().find(|output| output.output_key() == Some("RoleArn")).unwrap();
        let role = role.output_value().unwrap().rsplit('/').next().unwrap().to_owned();
        let iam = aws_sdk_iam::Client::from_conf(
            aws_sdk_iam::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
                .endpoint_url(cloud.endpoint())
                .build(),
        );
        let mut policies = BTreeMap::new();
        for name in iam.list_role_policies().role_name(&role).send().await.unwrap().policy_names() {
            let policy = iam.get_role_policy().role_name(&role).policy_name(name).send().await.unwrap();
            let document = percent_decoded(policy.policy_document());
            policies.insert(name.clone(), serde_json::from_str(&document).unwrap());
        }
        Self { cloud, iam, bucket, role, policies, edits, small: project(3, 1000), large: project(24, 400_000) }
    }

    /// Gives a policy of the role another document; one without a statement is none.
    async fn set_policy(&self, name: &str, document: &Value) {
        if statements(document).is_empty() {
            self.iam.delete_role_policy().role_name(&self.role).policy_name(name).send().await.unwrap();
        } else {
            let put = self.iam.put_role_policy().role_name(&self.role).policy_name(name);
            put.policy_document(document.to_string()).send().await.unwrap();
        }
    }

    /// Puts an artifact for an edit and has it edited.
    async fn run(&self, edit: Edit) -> Result<(), Trouble> {
        let s3 = &self.cloud.s3;
        let key = format!("{PREFIX}{edit:?}.zip");
        let large = matches!(edit, Edit::Splice | Edit::Rewrite | Edit::EncryptedSplice | Edit::Overtaken);
        let body = if large { self.large.clone() } else { self.small.clone() };
        let mut put = s3.put_object().bucket(self.bucket).key(&key).body(body.into());
        match edit {
            Edit::Tagged => put = put.tagging("team=blue"),
            Edit::Encrypted | Edit::EncryptedSplice => {
                put = put.server_side_encryption("aws:kms".into()).ssekms_key_id(KMS_KEY);
            }
            Edit::Locked => {
                let until = DateTime::from(std::time::SystemTime::now() + std::time::Duration::from_secs(3600));
                put = put.object_lock_mode(ObjectLockMode::Governance).object_lock_retain_until_date(until);
                put = put.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
            }
            _ => {}
        }
        if edit != Edit::Missing {
            put.send().await.unwrap();
        }
        let before = self.attributes(&key).await;
        let mut event =
            json!({ "src": format!("{}/{key}", self.bucket), "changes": { "util.js": "exports.edited = true;\n" } });
        let answer = |operation: &str, status, code| Fault::on(operation).then(Action::Respond { status, code });
        match edit {
            Edit::Overlay => {
                let overlay = archive([("util.js".to_owned(), b"exports.edited = true;\n".to_vec())]);
                let at = format!("{PREFIX}overlay.zip");
                s3.put_object().bucket(self.bucket).key(&at).body(overlay.into()).send().await.unwrap();
                event = json!({ "src": format!("{}/{key}", self.bucket), "overlay": format!("{}/{at}", self.bucket) });
            }
            Edit::Rewrite => {
                self.cloud.faults().inject(answer("UploadPartCopy", 501, "NotImplemented").always());
            }
            Edit::Overtaken => self.cloud.faults().inject(answer("CompleteMultipartUpload", 412, "PreconditionFailed")),
            Edit::Logged => self.start_anew().await,
            _ => {}
        }
        let logged = self.cloud.functions().logs("zipedit").len();
        let answer = self.cloud.invoke("zipedit", &event).await;
        self.cloud.faults().clear();
        if let Err((kind, message)) = answer {
            if edit == Edit::Missing && kind == "ArtifactNotFound" {
                return Ok(());
            }
            if edit != Edit::Missing {
                let now = s3.get_object().bucket(self.bucket).key(&key).send().await.unwrap();
                let now = now.body.collect().await.unwrap().into_bytes();
                assert_eq!(
                    now,
                    if large { self.large.clone() } else { self.small.clone() },
                    "{edit:?}: it was refused"
                );
            }
            return Err(Trouble::Refused(kind, message));
        }
        let now = s3.get_object().bucket(self.bucket).key(&key).send().await.unwrap();
        let now = now.body.collect().await.unwrap().into_bytes();
        assert_eq!(contents(&now)["util.js"].0, b"exports.edited = true;\n", "{edit:?}");
        let after = self.attributes(&key).await;
        if let Some(lost) = before.keys().find(|name| after.get(*name) != before.get(*name)) {
            return Err(Trouble::Lost(lost));
        }
        let uploads = s3.list_multipart_uploads().bucket(self.bucket).send().await.unwrap();
        if let Some(upload) = uploads.uploads().first() {
            let abort = s3.abort_multipart_upload().bucket(self.bucket).key(upload.key().unwrap());
            abort.upload_id(upload.upload_id().unwrap()).send().await.unwrap();
            return Err(Trouble::Lost("upload"));
        }
        if edit == Edit::Logged && self.cloud.functions().logs("zipedit").len() == logged {
            return Err(Trouble::Lost("log"));
        }
        Ok(())
    }

    /// What an edit has to carry over, by name. Nothing of an object that isn't there.
    async fn attributes(&self, key: &str) -> BTreeMap<&'static str, String> {
        let Ok(head) = self.cloud.s3.head_object().bucket(self.bucket).key(key).send().await else {
            return BTreeMap::new();
        };
        BTreeMap::from([
            ("tags", format!("{:?}", head.tag_count())),
            ("retention", format!("{:?} {:?}", head.object_lock_mode(), head.object_lock_retain_until_date())),
            ("legal hold", format!("{:?}", head.object_lock_legal_hold_status())),
            ("encryption", format!("{:?} {:?}", head.server_side_encryption(), head.ssekms_key_id())),
        ])
    }

    /// Has the next invocation start a process: whether a function may log is found out at its start.
    async fn start_anew(&self) {
        let lambda = &self.cloud.lambda;
        let memory = lambda.get_function_configuration().function_name("zipedit").send().await.unwrap().memory_size();
        let memory = if memory == Some(1769) { 1770 } else { 1769 };
        lambda.update_function_configuration().function_name("zipedit").memory_size(memory).send().await.unwrap();
        self.cloud.settled("zipedit").await;
    }

    /// Every kind of edit works under the role as it is.
    async fn assert_all_work(&self) {
        for &edit in self.edits {
            if let Err(trouble) = self.run(edit).await {
                panic!("{edit:?} does not work under the role: {trouble:?}");
            }
        }
    }

    /// Each action of the role with whether an edit without it shows that it is needed, and how many edits were tried.
    async fn needed(&self) -> (BTreeMap<String, bool>, usize) {
        let (mut needed, mut tried) = (BTreeMap::new(), 0);
        for (name, document) in &self.policies {
            for (action, reduced) in without_each(document) {
                self.set_policy(name, &reduced).await;
                let mut troubles = Vec::new();
                for &edit in self.edits {
                    tried += 1;
                    troubles.extend(self.run(edit).await.err().map(|trouble| (edit, trouble)));
                }
                self.set_policy(name, document).await;
                let silent = SILENT.iter().find(|(of, _, _)| *of == action);
                let shown = troubles.iter().any(|(_, trouble)| match (trouble, silent) {
                    (Trouble::Refused(kind, message), None) => kind == "AccessDenied" && message.contains(&action),
                    (Trouble::Lost(what), Some((_, lost, _))) => what == lost,
                    _ => false,
                });
                println!("{}, without {action}: {troubles:?}", self.bucket);
                // An edit that works without a permission is fine; one that fails has to say for want of what.
                for (edit, trouble) in &troubles {
                    let told = match trouble {
                        Trouble::Refused(_, message) => message.contains(&action),
                        Trouble::Lost(_) => silent.is_some(),
                    };
                    assert!(told, "without {action}, {edit:?} doesn't say what is missing: {trouble:?}");
                }
                needed.insert(action, shown);
            }
        }
        (needed, tried)
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low].map(char::from).into_iter().collect::<String>();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_edit_works_under_the_role_and_none_of_its_actions_is_one_too_many() {
    const PLAIN: &[Edit] = &[
        Edit::Small,
        Edit::Splice,
        Edit::Rewrite,
        Edit::Overlay,
        Edit::Tagged,
        Edit::Encrypted,
        Edit::EncryptedSplice,
        Edit::Missing,
        Edit::Overtaken,
        Edit::Logged,
    ];
    const VERSIONED: &[Edit] = &[Edit::Small, Edit::Splice, Edit::Tagged, Edit::Locked];
    let plain = Stage::deploy(BUCKET, PLAIN, &[("KmsKeyArn", KMS_KEY)]).await;
    let versioned = Stage::deploy("locked", VERSIONED, &[("ObjectLock", "true")]).await;
    plain.assert_all_work().await;
    versioned.assert_all_work().await;
    // An action may be needed for the one bucket only, so what counts is the union.
    let (of_plain, of_versioned) = tokio::join!(plain.needed(), versioned.needed());
    let tried = of_plain.1 + of_versioned.1;
    let mut missing = Vec::new();
    let actions: std::collections::BTreeSet<&String> = of_plain.0.keys().chain(of_versioned.0.keys()).collect();
    for action in &actions {
        let told = |of: &BTreeMap<String, bool>| of.get(*action) == Some(&true);
        if !told(&of_plain.0) && !told(&of_versioned.0) {
            missing.push(action.as_str());
        }
    }
    println!("{} actions, {tried} edits without one of them", actions.len());
    assert!(missing.is_empty(), "nothing shows that these are needed: {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_prefix_and_no_other_bucket_can_be_touched() {
    let stage = Stage::deploy(BUCKET, &[Edit::Small], &[]).await;
    let s3 = &stage.cloud.s3;
    s3.create_bucket().bucket("other").send().await.unwrap();
    for (bucket, key) in [(BUCKET, "application/a.zip"), (BUCKET, "a.zip"), ("other", "app/a.zip")] {
        s3.put_object().bucket(bucket).key(key).body(stage.small.clone().into()).send().await.unwrap();
        let event = json!({ "src": format!("{bucket}/{key}"), "changes": { "util.js": "" } });
        let (kind, message) = stage.cloud.invoke("zipedit", &event).await.unwrap_err();
        assert_eq!(kind, "AccessDenied", "{message}");
        assert!(
            message.contains("s3:GetObject") && message.contains(&format!("arn:aws:s3:::{bucket}/{key}")),
            "{message}"
        );
        // Nor an overlay from there.
        let inside = format!("{BUCKET}/{PREFIX}a.zip");
        s3.put_object().bucket(BUCKET).key("app/a.zip").body(stage.small.clone().into()).send().await.unwrap();
        let event = json!({ "src": inside, "overlay": format!("{bucket}/{key}") });
        assert_eq!(stage.cloud.invoke("zipedit", &event).await.unwrap_err().0, "AccessDenied");
        // Whether a key is there can't be found out either.
        let event = json!({ "src": format!("{bucket}/no{key}"), "changes": { "util.js": "" } });
        assert_eq!(stage.cloud.invoke("zipedit", &event).await.unwrap_err().0, "AccessDenied");
    }
}
