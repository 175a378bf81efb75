//! Patterns of policies: `*` stands for any characters, `?` for one.

/// Whether a text is one that the pattern stands for.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last star didn't fit.
    let mut retry = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, seen));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((after_star, from)) = retry else { return false };
                retry = Some((after_star, from + 1));
                at = after_star;
                seen = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// The same for ARNs: a star doesn't reach over one of the first five colons.
pub(super) fn arn_matches(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| matches(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters_and_question_marks_for_one() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("s3:Get*", "s3:GetObject", true),
            ("s3:Get*", "s3:PutObject", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("", "a", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_star_in_an_arn_stays_in_its_part() {
        let object = "arn:aws:s3:::bucket/app/a.zip";
        assert!(arn_matches("arn:aws:s3:::bucket/*", object));
        assert!(arn_matches("arn:*:s3:::bucket/app/*.zip", object));
        assert!(!arn_matches("arn:aws:s3:::bucket", object));
        assert!(!arn_matches("arn:aws:s3:*", object), "too few parts");
        assert!(!arn_matches("arn:aws:*:bucket/app/a.zip", object));
        let stream = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/a:log-stream:b";
        assert!(arn_matches("arn:aws:logs:*:*:log-group:/aws/lambda/a:*", stream), "the last part may have colons");
    }
}
