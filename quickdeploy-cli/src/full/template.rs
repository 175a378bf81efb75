//! The stack's template: read, and its functions' code pointed at the package.
//!
//! Templates for SAM and for `aws cloudformation package` name a function's code by a local directory (`CodeUri: .`). Of
//! a function whose directory is the project's root, the package is that code: its place in S3 takes the directory's place
//! in the text that is sent. The rest of the text stays as it is, to the comments, and the file is not touched.
//!
//! | resource | property | becomes |
//! |---|---|---|
//! | `AWS::Lambda::Function` | `Code: .` | `{S3Bucket, S3Key, S3ObjectVersion}` |
//! | `AWS::Serverless::Function`, `Globals.Function` | `CodeUri: .` | `{Bucket, Key, Version}` |
//!
//! Any other local directory is an error: CloudFormation would refuse it, and in less helpful words.

use std::ops::Range;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode as _, MarkedYaml};
use serde_json::json;

use crate::error::{Error, Result};

/// Where the package lies.
#[derive(Clone, Debug)]
pub(super) struct PackageLocation {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version_id: Option<String>,
}

/// A template as it is in its file.
#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    /// Names of the parameters that it declares.
    pub(super) declared: Vec<String>,
    /// Local directories that the package takes the place of: where in the text, and in which way.
    places: Vec<Place>,
    /// The functions that these belong to.
    pub(crate) packaged: Vec<String>,
}

/// Where in the text a package's place in S3 is to stand.
#[derive(Clone, Debug)]
struct Place {
    /// In bytes.
    range: Range<usize>,
    shape: Shape,
    /// Which of the packages, by the place of its root.
    package: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `Code` of CloudFormation.
    Code,
    /// `CodeUri` of SAM.
    CodeUri,
}

impl Template {
    /// Reads the file. `roots`: the directories that packages are made of.
    ///
    /// # Errors
    ///
    /// It can't be read, is neither YAML nor JSON, or names local code that isn't the package.
    pub(crate) fn read(path: &Path, roots: &[&Path]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::file("read the template", path, &error)
                .hint("`template` in quickdeploy.toml is relative to that file")
        })?;
        Self::parse(text, path, roots)
    }

    fn parse(text: String, path: &Path, roots: &[&Path]) -> Result<Self> {
        let invalid = |cause: String| {
            Error::new("InvalidTemplate", format!("`{}` is no CloudFormation template", path.display())).cause(cause)
        };
        let documents = MarkedYaml::load_from_str(&text).map_err(|error| invalid(error.to_string()))?;
        let [document] = documents.as_slice() else {
            return Err(invalid("it has to be one YAML or JSON document".to_owned()));
        };
        let Some(resources) = get(document, "Resources").and_then(|node| node.data.as_mapping()) else {
            return Err(invalid("it has no `Resources`".to_owned()));
        };
        let declared = get(document, "Parameters").and_then(|node| node.data.as_mapping());
        let declared =
            declared.into_iter().flatten().filter_map(|(name, _)| text_of(name)).map(str::to_owned).collect();
        let mut template = Self { text: String::new(), declared, places: Vec::new(), packaged: Vec::new() };
        let base = path.parent().unwrap_or(Path::new("."));
        let locality = Locality { file: path, base, roots };
        if let Some(global) = get(document, "Globals").and_then(|globals| get(globals, "Function")) {
            template.take("Globals", global, Shape::CodeUri, &text, &locality)?;
        }
        for (name, resource) in resources {
            let (Some(name), Some(kind)) = (text_of(name), get(resource, "Type").and_then(text_of)) else { continue };
            let Some(properties) = get(resource, "Properties") else { continue };
            match kind {
                "AWS::Lambda::Function" => template.take(name, properties, Shape::Code, &text, &locality)?,
                "AWS::Serverless::Function" => template.take(name, properties, Shape::CodeUri, &text, &locality)?,
                _ => {}
            }
        }
        drop(documents);
        template.text = text;
        Ok(template)
    }

    /// Remembers where a function's code is, when that is a local directory.
    fn take(
        &mut self,
        name: &str,
        properties: &MarkedYaml<'_>,
        shape: Shape,
        text: &str,
        locality: &Locality<'_>,
    ) -> Result<()> {
        let property = match shape {
            Shape::Code => "Code",
            Shape::CodeUri => "CodeUri",
        };
        let Some(node) = get(properties, property) else { return Ok(()) };
        let Some(local) = text_of(node).filter(|text| !text.contains("://")) else { return Ok(()) };
        let package = locality.package(name, property, local)?;
        self.places.push(Place { range: bytes_of(node, text), shape, package });
        self.packaged.push(name.to_owned());
        Ok(())
    }

    /// The text to send, with the packages in place of the directories that they are made of, in the order of the roots.
    pub(super) fn packaged_at(&self, packages: &[&PackageLocation]) -> String {
        let mut places = self.places.clone();
        places.sort_by_key(|place| std::cmp::Reverse(place.range.start));
        let mut text = self.text.clone();
        for Place { range, shape, package } in places {
            let Some(PackageLocation { bucket, key, version_id }) = packages.get(package) else { continue };
            // JSON is YAML in flow style, so it fits into both.
            let location = match (shape, version_id) {
                (Shape::Code, Some(version)) => json!({ "S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": version }),
                (Shape::Code, None) => json!({ "S3Bucket": bucket, "S3Key": key }),
                (Shape::CodeUri, Some(version)) => json!({ "Bucket": bucket, "Key": key, "Version": version }),
                (Shape::CodeUri, None) => json!({ "Bucket": bucket, "Key": key }),
            };
            text.replace_range(range, &location.to_string());
        }
        text
    }
}

