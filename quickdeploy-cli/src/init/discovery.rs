//! From what was asked for to artifacts that can be written down: each step asks, and the modules beside this one decide.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use zipedit::{Precondition, Stop};

use super::adopt::{adopt, has_versions};
use super::config_text::ArtifactText;
use super::live::{self, Package};
use super::locate::{self, Candidate, Located, State, Tried, Wanted, fleeting};
use super::mapping::Entry;
use super::proposal;
use super::search::Area;
use super::sources::Source;
use super::tree::{self, Analysis, Tree};
use crate::aws::Cloud;
use crate::compare::blocking;
use crate::error::{Error, Result};
use crate::project::ArtifactUrl;
use crate::store_check::Question;
use crate::ui::{Ui, bytes, plural, short_sha};

/// Only so many names are told in one line without `-v`.
const LISTED: usize = 8;

/// What to begin with.
pub(crate) enum Asked {
    Functions(Vec<String>),
    Stack(String),
}

/// One artifact that was found, with everything that is known of it.
pub(crate) struct Proposal {
    pub(crate) package: Package,
    pub(crate) candidate: Candidate,
    /// It is to be put there first.
    pub(crate) adopted: bool,
    pub(crate) entries: Vec<Entry>,
    pub(crate) analysis: Analysis,
    pub(crate) text: ArtifactText,
}

/// What `--artifact` names.
pub(crate) enum Given {
    /// One object.
    Object(ArtifactUrl),
    /// An object for each package, below a prefix that ends with a slash.
    Below { bucket: String, prefix: String },
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('/') {
            // The bucket alone is a prefix, too.
            Some(prefix) if text.starts_with("s3://") && text != "s3://" => {
                let probe: ArtifactUrl = format!("{prefix}/x").parse()?;
                let prefix = probe.key.strip_suffix('x').unwrap_or_default().to_owned();
                Ok(Self::Below { bucket: probe.bucket, prefix })
            }
            _ => text.parse().map(Self::Object),
        }
    }
}

/// How to look.
pub(crate) struct Discovery<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    /// The tool's file that this began with, or that names what was asked for.
    pub(crate) source: Option<&'a Source>,
    /// The project's directory.
    pub(crate) root: PathBuf,
    /// The stack was named by the user, not by a file.
    pub(crate) stack_given: bool,
    /// Put the package where it isn't.
    pub(crate) adopt: bool,
    /// Of several, take the first.
    pub(crate) yes: bool,
}

