//! From words as people give them to a filter pattern that CloudWatch Logs takes.

/// What begins a pattern of CloudWatch Logs' own: phrase, any of, none of, JSON, columns, regular expression.
const OWN: [char; 6] = ['"', '?', '-', '{', '[', '%'];

/// Words as a pattern: all of them have to be in an event. Those with other characters than letters, digits and underscores,
/// which CloudWatch Logs refuses as they are, are put in quotes. What is a pattern already stays as it is.
pub(super) fn of_words(words: &str) -> String {
    let words = words.trim();
    if words.starts_with(OWN) {
        return words.to_owned();
    }
    let word = |word: &str| {
        if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return word.to_owned();
        }
        format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\""))
    };
    words.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_would_be_refused_are_quoted() {
        assert_eq!(of_words("ERROR"), "ERROR");
        assert_eq!(of_words(" ERROR  user-7 "), "ERROR \"user-7\"");
        assert_eq!(of_words(r#"a"b c\d"#), r#""a\"b" "c\\d""#);
        assert_eq!(of_words("größe"), "\"größe\"");
    }

    #[test]
    fn a_pattern_stays_as_it_is() {
        for pattern in
            [r#""out of memory""#, "?ERROR ?WARN", r#"{ $.level = "error" }"#, "[ip, user]", "-DEBUG", "%5..%"]
        {
            assert_eq!(of_words(pattern), pattern);
        }
    }
}