/// What a local path in a template is measured by.
struct Locality<'a> {
    file: &'a Path,
    /// Paths are relative to the template's directory.
    base: &'a Path,
    /// The directories that packages are made of.
    roots: &'a [&'a Path],
}

impl Locality<'_> {
    /// Which package a local directory stands for.
    fn package(&self, name: &str, property: &str, local: &str) -> Result<usize> {
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
        let wanted = canonical(&self.base.join(local));
        let mut found = (0..).zip(self.roots).filter(|(_, root)| canonical(root) == wanted).map(|(place, _)| place);
        match (found.next(), found.next()) {
            (Some(package), None) => return Ok(package),
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    "LocalCode",
                    format!(
                        "`{name}` in {} has its code in `{local}`, and several artifacts are made of that",
                        self.file.display()
                    ),
                )
                .hint(format!("let `{property}` name an object in S3, by parameters that the artifacts give")));
            }
            (None, _) => {}
        }
        let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
        Err(Error::new(
            "LocalCode",
            format!(
                "`{name}` in {} has its code in the local directory `{local}`, which is not the project's root",
                self.file.display()
            ),
        )
        .cause(format!("what is packaged is {}", roots.join(", ")))
        .hint(format!("let `{property}` name the root, or an object in S3; or set `root` in quickdeploy.toml"))
        .hint("artifacts of one stack are built together: don't choose one of them with `--artifact`"))
    }
}

fn get<'a, 'input>(node: &'a MarkedYaml<'input>, key: &str) -> Option<&'a MarkedYaml<'input>> {
    node.data.as_mapping()?.iter().find(|(name, _)| text_of(name) == Some(key)).map(|(_, value)| value)
}

fn text_of<'a>(node: &'a MarkedYaml<'_>) -> Option<&'a str> {
    node.data.as_str()
}

