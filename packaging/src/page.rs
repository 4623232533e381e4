//! A man page in the making, in roff.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// What `Roff` begins every piece with; a page needs it once.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// A man page.
pub struct Page {
    text: String,
    /// Headings begin a paragraph of their own, and formatters complain of a second.
    after_heading: bool,
}

impl Page {
    /// An empty page.
    pub fn new() -> Self {
        Self { text: PREAMBLE.to_owned(), after_heading: false }
    }

    /// The head: name, section, and where the page is from.
    pub fn title(&mut self, name: &str, section: &str) {
        let source = format!("stillpoint {}", env!("CARGO_PKG_VERSION"));
        let date = crate::changelog::date().unwrap_or_default();
        self.control("TH", &[&name.to_uppercase(), section, &date, &source, "stillpoint"]);
    }

    /// Begins a section.
    pub fn section(&mut self, heading: &str) {
        self.control("SH", &[heading]);
        self.after_heading = true;
    }

    /// Begins a part of a section.
    pub fn subsection(&mut self, heading: &str) {
        self.control("SS", &[heading]);
        self.after_heading = true;
    }

    /// A paragraph; what stands in backticks is bold.
    pub fn paragraph(&mut self, text: &str) {
        self.begin_paragraph();
        self.text(with_code(text));
    }

    /// A term and what it means.
    pub fn definition(&mut self, term: Vec<Inline>, meaning: &str) {
        self.control("TP", &[]);
        self.text(term);
        self.text(with_code(meaning));
    }

    /// Lines as they are.
    pub fn verbatim(&mut self, lines: &str) {
        self.begin_paragraph();
        self.control("RS", &["4"]);
        self.control("nf", &[]);
        for line in lines.lines() {
            // A blank line is an empty request, which every formatter takes.
            if line.is_empty() { self.control("sp", &[]) } else { self.text(vec![roman(line)]) }
        }
        self.control("fi", &[]);
        self.control("RE", &[]);
    }

    fn begin_paragraph(&mut self) {
        if !self.after_heading {
            self.control("PP", &[]);
        }
    }

    /// Text that stands where the last request put it.
    pub fn text(&mut self, text: Vec<Inline>) {
        let mut roff = Roff::new();
        roff.text(text);
        self.rendered(&roff.render());
    }

    /// A request.
    pub fn control(&mut self, name: &str, arguments: &[&str]) {
        let mut roff = Roff::new();
        roff.control(name, arguments.iter().copied());
        self.rendered(&roff.render());
    }

    /// What another renderer made.
    pub fn rendered(&mut self, roff: &str) {
        self.after_heading = false;
        self.text.push_str(roff.strip_prefix(PREAMBLE).unwrap_or(roff));
    }

    /// The page's source.
    pub fn finish(self) -> String {
        self.text
    }
}

/// `stillpoint-ls(1)`, as pages refer to one another.
pub fn reference(name: &str, section: &str) -> Vec<Inline> {
    vec![bold(name), roman(format!("({section})"))]
}

/// A value that the reader puts in.
pub fn value(name: &str) -> Inline {
    italic(name)
}

/// Text whose pieces in backticks are bold.
pub fn with_code(text: &str) -> Vec<Inline> {
    let pieces = text.split('`').enumerate();
    pieces.map(|(index, piece)| if index % 2 == 1 { bold(piece) } else { roman(piece) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_backticks_is_bold() {
        let mut page = Page::new();
        page.paragraph("Write `--to -` for it.");
        assert_eq!(page.finish(), format!("{PREAMBLE}.PP\nWrite \\fB\\-\\-to \\-\\fR for it.\n"));
    }

    #[test]
    fn a_line_that_would_be_a_request_is_text() {
        let mut page = Page::new();
        page.verbatim(".TH of nothing\n\n'quoted");
        let text = page.finish();
        assert!(!text.contains("\n.TH") && !text.contains("\n'"), "{text}");
    }
}
