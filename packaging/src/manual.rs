//! The man pages: what clap knows, and around it what it does not.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{bold, roman};
use stillpoint::failure::exit::Exit;

use crate::extras;
use crate::markdown;
use crate::page::{Page, reference, value};

const CONFIGURATION: &str = include_str!("../../docs/configuration.md");
const CONFIGURATION_PAGE: &str = "stillpoint.toml";
/// A paragraph of a long help that starts with it belongs to the exit status.
const OF_EXIT_CODES: &str = "Exit codes: ";

/// Every page, as file name and source.
pub fn pages(command: &Command) -> Vec<(String, String)> {
    let mut root = command.clone().disable_help_subcommand(true);
    root.build();
    let shown = || root.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<String> = shown().map(|command| command.get_name().to_owned()).collect();
    let mut pages: Vec<_> = [&root].into_iter().chain(shown()).map(|of| page(of, &names)).collect();
    pages.push((format!("{CONFIGURATION_PAGE}.5"), configuration()));
    pages
}

fn page(of: &Command, commands: &[String]) -> (String, String) {
    let is_root = of.has_subcommands();
    let (command, name) =
        if is_root { ("", "stillpoint".to_owned()) } else { (of.get_name(), page_name(of.get_name())) };
    let man = Man::new(of.clone());
    let about = long_about(of);
    let (of_codes, prose): (Vec<_>, Vec<_>) =
        about.split("\n\n").partition(|paragraph| paragraph.starts_with(OF_EXIT_CODES));

    let mut page = Page::new();
    page.title(&name, "1");
    by_clap(&mut page, |roff| man.render_name_section(roff));
    by_clap(&mut page, |roff| man.render_synopsis_section(roff));
    page.section("DESCRIPTION");
    prose.iter().for_each(|text| page.paragraph(text));
    if is_root {
        page.section("COMMANDS");
        for command in of.get_subcommands().filter(|command| !command.is_hide_set()) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            page.definition(reference(&page_name(command.get_name()), "1"), &about);
        }
    }
    by_clap(&mut page, |roff| man.render_options_section(roff));
    exit_status(&mut page, &of_codes);
    definitions(&mut page, "ENVIRONMENT", extras::environment(command));
    definitions(&mut page, "FILES", extras::files(command));
    examples(&mut page, command);
    see_also(&mut page, &name, command, commands);
    (format!("{name}.1"), page.finish())
}

fn configuration() -> String {
    let mut page = Page::new();
    page.title(CONFIGURATION_PAGE, "5");
    page.section("NAME");
    page.text(vec![roman("stillpoint.toml - the configuration of stillpoint")]);
    markdown::render(CONFIGURATION, &mut page);
    page.section("SEE ALSO");
    page.text([reference("stillpoint", "1"), vec![roman(", ")], reference("stillpoint-backup", "1")].concat());
    page.finish()
}

/// A section as clap_mangen renders it, with code in bold as everywhere else.
fn by_clap(page: &mut Page, render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) {
    let mut roff = Vec::new();
    // Memory takes every write.
    if render(&mut roff).is_ok() {
        // A break around a blank line is one too many for formatters.
        let text = String::from_utf8_lossy(&roff).replace(".br\n\n.br\n", ".sp\n");
        let pieces = text.split('`').enumerate();
        let with_code: String = pieces
            .map(|(index, piece)| if index % 2 == 1 { format!("\\fB{piece}\\fR") } else { piece.to_owned() })
            .collect();
        page.rendered(&with_code);
    }
}

/// The table, and what a command says of it in words of its own.
fn exit_status(page: &mut Page, own_words: &[&str]) {
    page.section("EXIT STATUS");
    for exit in Exit::ALL {
        page.definition(vec![bold(exit.code().to_string())], exit.means());
    }
    own_words.iter().for_each(|paragraph| page.paragraph(paragraph));
}

fn definitions(page: &mut Page, heading: &str, entries: Vec<(&str, &str)>) {
    if !entries.is_empty() {
        page.section(heading);
    }
    for (name, means) in entries {
        page.definition(vec![value(name)], means);
    }
}

fn examples(page: &mut Page, command: &str) {
    page.section("EXAMPLES");
    for example in extras::examples(command) {
        if !example.purpose.is_empty() {
            page.paragraph(example.purpose);
        }
        page.verbatim(example.line);
    }
}

fn see_also(page: &mut Page, own: &str, command: &str, commands: &[String]) {
    page.section("SEE ALSO");
    let ours = commands.iter().map(|command| page_name(command)).chain(["stillpoint".to_owned()]);
    let ours = ours.filter(|name| name != own).map(|name| (name, "1"));
    let configuration = [(CONFIGURATION_PAGE.to_owned(), "5")];
    let others = extras::see_also(command).iter().map(|(name, section)| ((*name).to_owned(), *section));
    let mut text = Vec::new();
    for (name, section) in ours.chain(configuration).chain(others) {
        if !text.is_empty() {
            text.push(roman(", "));
        }
        text.extend(reference(&name, section));
    }
    page.text(text);
}

fn page_name(command: &str) -> String {
    format!("stillpoint-{command}")
}

fn long_about(command: &Command) -> String {
    command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_the_sections_that_readers_expect() {
        for (name, text) in pages(&stillpoint::cli::command()).iter().filter(|(name, _)| name.ends_with(".1")) {
            for section in
                ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO"]
            {
                let heading = if section.contains(' ') { format!("\"{section}\"") } else { section.to_owned() };
                let (_, rest) =
                    text.split_once(&format!("\n.SH {heading}\n")).unwrap_or_else(|| panic!("{name}: {section}"));
                assert!(!rest.is_empty() && !rest.starts_with(".SH"), "{name} has nothing in {section}");
            }
            assert!(!text.contains('`'), "{name} has a backtick that no other closes");
        }
    }

    #[test]
    fn every_page_has_each_exit_code_of_the_table_once() {
        for (name, text) in pages(&stillpoint::cli::command()).iter().filter(|(name, _)| name.ends_with(".1")) {
            let codes: Vec<_> = text.split(".TP\n\\fB").skip(1).filter_map(|term| term.split_once("\\fR\n")).collect();
            let codes: Vec<_> = codes.iter().filter(|(term, _)| term.parse::<u8>().is_ok()).collect();
            let table = Exit::ALL.map(|exit| exit.code().to_string());
            assert_eq!(codes.iter().map(|(code, _)| *code).collect::<Vec<_>>(), table, "{name}");
            assert!(codes.iter().all(|(_, means)| means.starts_with(char::is_alphabetic)), "{name}");
        }
    }

    #[test]
    fn what_a_command_says_of_its_exit_codes_stands_with_them() {
        let about = "Looks.\n\nExit codes: 0 seen, 5 broken.\n\nIt changes nothing.";
        let look = Command::new("look").about("Looks.").long_about(about);
        let command = Command::new("stillpoint").subcommand(look);
        let (_, text) = pages(&command).swap_remove(1);
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in\n{text}"));
        assert!(at("It changes nothing") < at("EXIT STATUS") && at("EXIT STATUS") < at("Exit codes: 0 seen"));
    }

    #[test]
    fn the_configuration_has_a_page_of_the_same_text_as_the_documentation() {
        let pages = pages(&stillpoint::cli::command());
        let (_, text) = pages.iter().find(|(file, _)| file == "stillpoint.toml.5").unwrap();
        assert!(text.contains(".SS cow_size\n"));
    }
}