/// The bytes of a scalar in the text; the parser counts characters.
fn bytes_of(node: &MarkedYaml<'_>, text: &str) -> Range<usize> {
    let byte = |characters: usize| text.char_indices().nth(characters).map_or(text.len(), |(byte, _)| byte);
    let range = byte(node.span.start.index())..byte(node.span.end.index());
    // A plain scalar's span may reach to the end of its line.
    let trimmed = text[range.clone()].trim_end();
    range.start..range.start + trimmed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> PackageLocation {
        PackageLocation { bucket: "b".into(), key: "k.zip".into(), version_id: Some("v1".into()) }
    }

    fn parse(text: &str) -> Result<Template> {
        let directory = Path::new("/project");
        Template::parse(text.to_owned(), &directory.join("template.yaml"), &[directory, &directory.join("worker")])
    }

    #[test]
    fn the_package_takes_the_place_of_the_projects_directory_and_nothing_else_changes() {
        let template = parse(
            "# über\nParameters:\n  Size: {Type: Number}\nResources:\n  A:\n    Type: AWS::Lambda::Function\n    \
             Properties:\n      Code: .   # all of it\n      Role: !GetAtt Role.Arn\n  B:\n    \
             Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: './'\n      Handler: b.handler\n",
        )
        .unwrap();
        assert_eq!(template.declared, ["Size"]);
        assert_eq!(template.packaged, ["A", "B"]);
        assert_eq!(
            template.packaged_at(&[&package()]),
            "# über\nParameters:\n  Size: {Type: Number}\nResources:\n  A:\n    Type: AWS::Lambda::Function\n    \
             Properties:\n      Code: {\"S3Bucket\":\"b\",\"S3Key\":\"k.zip\",\"S3ObjectVersion\":\"v1\"}   # all of it\n      \
             Role: !GetAtt Role.Arn\n  B:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
             CodeUri: {\"Bucket\":\"b\",\"Key\":\"k.zip\",\"Version\":\"v1\"}\n      Handler: b.handler\n"
        );
    }

    #[test]
    fn a_json_template_stays_json() {
        let template =
            parse(r#"{"Resources": {"A": {"Type": "AWS::Lambda::Function", "Properties": {"Code": "."}}}}"#).unwrap();
        let sent: serde_json::Value = serde_json::from_str(&template.packaged_at(&[&package()])).unwrap();
        assert_eq!(sent["Resources"]["A"]["Properties"]["Code"]["S3ObjectVersion"], "v1");
    }

    #[test]
    fn sams_globals_count_and_what_is_in_s3_already_stays() {
        let text = "Globals:\n  Function:\n    CodeUri: .\nResources:\n  A:\n    Type: AWS::Serverless::Function\n    \
                    Properties:\n      CodeUri: s3://other/x.zip\n  B:\n    Type: AWS::Lambda::Function\n    Properties:\n      \
                    Code: {S3Bucket: x, S3Key: !Ref Key}\n";
        let template = parse(text).unwrap();
        assert_eq!(template.packaged, ["Globals"]);
        let sent = template.packaged_at(&[&package()]);
        assert!(sent.contains("CodeUri: {\"Bucket\":\"b\""), "{sent}");
        assert!(
            sent.contains("CodeUri: s3://other/x.zip") && sent.contains("Code: {S3Bucket: x, S3Key: !Ref Key}"),
            "{sent}"
        );
    }

    #[test]
    fn each_root_is_the_place_of_its_own_package() {
        let function = |code: &str| format!("    Type: AWS::Lambda::Function\n    Properties: {{Code: {code}}}\n");
        let template = parse(&format!("Resources:\n  A:\n{}  B:\n{}", function("."), function("worker/"))).unwrap();
        let worker = PackageLocation { key: "worker.zip".into(), ..package() };
        let sent = template.packaged_at(&[&package(), &worker]);
        let (a, b) = sent.split_once("  B:\n").unwrap();
        assert!(a.contains("\"S3Key\":\"k.zip\"") && b.contains("\"S3Key\":\"worker.zip\""), "{sent}");
    }

    #[test]
    fn another_local_directory_is_named_with_the_way_out() {
        let error = parse("Resources:\n  A:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code: other/\n")
            .unwrap_err();
        assert_eq!(error.error_type(), "LocalCode");
        assert!(error.message().contains("`A`") && error.message().contains("`other/`"), "{}", error.message());
    }

    #[test]
    fn what_is_no_template_is_told_apart() {
        for text in ["", "a: b: c", "Parameters: {}", "- a\n", "a: 1\n---\nb: 2\n"] {
            assert_eq!(parse(text).unwrap_err().error_type(), "InvalidTemplate", "{text}");
        }
    }
}
