//! A claim as in CMS's database: [`ClaimRow`], which v1, v2 and v3 each write in their own form.
//!
//! The row is made once and has everything that any version shows. So two versions cannot contradict each other.

mod columns;
mod drug;
mod information;
mod institutional;
mod line_money;
mod professional;
mod stay;

use super::parts::{Cents, Provider};
use super::tables::diagnosis;
use super::vocabulary::{Code, System};
use super::{Claim, Kind};
use crate::rng::Rng;
pub(super) use columns::{Column, Figure};
pub(super) use drug::DrugEvent;
pub(super) use information::{Info, InfoValue};
pub(super) use institutional::{Institutional, Organization, RevenueLine};
pub(super) use professional::{Professional, ServiceLine, Source};

/// All that is known about a claim.
pub(super) struct ClaimRow<'c> {
    pub(super) claim: &'c Claim,
    /// Whether whole amounts are written without `.0`.
    pub(super) whole_amounts: bool,
    /// Replaced by a later claim.
    pub(super) is_cancelled: bool,
    /// The number of the group that ties a claim to its adjustments.
    pub(super) group: u64,
    /// Who provided the service; for a drug event, who prescribed the drug.
    pub(super) performer: Provider,
    pub(super) information: Vec<(Info, InfoValue)>,
    pub(super) diagnoses: Vec<Diagnosis>,
    /// The total charge; always 0 on professional claims, and the whole cost of a drug.
    pub(super) charge: Cents,
    /// What Medicare paid.
    pub(super) paid: Cents,
    /// Other sums and counts of the whole claim.
    pub(super) figures: Vec<(Column, Figure)>,
    /// Additional payments to a hospital: the claim value amounts.
    pub(super) value_amounts: Vec<(Column, Cents)>,
    /// At least one.
    pub(super) lines: Vec<Line>,
    pub(super) details: Details,
}

/// What only some types of claims have.
pub(super) enum Details {
    Drug(DrugEvent),
    Professional(Professional),
    Institutional(Institutional),
}

/// What all lines have. The details have the rest, in the same order.
pub(super) struct Line {
    /// Counted from 1.
    pub(super) sequence: u64,
    /// HCPCS code, or the NDC of a drug event; none on the line that repeats a hospital's total.
    pub(super) code: Option<&'static str>,
    pub(super) modifier: Option<&'static str>,
    pub(super) units: u64,
    /// Charged, but nothing allowed.
    pub(super) is_denied: bool,
    pub(super) amounts: Vec<(Column, Cents)>,
}

/// The role of a member of the care team.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Referring,
    Attending,
    Operating,
    OtherOperating,
    Performing,
    Prescribing,
}

/// An ICD-10 diagnosis.
pub(super) struct Diagnosis {
    pub(super) code: &'static str,
    pub(super) words: &'static str,
    pub(super) kind: DiagnosisKind,
    /// The CMS variable that says whether it was present at admission, for the diagnoses of a hospital stay.
    pub(super) at_admission: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DiagnosisKind {
    Admitting,
    Principal,
    /// A further diagnosis of a professional claim.
    Secondary,
    /// A further diagnosis of an institution's claim.
    Other,
}

impl<'c> ClaimRow<'c> {
    pub(super) fn of(claim: &'c Claim) -> Self {
        let mut rng = claim.rng.clone();
        let whole_amounts = rng.percent(12);
        let row = match claim.kind {
            Kind::Pde => drug::row(claim, &mut rng),
            Kind::Carrier | Kind::Dme => professional::row(claim, &mut rng),
            _ => institutional::row(claim, &mut rng),
        };
        Self { whole_amounts, ..row }
    }

    /// A row with only these values.
    fn new(claim: &'c Claim, performer: Provider, details: Details) -> Self {
        Self {
            claim,
            whole_amounts: false,
            is_cancelled: false,
            group: 0,
            performer,
            information: Vec::new(),
            diagnoses: Vec::new(),
            charge: Cents(0),
            paid: Cents(0),
            figures: Vec::new(),
            value_amounts: Vec::new(),
            lines: Vec::new(),
            details,
        }
    }

