//! What the browser shows when it comes back: small pages that need nothing from anywhere.

/// How a page looks at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// All went well.
    Good,
    /// How it went is not known here.
    Open,
    /// Something a person should read.
    Bad,
}

/// A whole page. Title and text are escaped.
#[must_use]
pub(super) fn page(tone: Tone, title: &str, text: &str) -> String {
    let (mark, color) = match tone {
        Tone::Good => ("✓", "#1a7f37"),
        Tone::Open => ("i", "#0b5cad"),
        Tone::Bad => ("!", "#b35900"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} – bbdl</title>\n\
         <style>\n:root {{ color-scheme: light dark; }}\n\
         body {{ font: 1.125rem/1.5 system-ui, sans-serif; margin: 0; display: grid; place-items: center; min-height: 100vh; }}\n\
         main {{ box-sizing: border-box; width: 100%; max-width: 38rem; padding: 2rem; overflow-wrap: anywhere; }}\n\
         .mark {{ display: inline-grid; place-items: center; width: 3rem; height: 3rem; border-radius: 50%; \
         background: {color}; color: #fff; font-size: 1.75rem; font-weight: 700; }}\n\
         h1 {{ font-size: 1.75rem; line-height: 1.2; margin: 1rem 0 .5rem; }}\n\
         footer {{ margin-top: 2rem; font-size: .9rem; opacity: .75; }}\n</style>\n</head>\n<body>\n<main>\n\
         <span class=\"mark\" aria-hidden=\"true\">{mark}</span>\n<h1>{title}</h1>\n<p>{text}</p>\n\
         <footer>This page comes from bbdl on this computer.</footer>\n</main>\n</body>\n</html>\n",
        title = escape(title),
        text = escape(text),
    )
}

/// Text as HTML.
#[must_use]
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_become_markup() {
        let page = page(Tone::Bad, "a<b>", "<script>\"x\"</script>&'");
        assert!(!page.contains("<script>") && !page.contains("a<b>"));
        assert!(page.contains("&lt;script&gt;&quot;x&quot;&lt;/script&gt;&amp;&#39;"));
    }
}
