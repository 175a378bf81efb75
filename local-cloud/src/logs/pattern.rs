//! Filter patterns for unstructured text: terms, phrases in quotes, `?any` and `-none`.
//!
//! All plain terms have to be in a message, one of the `?` terms at least, and none of the `-` terms. Terms are found
//! anywhere in the text, and case counts. Terms with other characters than letters, digits and underscores have to be in
//! quotes. Patterns for JSON (`{ $.level = "ERROR" }`), for columns (`[ip, user]`) and regular expressions (`%5\d\d%`) are
//! refused: what they would match is not claimed.

use super::invalid;
use crate::protocol::json::Exception;

/// What messages have to be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. Nothing at all matches everything.
    ///
    /// # Errors
    /// `InvalidParameterException`, as AWS has it for what it can't read; and for what the local cloud doesn't.
    pub(super) fn read(text: &str) -> Result<Self, Exception> {
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        if rest.starts_with(['{', '[', '%']) {
            return Err(invalid(format!(
                "Invalid filter pattern: the local cloud matches terms and quoted phrases, not patterns like {text}"
            )));
        }
        while !rest.is_empty() {
            let (terms, after) = match rest.split_at(1) {
                ("?", after) => (&mut pattern.any, after),
                ("-", after) => (&mut pattern.none, after),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = term(after)?;
            terms.push(term);
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        self.all.iter().all(has) && (self.any.is_empty() || self.any.iter().any(has)) && !self.none.iter().any(has)
    }
}

/// The term at the beginning of a text, and what comes after it.
fn term(text: &str) -> Result<(String, &str), Exception> {
    if let Some(quoted) = text.strip_prefix('"') {
        return phrase(quoted).ok_or_else(|| invalid("Invalid filter pattern: a quoted phrase has no end"));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (term, rest) = text.split_at(end);
    if term.is_empty() || !term.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(invalid(format!("Invalid character(s) in term '{term}'")));
    }
    Ok((term.to_owned(), rest))
}

/// The text up to the closing quote, without the backslashes before quotes and backslashes. `None` without a closing one.
fn phrase(text: &str) -> Option<(String, &str)> {
    let mut phrase = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((phrase, &text[at + 1..])),
            '\\' => phrase.push(characters.next()?.1),
            other => phrase.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, message: &str) -> bool {
        Pattern::read(pattern).unwrap().matches(message)
    }

    #[test]
    fn every_plain_term_has_to_be_there() {
        assert!(matches("", "anything"));
        assert!(matches("ERROR", "[ERROR 400] BAD REQUEST"));
        assert!(matches("BAD ERROR", "[ERROR 400] BAD REQUEST"));
        assert!(!matches("error", "[ERROR 400] BAD REQUEST"));
        assert!(!matches("ERROR 500", "[ERROR 400] BAD REQUEST"));
    }

    #[test]
    fn a_phrase_is_found_as_it_is_written() {
        assert!(matches(r#""BAD REQUEST""#, "[ERROR 400] BAD REQUEST"));
        assert!(!matches(r#""REQUEST BAD""#, "[ERROR 400] BAD REQUEST"));
        assert!(matches(r#""say \"hi\" \\" user-1"#.split(" user").next().unwrap(), r#"say "hi" \ there"#));
    }

    #[test]
    fn one_optional_term_is_enough_and_an_excluded_one_too_much() {
        assert!(matches("?ERROR ?WARN", "WARN: low"));
        assert!(!matches("?ERROR ?WARN", "INFO: fine"));
        assert!(!matches("ERROR -Exiting", "ERROR Exiting"));
        assert!(matches(r#"ERROR -"Exiting now""#, "ERROR Exiting"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (wrong, why) in [
            ("user-1", "Invalid character(s) in term 'user-1'"),
            (r#""open"#, "has no end"),
            ("?", "Invalid character(s) in term ''"),
            ("{ $.a = 1 }", "{ $.a = 1 }"),
            ("[a, b]", "terms and quoted phrases"),
        ] {
            let refused = Pattern::read(wrong).unwrap_err();
            assert_eq!(refused.kind, "InvalidParameterException");
            assert!(refused.message.contains(why), "{wrong}: {}", refused.message);
        }
    }
}
