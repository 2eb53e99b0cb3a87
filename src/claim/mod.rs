//! Reads a claim of any version and type: the one reader for everything that people see.
//!
//! Any field may be missing or have the wrong type. What cannot be read is treated as missing. CMS's own names have
//! priority over those of the Implementation Guide, which several amounts share and which are sometimes wrong.

pub(crate) mod archived;
mod codes;
pub mod coverage;
mod denial;
mod disposition;
mod json_access;
mod kind;
mod lenient_json;
mod lines;
mod money;
mod payer_decision;
mod people;

use serde_json::Value;

pub use codes::Coded;
pub use disposition::Disposition;
use jiff::civil::Date;
pub use json_access::{clean, day};
use json_access::{each, is, said, text};
pub use kind::Kind;
use kind::{Family, Version};
pub use lines::Line;
use money::ReadIssues;
pub use money::{Amounts, Cents};
pub use payer_decision::PayerDecision;
pub use people::Member;

/// The parts of a claim that the report and the tables show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The resource's id.
    pub id: String,
    /// CMS's number of the claim: `identifier` of the variable `clm_id` or `pde_id`; at v3, the one of type `uc`.
    pub number: Option<String>,
    /// CMS's type.
    pub kind: Option<Kind>,
    /// Whether it only asks whether something would be paid (`use` is `preauthorization`); it has no money.
    pub is_prior_authorization: bool,
    /// Whether it counts.
    pub disposition: Disposition,
    /// Why Medicare did not pay, if it did not. Such a claim has no share.
    pub payer_decision: Option<PayerDecision>,
    /// Why the whole claim was denied, if it was.
    pub denial_reason: Option<Coded>,
    /// `status`: `active`, `cancelled`.
    pub status: Option<String>,
    /// `outcome`: `complete`, `partial`.
    pub outcome: Option<String>,
    /// v3: which of CMS's systems it comes from (`meta.source`).
    pub source: Option<String>,
    /// First day of service, as in the claim. It may be invalid, or later than the last day.
    pub start: Option<String>,
    /// Last day of service, as in the claim.
    pub end: Option<String>,
    /// Who billed: a name, if the server gives one.
    pub provider: Option<String>,
    /// Who billed: National Provider Identifier.
    pub provider_npi: Option<String>,
    /// Who billed: address and phone, if the claim has them.
    pub provider_contact: Option<String>,
    /// Who treated or prescribed: a name, if the server gives one.
    pub practitioner: Option<String>,
    /// Who treated or prescribed: National Provider Identifier.
    pub practitioner_npi: Option<String>,
    /// Everyone in the care team, in the claim's order.
    pub care_team: Vec<Member>,
    /// Diagnoses, the principal one first.
    pub diagnoses: Vec<Coded>,
    /// Whether the claim says that the first one is the principal one.
    pub has_principal_diagnosis: bool,
    /// Procedures of an institutional claim (ICD).
    pub procedures: Vec<Coded>,
    /// Diagnosis related group of a stay.
    pub drg: Option<String>,
    /// For how many days a drug was supplied.
    pub days_supply: Option<String>,
    /// For a drug: which fill it was; 0 is the first.
    pub refill: Option<String>,
    /// Amounts of the whole claim.
    pub amounts: Amounts,
    /// Its lines.
    pub lines: Vec<Line>,
    /// `meta.lastUpdated`.
    pub last_updated: Option<String>,
    /// Whether some part of it could not be read as it was sent: half a surrogate pair, a number or an amount that is
    /// too large or not in dollars, too deep nesting, or an unknown type. The rest is here.
    pub is_incomplete: bool,
}

