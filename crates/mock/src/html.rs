//! The pages a person sees at the mock. Everything from outside is escaped.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    apps::App, language::Language, oauth::is_personal, records::Records, version::Version, world::in_thirteen_months,
};

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn page(title: &str, main: &str) -> String {
    page_in(Language::English, title, main)
}

fn page_in(language: Language, title: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} – mock Blue Button</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <style>\n:root {{ color-scheme: light dark; }}\nbody {{ font: 1.0625rem/1.5 system-ui, sans-serif; margin: 0; }}\n\
         header {{ background: #0b4778; color: #fff; padding: .75rem 1.5rem; }}\nmain {{ max-width: 40rem; margin: 0 auto; padding: 1.5rem; }}\n\
         h1 {{ line-height: 1.2; }}\nlabel {{ display: block; margin: 1rem 0; }}\nselect, button {{ font: inherit; padding: .5rem 1rem; }}\n\
         button {{ margin: 1rem .75rem 0 0; border: 2px solid #0b4778; border-radius: .375rem; background: transparent; color: inherit; }}\n\
         button.main {{ background: #0b4778; color: #fff; }}\n:focus-visible {{ outline: 3px solid #f5a623; outline-offset: 2px; }}\n\
         </style>\n</head>\n<body>\n<header>{banner}</header>\n<main>\n<h1>{title}</h1>\n{main}\n</main>\n</body>\n</html>\n",
        lang = language.tag(),
        banner = language.words().banner,
        title = escape(title),
    )
}

/// Who are you? `relay` is what the log-in server hands back.
pub(super) fn log_in(records: &dyn Records, relay: &str, language: Language) -> String {
    const LONGEST: usize = 200;
    let options: String = (0..records.enrollees().min(LONGEST))
        .map(|index| {
            let person = records.enrollee(index);
            format!("<option value=\"{0}\">{1} ({0})</option>\n", escape(&person.username), escape(&person.name))
        })
        .collect();
    let words = language.words();
    let form = format!(
        "<p>{}</p>\n<form method=\"post\" action=\"/login/\">\n<input type=\"hidden\" name=\"relay\" value=\"{}\">\n\
         <label>{}\n<select name=\"username\">\n{options}</select></label>\n\
         <button class=\"main\" type=\"submit\">{}</button>\n</form>",
        words.no_password,
        escape(relay),
        words.enrollee,
        words.log_in
    );
    page_in(language, words.log_in, &form)
}

/// Of a form that was not sent from its own page.
pub(super) const FORGED: &str = "CSRF verification failed. Request aborted.";

/// What the app wants, and for how long.
pub(super) struct Consent<'a> {
    pub app: &'a App,
    pub name: &'a str,
    pub version: Version,
    pub language: Language,
    pub csrf: &'a str,
    /// What is asked for.
    pub scopes: &'a BTreeSet<String>,
    /// The fields that repeat the request, as the real form does.
    pub repeated: &'a [(&'a str, &'a str)],
}

fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value))
}

impl Consent<'_> {
    /// The page as it is shown at `now`.
    pub(super) fn page(&self, now: Timestamp) -> String {
        let words = self.language.words();
        let box_of = |name: &str, state: &str, label: &str| {
            format!("<label><input type=\"checkbox\" name=\"{name}\" value=\"True\"{state}> {label}</label>")
        };
        let repeated: String = self.repeated.iter().map(|(name, value)| hidden(name, value)).collect();
        let csrf = hidden("csrfmiddlewaretoken", self.csrf);
        // Of two fields with one name the last counts: the box, where it is ticked.
        let fields = match self.version {
            Version::V1 | Version::V2 => {
                let unticked = hidden("share_demographic_scopes", "False");
                let (claims, coverage) = (self.asks_for("ExplanationOfBenefit"), self.asks_for("Coverage"));
                let [both, claims_alone, coverage_alone] = words.shared;
                let shared = match (claims, coverage) {
                    (true, true) => format!("<p>{both}</p>\n"),
                    (true, false) => format!("<p>{claims_alone}</p>\n"),
                    (false, true) => format!("<p>{coverage_alone}</p>\n"),
                    (false, false) => String::new(),
                };
                let [too, alone] = words.personal;
                let label = if claims || coverage { too } else { alone };
                let is_asked = self.scopes.iter().any(|scope| is_personal(scope));
                let asked =
                    if is_asked { box_of("share_demographic_scopes", " checked", label) + "\n" } else { String::new() };
                format!("{shared}{unticked}{asked}{csrf}{repeated}")
            }
            // Nobody can withhold that at v3; of substance use treatment they are asked instead.
            Version::V3 => {
                let whole = hidden("share_demographic_scopes", "True");
                let unticked = hidden("share_samhsa_data", "False");
                let asked = box_of("share_samhsa_data", "", words.treatment);
                format!("{}{whole}{repeated}{unticked}{asked}\n{csrf}", self.required())
            }
        };
        let form = format!(
            "<p>{name}, <strong>{app}</strong> {asks}{duration}.</p>\n<form method=\"post\">\n{fields}\
             <button class=\"main\" type=\"submit\" name=\"allow\" value=\"Allow\">{connect}</button>\n\
             <button type=\"submit\">{deny}</button>\n</form>\n\
             <form method=\"post\" action=\"/v3/o/permission-logout\">\n{csrf}\
             <button type=\"submit\">{switch}</button>\n</form>",
            name = escape(self.name),
            app = escape(&self.app.name),
            asks = words.asks,
            duration = words.duration(self.app.access, in_thirteen_months(now)),
            connect = words.connect,
            deny = words.deny,
            switch = words.switch,
        );
        page_in(self.language, words.consent, &form)
    }

    /// Whether resources of this type are asked for.
    fn asks_for(&self, resource: &str) -> bool {
        self.scopes.iter().any(|scope| scope.starts_with(&format!("patient/{resource}.")))
    }

    /// What v3 says of the data that nobody can withhold: one line each for what is asked for.
    fn required(&self) -> String {
        let words = self.language.words();
        let claims = if self.app.part_d { words.drugs_required } else { words.claims_required };
        let lines = [
            (self.scopes.iter().any(|scope| is_personal(scope)), words.personal_required),
            (self.asks_for("Coverage"), words.coverage_required),
            (self.asks_for("ExplanationOfBenefit"), claims),
        ];
        let lines: String =
            lines.iter().filter(|(is_asked, _)| *is_asked).map(|(_, line)| format!("<li>{line}</li>\n")).collect();
        if lines.is_empty() { lines } else { format!("<p>{}</p>\n<ul>\n{lines}</ul>\n", words.will_be_shared) }
    }
}

/// A refusal shown in the browser.
pub(super) fn refused(text: &str) -> String {
    page("Something is wrong with this request", &format!("<p>{}</p>", escape(text)))
}

/// The server's page for apps that it does not know or has switched off; its status is not always 401.
pub(super) fn unauthorized(why: &str) -> String {
    page("401 - Unauthorized", &format!("<p>{}</p>", escape(why)))
}

/// No records for this person: the app is told in the background, and without its state.
pub(super) fn not_found(redirect_uri: &str) -> String {
    let target = serde_json::json!(format!("{redirect_uri}?error=not_found")).to_string().replace('<', "\\u003c");
    let main = format!(
        "<p>The patient data cannot be found at this time.</p>\n<script>fetch({target}, {{mode: \"no-cors\"}});</script>"
    );
    page("Not found", &main)
}

/// Any address that does not exist.
pub(super) fn no_such_page() -> String {
    page("Page not found", "<p>We couldn't find the page you requested.</p>")
}
