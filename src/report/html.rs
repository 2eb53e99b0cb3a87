//! The building blocks of the page. `maud` escapes all text; [`Escaped`] also removes characters that would disguise
//! it.

use maud::{Markup, Render, html};

/// Text from a claim, which may contain anything.
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl Render for Escaped<'_> {
    fn render_to(&self, out: &mut String) {
        let is_plain = |letter: char| !letter.is_control() && !turns(letter);
        if self.0.chars().all(is_plain) {
            self.0.render_to(out);
            return;
        }
        let seen = |letter: char| match letter {
            letter if turns(letter) => '\u{fffd}',
            letter if letter.is_control() => ' ',
            letter => letter,
        };
        self.0.chars().map(seen).collect::<String>().render_to(out);
    }
}

/// Whether a character changes the direction of writing. Such a character could make a line look like another one.
fn turns(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A cell of a table.
#[derive(Clone)]
pub(super) enum Td {
    Text(String),
    /// A text that the browser must not break at its blanks.
    Day(String),
    Number(String),
}

impl Td {
    pub(super) fn text(&self) -> &str {
        let (Self::Text(text) | Self::Day(text) | Self::Number(text)) = self;
        text
    }
}

/// The head of a column, and whether it has numbers.
pub(super) type Head = (&'static str, bool);

/// Which columns to show: the first, and every one that has a value in some row.
pub(super) fn used(heads: &[Head], rows: &[Vec<Td>]) -> Vec<bool> {
    let is_used = |at: usize| at == 0 || rows.iter().any(|row| row.get(at).is_some_and(|cell| !cell.text().is_empty()));
    (0..heads.len()).map(is_used).collect()
}

/// A table with a caption and column heads, without its empty columns. Nothing if there are no rows. The first cell
/// names its row.
pub(super) fn table(caption: &str, heads: &[Head], rows: &[Vec<Td>]) -> Markup {
    let used = used(heads, rows);
    let shown = || heads.iter().zip(&used).filter(|(_, used)| **used).map(|(head, _)| head);
    html! {
        @if !rows.is_empty() {
            div.wide tabindex="0" role="group" aria-label=(Escaped(caption)) {
                table {
                    caption { (Escaped(caption)) }
                    thead { tr { @for (head, is_number) in shown() { th.n[*is_number] scope="col" { (head) } } } }
                    tbody {
                        @for row in rows { tr {
                            // On narrow screens, CSS shows a row as a list of its cells, each with its column head.
                            @for ((cell, (head, _)), _) in row.iter().zip(heads).zip(&used).filter(|(_, used)| **used) { @match cell {
                                // A date or code must not be broken at its hyphens.
                                Td::Text(text) if is_short(text) => td.s data-head=(head) { (Escaped(text)) },
                                Td::Text(text) => td data-head=(head) { (Escaped(text)) },
                                Td::Day(text) => td.s data-head=(head) { (Escaped(text)) },
                                Td::Number(text) => td.n data-head=(head) { (Escaped(text)) },
                            } }
                        } }
                    }
                }
            }
        }
    }
}

fn is_short(text: &str) -> bool {
    (1..=10).contains(&text.chars().count()) && !text.contains(char::is_whitespace)
}

/// A bar chart of amounts, with a description for screen readers. The table beside it has the numbers.
pub(super) fn bars(title: &str, rows: &[(String, i64, String)]) -> Markup {
    const ROW: usize = 22;
    const LEFT: i64 = 150;
    const WIDTH: i64 = 220;
    let most = rows.iter().map(|(_, amount, _)| *amount).max().unwrap_or(0).max(1);
    let length = |amount: i64| i128::from(amount.max(0)) * i128::from(WIDTH) / i128::from(most);
    html! {
        div.wide tabindex="0" role="group" aria-label=(Escaped(title)) {
            svg viewBox=(format!("0 0 480 {}", rows.len() * ROW)) role="img" aria-label=(Escaped(title)) {
                @for (at, (name, amount, label)) in rows.iter().enumerate() {
                    text x=(LEFT - 6) y=(at * ROW + 16) text-anchor="end" { (Escaped(name)) }
                    rect x=(LEFT) y=(at * ROW + 3) width=(length(*amount)) height="16" {}
                    text x=(i128::from(LEFT) + length(*amount) + 6) y=(at * ROW + 16) { (Escaped(label)) }
                }
            }
        }
    }
}

/// A paragraph of small print.
pub(super) fn quiet(text: &str) -> Markup {
    html! { p.quiet { (Escaped(text)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_claims_never_becomes_markup() {
        let hostile = "<script>alert('x')</script>\" onload=\"&\u{202e}\u{7}";
        let shown = html! { p title=(Escaped(hostile)) { (Escaped(hostile)) } }.into_string();
        let inside = shown.replacen("<p title=\"", "", 1).replacen("\">", "", 1).replace("</p>", "");
        assert!(!inside.contains(['<', '>', '"', '\u{202e}', '\u{7}']), "{shown}");
        assert!(inside.contains("&amp;"));
    }
}
