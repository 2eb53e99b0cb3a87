//! The pages that the browser shows after the redirect: small, and without anything loaded from elsewhere.

use maud::{DOCTYPE, PreEscaped, html};

/// What a page shows at first glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// All went well.
    Good,
    /// The result is not known here.
    Open,
    /// Something that a person should read.
    Bad,
}

const STYLE: &str = ":root { color-scheme: light dark; }
body { font: 1.125rem/1.5 system-ui, sans-serif; margin: 0; display: grid; place-items: center; min-height: 100vh; }
main { box-sizing: border-box; width: 100%; max-width: 38rem; padding: 2rem; overflow-wrap: anywhere; }
.mark { display: inline-grid; place-items: center; width: 3rem; height: 3rem; border-radius: 50%; color: #fff; \
    font-size: 1.75rem; font-weight: 700; }
.good { background: #1a7f37; }
.open { background: #0b5cad; }
.bad { background: #b35900; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 1rem 0 .5rem; }
footer { margin-top: 2rem; font-size: .9rem; opacity: .75; }";

/// The page after a log-in that worked.
#[must_use]
pub(super) fn logged_in_page() -> String {
    page(Tone::Good, "You are logged in", "bbdl has what it needs. You can close this window.")
}

/// A whole page. Title and text are escaped.
#[must_use]
pub(super) fn page(tone: Tone, title: &str, text: &str) -> String {
    let (mark, class) = match tone {
        Tone::Good => ("✓", "good"),
        Tone::Open => ("i", "open"),
        Tone::Bad => ("!", "bad"),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – bbdl" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    span class={ "mark " (class) } aria-hidden="true" { (mark) }
                    h1 { (title) }
                    p { (text) }
                    footer { "This page comes from bbdl on this computer." }
                }
            }
        }
    }
    .into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_become_markup() {
        let page = page(Tone::Bad, "a<b>", "<script>\"x\"</script>&'");
        assert!(!page.contains("<script>") && !page.contains("a<b>"));
        assert!(page.contains("<p>&lt;script&gt;&quot;x&quot;&lt;/script&gt;&amp;'</p>"));
    }
}
