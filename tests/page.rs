//! The page of recorded claims: what a person reads about those that are easily misread. `tests/browser.rs` opens it.

use std::fs;

use crate::support::{Setting, Stage};
use bbdl::claim::{Claim, Kind, PayerDecision};
use serde_json::{Value, json};

/// An archive of these claims, one per line, and its page.
fn page(claims: &str) -> (Stage, String) {
    let stage = Stage::logged_in(Setting { claims: 1, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.keep_instead(claims);
    let page = written(&stage);
    (stage, page)
}

fn written(stage: &Stage) -> String {
    stage.expect(0, &["report", "claims", "--output", "page.html"]);
    fs::read_to_string(stage.home.path().join("page.html")).unwrap()
}

/// Those of the claims that have these ids.
fn only(claims: &str, ids: &[&str]) -> String {
    let wanted = |line: &&str| {
        let claim: Value = serde_json::from_str(line).unwrap();
        ids.contains(&claim["id"].as_str().unwrap())
    };
    let found: Vec<&str> = claims.lines().filter(wanted).collect();
    assert_eq!(found.len(), ids.len(), "{ids:?}");
    found.iter().map(|line| format!("{line}\n")).collect()
}

/// What each claim shows before a click.
fn rows(page: &str) -> Vec<&str> {
    page.split("<details class=\"claim\"").skip(1).map(|rest| rest.split("</summary>").next().unwrap()).collect()
}

#[test]
fn a_denied_claim_shows_no_share() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let (stage, page) = page(&only(&claims, &["v1carrier-21957368585", "v1carrier-22074654603"]));
    for row in rows(&page) {
        assert!(row.contains("Medicare did not pay") && !row.contains("You may be billed"), "{row}");
    }
    assert_eq!(page.matches("billed $800.00.").count(), 2);
    assert!(page.contains("Medicare did not pay 2 claims.") && !page.contains("<dt>Your share</dt><dd>$"));
    assert!(!page.contains("do not say your share"), "they were not asked");
    stage.expect(0, &["export", "claims", "--to", "sqlite", "--output", "claims.db"]);
    let database = rusqlite::Connection::open(stage.home.path().join("claims.db")).unwrap();
    for table in ["claims", "lines"] {
        let query = format!("select count(*), count(patient_pays) from {table}");
        let (all, shares): (i64, i64) = database.query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert!(all >= 2 && shares == 0, "{table}: {shares} of {all}");
    }
    let denied: i64 =
        database.query_row("select count(*) from claims where decision = 'denied'", [], |row| row.get(0)).unwrap();
    assert_eq!(denied, 2);
}

/// Medicare sent 40, 40 and 150 to the patient, who has to pass them on.
#[test]
fn payments_to_the_patient_are_on_the_page() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let ids = ["v2carrier--9311755162", "v2carrier--9319115318", "v2carrier--9324614917"];
    let claims = only(&claims, &ids);
    let (_, page) = page(&claims);
    let sent: Vec<_> = claims.lines().map(|line| Claim::read(line).unwrap().amounts.paid_to_patient.unwrap()).collect();
    assert_eq!(sent.iter().map(|it| it.0).sum::<i64>(), 23_000);
    assert!(page.contains("<dt>Medicare sent you</dt><dd>$230.00</dd>"));
    let marks = rows(&page).iter().filter(|row| row.contains("Medicare sent you $")).count();
    assert_eq!(marks, 3, "{:?}", rows(&page));
    assert!(page.contains("It does not include what Medicare sent you to pass on."));
}

/// Lines of 13 recorded claims have a drug in addition to the service. The row names who treated.
#[test]
fn a_row_names_who_treated_unless_it_is_a_prescription() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let read: Vec<Claim> = claims.lines().map(|line| Claim::read(line).unwrap()).collect();
    let with_drugs = read.iter().filter(|claim| {
        let words = claim.lines.iter().any(|line| line.ndc.is_some() && line.words.is_some());
        words && claim.kind != Some(Kind::Pde)
    });
    let (mut others, mut named) = (0, Vec::new());
    for claim in with_drugs {
        others += 1;
        named.extend(claim.who().map(|who| (claim.id.clone(), who)));
    }
    assert!(others >= 13 && !named.is_empty(), "{others}");
    let ids: Vec<&str> = named.iter().map(|(id, _)| id.as_str()).filter(|id| id.len() > 2).collect();
    let (_, page) = page(&only(&claims, &ids));
    let rows = rows(&page);
    for (id, who) in named.iter().filter(|(id, _)| id.len() > 2) {
        let who = who.replace('&', "&amp;");
        assert!(rows.iter().any(|row| row.contains(&format!("class=\"who\">{who}"))), "{id}: {who}: {rows:?}");
    }
}