impl Discovery<'_> {
    /// What runs.
    pub(crate) async fn find(&self, asked: &Asked) -> Result<live::Found> {
        match asked {
            Asked::Functions(names) => live::by_functions(self.cloud, names).await,
            Asked::Stack(stack) => match live::by_stack(self.cloud, stack).await {
                // Who may not ask CloudFormation may still ask Lambda, if a file names the functions.
                Err(error) if error.error_type() == "AccessDenied" => match self.source.map(named) {
                    Some(names) if !names.is_empty() => {
                        let mut found = live::by_functions(self.cloud, &names).await?;
                        found.notes.push(format!("the stack is not looked at: {error}"));
                        Ok(found)
                    }
                    _ => Err(error.hint("or begin with a function: `quickdeploy init FUNCTION`")),
                },
                Err(error) if error.error_type() == "StackNotFound" && !self.stack_given => {
                    let file = self.source.map_or("the file", |source| source.file.as_str());
                    Err(error
                        .hint(format!("{file} names it: deploy it once by its own tool, or give `--stack` or `--env`")))
                }
                found => found,
            },
        }
    }

    /// The artifact of every package that has one.
    pub(crate) async fn candidates(
        &self,
        found: &live::Found,
        given: Option<&Given>,
        tried: &mut Vec<Tried>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(Package, Candidate)>> {
        if let Some(given) = given {
            let chosen = self.given(&found.packages, given).await?;
            for (_, candidate) in &chosen {
                tried.push(Tried::new(format!("`--artifact {}`", candidate.url), candidate.state.said()));
            }
            return Ok(chosen);
        }
        let mut chosen: Vec<(Package, Candidate)> = Vec::new();
        let mut failed = Vec::new();
        for package in &found.packages {
            self.tell_package(package);
            let areas: Vec<Area> = self
                .source
                .and_then(|source| Some((source, source.packages.clone()?)))
                .map(|(source, (bucket, prefix))| Area { bucket, prefix, from: format!("{}'s bucket", source.file) })
                .into_iter()
                .collect();
            let templates = package.functions.iter().filter_map(|live| {
                found.codes.functions.get(&live.function.name).map(|function| function.code.clone())
            });
            let wanted = Wanted { package, templates: templates.collect(), areas: &areas };
            let located = locate::locate(self.ui, self.cloud, &wanted).await;
            for tried in &located.tried {
                self.ui.verbose(tried);
            }
            let candidate = self.choose(package, &located).await;
            tried.extend(located.tried);
            match candidate {
                Ok(candidate) => merge(&mut chosen, package.clone(), candidate),
                Err(error) => failed.push(error),
            }
        }
        match failed.pop() {
            Some(error) if chosen.is_empty() && found.packages.len() > 1 => {
                Err(error.hint("or for all of them at once: `--artifact s3://BUCKET/PREFIX/ --adopt`"))
            }
            Some(error) if chosen.is_empty() => Err(error),
            last => {
                for error in failed.into_iter().chain(last) {
                    self.ui.warning(error.message(), error.hints());
                    notes.push(error.to_string());
                }
                Ok(chosen)
            }
        }
    }

    /// What the command line names.
    async fn given(&self, packages: &[Package], given: &Given) -> Result<Vec<(Package, Candidate)>> {
        match given {
            Given::Object(url) => Ok(vec![self.given_object(packages, url).await?]),
            Given::Below { bucket, prefix } => {
                let names = proposal::names(&packages.iter().collect::<Vec<_>>(), self.source);
                let mut found = Vec::new();
                for (package, name) in packages.iter().zip(names) {
                    let url = ArtifactUrl { bucket: bucket.clone(), key: format!("{prefix}{name}.zip") };
                    let state = locate::compare(self.cloud, &url, package).await;
                    found.push(self.accept(package, url, state)?);
                }
                Ok(found)
            }
        }
    }

    /// The object that is named, and the package that it is about.
    async fn given_object(&self, packages: &[Package], url: &ArtifactUrl) -> Result<(Package, Candidate)> {
        let mut states = Vec::new();
        for package in packages {
            states.push((package, locate::compare(self.cloud, url, package).await));
        }
        let running = states.iter().position(|(_, state)| *state == State::Runs);
        let place = match (running, states.as_slice()) {
            (Some(place), _) => place,
            (None, [_]) => 0,
            (None, states) => {
                return Err(Error::usage(format!(
                    "{url} is none of the {} packages that the functions run",
                    states.len()
                ))
                .hint(format!("begin with one function, such as `{}`, instead of the stack", packages[0].names()[0]))
                .hint("a key that ends with `/` is for all of them: `--artifact s3://BUCKET/PREFIX/ --adopt`"));
            }
        };
        let (package, state) = states.swap_remove(place);
        self.accept(package, url.clone(), state)
    }

    /// Whether what is named can be taken as it is, or can be put there.
    fn accept(&self, package: &Package, url: ArtifactUrl, state: State) -> Result<(Package, Candidate)> {
        self.tell_package(package);
        let missing = matches!(&state, State::Unusable(why) if why == locate::NO_SUCH_OBJECT);
        match &state {
            State::Runs => {}
            State::Differs(_) if !self.adopt => {}
            State::Differs(why) => {
                return Err(Error::new("ArtifactExists", format!("{url} is there already, with other code ({why})"))
                    .hint("choose another key, or leave `--adopt` away to take it as it is"));
            }
            State::Unusable(_) if missing && self.adopt => {}
            State::Unusable(why) => {
                let error = Error::new("ArtifactNotFound", format!("{url} can't be used: {why}"));
                return Err(if missing {
                    error.hint("`--adopt` puts the package there that the functions run now")
                } else {
                    error.hint("check the bucket's name, its region, and that you may read it and list its objects")
                });
            }
        }
        Ok((package.clone(), Candidate { url, from: "`--artifact`".to_owned(), state }))
    }

    /// One of those that were located.
    async fn choose(&self, package: &Package, located: &Located) -> Result<Candidate> {
        // A name that stays comes first.
        let mut running: Vec<&Candidate> = located.running.iter().collect();
        running.sort_by_key(|candidate| fleeting(&candidate.url.key).is_some());
        match running.as_slice() {
            [] => {}
            [one] => return Ok((*one).clone()),
            [first, ..] if self.yes => return Ok((*first).clone()),
            several => {
                let urls: Vec<String> = several.iter().map(|candidate| candidate.url.to_string()).collect();
                let question = format!("`{}` runs what lies in {} places. Which one?", package.names()[0], urls.len());
                return match self.ui.choose(&question, &urls).await? {
                    Some(place) => Ok(several[place].clone()),
                    None => {
                        let error = Error::usage(format!(
                            "the package that `{}` runs lies in several places: say which one is deployed from",
                            package.names()[0]
                        ));
                        Err(urls.iter().fold(error, |error, url| error.hint(format!("`--artifact {url}`"))))
                    }
                };
            }
        }
        match located.others.first() {
            Some(other) => Ok(other.clone()),
            None => Err(locate::nothing_found(package, &located.tried)),
        }
    }

    /// Puts the packages that aren't in S3 yet where they are to be.
    pub(crate) async fn adopt(&self, proposals: &[Proposal]) -> Result<()> {
        for Proposal { package, candidate, .. } in proposals.iter().filter(|proposal| proposal.adopted) {
            let Self { ui, cloud, .. } = *self;
            let of = &[Precondition::PutIfNoneMatch];
            let question = Question { ui, cloud, artifact: &candidate.url, of, state_dir: None };
            question.settle(&Stop::never()).await?;
            let progress = self.ui.progress("Adopting the package");
            adopt(self.cloud, package, &candidate.url).await?;
            drop(progress);
            self.ui.status("Adopted", &candidate.url);
            self.ui.detail(format!("{} that the functions run", bytes(package.size)));
        }
        Ok(())
    }

    /// Compares the artifact with the local files.
    pub(crate) async fn propose(
        &self,
        package: Package,
        mut candidate: Candidate,
        found: &live::Found,
        tree: &Arc<Tree>,
    ) -> Result<Proposal> {
        let adopting = matches!(candidate.state, State::Unusable(_));
        let directory = if adopting {
            // What isn't there yet will be what runs.
            let code = package.functions.iter().find_map(|live| live.code.as_ref());
            let code = code.ok_or_else(|| Error::new("LiveCode", "Lambda does not give the package out"))?;
            candidate.state = State::Runs;
            candidate.from = "`--adopt`, from what the functions ran".to_owned();
            code.directory(package.size).await?
        } else {
            let store = zipedit::S3Store::new(self.cloud.s3.clone(), &candidate.url.bucket, &candidate.url.key);
            let opened = zipedit::open(&store).await.map_err(|error| self.cloud.explain_engine(&error))?;
            opened.directory().clone()
        };
        let entries = tree::entries(&directory);
        let (handlers, hints) = (proposal::handlers(&package), proposal::hints(&package, self.source));
        let analysis = {
            let (tree, entries) = (tree.clone(), entries.clone());
            blocking(move || tree.analyse(&entries, &handlers, &hints)).await?
        };
        if analysis.mapping.rules.is_empty() {
            return Err(self.nothing_in_common(&package, &candidate, tree));
        }
        let build = self.source.and_then(|source| source.build.clone()).or_else(|| npm_build(&self.root));
        let mut text = proposal::text(None, &package, &found.codes, &candidate, &analysis, build);
        if has_versions(self.cloud, &candidate.url.bucket).await == Some(false) {
            text.about.push("Its bucket keeps no versions: `quickdeploy rollback` needs them.".to_owned());
        }
        Ok(Proposal { package, candidate, adopted: adopting, entries, analysis, text })
    }

    fn nothing_in_common(&self, package: &Package, candidate: &Candidate, tree: &Tree) -> Error {
        Error::new(
            "NothingInCommon",
            format!("none of the {} below {} is in {}", plural(tree.len(), "file"), self.root.display(), candidate.url),
        )
        .hint(format!("run this in the directory of the project that `{}` is built from", package.names()[0]))
        .hint("if the artifact holds built code, build it first, so that what was built can be found here")
    }

    fn tell_package(&self, package: &Package) {
        let names = package.names();
        let what = match names.as_slice() {
            [name] => format!("`{name}`"),
            names => format!("{} that run the same package", plural(names.len(), "function")),
        };
        self.ui.status("Found", format!("{what}: {}, {}", bytes(package.size), short_sha(&package.sha256)));
        if names.len() > 1 {
            let limit = if self.ui.is_verbose() { usize::MAX } else { LISTED };
            let mut line = names.iter().take(limit).copied().collect::<Vec<_>>().join(", ");
            if names.len() > limit {
                line.push_str(&format!(" and {} more", names.len() - limit));
            }
            self.ui.detail(line);
        }
    }
}