    /// The care team. The one who performed or prescribed comes last.
    pub(super) fn care_team(&self) -> impl Iterator<Item = (Role, &Provider)> {
        let (role, referring, others): (_, _, &[(Role, Provider)]) = match &self.details {
            Details::Drug(_) => (Role::Prescribing, None, &[]),
            Details::Professional(bill) => (Role::Performing, Some((Role::Referring, &bill.referring)), &[]),
            Details::Institutional(bill) => (Role::Performing, None, &bill.others),
        };
        let others = others.iter().map(|(role, provider)| (*role, provider));
        referring.into_iter().chain(others).chain([(role, &self.performer)])
    }

    /// The sum or count in a column of the claim.
    pub(super) fn figure(&self, column: Column) -> Option<Figure> {
        if column == Column::ClmTotChrgAmt {
            return Some(Figure::Money(self.charge));
        }
        let value = || self.value_amounts.iter().find(|(found, _)| *found == column);
        let own = self.figures.iter().find(|(found, _)| *found == column).map(|(_, figure)| *figure);
        own.or_else(|| value().map(|(_, amount)| Figure::Money(*amount)))
    }

    /// Final-action claims are active; a claim that was replaced is cancelled.
    pub(super) fn status(&self) -> &'static str {
        if self.is_cancelled { "cancelled" } else { "active" }
    }

    /// The numbers of the claim and its group, both negative, and the number of a prescription.
    pub(super) fn identifiers(&self) -> impl Iterator<Item = (System<'static>, i128)> {
        let (own, prescription) = match &self.details {
            Details::Drug(event) => ("pde_id", Some((System::Variable("rx_srvc_rfrnc_num"), event.prescription))),
            _ => ("clm_id", None),
        };
        let group = System::Url("https://bluebutton.cms.gov/resources/identifier/claim-group");
        let own = [(System::Variable(own), -i128::from(self.claim.number)), (group, -i128::from(self.group))];
        own.into_iter().chain(prescription.map(|(system, number)| (system, i128::from(number))))
    }

    /// The disposition of a professional claim.
    pub(super) fn disposition(&self) -> &'static str {
        if self.is_cancelled { "03" } else { "01" }
    }

    /// Whether the laboratory value belongs to this line.
    pub(super) fn is_observed(&self, line: &Line) -> bool {
        line.sequence == 1 && self.info(Info::Laboratory).is_some()
    }

    pub(super) fn info(&self, info: Info) -> Option<&InfoValue> {
        self.information.iter().find(|(found, _)| *found == info).map(|(_, value)| value)
    }

    /// The code in an entry of the supporting information.
    pub(super) fn code(&self, info: Info) -> Option<&'static str> {
        match self.info(info)? {
            InfoValue::Code(code, _) => Some(code),
            _ => None,
        }
    }

    /// The count in an entry of the supporting information.
    pub(super) fn count(&self, info: Info) -> Option<u64> {
        match self.info(info)? {
            InfoValue::Count(count) | InfoValue::Pints(count) => Some(*count),
            _ => None,
        }
    }
}

impl Line {
    /// The processing result of a line of a professional claim.
    pub(super) fn processing(&self) -> (&'static str, &'static str) {
        if self.is_denied { ("N", "Medically unnecessary") } else { ("A", "Allowed") }
    }

    /// Why an institution got less than it charged. Lines that were allowed say it only if they are `explained`.
    pub(super) fn reduction(&self, explained: bool) -> Option<Code<'static>> {
        let reason = if self.is_denied { "CO50" } else { "CO45" };
        (self.is_denied || explained).then_some(Code(System::Variable("rev_cntr_1st_ansi_cd"), reason, ""))
    }

    /// The amount in a column of the line.
    pub(super) fn amount(&self, column: Column) -> Option<Figure> {
        self.amounts.iter().find(|(found, _)| *found == column).map(|(_, amount)| Figure::Money(*amount))
    }
}

/// Distinct diagnoses. `kind` returns the kind of each one from its number.
fn diagnoses(rng: &mut Rng, count: u64, kind: impl Fn(u64) -> DiagnosisKind) -> Vec<Diagnosis> {
    let start = rng.next();
    (1..=count)
        .map(|sequence| {
            let &(code, words) = diagnosis(start, sequence);
            Diagnosis { code, words, kind: kind(sequence), at_admission: None }
        })
        .collect()
}
