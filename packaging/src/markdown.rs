//! A page of the documentation as a man page: one text for both. Knows what these pages use, and nothing more.

use std::mem::take;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use crate::page::{Page, with_code};

/// Renders a page; what stands before its first section is its description, and its own title is left out.
pub fn render(markdown: &str, page: &mut Page) {
    page.section("DESCRIPTION");
    let mut open = String::new();
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::Item) => page.control("IP", &["\\(bu", "2"]),
            Event::Text(text) => open.push_str(&text),
            Event::Code(code) => open.push_str(&format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak => open.push(' '),
            Event::End(TagEnd::Heading(level)) => heading(level, &take(&mut open), page),
            Event::End(TagEnd::Paragraph) => page.paragraph(&take(&mut open)),
            Event::End(TagEnd::Item) => page.text(with_code(&take(&mut open))),
            Event::End(TagEnd::CodeBlock) => page.verbatim(&take(&mut open)),
            _ => {}
        }
    }
}

fn heading(level: HeadingLevel, text: &str, page: &mut Page) {
    let text = text.replace('`', "");
    match level {
        HeadingLevel::H1 => {}
        // A table of the configuration is a name, and names keep their letters.
        HeadingLevel::H2 if text.starts_with('[') => page.section(&text),
        HeadingLevel::H2 => page.section(&text.to_uppercase()),
        _ => page.subsection(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_documentation_becomes_sections_paragraphs_lists_and_examples() {
        let mut page = Page::new();
        render(
            "# Title\n\nWhat it\nis.\n\n## `[vm]`\n\n- one\n- **two**\n\n### key\n\n```toml\na = 1\n```\n",
            &mut page,
        );
        let text = page.finish();
        let expected = ".SH DESCRIPTION\nWhat it is.\n.SH [vm]\n.IP \\(bu 2\none\n.IP \\(bu 2\ntwo\n\
                        .SS key\n.RS 4\n.nf\na = 1\n.fi\n.RE\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
