//! Writes XML: elements in the order they are added, with escaped text.

/// A piece of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Xml(String);

impl Xml {
    /// `<name>value</name>`.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("<{name}>"));
        for character in value.chars() {
            match character {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                // Readers turn a bare carriage return into a line feed.
                '\r' => self.0.push_str("&#xD;"),
                // XML 1.0 has no way to write these.
                other if other < ' ' && !matches!(other, '\n' | '\t') => self.0.push('\u{FFFD}'),
                other => self.0.push(other),
            }
        }
        self.0.push_str(&format!("</{name}>"));
    }

    /// [`Xml::text`], when there is a value.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// An element with content. `name` may carry attributes.
    pub(crate) fn within(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name}>"));
        content(self);
        let name = name.split_once(' ').map_or(name, |(name, _)| name);
        self.0.push_str(&format!("</{name}>"));
    }

    /// A list: one `<member>` for each item.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.within(name, |xml| {
            for item in items {
                xml.within("member", |xml| each(xml, item));
            }
        });
    }

    /// A list of texts.
    pub(crate) fn texts<T: AsRef<str>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        self.within(name, |xml| {
            for item in items {
                xml.text("member", item.as_ref());
            }
        });
    }

    /// Everything that another piece holds.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The whole, as a document.
    pub(crate) fn into_document(self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_attributes_do_not_close() {
        let mut xml = Xml::default();
        xml.within("A xmlns=\"u\"", |xml| {
            xml.text("B", "<a & \"b\">\r\u{1}");
            xml.texts("C", ["1", "2"]);
            xml.optional("D", None);
        });
        let expected = "<A xmlns=\"u\"><B>&lt;a &amp; &quot;b&quot;&gt;&#xD;\u{FFFD}</B>\
                        <C><member>1</member><member>2</member></C></A>";
        assert_eq!(xml.0, expected);
    }
}
