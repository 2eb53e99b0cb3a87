//! The enrollee's coverage in plain words, and the insurance card.

use maud::{Markup, html};
use serde_json::Value;

use super::{
    html::Escaped,
    words::{counted, said_date},
};
use crate::claim::{
    archived::{name, read_json},
    coverage::{Coverage, Part, medicare_advantage, notice},
};

/// Which claims are missing from the page because a plan has them. Nothing if no plan is known.
pub(super) fn elsewhere(coverages: &[Coverage]) -> Markup {
    html! { @if let Some(notice) = notice(coverages) {
        div.note role="note" {
            p { b { (Escaped(&notice)) } }
            p { "To see them, ask the plan, or look at the Explanation of Benefits that it sends you." }
        }
    } }
}

/// The section about coverage. `card` is the content of `InsuranceCard.json`.
pub(super) fn section(coverages: &[Coverage], card: Option<&str>) -> Markup {
    let incomplete = coverages.iter().filter(|it| it.is_incomplete).count() as u64;
    html! {
        h2 #coverage { "Your coverage" }
        @if incomplete > 0 {
            p.quiet { "Some data of " (counted(incomplete, "coverage record")) " cannot be shown here. The archive has them." }
        }
        @if coverages.is_empty() {
            p { "Your coverage was not fetched. To have it here, type: " code { "bbdl fetch all --out DIR" } ", with the directory of this archive in place of DIR." }
        } @else {
            dl.cover { @for coverage in coverages { (part(coverage)) } }
            p.quiet {
                "This is what Medicare\u{2019}s data say. They can be incomplete: you may be in a plan that is missing here. "
                @if medicare_advantage(coverages).is_empty() { "No Medicare Advantage plan is named here, but you may still be in one. Your red, white and blue card and your plan\u{2019}s card are what counts." }
            }
        }
        @if let Some(card) = card.and_then(|text| read_json(text).ok()) { (drawn(&card.0)) }
    }
}

fn part(coverage: &Coverage) -> Markup {
    let words = coverage.part.map_or("Other coverage", Part::words);
    let is_plan = matches!(coverage.part, Some(Part::C | Part::D));
    // v1 and v2 have a resource for each part, even for parts that the enrollee does not have.
    let is_empty = is_plan && coverage.contracts.is_empty() && coverage.start.is_none();
    let status = match (&coverage.ended, coverage.status.as_deref()) {
        (Some(ended), _) => format!("It ended: {ended}."),
        (None, Some("active")) | (None, None) => String::new(),
        (None, Some(status)) => format!("Its status is {status}."),
    };
    html! { div {
        dt { (words) }
        dd {
            @if is_empty { "No plan is named." }
            @if let Some(start) = &coverage.start { "Since " (Escaped(&said_date(start))) }
            @if let Some(end) = coverage.end.as_deref().filter(|end| *end < "2099") { " until " (Escaped(&said_date(end))) }
            @if coverage.start.is_some() { ". " }
            @if let Some(payer) = coverage.payer.as_deref().filter(|_| is_plan) { (Escaped(payer)) ". " }
            @for contract in &coverage.contracts {
                "Contract " (Escaped(&contract.number))
                @if let Some(plan) = &contract.plan { ", plan " (Escaped(plan)) }
                ": " (contract.months()) ". "
            }
            @if let Some(medicaid) = &coverage.medicaid { @if coverage.part == Some(Part::Dual) { (Escaped(medicaid)) ". " } @else { "Medicaid: " (Escaped(medicaid)) ". " } }
            (Escaped(&status))
            @if !coverage.phones.is_empty() { " Phone: " (Escaped(&coverage.phones.join(", "))) "." }
            @for (name, value) in &coverage.pharmacy { " " (name) " " (Escaped(value)) "." }
        }
    } }
}

/// The insurance card of API v3: a bundle with the person and the parts.
fn drawn(card: &Value) -> Markup {
    let resources = || card["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]);
    let person = resources().find(|it| it["resourceType"] == "Patient");
    let name = person.and_then(name);
    let covers: Vec<Coverage> = resources().filter_map(Coverage::of).collect();
    let member = covers.iter().find_map(|it| it.member.clone());
    let note = resources().flat_map(|it| it["extension"].as_array().into_iter().flatten());
    let note = note.filter_map(|it| it["valueAnnotation"]["text"].as_str()).next();
    html! { @if let (Some(name), Some(member)) = (name, member) {
        div.id-card role="group" aria-label="Your Medicare card, drawn" {
            p.top { "Medicare health insurance" }
            p { span.quiet { "Name" } br; b { (Escaped(&name)) } }
            p { span.quiet { "Medicare number" } br; b { (Escaped(&member)) } }
            dl { @for cover in &covers { @if let (Some(part), Some(start)) = (cover.part, &cover.start) {
                div { dt { @match part { Part::A => "Hospital (Part A)", Part::B => "Medical (Part B)", Part::Dual => "Medicaid", Part::C => "Plan (Part C)", Part::D => "Drugs (Part D)" } } dd { "since " (Escaped(&said_date(start))) } }
            } } }
        }
        p.quiet { "This drawing shows what the server sent. Use your real card. Give the number only to people who provide your care." }
        @if let Some(note) = note { details { summary { "What the card says" } @for part in note.split("\n\n") { p { (Escaped(part)) } } } }
    } }
}
