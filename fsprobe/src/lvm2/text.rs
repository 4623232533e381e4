//! LVM2's configuration language, as it is used for metadata: nested sections of `key = value`.
//!
//! `lvm.conf(5)` describes it. Values are integers, floats, strings and arrays of those; `#` begins a comment.

use std::collections::BTreeMap;

/// Sections nest four deep in real metadata.
const MAX_DEPTH: usize = 8;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Float(f64),
    Text(String),
    Array(Vec<Value>),
}

/// A section: its values and the sections in it, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Section {
    pub values: BTreeMap<String, Value>,
    pub sections: BTreeMap<String, Section>,
}

impl Section {
    pub fn integer(&self, key: &str) -> Option<u64> {
        match self.values.get(key)? {
            Value::Integer(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    pub fn array(&self, key: &str) -> &[Value] {
        match self.values.get(key) {
            Some(Value::Array(values)) => values,
            _ => &[],
        }
    }

    /// Whether the array of strings `key` holds `word`.
    pub fn lists(&self, key: &str, word: &str) -> bool {
        self.array(key).iter().any(|value| matches!(value, Value::Text(text) if text == word))
    }
}

/// Parses a whole text. The error names the line.
pub(super) fn parse(text: &str) -> Result<Section, String> {
    let mut parser = Parser { rest: text.trim_end_matches('\0'), line: 1 };
    let section = parser.section(0)?;
    match parser.peek() {
        None => Ok(section),
        Some(c) => Err(parser.unexpected(c)),
    }
}

struct Parser<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Parser<'t> {
    /// The next character that is neither space nor comment.
    fn peek(&mut self) -> Option<char> {
        loop {
            let c = self.rest.chars().next()?;
            if c == '#' {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if c.is_whitespace() {
                self.advance(c.len_utf8());
            } else {
                return Some(c);
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.advance(wanted.len_utf8());
        }
        found
    }

    fn word(&mut self) -> &'t str {
        let end = self.rest.find(|c: char| c.is_whitespace() || "=[]{},\"#".contains(c)).unwrap_or(self.rest.len());
        let word = self.rest.get(..end).unwrap_or_default();
        self.advance(end);
        word
    }

    fn unexpected(&self, c: char) -> String {
        format!("line {}: unexpected {c:?}", self.line)
    }

    /// Everything up to the closing brace, or to the end.
    fn section(&mut self, depth: usize) -> Result<Section, String> {
        if depth > MAX_DEPTH {
            return Err(format!("line {}: sections nest deeper than {MAX_DEPTH}", self.line));
        }
        let mut section = Section::default();
        while let Some(c) = self.peek() {
            if c == '}' {
                break;
            }
            let name = if c == '"' { self.string()? } else { self.word().to_owned() };
            if name.is_empty() {
                return Err(self.unexpected(c));
            }
            if self.take('{') {
                let inner = self.section(depth + 1)?;
                if !self.take('}') {
                    return Err(format!("line {}: the section {name:?} is not closed", self.line));
                }
                section.sections.insert(name, inner);
            } else if self.take('=') {
                let value = self.value()?;
                section.values.insert(name, value);
            } else {
                return Err(format!("line {}: {name:?} is neither a section nor a value", self.line));
            }
        }
        Ok(section)
    }

    fn value(&mut self) -> Result<Value, String> {
        if !self.take('[') {
            return self.scalar();
        }
        let mut values = Vec::new();
        while !self.take(']') {
            values.push(self.scalar()?);
            if !self.take(',') && self.peek() != Some(']') {
                return Err(format!("line {}: the array is not closed", self.line));
            }
        }
        Ok(Value::Array(values))
    }

    fn scalar(&mut self) -> Result<Value, String> {
        match self.peek() {
            Some('"') => self.string().map(Value::Text),
            Some(c) => {
                let word = self.word();
                let integer = word.parse().map(Value::Integer);
                integer.or_else(|_| word.parse().map(Value::Float)).map_err(|_| self.unexpected(c))
            }
            None => Err(format!("line {}: a value is missing", self.line)),
        }
    }

    /// A string in double quotes, where a backslash keeps the next character as it is.
    fn string(&mut self) -> Result<String, String> {
        self.advance(1);
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    self.advance(at + 1);
                    return Ok(text);
                }
                _ => {
                    text.push(c);
                    escaped = false;
                }
            }
        }
        Err(format!("line {}: the string is not closed", self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_values_arrays_and_comments_are_read() {
        let text = "vg0 { # a group\n id = \"a\\\"b\"\n seqno = 3\n part = 0.5\n status = [\"READ\", \"WRITE\"]\n \
                    tags = []\n pvs { pv0 { stripes = [\n\"pv0\", 0\n] } }\n}\nversion = 1\0";
        let root = parse(text).unwrap();
        assert_eq!(root.integer("version"), Some(1));
        let vg = &root.sections["vg0"];
        assert_eq!(vg.text("id"), Some("a\"b"));
        assert_eq!(vg.integer("seqno"), Some(3));
        assert_eq!(vg.values["part"], Value::Float(0.5));
        assert!(vg.lists("status", "WRITE") && !vg.lists("status", "VISIBLE"));
        assert_eq!(vg.array("tags"), []);
        let stripes = vg.sections["pvs"].sections["pv0"].array("stripes");
        assert_eq!(stripes, [Value::Text("pv0".into()), Value::Integer(0)]);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, error) in [
            ("a = 1\nb", "line 2: \"b\" is neither a section nor a value"),
            ("a {\n b = 1\n", "line 3: the section \"a\" is not closed"),
            ("a = [1, 2\n", "line 2: the array is not closed"),
            ("a = \"x\n", "line 1: the string is not closed"),
            ("a =", "line 1: a value is missing"),
            ("a = x", "line 1: unexpected 'x'"),
            ("}", "line 1: unexpected '}'"),
            ("a = 1\n = 2", "line 2: unexpected '='"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        assert!(parse(&"a{".repeat(100_000)).unwrap_err().contains("nest deeper"));
    }
}
