//! Every recorded error answer of the real server that a client can get, read by the client itself: what it takes
//! each one for.

use std::time::Duration;

use bbdl::{
    api::problem::{Head, Problem},
    auth::{
        token::TokenAnswer,
        token_endpoint::{Asked, Refusal, TokenFailure},
    },
    error::Exit,
};

/// One recorded exchange.
struct Exchange {
    title: String,
    method: String,
    target: String,
    request_body: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Exchange {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the request is for a page of a search.
    fn is_search(&self) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        ["Patient", "Coverage", "ExplanationOfBenefit"].contains(&last)
    }

    fn problem(&self) -> Problem {
        let head = Head {
            status: self.status,
            content_type: self.header("content-type"),
            authenticate: self.header("www-authenticate"),
            retry_after: self.header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs),
            is_search: self.is_search(),
        };
        Problem::read(head, self.body.as_bytes())
    }
}

fn recorded() -> Option<Vec<Exchange>> {
    let dirs =
        [crate::support::shared("data/transcripts")?, crate::support::shared("data/transcripts-backend-faults")?];
    let entries = dirs.iter().flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    Some(texts.flat_map(|text| text.split(&"=".repeat(100)).filter_map(exchange).collect::<Vec<_>>()).collect())
}

fn exchange(section: &str) -> Option<Exchange> {
    let title = section.lines().find_map(|line| line.strip_prefix("# "))?.to_owned();
    let sent: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix('>')).map(|line| line.trim_start_matches(' ')).collect();
    let mut words = sent.first()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let request_body = sent.iter().skip_while(|line| !line.is_empty()).skip(1).copied().collect::<Vec<_>>().join("\n");
    let answer = section.split_once("\n< HTTP/1.1 ")?.1;
    let status = answer.split(' ').next()?.parse().ok()?;
    let (head, rest) = answer.split_once("\n<\n")?;
    let headers = head.lines().filter_map(|line| line.strip_prefix("< ")?.split_once(": "));
    Some(Exchange {
        title,
        method,
        target,
        request_body,
        status,
        headers: headers.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        body: rest.split("\n\n[").next().unwrap_or_default().trim().to_owned(),
    })
}

/// What a client should take a FHIR or userinfo error for.
fn expected(exchange: &Exchange) -> &'static str {
    let said = |words: &str| exchange.body.contains(words);
    let challenged = exchange.header("www-authenticate").is_some_and(|value| value.contains("invalid_token"));
    let is_html = exchange.body.starts_with('<');
    if said("OperationOutcome") {
        return match exchange.status {
            400 => "MaybeTemporary",
            504 => "TooMuch",
            _ => "Temporary",
        };
    }
    match exchange.status {
        400..=499 if is_html => "Intercepted",
        404 if exchange.is_search() => "Temporary",
        401 if challenged => "TokenRejected",
        401 if said("timed out") => "GrantEnded",
        401 if said("inactive") => "AppInactive",
        401 | 403 => "NotAllowed",
        404 => "NotFound",
        504 => "TooMuch",
        429 | 500..=599 => "Temporary",
        400 if said("upstream server:") && !said("must be less than") => "MaybeTemporary",
        301 | 302 => "Unreadable",
        _ => "Invalid",
    }
}

#[test]
fn unhappy_fhir_answers() {
    let Some(exchanges) = recorded() else { return };
    let (mut seen, mut kinds) = (0, std::collections::BTreeMap::new());
    for exchange in &exchanges {
        let of_ours = ["/fhir/", "/connect/userinfo"]
            .iter()
            .any(|path| exchange.target.get(3..).is_some_and(|rest| rest.starts_with(path)));
        if !of_ours || exchange.method != "GET" || exchange.status == 200 {
            continue;
        }
        let problem = format!("{:?}", exchange.problem());
        let kind = problem.split([' ', '{']).next().unwrap();
        assert_eq!(kind, expected(exchange), "{}: {} {}", exchange.title, exchange.status, exchange.body);
        let error = exchange.problem().into_error("x", "bbdl login");
        assert_ne!(error.exit(), Exit::Defect);
        assert!(!error.hint.is_empty());
        seen += 1;
        *kinds.entry(kind.to_owned()).or_insert(0) += 1;
    }
    assert!(seen >= 200 && kinds.len() >= 10, "{seen} answers, {kinds:?}");
    let throttled = exchanges.iter().find(|exchange| exchange.status == 429).expect("a throttled answer");
    assert!(matches!(throttled.problem(), Problem::Temporary { retry_after: Some(wait), .. } if wait.as_secs() > 0));
}

#[test]
fn unhappy_token_answers() {
    let Some(exchanges) = recorded() else { return };
    let mut seen = 0;
    for exchange in &exchanges {
        let is_token = exchange.target.trim_end_matches('/') == "/v2/o/token" && exchange.method == "POST";
        let asked = match exchange.request_body.as_str() {
            body if body.contains("grant_type=authorization_code") => Asked::Exchange,
            body if body.contains("grant_type=refresh_token") => Asked::Refresh,
            _ => continue,
        };
        if !is_token || exchange.status == 200 {
            continue;
        }
        let said = |words: &str| exchange.body.contains(words);
        let expected = match (exchange.status, asked) {
            (_, _)
                if said("inactive")
                    || said("not allowed to refresh")
                    || said("timed out")
                    || said("cannot be found") =>
            {
                Exit::PersonMustAct
            }
            (_, _) if said("invalid_client") || said("different app") || said("redirect URI") => Exit::NotSetUp,
            (400, Asked::Exchange) if said("invalid_grant") => Exit::PersonMustAct,
            (_, Asked::Refresh) if said("invalid_grant") || said("Refresh token not found") => Exit::PersonMustAct,
            // It refuses the request, but does not say that the log-in is over.
            (400 | 403, Asked::Refresh) => Exit::TryAgain,
            (404 | 500..=599, Asked::Refresh) | (500..=599, Asked::Exchange) => Exit::TryAgain,
            // bbdl never sends such a request, so this answer would be a defect of the server.
            _ => Exit::Data,
        };
        let refusal = Refusal::read(exchange.status, exchange.body.as_bytes()).expect(&exchange.title);
        let error = TokenFailure::Refused(refusal).into_error(asked, "bbdl login");
        assert_eq!(error.exit(), expected, "{}: {} {}", exchange.title, exchange.status, exchange.body);
        seen += 1;
    }
    assert!(seen >= 25, "{seen} answers");
}

#[test]
fn happy_token_answers() {
    let Some(exchanges) = recorded() else { return };
    let mut seen = 0;
    for exchange in exchanges {
        if exchange.status != 200 || !exchange.target.contains("/o/token") || !exchange.body.contains("access_token") {
            continue;
        }
        let answer = TokenAnswer::read(exchange.body.as_bytes()).unwrap();
        let (_, refresh, grant) = answer.into_new(&[], "2026-11-23T17:00:00Z".parse().unwrap());
        assert!(refresh.is_some() && grant.patient.is_some() && !grant.scopes.is_empty(), "{}", exchange.title);
        seen += 1;
    }
    assert!(seen >= 20, "{seen} answers");
}
