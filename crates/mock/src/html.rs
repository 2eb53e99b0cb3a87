//! The HTML pages that a person sees at the mock. `maud` escapes all text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};

use super::{
    apps::App, language::Language, oauth::is_personal, records::Records, version::Version, world::in_thirteen_months,
};

/// How every page looks. Readable on a phone and in the dark.
const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1.0625rem/1.5 system-ui, sans-serif; margin: 0; }
header { background: #0b4778; color: #fff; padding: .75rem 1.5rem; }
main { max-width: 40rem; margin: 0 auto; padding: 1.5rem; }
h1 { line-height: 1.2; }
label { display: block; margin: 1rem 0; }
select, button { font: inherit; padding: .5rem 1rem; }
button { margin: 1rem .75rem 0 0; border: 2px solid #0b4778; border-radius: .375rem; background: transparent; color: inherit; }
button.main { background: #0b4778; color: #fff; }
:focus-visible { outline: 3px solid #f5a623; outline-offset: 2px; }
";

fn page(title: &str, main: &Markup) -> String {
    page_in(Language::English, title, main)
}

fn page_in(language: Language, title: &str, main: &Markup) -> String {
    let page = html! {
        (PreEscaped("<!doctype html>\n"))
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – mock Blue Button" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (language.words().banner) }
                main {
                    h1 { (title) }
                    (main)
                }
            }
        }
    };
    page.into_string()
}

/// The page that asks who logs in. `relay` is the number that the log-in server hands back.
pub(super) fn log_in(records: &dyn Records, relay: &str, language: Language) -> String {
    const LONGEST: usize = 200;
    let words = language.words();
    let people = (0..records.enrollees().min(LONGEST)).map(|index| records.enrollee(index));
    let form = html! {
        p { (words.no_password) }
        form method="post" action="/login/" {
            (hidden("relay", relay))
            label {
                (words.enrollee) " "
                select name="username" {
                    @for person in people {
                        option value=(person.username) { (person.name) " (" (person.username) ")" }
                    }
                }
            }
            button.main type="submit" { (words.log_in) }
        }
    };
    page_in(language, words.log_in, &form)
}

/// The message for a form that was not sent from its own page.
pub(super) const FORGED: &str = "CSRF verification failed. Request aborted.";

/// The consent page: which data the app wants, and for how long.
pub(super) struct Consent<'a> {
    pub app: &'a App,
    pub name: &'a str,
    pub version: Version,
    pub language: Language,
    pub csrf: &'a str,
    /// The scopes of the authorization request.
    pub scopes: &'a BTreeSet<String>,
    /// The fields that repeat the request, as the real form does.
    pub repeated: &'a [(&'a str, &'a str)],
}

fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// A box to tick. If two fields have the same name, the last one counts, which is the box if it is ticked.
fn tick_box(name: &str, is_ticked: bool, label: Option<&str>) -> Markup {
    html! {
        (hidden(name, "False"))
        @if let Some(label) = label {
            label { input type="checkbox" name=(name) value="True" checked[is_ticked]; " " (label) }
        }
    }
}

impl Consent<'_> {
    /// The page at the time `now`.
    pub(super) fn page(&self, now: Timestamp) -> String {
        let words = self.language.words();
        let csrf = hidden("csrfmiddlewaretoken", self.csrf);
        let form = html! {
            p {
                (self.name) ", " strong { (self.app.name) } " " (words.asks)
                (words.duration(self.app.access, in_thirteen_months(now))) "."
            }
            form method="post" {
                (self.fields(&csrf))
                button.main type="submit" name="allow" value="Allow" { (words.connect) }
                button type="submit" { (words.deny) }
            }
            form method="post" action="/v3/o/permission-logout" {
                (csrf)
                button type="submit" { (words.switch) }
            }
        };
        page_in(self.language, words.consent, &form)
    }

    /// The contents and fields of the form, in the order of the recorded ones.
    fn fields(&self, csrf: &Markup) -> Markup {
        let words = self.language.words();
        let repeated = html! { @for (name, value) in self.repeated { (hidden(name, value)) } };
        match self.version {
            Version::V1 | Version::V2 => {
                let (claims, coverage) = (self.asks_for("ExplanationOfBenefit"), self.asks_for("Coverage"));
                let [both, claims_alone, coverage_alone] = words.shared;
                let shared = match (claims, coverage) {
                    (true, true) => Some(both),
                    (true, false) => Some(claims_alone),
                    (false, true) => Some(coverage_alone),
                    (false, false) => None,
                };
                let [too, alone] = words.personal;
                let label = if claims || coverage { too } else { alone };
                let is_asked = self.scopes.iter().any(|scope| is_personal(scope));
                html! {
                    @if let Some(shared) = shared { p { (shared) } }
                    (tick_box("share_demographic_scopes", true, is_asked.then_some(label)))
                    (csrf)
                    (repeated)
                }
            }
            // At v3, no one can withhold personal information; the page asks about substance use treatment instead.
            Version::V3 => html! {
                (self.required())
                (hidden("share_demographic_scopes", "True"))
                (repeated)
                (tick_box("share_samhsa_data", false, Some(words.treatment)))
                (csrf)
            },
        }
    }

    /// Whether the scopes include resources of this type.
    fn asks_for(&self, resource: &str) -> bool {
        self.scopes.iter().any(|scope| scope.starts_with(&format!("patient/{resource}.")))
    }

    /// The data that no one can withhold at v3: one line for each kind in the scopes.
    fn required(&self) -> Markup {
        let words = self.language.words();
        let claims = if self.app.part_d { words.drugs_required } else { words.claims_required };
        let lines = [
            (self.scopes.iter().any(|scope| is_personal(scope)), words.personal_required),
            (self.asks_for("Coverage"), words.coverage_required),
            (self.asks_for("ExplanationOfBenefit"), claims),
        ];
        let lines: Vec<&str> = lines.into_iter().filter_map(|(is_asked, line)| is_asked.then_some(line)).collect();
        html! {
            @if !lines.is_empty() {
                p { (words.will_be_shared) }
                ul { @for line in lines { li { (line) } } }
            }
        }
    }
}

/// A refusal shown in the browser.
pub(super) fn refused(text: &str) -> String {
    page("Something is wrong with this request", &html! { p { (text) } })
}

/// The server's page for apps that are unknown or switched off. Its status is not always 401.
pub(super) fn unauthorized(why: &str) -> String {
    page("401 - Unauthorized", &html! { p { (why) } })
}

/// The page for a person without records. It tells the app in the background, without the app's state.
pub(super) fn not_found(redirect_uri: &str) -> String {
    // A JSON string is valid JavaScript. It is escaped so that no text in it can end the script.
    let target = serde_json::json!(format!("{redirect_uri}?error=not_found")).to_string().replace('<', "\\u003c");
    let main = html! {
        p { "The patient data cannot be found at this time." }
        script { (PreEscaped(format!("fetch({target}, {{mode: \"no-cors\"}});"))) }
    };
    page("Not found", &main)
}

/// The page for an address that does not exist.
pub(super) fn no_such_page() -> String {
    page("Page not found", &html! { p { "We couldn't find the page you requested." } })
}