impl Claim {
    /// Reads an ExplanationOfBenefit of API v1 (STU3), v2 or v3. A part that is valid JSON but cannot be read is left
    /// out; see [`Claim::is_incomplete`].
    ///
    /// # Errors
    /// If the text is not JSON.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        let (value, is_mended) = lenient_json::read_json(text)?;
        let claim = Self::of(&value);
        Ok(Self { is_incomplete: claim.is_incomplete || is_mended, ..claim })
    }

    fn of(claim: &Value) -> Self {
        let kind = kind::kind(claim);
        let version = Version::of(claim);
        let family = kind.map_or(Family::Professional, Kind::family);
        let (start, end) = served(claim);
        let provider = people::billed_by(claim, version, family);
        let practitioner = people::practitioner(claim, version, family);
        let (diagnoses, has_principal_diagnosis) = codes::diagnoses(claim);
        let disposition = Disposition::of(claim, version);
        let is_prior_authorization = disposition == Disposition::PriorAuthorization;
        let issues = ReadIssues::default();
        let mut amounts = if is_prior_authorization { Amounts::default() } else { Amounts::read(claim, kind, &issues) };
        let mut lines: Vec<Line> = each(claim, "item").map(|line| Line::read(line, kind, family, &issues)).collect();
        lines::unsay_zeros(&mut lines, &mut amounts, &issues);
        let payer_decision = if is_prior_authorization { None } else { PayerDecision::of(claim, family, &amounts) };
        if payer_decision.is_some() {
            amounts.patient_pays = None;
            lines.iter_mut().for_each(|line| line.patient_pays = None);
        }
        // Some claims have only the line that repeats their total.
        let is_total_only = lines.iter().all(|line| line.is_total);
        for line in &mut lines {
            // The services of a claim that a plan paid were for the plan to approve.
            let is_medicares = payer_decision != Some(PayerDecision::MedicareAdvantage);
            line.is_denied &= is_medicares && (is_total_only || !line.is_total);
        }
        let denial_reason = payer_decision
            .filter(|it| *it == PayerDecision::Denied)
            .and_then(|_| payer_decision::reason(claim, family));
        if let Some(reason) = &denial_reason {
            for line in lines.iter_mut().filter(|line| is_total_only || !line.is_total) {
                line.is_denied = true;
                if line.denial_reasons.is_empty() {
                    line.denial_reasons.push(reason.clone());
                }
            }
        }
        // Nothing was approved, so a share of 0 only means that there was nothing to divide.
        let is_all_denied =
            lines.iter().any(|line| line.is_denied) && lines.iter().all(|line| line.is_denied || line.is_total);
        if is_all_denied && amounts.patient_pays == Some(Cents(0)) {
            amounts.patient_pays = None;
        }
        // A claim of an unknown type has a form that this reader does not know (as CMS's samples of 2018 have): its
        // amounts and lines have other names.
        let is_strange = !is_prior_authorization && kind.is_none();
        Self {
            id: text(claim, "id").unwrap_or_default().to_owned(),
            number: number(claim),
            kind,
            is_prior_authorization,
            disposition,
            payer_decision,
            denial_reason,
            status: said(claim, "status"),
            outcome: said(claim, "outcome"),
            source: said(&claim["meta"], "source"),
            start,
            end,
            provider: provider.name,
            provider_npi: provider.npi,
            provider_contact: people::contact(claim),
            practitioner: practitioner.name,
            practitioner_npi: practitioner.npi,
            care_team: people::care_team(claim),
            diagnoses,
            has_principal_diagnosis,
            procedures: codes::procedures(claim),
            drg: codes::drg(claim),
            days_supply: codes::days_supply(claim),
            refill: codes::refill(claim),
            amounts,
            lines,
            last_updated: said(&claim["meta"], "lastUpdated"),
            is_incomplete: issues.is_met() || is_strange,
        }
    }

    /// The lines that Medicare did not approve.
    pub fn denied_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.is_denied)
    }

    /// How many services Medicare did not approve. If it paid nothing for a claim that lists no services, that is one.
    #[must_use]
    pub fn denied_services(&self) -> u64 {
        let is_denied_without_lines = self.lines.is_empty() && self.payer_decision == Some(PayerDecision::Denied);
        self.denied_lines().count() as u64 + u64::from(is_denied_without_lines)
    }

    /// The first day of service, if the claim has a complete date.
    #[must_use]
    pub fn first_day(&self) -> Option<Date> {
        day(self.start.as_deref()?)
    }

    /// The year of the first day of service.
    #[must_use]
    pub fn year(&self) -> Option<&str> {
        self.first_day()?;
        self.start.as_deref()?.get(..4)
    }

    /// Who this claim is from: name and National Provider Identifier of the one who billed, else of the one who
    /// treated, if one of them has a name. Otherwise the number of one of them.
    #[must_use]
    pub fn party(&self) -> (Option<&str>, Option<&str>) {
        let (billed, treated) = (self.provider_npi.as_deref(), self.practitioner_npi.as_deref());
        // Doctors' claims at v1 name who treated, but seldom who billed.
        match (self.provider.as_deref(), self.practitioner.as_deref()) {
            (Some(name), _) => (Some(name), billed),
            (None, Some(name)) => (Some(name), treated),
            (None, None) => (None, billed.or(treated)),
        }
    }

    /// The same as text for people: a name, else a number.
    #[must_use]
    pub fn who(&self) -> Option<String> {
        let (name, npi) = self.party();
        name.map(str::to_owned).or_else(|| npi.map(|npi| format!("NPI {npi}")))
    }
}

/// First and last day of service. Old drug events have no period, but a day on their only line.
fn served(claim: &Value) -> (Option<String>, Option<String>) {
    let period = &claim["billablePeriod"];
    let (start, end) = (said(period, "start"), said(period, "end"));
    if start.is_some() || end.is_some() {
        return (start, end);
    }
    let line = claim["item"].get(0).unwrap_or(&Value::Null);
    let day = said(line, "servicedDate");
    let period = &line["servicedPeriod"];
    (day.clone().or_else(|| said(period, "start")), day.or_else(|| said(period, "end")))
}

fn number(claim: &Value) -> Option<String> {
    let is_number = |identifier: &&Value| {
        let system = text(identifier, "system").map(json_access::tail);
        matches!(system, Some("clm_id" | "pde_id")) || (system.is_none() && is(&identifier["type"], "uc"))
    };
    each(claim, "identifier").find(is_number).and_then(|identifier| said(identifier, "value"))
}

#[cfg(test)]
mod tests;
