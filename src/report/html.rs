//! HTML from text that others wrote: everything is escaped, without exception.

use std::fmt::{self, Write as _};

/// A text as HTML shows it, in an element or a quoted attribute.
pub(super) struct Shown<'t>(pub(super) &'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Directions of writing could make a line read as another.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}')?,
                control if control.is_control() => f.write_char(' ')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// A cell of a table.
#[derive(Clone)]
pub(super) enum Td {
    Text(String),
    Number(String),
}

/// A table with a caption and heads; nothing without rows.
pub(super) fn table(out: &mut String, caption: &str, heads: &[(&str, bool)], rows: &[Vec<Td>]) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><table><caption>{0}</caption><thead><tr>",
        Shown(caption)
    );
    for (head, is_number) in heads {
        let class = if *is_number { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", Shown(head));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (cell, (head, _)) in row.iter().zip(heads) {
            // On narrow screens a row is a list of its cells, each with its head.
            let head = Shown(head);
            let _ = match cell {
                // A date or code is not to be broken at its hyphens.
                Td::Text(text) if is_short(text) => {
                    write!(out, "<td class=\"s\" data-head=\"{head}\">{}</td>", Shown(text))
                }
                Td::Text(text) => write!(out, "<td data-head=\"{head}\">{}</td>", Shown(text)),
                Td::Number(text) => write!(out, "<td class=\"n\" data-head=\"{head}\">{}</td>", Shown(text)),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn is_short(text: &str) -> bool {
    (1..=10).contains(&text.chars().count()) && !text.contains(char::is_whitespace)
}

/// A picture of amounts as bars, with words for those who do not see it; the table beside it has the numbers.
pub(super) fn bars(out: &mut String, title: &str, rows: &[(String, i64, String)]) {
    const ROW: usize = 22;
    const LEFT: i64 = 150;
    const WIDTH: i64 = 220;
    let most = rows.iter().map(|(_, amount, _)| *amount).max().unwrap_or(0).max(1);
    let height = rows.len() * ROW;
    let _ = write!(
        out,
        "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><svg viewBox=\"0 0 480 {height}\" role=\"img\" aria-label=\"{0}\">",
        Shown(title)
    );
    for (at, (name, amount, label)) in rows.iter().enumerate() {
        let length = i128::from((*amount).max(0)) * i128::from(WIDTH) / i128::from(most);
        let (top, middle) = (at * ROW + 3, at * ROW + 16);
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text><rect x=\"{LEFT}\" y=\"{top}\" width=\"{length}\" height=\"16\"/>\
             <text x=\"{}\" y=\"{middle}\">{}</text>",
            LEFT - 6,
            Shown(name),
            i128::from(LEFT) + length + 6,
            Shown(label)
        );
    }
    out.push_str("</svg></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_is_markup() {
        let hostile = "<script>alert('x')</script>\" onload=\"&\u{202e}\u{7}";
        let shown = Shown(hostile).to_string();
        assert!(!shown.contains(['<', '>', '"', '\'', '\u{202e}', '\u{7}']), "{shown}");
        assert!(shown.contains("&amp;"));
    }
}
