//! Pages of a listing: prefix, delimiter, where to start, and how many. The same for objects, versions and uploads.

use std::fmt::Write as _;

/// What a listing asks for.
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    /// Empty for none.
    pub(crate) delimiter: &'a str,
    /// Entries and common prefixes together.
    pub(crate) limit: usize,
    /// A key that was listed last: it and, if it is a common prefix, everything below it is passed over. Empty for none.
    pub(crate) after: &'a str,
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) prefixes: Vec<String>,
    /// The first key that had no place; `None` when the page is the last.
    pub(crate) next: Option<String>,
    /// Whether the last of the page is a common prefix.
    pub(crate) ends_with_prefix: bool,
}

/// Makes a page of entries that come in the order of their keys.
pub(crate) fn page<'a, T>(entries: impl Iterator<Item = (&'a str, T)>, query: &Query<'_>) -> Page<T> {
    let mut page = Page { entries: Vec::new(), prefixes: Vec::<String>::new(), next: None, ends_with_prefix: false };
    if query.limit == 0 {
        return page;
    }
    for (key, entry) in entries {
        let Some(rest) = key.strip_prefix(query.prefix) else {
            if key > query.prefix {
                break;
            }
            continue;
        };
        let common = if query.delimiter.is_empty() { None } else { rest.find(query.delimiter) };
        let common = common.map(|at| &key[..query.prefix.len() + at + query.delimiter.len()]);
        if common.is_some_and(|common| {
            page.prefixes.last().is_some_and(|last| last == common)
                || (!query.after.is_empty() && query.after.starts_with(common))
        }) {
            continue;
        }
        if page.entries.len() + page.prefixes.len() == query.limit {
            page.next = Some(key.to_owned());
            break;
        }
        page.ends_with_prefix = common.is_some();
        match common {
            Some(common) => page.prefixes.push(common.to_owned()),
            None => page.entries.push(entry),
        }
    }
    page
}

/// A key as `encoding-type=url` shows it.
pub(crate) fn url_encoded(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len()), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["a", "b/1", "b/2", "c/x/1", "c/y", "d"];

    fn list(query: &Query<'_>) -> Page<&'static str> {
        page(KEYS.into_iter().filter(|key| *key > query.after).map(|key| (key, key)), query)
    }

    #[test]
    fn a_delimiter_rolls_keys_up_to_common_prefixes() {
        let page = list(&Query { prefix: "", delimiter: "/", limit: 10, after: "" });
        assert_eq!(page.entries, ["a", "d"]);
        assert_eq!(page.prefixes, ["b/", "c/"]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn a_prefix_is_taken_off_before_the_delimiter_is_looked_for() {
        let page = list(&Query { prefix: "c/", delimiter: "/", limit: 10, after: "" });
        assert_eq!((page.entries, page.prefixes), (vec!["c/y"], vec!["c/x/".to_owned()]));
    }

    #[test]
    fn pages_of_every_size_show_everything_once() {
        for limit in 1..7 {
            let (mut shown, mut after) = (Vec::new(), String::new());
            loop {
                let page = list(&Query { prefix: "", delimiter: "/", limit, after: &after });
                let last = if page.ends_with_prefix {
                    page.prefixes.last().cloned()
                } else {
                    page.entries.last().map(|key| (*key).to_owned())
                };
                shown.extend(page.entries.iter().map(|key| (*key).to_owned()));
                shown.extend(page.prefixes);
                if page.next.is_none() {
                    break;
                }
                after = last.unwrap();
            }
            shown.sort();
            assert_eq!(shown, ["a", "b/", "c/", "d"], "pages of {limit}");
        }
    }

    #[test]
    fn no_keys_are_no_page_and_no_next_one() {
        let page = list(&Query { prefix: "", delimiter: "", limit: 0, after: "" });
        assert_eq!((page.entries.len(), page.next), (0, None));
    }
}