#[test]
fn claims_of_a_medicare_advantage_plan_have_no_share() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let is_of_plan = |line: &&str| Claim::read(line).unwrap().payer_decision == Some(PayerDecision::MedicareAdvantage);
    let of_plan: Vec<&str> = claims.lines().filter(is_of_plan).collect();
    // Two of the five that say so were recorded without an id, so they count as one here.
    assert!(of_plan.len() >= 4, "{}", of_plan.len());
    let (_, page) = page(&of_plan.iter().map(|line| format!("{line}\n")).collect::<String>());
    for row in rows(&page) {
        assert!(row.contains("your Medicare Advantage plan paid") && !row.contains("You may be billed"), "{row}");
    }
    assert!(page.contains("<dt>Plan paid</dt>") && !page.contains("<dt>Medicare paid</dt>"));
    assert!(!page.contains("<dt>Your share</dt><dd>$"));
}

/// The page's date is that of the last pull of claims, not of another resource that was pulled later.
#[test]
fn the_page_is_dated_by_the_last_pull_of_claims() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.expect(0, &["fetch", "patient", "--out", "claims", "-q"]);
    let path = stage.out().join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for pull in manifest["pulls"].as_array_mut().unwrap() {
        let day = if pull["resource"] == "ExplanationOfBenefit" { "2020-01-02" } else { "2021-03-04" };
        for name in ["started", "finished"] {
            pull[name] = format!("{day}T10:00:00Z").into();
        }
    }
    assert_eq!(manifest["pulls"].as_array().unwrap().len(), 2);
    fs::write(&path, manifest.to_string()).unwrap();
    let page = written(&stage);
    assert!(page.contains("As of January 2, 2020,") && !page.contains("March 4, 2021"));
}

