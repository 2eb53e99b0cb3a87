//! The picture of `bbdl demo` in README.md, drawn from the snapshot of its output.
//!
//! `BBDL_UPDATE=1 cargo test --locked snapshots` updates the snapshot. After that, `BBDL_UPDATE=1 cargo test --locked
//! docs` draws the picture again.

use std::{fmt::Write as _, fs, path::Path};

/// Values to show where the snapshot has a placeholder for what differs from run to run.
const VALUES: &[(&str, &str)] = &[
    ("[SERVER]", "http://127.0.0.1:40000"),
    ("[DATE]", "2027-12-29"),
    ("[TRAFFIC]", "2.6 MB in 0.3 s"),
    ("[SPAN]", "15 minutes"),
];

const COLUMNS: usize = 122;
const CHARACTER_WIDTH: f64 = 7.23;
const LINE_HEIGHT: usize = 17;
const MARGIN: usize = 16;

/// The lines of the terminal: standard output and standard error in the order in which they appear, without the
/// log-in's explanations.
fn terminal(snapshot: &str) -> Vec<String> {
    let run = snapshot.split("\n=== exit code").next().unwrap();
    let (stdout, stderr) = run.split_once("\n--- stderr\n").unwrap();
    let (prompt, result) = stdout.split_once('\n').unwrap();
    let (begin, rest) = stderr.split_once("Logging in at").unwrap();
    let (_, rest) = rest.split_once("\nLogged in:").unwrap();
    let (log_in, end) = rest.split_once("\nThe archive").unwrap();
    let text = format!("{prompt}\n{begin}⋮\nLogged in:{}\n{result}\n\nThe archive{end}", log_in.trim_end());
    let text = VALUES.iter().fold(text, |text, (name, value)| text.replace(name, value));
    let names = ["[CLIENT_ID]", "[RANDOM]", "[PORT]", "[TIME]", "[INSTANT]", "[SIZE]", "[DURATION]"];
    assert!(!names.iter().any(|name| text.contains(name)), "a value to show is missing: {text}");
    text.lines().flat_map(wrapped).collect()
}

/// One line on a terminal with this many columns.
fn wrapped(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    characters.chunks(COLUMNS).map(|chunk| chunk.iter().collect()).collect()
}

fn drawn(lines: &[String]) -> String {
    let width = CHARACTER_WIDTH.mul_add(COLUMNS as f64, 2.0 * MARGIN as f64).round();
    let height = lines.len() * LINE_HEIGHT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"12\">\n\
         <title>What bbdl demo prints</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1b1f24\"/>\n"
    );
    for (number, line) in lines.iter().enumerate() {
        // What a person types has another color than what the program prints.
        let color = if line.contains("$ ") || line.starts_with("  ") { "#7ee787" } else { "#d0d7de" };
        let y = MARGIN + 13 + number * LINE_HEIGHT;
        let text = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{color}\" xml:space=\"preserve\">{text}</text>");
    }
    svg + "</svg>\n"
}

// On Windows, the paths in it are different.
#[cfg(unix)]
#[test]
fn the_picture_of_the_demo_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = drawn(&terminal(&fs::read_to_string(root.join("tests/snapshots/demo.txt")).unwrap()));
    let path = root.join("docs/images/demo.svg");
    if std::env::var_os("BBDL_UPDATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "docs/images/demo.svg is stale: BBDL_UPDATE=1 cargo test --locked docs draws it again");
}
