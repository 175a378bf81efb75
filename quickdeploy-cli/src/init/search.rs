//! A search through buckets for objects of one length.
//!
//! Bounded, because accounts have buckets with millions of objects: so many buckets, so many pages of each, and a time
//! after which what is known has to do. A bucket that may not be listed is passed over and counted.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::aws::Cloud;
use crate::denial::statement;
use crate::error::Result;
use crate::project::ArtifactUrl;
use crate::ui::{count, plural};

/// More buckets are not looked through.
const MOST_BUCKETS: usize = 60;
/// Pages of 1,000 objects that are read of one bucket.
const MOST_PAGES: usize = 10;
/// So many buckets are listed at once.
const AT_ONCE: usize = 8;
/// The whole search ends after this.
const TIME: Duration = Duration::from_secs(20);
/// So many objects of the right length are compared.
const MOST_FOUND: usize = 20;

/// A bucket, or the part of it below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    /// Who says that packages are there; empty for any bucket.
    pub(crate) from: String,
}

/// What a search brought.
#[derive(Debug)]
pub(crate) struct Searched {
    pub(crate) urls: Vec<ArtifactUrl>,
    /// Where it was looked, for people.
    pub(crate) place: String,
    /// What came of it, for people.
    pub(crate) result: String,
}

/// The buckets of the region.
///
/// # Errors
///
/// They may not be listed.
pub(crate) async fn buckets(cloud: &Cloud) -> Result<Vec<Area>> {
    let listed = cloud
        .s3
        .list_buckets()
        .bucket_region(&cloud.region)
        .max_buckets(1000)
        .send()
        .await
        .map_err(|error| cloud.explain("could not list the buckets", &error))?;
    let here =
        listed.buckets().iter().filter(|bucket| bucket.bucket_region().is_none_or(|region| region == cloud.region));
    let mut areas: Vec<Area> = here
        .filter_map(|bucket| {
            Some(Area { bucket: bucket.name()?.to_owned(), prefix: String::new(), from: String::new() })
        })
        .collect();
    // Where packages are most likely comes first, in case there are too many.
    let unlikely = |area: &Area| {
        !["deploy", "artifact", "lambda", "code", "sam", "cdk", "serverless", "package", "build"]
            .iter()
            .any(|word| area.bucket.contains(word))
    };
    areas.sort_by_key(|area| (unlikely(area), area.bucket.clone()));
    Ok(areas)
}

/// What came of one bucket.
#[derive(Default)]
struct Listing {
    urls: Vec<ArtifactUrl>,
    objects: u64,
    /// What allows it to be listed.
    denied: Option<String>,
    /// Not all of it was seen.
    cut: bool,
}

/// Objects of exactly `size` bytes.
pub(crate) async fn objects_of_size(cloud: &Cloud, areas: &[Area], size: u64) -> Searched {
    let end = Instant::now() + TIME;
    let chosen = &areas[..areas.len().min(MOST_BUCKETS)];
    let listings: Vec<Listing> =
        stream::iter(chosen).map(|area| list(cloud, area, size, end)).buffer_unordered(AT_ONCE).collect().await;
    let objects = listings.iter().map(|listing| listing.objects).sum();
    let denied: Vec<&str> = listings.iter().filter_map(|listing| listing.denied.as_deref()).collect();
    let denied = denied
        .first()
        .map(|allow| format!("; {} may not be listed; allow it: {allow}", plural(denied.len(), "bucket")));
    let cut = listings.iter().any(|listing| listing.cut) || chosen.len() < areas.len();
    let mut urls: Vec<ArtifactUrl> = listings.into_iter().flat_map(|listing| listing.urls).collect();
    urls.sort_by(|a, b| (&a.bucket, &a.key).cmp(&(&b.bucket, &b.key)));
    urls.truncate(MOST_FOUND);

    let place = match areas {
        [Area { bucket, prefix, from }] if !from.is_empty() => format!("{from}, s3://{bucket}/{prefix}"),
        areas => format!("a search through {} of {}", plural(areas.len(), "bucket"), cloud.region),
    };
    let mut result = format!("{} of {} objects have the package's length", urls.len(), count(objects));
    if cut {
        result.push_str("; not everything was looked at");
    }
    result.extend(denied);
    Searched { urls, place, result }
}

async fn list(cloud: &Cloud, area: &Area, size: u64, end: Instant) -> Listing {
    let mut listing = Listing::default();
    let mut next: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = cloud
            .s3
            .list_objects_v2()
            .bucket(&area.bucket)
            .prefix(&area.prefix)
            .set_continuation_token(next.clone())
            .send();
        let page = match timeout_at(end, page).await {
            Err(_) => break,
            Ok(Err(_)) => {
                listing.denied = Some(statement("s3:ListBucket", &format!("arn:aws:s3:::{}", area.bucket)));
                return listing;
            }
            Ok(Ok(page)) => page,
        };
        listing.objects += page.contents().len() as u64;
        let found =
            page.contents().iter().filter(|object| object.size().is_some_and(|has| u64::try_from(has) == Ok(size)));
        let keys = found.filter_map(|object| object.key());
        listing.urls.extend(keys.map(|key| ArtifactUrl { bucket: area.bucket.clone(), key: key.to_owned() }));
        next = page.next_continuation_token;
        if next.is_none() {
            return listing;
        }
    }
    listing.cut = true;
    listing
}
