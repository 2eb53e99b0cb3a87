//! Claims of doctors (`carrier`) and of equipment suppliers (`dme`).

use super::super::parts::{Cents, Provider};
use super::super::tables::{EQUIPMENT, ORGANIZATIONS, PLACES, SERVICES, STATES, Service, State};
use super::super::vocabulary::{Code, System};
use super::super::{Claim, Kind};
use super::line_money::{self, LineMoney};
use super::{ClaimRow, Column, Details, DiagnosisKind, Figure, Info, InfoValue, Line, diagnoses};
use crate::rng::Rng;

/// What only a professional claim has.
pub(crate) struct Professional {
    /// What a laboratory measured, in hundredths of a gram per deciliter.
    pub(crate) hemoglobin: Option<Cents>,
    /// The number of the carrier, and the number that it gave to the claim.
    pub(crate) carrier: u64,
    pub(crate) control: u64,
    /// How the carrier entered the claim.
    pub(crate) entry: (&'static str, &'static str),
    pub(crate) referring: Provider,
    /// Whether v2 says who sent the bill, and who referred the patient.
    pub(crate) has_biller: bool,
    pub(crate) has_referral: bool,
    /// The group that the performer bills for: its NPI and its name.
    pub(crate) organization: Option<(u64, &'static str)>,
    pub(crate) place: (&'static str, &'static str),
    pub(crate) state: &'static State,
    pub(crate) lines: Vec<ServiceLine>,
}

/// What only a line of a professional claim has.
pub(crate) struct ServiceLine {
    pub(crate) service: &'static Service,
    /// The number of the diagnosis that the line is for.
    pub(crate) diagnosis: u64,
    pub(crate) source: Source,
}

/// Where a service or a piece of equipment came from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The ZIP code of a doctor's place of service, and its four extra digits.
    Zip(u64, u64),
    /// The number of the supplier of equipment.
    Supplier(u64),
}

impl Professional {
    /// Who is paid by the carrier.
    pub(crate) const PAYMENT: (&'static str, &'static str) = ("1", "Physician/supplier");

    /// Says that no payment was reduced.
    pub(crate) const NOT_REDUCED: Code<'static> = Code(System::Variable("carr_line_rdcd_pmt_phys_astn_c"), "0", "N/A");

    pub(crate) fn place(&self) -> Code<'static> {
        Code(System::Variable("line_place_of_srvc_cd"), self.place.0, self.place.1)
    }
}

pub(super) fn row<'c>(claim: &'c Claim, rng: &mut Rng) -> ClaimRow<'c> {
    let is_carrier = claim.kind == Kind::Carrier;
    let services: Vec<(&Service, LineMoney)> = (0..line_money::count(rng, claim.kind))
        .map(|_| {
            let service = rng.pick(if is_carrier { SERVICES } else { EQUIPMENT });
            (service, LineMoney::any(rng, service.charge))
        })
        .collect();
    let total = LineMoney::total(services.iter().map(|(_, money)| money));
    // Equipment has a laboratory value more often than a visit does, because oxygen and insulin need one.
    let observed = rng.percent(if is_carrier { 10 } else { 90 });
    let is_cancelled = rng.percent(3);
    let hemoglobin = observed.then(|| Cents(rng.between(80, 170) * 10));
    let carrier = rng.between(1, 99_999);
    let control = rng.below(100_000_000_000_000);
    let entry = match (is_cancelled, rng.below(100)) {
        (true, _) => ("3", "Full credit"),
        (false, 0..=4) => ("5", "Replacement debit"),
        _ => ("1", "Original debit; void of original debit (If CLM_DISP_CD = 3, code 1 means voided original debit)"),
    };
    let group = claim.group(rng);
    let performer = Provider::any(rng);
    let referring = Provider::any(rng);
    // Most doctors' claims do not say who billed.
    let has_biller = !is_carrier || !rng.percent(60);
    let has_referral = !is_carrier || !rng.percent(15);
    let organization = (is_carrier && rng.percent(40)).then(|| {
        let name = *rng.pick(ORGANIZATIONS);
        (9_000_000_000 + rng.below(1_000_000_000), name)
    });
    let mut information = vec![(Info::Received, InfoValue::Date(claim.processed()))];
    if observed {
        information.push((Info::Laboratory, InfoValue::Observation));
    }
    let count = rng.between(1, 4);
    let diagnoses = diagnoses(rng, count, |sequence| match sequence {
        1 => DiagnosisKind::Principal,
        _ => DiagnosisKind::Secondary,
    });
    let place = *rng.pick(PLACES);
    let state = rng.pick(STATES);
    let (lines, services) =
        (1..).zip(services).map(|(sequence, service)| line(rng, is_carrier, (sequence, count, state), service)).unzip();
    let details = Details::Professional(Professional {
        hemoglobin,
        carrier,
        control,
        entry,
        referring,
        has_biller,
        has_referral,
        organization,
        place,
        state,
        lines: services,
    });
    ClaimRow {
        is_cancelled,
        group,
        information,
        diagnoses,
        // The total charge stays 0, as on the server for these types.
        paid: total.paid,
        figures: vec![
            (Column::CarrClmCashDdctblApldAmt, Figure::Money(total.deductible)),
            (Column::NchClmPrvdrPmtAmt, Figure::Money(total.paid)),
            (Column::NchClmBenePmtAmt, Figure::Money(Cents(0))),
            (Column::NchCarrClmSbmtdChrgAmt, Figure::Money(total.charge)),
            (Column::NchCarrClmAlowdAmt, Figure::Money(total.allowed)),
        ],
        lines,
        ..ClaimRow::new(claim, performer, details)
    }
}

fn line(
    rng: &mut Rng,
    is_carrier: bool,
    (sequence, diagnoses, state): (u64, u64, &State),
    (service, money): (&'static Service, LineMoney),
) -> (Line, ServiceLine) {
    let units = rng.between(1, 3);
    let supplier = (!is_carrier).then(|| Source::Supplier(9_000_000_000 + rng.below(1_000_000_000)));
    let diagnosis = rng.between(1, diagnoses);
    let modifier = (!is_carrier || rng.percent(20)).then(|| *rng.pick(&["LT", "RT", "NU", "RR", "KX", "59"]));
    let source = supplier.unwrap_or_else(|| Source::Zip(state.zip + rng.below(999), rng.below(10_000)));
    let mut amounts = Vec::with_capacity(11);
    if !is_carrier {
        amounts.extend([
            (Column::RevCntrPrvdrPmtAmt, money.paid),
            (Column::LinePrmryAlowdChrgAmt, Cents(0)),
            (Column::LineDmePrchsPriceAmt, money.charge),
        ]);
    }
    amounts.extend([
        (Column::LineNchPmtAmt, money.paid),
        (Column::LineBenePmtAmt, Cents(0)),
        (Column::LinePrvdrPmtAmt, money.paid),
        (Column::LineBenePtbDdctblAmt, money.deductible),
        (Column::LineBenePrmryPyrPdAmt, Cents(0)),
        (Column::LineCoinsrncAmt, money.coinsurance),
        (Column::LineSbmtdChrgAmt, money.charge),
        (Column::LineAlowdChrgAmt, money.allowed),
    ]);
    let code = Some(service.hcpcs);
    let line = Line { sequence, code, modifier, units, is_denied: money.denied(), amounts };
    (line, ServiceLine { service, diagnosis, source })
}
