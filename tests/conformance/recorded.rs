//! Reads the recorded exchanges.

use std::path::Path;

/// One recorded exchange.
#[derive(Debug)]
pub struct Exchange {
    /// The file name without its extension: `03-authorize-errors`.
    pub theme: String,
    pub title: String,
    pub method: String,
    /// The path and query, as sent.
    pub target: String,
    pub sent: Vec<(String, String)>,
    pub sent_body: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// At most 1,500 characters of it.
    pub body: String,
    /// Whether it was cut.
    pub is_cut: bool,
}

impl Exchange {
    pub fn sent(&self, name: &str) -> Option<&str> {
        header(&self.sent, name)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether the title has these words and the file name begins with `theme`.
    pub fn is(&self, theme: &str, words: &str) -> bool {
        self.theme.starts_with(theme) && self.title.contains(words)
    }

    /// The version in the path, else in the title.
    pub fn version(&self) -> u8 {
        let number = |text: &str| text.strip_prefix('v')?.chars().next()?.to_digit(10);
        let found = self.target.strip_prefix('/').and_then(number).or_else(|| number(&self.title));
        found.and_then(|version| u8::try_from(version).ok()).unwrap_or(2)
    }

    /// A field of the form, unchanged.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.sent_body.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    }

    /// Its name in the report.
    pub fn name(&self) -> String {
        format!("{} | {}", self.theme, self.title)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Every exchange, in the order of the files.
pub fn exchanges(dir: &Path) -> Vec<Exchange> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut exchanges = Vec::new();
    for file in files {
        let theme = file.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        exchanges.extend(text.split(&"=".repeat(100)).filter_map(|section| exchange(theme, section)));
    }
    exchanges
}

fn exchange(theme: &str, section: &str) -> Option<Exchange> {
    let title = section.lines().find_map(|line| line.strip_prefix("# "))?.to_owned();
    let sent: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix('>')).collect();
    let sent: Vec<&str> = sent.into_iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let mut words = sent.first()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let pair = |line: &str| line.split_once(':').map(|(key, value)| (key.to_owned(), value.trim().to_owned()));
    let head = sent.iter().skip(1).take_while(|line| !line.is_empty()).filter_map(|line| pair(line)).collect();
    let sent_body = sent.iter().skip_while(|line| !line.is_empty()).skip(1).copied().collect::<Vec<_>>().join("\n");
    let answer = section.split_once("\n< HTTP/1.1 ")?.1;
    let status = answer.split(' ').next()?.parse().ok()?;
    let (answered, rest) = answer.split_once("\n<\n")?;
    let body = rest.split("\n\n[").next().unwrap_or_default().trim();
    let (body, is_cut) = match body.rsplit_once("\n... [") {
        Some((body, note)) if note.ends_with("characters in all]") => (body, true),
        _ => (body, false),
    };
    Some(Exchange {
        theme: theme.to_owned(),
        title,
        method,
        target,
        sent: head,
        sent_body,
        status,
        headers: answered.lines().filter_map(|line| pair(line.strip_prefix("< ")?)).collect(),
        body: body.to_owned(),
        is_cut,
    })
}

/// An empty exchange. Every plan starts from the plan for it.
pub fn nobody() -> Exchange {
    Exchange {
        theme: String::new(),
        title: String::new(),
        method: String::new(),
        target: String::new(),
        sent: Vec::new(),
        sent_body: String::new(),
        status: 0,
        headers: Vec::new(),
        body: String::new(),
        is_cut: false,
    }
}