/// New and changed claims are told apart if the last pull brought only one of the two.
#[test]
fn changed_claims_are_not_called_new() {
    let stage = Stage::logged_in(Setting { claims: 20, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let marks = |page: &str, word: &str| page.matches(&format!("<span class=\"mark\">{word}</span>")).count();
    for (orders, mark, count, words) in [
        (json!({"update": 3}), "changed", 3, "added 0 claims, changed 3"),
        (json!({"add": 1}), "new", 1, "added 1 claim, changed 0"),
        (json!({"add": 1, "update": 2}), "new or changed", 3, "added 1 claim, changed 2"),
    ] {
        stage.control("POST", "claims", &orders.to_string());
        stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
        let page = written(&stage);
        assert!(page.contains(words), "{words}");
        assert_eq!(marks(&page, mark), count, "{mark}");
        let others = ["new", "changed", "new or changed"].iter().filter(|it| **it != mark);
        assert_eq!(others.map(|word| marks(&page, word)).sum::<usize>(), 0, "{mark}");
    }
}

#[cfg(unix)]
#[test]
fn standard_output_is_a_dash_and_makes_no_directories() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let missing = stage.home.path().join("tmp/deeper");
    let mut command = crate::support::bbdl(stage.home.path());
    command.args(["report", "claims", "--output", "-"]).env("TMPDIR", &missing);
    let output = crate::support::finished(command);
    crate::support::assert_code(&output, 74, &["TMPDIR"]);
    assert!(crate::support::text(&output.stderr).contains("TMPDIR names another directory"));
    assert!(!stage.home.path().join("tmp").exists());

    let error = stage.expect_json(2, &["report", "claims", "--output", "/dev/stdout", "--json"])["error"].clone();
    assert!(error["hint"].as_str().unwrap().contains("Use --out -"), "{error}");

    let mut command = crate::support::bbdl(stage.home.path());
    command.args(["report", "claims", "--output", "-"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).stderr(std::process::Stdio::piped()).output().unwrap();
    crate::support::assert_code(&output, 74, &["/dev/full"]);
    let said = crate::support::text(&output.stderr);
    assert!(said.contains("The page is incomplete.") && !said.contains("Only the output is missing"), "{said}");

    // The output's own directory is created.
    stage.expect(0, &["report", "claims", "--output", "new/dir/page.html"]);
}

/// Which services were denied and why, in a claim that was paid.
#[test]
fn denied_services_are_counted_and_each_says_why() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let (_, page) = page(&only(&claims, &["v1carrier-22289703264"]));
    let row = rows(&page)[0];
    assert!(row.contains("4 of 5 services not approved") && row.contains("data-denied=\"1\""), "{row}");
    let denied = page.split("id=\"denied\"").nth(1).unwrap().split("id=\"coverage\"").next().unwrap();
    assert_eq!(denied.matches(">This service was billed more than once</td>").count(), 4, "{denied}");
    assert_eq!(page.matches(">No: this service was billed more than once</td>").count(), 4);
    assert_eq!(page.matches(">Yes</td>").count(), 1);
    assert!(!page.contains("You paid"), "what is owed is not called paid");
}

/// The title, the heading and each printed page say whose it is and where it comes from.
#[test]
fn the_page_says_whose_it_is_unless_it_is_redacted() {
    let stage = Stage::with(Setting { claims: 30, ..Setting::default() });
    stage.log_in(&["--profile", "mom"]);
    stage.expect(0, &["fetch", "all", "--out", "claims", "-q", "--profile", "mom"]);
    let patient: Value = serde_json::from_str(&stage.lines("Patient.ndjson")[0]).unwrap();
    let family = patient["name"][0]["family"].as_str().unwrap();
    let page = written(&stage);
    let title = page.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    assert!(
        title.starts_with("Medicare claims of ") && title.contains(family) && title.contains(", as of "),
        "{title}"
    );
    let header = page.split("<h1>").nth(1).unwrap().split("</header>").next().unwrap();
    assert!(header.contains(family) && header.contains("which is not Medicare\u{2019}s own server"), "{header}");
    assert!(page.contains("@top-left { content: \"Medicare claims of "), "on paper");

    stage.expect(0, &["report", "claims", "--output", "redacted.html", "--redact"]);
    let redacted = fs::read_to_string(stage.home.path().join("redacted.html")).unwrap();
    let mut secrets = vec![family.to_owned(), patient["id"].as_str().unwrap().to_owned()];
    let identifiers = patient["identifier"].as_array().unwrap();
    secrets.extend(identifiers.iter().map(|it| it["value"].as_str().unwrap().to_owned()));
    for line in stage.lines("ExplanationOfBenefit.ndjson") {
        let claim = Claim::read(&line).unwrap();
        let named = [claim.number, claim.provider, claim.provider_npi, claim.practitioner, claim.practitioner_npi];
        secrets.extend(named.into_iter().flatten());
        secrets.push(claim.id);
    }
    for secret in secrets {
        assert!(!redacted.contains(&secret), "{secret}");
    }
    assert!(redacted.contains("Provider 1") && redacted.contains("Medicare claims of one person"));

    // Without demographic data, the profile's name tells two parents apart.
    fs::remove_file(stage.out().join("Patient.ndjson")).unwrap();
    fs::remove_file(stage.out().join("UserInfo.json")).unwrap();
    let path = stage.out().join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for resource in ["Patient", "UserInfo"] {
        manifest["resources"].as_object_mut().unwrap().remove(resource);
    }
    fs::write(&path, manifest.to_string()).unwrap();
    assert!(written(&stage).contains("<title>Medicare claims of mom, as of "));
}

#[test]
fn a_page_of_one_year_has_its_claims_only() {
    let stage = Stage::logged_in(Setting { claims: 60, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let years = stage.lines("ExplanationOfBenefit.ndjson").iter().map(|line| Claim::read(line).unwrap()).fold(
        std::collections::BTreeMap::new(),
        |mut years, claim| {
            // A claim is in the year in which it begins, and in the one in which it ends.
            let last = claim.end.as_deref().and_then(|end| end.get(..4)).map(str::to_owned);
            let both = claim.year().map(str::to_owned).into_iter().chain(last);
            for year in both.collect::<std::collections::BTreeSet<_>>() {
                *years.entry(year).or_insert(0) += 1;
            }
            years
        },
    );
    let (year, count) = years.iter().next_back().unwrap();
    stage.expect(0, &["report", "claims", "--output", "page.html", "--year", year]);
    let page = fs::read_to_string(stage.home.path().join("page.html")).unwrap();
    assert_eq!(rows(&page).len(), *count);
    assert!(page.contains(&format!("Only claims of {year} are here.")) && page.contains(&format!("In {year}")));
    stage.expect(2, &["report", "claims", "--output", "page.html", "--year", "12"]);
    let none = stage.expect_json(65, &["report", "claims", "--output", "page.html", "--year", "1950", "--json"]);
    assert_eq!(none["error"]["message"], "no claim has a service in 1950");
    assert!(none["error"]["hint"].as_str().unwrap().contains(year), "{none}");
    assert_eq!(fs::read_to_string(stage.home.path().join("page.html")).unwrap(), page, "the page of before");
    stage.expect(2, &["report", "claims", "--output", "-", "--open"]);
}

/// A stay over New Year's Eve has services in both years. A claim without a first day has those of its last one.
#[test]
fn a_claim_is_on_the_page_of_every_year_that_it_touches() {
    let claim = |id: u32, period: Value| {
        json!({"resourceType": "ExplanationOfBenefit", "id": format!("inpatient--{id}"), "use": "claim", "status": "active",
            "type": {"coding": [{"system": "https://bluebutton.cms.gov/resources/codesystem/eob-type", "code": "INPATIENT"}]},
            "billablePeriod": period})
        .to_string()
            + "\n"
    };
    let claims = [
        claim(1, json!({"start": "2025-12-28", "end": "2026-01-06"})),
        claim(2, json!({"start": "2025-12-28", "end": "2025-12-31"})),
        claim(3, json!({"end": "2026-03-01"})),
        claim(4, json!({"start": "2024-12-31", "end": "2023-01-01"})),
        claim(5, json!({})),
    ];
    let (stage, page) = page(&claims.concat());
    assert_eq!(rows(&page).len(), 5);
    for (year, count) in [("2024", 1), ("2025", 2), ("2026", 2)] {
        stage.expect(0, &["report", "claims", "--output", "year.html", "--year", year]);
        let page = fs::read_to_string(stage.home.path().join("year.html")).unwrap();
        assert_eq!(rows(&page).len(), count, "{year}");
    }
    stage.expect(65, &["report", "claims", "--output", "year.html", "--year", "2023"]);
}

/// The browser gets the page's address. If no browser can be started, that is not a failure.
#[cfg(unix)]
#[test]
fn the_page_is_opened_when_it_is_written() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let opened = stage.home.path().join("opened");
    let script = stage.home.path().join("browser");
    fs::write(&script, format!("#!/bin/sh\necho \"$1\" > {}\n", opened.display())).unwrap();
    crate::support::set_mode(&script, 0o700);
    let mut command = stage.bbdl(&["report", "claims", "--output", "page.html", "--open"]);
    command.env("BROWSER", &script);
    crate::support::assert_code(&crate::support::finished(command), 0, &["--open"]);
    crate::support::until("a browser opens the page", || {
        fs::read_to_string(&opened).is_ok_and(|text| text.ends_with("/page.html\n"))
    });
}

/// What is missing because a plan has it comes before everything else, and the card is drawn.
#[test]
fn plan_months_and_the_card_are_on_the_page() {
    let stage = Stage::with(Setting { claims: 10, ..Setting::default() });
    stage.control("POST", "consent", r#"{"answer":"all","enrollee":1}"#);
    stage.log_in(&["--api", "v3"]);
    stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
    let page = written(&stage);
    let note = page.find("Medical claims for January 2026 to June 2026 (contract H1234) are with").unwrap();
    assert!(note < page.find("id=\"glance\"").unwrap());
    assert!(page.contains("Part A: hospital stays") && page.contains("class=\"id-card\"") && page.contains("1S00"));
    stage.control("POST", "consent", r#"{"answer":"all","enrollee":0}"#);
    stage.log_in(&["--api", "v3", "--profile", "other"]);
    stage.expect(0, &["fetch", "all", "--out", "other", "-q", "--profile", "other"]);
    stage.expect(0, &["report", "other", "--output", "other.html"]);
    let other = fs::read_to_string(stage.home.path().join("other.html")).unwrap();
    assert!(!other.contains("are with the Medicare Advantage plan") && other.contains("but you may still be in one"));
    assert!(!other.contains("you have no plan"));
}

/// A claim with CMS fields that were once not read, with values that no recorded claim has. The page says what may be
/// billed, and what it cannot say.
#[test]
fn amounts_not_covered_or_unknown_are_on_the_page() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let claim = |id: &str| -> Value { serde_json::from_str(&only(&claims, &[id])).unwrap() };
    let outpatient = claims.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|claim| {
        let read = Claim::read(&claim.to_string()).unwrap();
        claim["id"].as_str().is_some_and(|id| id.starts_with("v2"))
            && read.kind == Some(Kind::Outpatient)
            && read.lines.len() == 1
            && read.amounts.not_covered.is_some_and(|amount| amount.0 > 0)
    });
    // The only line is the total of the claim.
    let mut total = outpatient.unwrap();
    let expected = Claim::read(&total.to_string()).unwrap().amounts;
    total["item"][0]["revenue"] =
        json!({"coding": [{"system": "https://bluebutton.cms.gov/resources/variables/rev_cntr", "code": "0001"}]});
    total["id"] = "outpatient--1".into();
    // Another currency, and no billed amount.
    let mut euros = claim("v2carrier--9311755162");
    euros["payment"]["amount"]["currency"] = "EUR".into();
    euros["id"] = "carrier--2".into();
    let (_, page) = page(&format!("{total}\n{euros}\n"));
    let billable = expected.patient_pays.unwrap_or_default().plus(expected.not_covered.unwrap()).unwrap();
    let row = rows(&page).into_iter().find(|row| row.contains("Outpatient")).unwrap();
    assert!(row.contains(&format!("You may be billed ${billable}")), "{row}: {billable}");
    assert!(page.contains(&format!("<dt>Not covered</dt><dd>${}</dd>", expected.not_covered.unwrap())));
    assert!(page.contains("Some data of 1 claim cannot be shown here. The archive has them."));
    assert!(page.contains("1 of the 2 claims does not say what was paid"));
}

/// Preventive services have a section, by the claims' codes and diagnoses, with the rule beside it.
#[test]
fn preventive_services_have_a_section_that_says_its_rule() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let mut claim: Value = serde_json::from_str(&only(&claims, &["v2carrier--9311755162"])).unwrap();
    let (_, without) = page(&format!("{claim}\n"));
    assert!(without.contains("No claim here marks a service as preventive."));
    let coding = claim["item"][0]["productOrService"]["coding"].as_array_mut().unwrap();
    assert!(!coding.is_empty());
    coding.iter_mut().for_each(|coding| coding["code"] = "G0439".into());
    let (_, page) = page(&format!("{claim}\n"));
    let section = page.split("id=\"preventive\"").nth(1).unwrap().split("<h2").next().unwrap();
    assert!(section.contains("Yearly wellness visit (code G0439") && section.contains("such as G0439"), "{section}");
    assert!(page.contains("<a href=\"#preventive\">Preventive services</a>"));
}

/// Every link on the page has a target, whatever sections its claims have.
#[test]
fn every_link_leads_to_a_section() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let drugs: Vec<&str> =
        claims.lines().filter(|line| Claim::read(line).unwrap().kind == Some(Kind::Pde)).take(3).collect();
    for claims in [claims.clone(), drugs.join("\n") + "\n", only(&claims, &["v1carrier-21957368585"])] {
        let (_, page) = page(&claims);
        for place in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(page.contains(&format!(" id=\"{place}\"")), "{place}");
        }
    }
}