/// Adds a package and its artifact. Functions whose artifact is already there, but that run other code, belong to that one:
/// one object has one table.
fn merge(chosen: &mut Vec<(Package, Candidate)>, package: Package, candidate: Candidate) {
    match chosen.iter_mut().find(|(_, known)| known.url == candidate.url) {
        None => chosen.push((package, candidate)),
        Some((known, of)) => {
            let (mut all, other) = if candidate.state == State::Runs {
                of.state = State::Runs;
                (package, known.clone())
            } else {
                (known.clone(), package)
            };
            all.functions.extend(other.functions);
            all.functions.sort_by(|a, b| a.function.name.cmp(&b.function.name));
            *known = all;
        }
    }
}

/// `npm run build`, where `package.json` has such a script.
fn npm_build(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    package.pointer("/scripts/build").is_some().then(|| "npm run build".to_owned())
}

/// The functions that a tool's file names.
pub(crate) fn named(source: &Source) -> Vec<String> {
    source.functions.iter().filter_map(|function| function.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_ends_with_a_slash_is_a_place_for_several() {
        let below = |text: &str| match text.parse() {
            Ok(Given::Below { bucket, prefix }) => (bucket, prefix),
            _ => panic!("{text}"),
        };
        assert_eq!(below("s3://my-bucket/a/b/"), ("my-bucket".to_owned(), "a/b/".to_owned()));
        assert_eq!(below("s3://my-bucket/"), ("my-bucket".to_owned(), String::new()));
        assert!(matches!("s3://my-bucket/a.zip".parse(), Ok(Given::Object(_))));
        for wrong in ["s3://", "my-bucket/a.zip", "s3://my-bucket"] {
            assert!(wrong.parse::<Given>().is_err(), "{wrong}");
        }
    }
}
