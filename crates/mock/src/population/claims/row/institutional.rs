//! Claims of institutions: hospital (in and out), nursing facility, home health, hospice.

use super::super::parts::{Cents, Provider};
use super::super::tables::{ORGANIZATIONS, PROCEDURES, REVENUE_CENTERS, STATES};
use super::super::vocabulary::{Code, System};
use super::super::{Claim, Kind};
use super::line_money::{self, LineMoney};
use super::stay::information;
use super::{ClaimRow, Column, Details, Diagnosis, DiagnosisKind, Figure, Line, Role, diagnoses};
use crate::rng::Rng;

/// What only an institution's claim has.
pub(crate) struct Institutional {
    /// Who sent the bill, if the claim says it.
    pub(crate) organization: Option<Organization>,
    /// The care team without the performer.
    pub(crate) others: Vec<(Role, Provider)>,
    /// What the intermediary did with a stay's claim.
    pub(crate) action: Option<(&'static str, &'static str)>,
    /// The number that the intermediary gave to the claim, and that of the original claim, which only v1 has.
    pub(crate) control: u64,
    pub(crate) original_control: u64,
    pub(crate) contractor: &'static str,
    /// How many times a hospice has had the patient.
    pub(crate) hospice_periods: Option<u64>,
    pub(crate) has_sub_type: bool,
    pub(crate) procedures: Vec<&'static (&'static str, &'static str)>,
    /// An outpatient procedure that only v1 has.
    pub(crate) outpatient_procedure: Option<&'static (&'static str, &'static str)>,
    /// Postal abbreviation.
    pub(crate) state: &'static str,
    pub(crate) lines: Vec<RevenueLine>,
}

#[derive(Clone, Copy)]
pub(crate) struct Organization {
    /// CMS's own number.
    pub(crate) number: u64,
    pub(crate) npi: u64,
    pub(crate) name: &'static str,
}

/// What only a revenue line has.
pub(crate) struct RevenueLine {
    /// Revenue center code, and its text.
    pub(crate) center: (&'static str, &'static str),
    /// Whether the line is for a drug, which it names.
    pub(crate) has_drug: bool,
    /// Whether v1 has an additional modifier.
    pub(crate) has_v1_modifier: bool,
}

impl RevenueLine {
    /// The NDC of the drug.
    pub(crate) const DRUG: &'static str = "99999020460";

    pub(crate) const DEDUCTIBLE: Code<'static> =
        Code(System::Variable("rev_cntr_ddctbl_coinsrnc_cd"), "0", "Charges are subject to deductible and coinsurance");

    /// The revenue center.
    pub(crate) fn center(&self) -> Code<'static> {
        Code(System::Variable("rev_cntr"), self.center.0, self.center.1)
    }

    /// Whether lines name a fee schedule.
    pub(crate) fn has_fee_schedule(kind: Kind) -> bool {
        matches!(kind, Kind::Outpatient | Kind::Hha)
    }

    /// Whether lines say that the deductible applies.
    pub(crate) fn has_deductible(kind: Kind) -> bool {
        !matches!(kind, Kind::Outpatient | Kind::Inpatient)
    }
}

impl Institutional {
    /// The kind of facility, from the first digit of the type of bill.
    pub(crate) fn facility(kind: Kind) -> (&'static str, &'static str) {
        match kind {
            Kind::Hha => ("3", "Home Health Agency (HHA)"),
            Kind::Hospice => ("8", "Ambulatory Surgery Center (ASC) or other special facility (e.g. hospice)"),
            Kind::Snf => ("2", "Skilled Nursing Facility (SNF)"),
            _ => ("1", "Hospital"),
        }
    }

    /// The class of service, from the second digit of the type of bill.
    pub(crate) fn service_class(kind: Kind) -> &'static str {
        match kind {
            Kind::Hha => "2",
            Kind::Outpatient => "3",
            _ => "1",
        }
    }

    /// Whether a line has drugs instead of units.
    pub(crate) fn counts_drugs(kind: Kind) -> bool {
        matches!(kind, Kind::Snf | Kind::Hha | Kind::Hospice)
    }
}

pub(super) fn row<'c>(claim: &'c Claim, rng: &mut Rng) -> ClaimRow<'c> {
    let kind = claim.kind;
    let is_stay = matches!(kind, Kind::Inpatient | Kind::Snf);
    let (revenue, total) = revenue(rng, kind);
    let is_cancelled = rng.percent(3);
    let organization = (!rng.percent(4)).then(|| {
        let (number, npi) = (rng.between(10_000, 999_999), 9_000_000_000 + rng.below(1_000_000_000));
        let name = *rng.pick(ORGANIZATIONS);
        Organization { number, npi, name }
    });
    let action = is_stay.then(|| match (is_cancelled, rng.below(100)) {
        (true, _) => ("2", "Cancel by credit adjustment (used only in credit/debit pairs)"),
        (false, 0..=4) => ("3", "Secondary debit adjustment (used only in credit/debit pairs)"),
        _ => ("1", "Original debit action (always a 1 for all regular bills)"),
    });
    let value_amounts = match kind {
        Kind::Inpatient => [Column::ImeOpClmValAmt, Column::ClmUncompdCarePmtAmt, Column::DshOpClmValAmt]
            .map(|column| (column, Cents(rng.between(1_000, 90_000))))
            .to_vec(),
        _ => Vec::new(),
    };
    let control = rng.below(100_000_000_000_000);
    let contractor = *rng.pick(&["99011", "99022", "99033"]);
    let hospice_periods = (kind == Kind::Hospice).then(|| rng.between(1, 4));
    let group = claim.group(rng);
    let has_sub_type = kind != Kind::Outpatient || rng.percent(30);
    let mut others = vec![(Role::Attending, Provider::any(rng))];
    if is_stay || (kind == Kind::Outpatient && rng.percent(60)) {
        others.push((Role::Operating, Provider::any(rng)));
        others.push((Role::OtherOperating, Provider::any(rng)));
    }
    let performer = Provider::any(rng);
    let information = information(claim, rng);
    let diagnoses = diagnoses_of(rng, kind);
    let procedures = match kind {
        Kind::Inpatient => rng.below(4),
        Kind::Snf => 1,
        _ => 0,
    };
    let procedures = (0..procedures).map(|_| rng.pick(PROCEDURES)).collect();
    let state = rng.pick(STATES).postal;
    // Random numbers for what only v1 has, separate from those for the rest.
    let mut v1 = Rng::at(&[claim.rng.clone().next(), 0x0076_3100]);
    let original_control = v1.below(100_000_000_000_000);
    let is_outpatient = kind == Kind::Outpatient;
    let outpatient_procedure = (is_outpatient && v1.percent(10)).then(|| v1.pick(PROCEDURES));
    let (lines, revenue) = (1..)
        .zip(revenue)
        .map(|(sequence, (center, money))| {
            let units = rng.between(1, 12);
            let has_drug = is_outpatient && center.is_some() && rng.percent(5);
            let rate = if rng.percent(50) { Cents(0) } else { money.allowed };
            let line = Line {
                sequence,
                code: center.map(|(_, _, code)| *code),
                modifier: (Institutional::counts_drugs(kind) && center.is_some()).then_some("KX"),
                units,
                is_denied: money.denied(),
                amounts: amounts(kind, &money, rate),
            };
            let center = center.map_or(("0001", "Total charge"), |(code, words, _)| (*code, *words));
            (line, RevenueLine { center, has_drug, has_v1_modifier: is_outpatient && v1.percent(10) })
        })
        .unzip();
    let details = Details::Institutional(Institutional {
        organization,
        others,
        action,
        control,
        original_control,
        contractor,
        hospice_periods,
        has_sub_type,
        procedures,
        outpatient_procedure,
        state,
        lines: revenue,
    });
    ClaimRow {
        is_cancelled,
        group,
        information,
        diagnoses,
        charge: total.charge,
        paid: total.paid,
        figures: figures(claim, &total),
        value_amounts,
        lines,
        ..ClaimRow::new(claim, performer, details)
    }
}

/// A row of [`REVENUE_CENTERS`] (none for the line that repeats the total), and its amounts.
type Revenue = (Option<&'static (&'static str, &'static str, &'static str)>, LineMoney);

/// The lines and their sum. The last line of a hospital's bill repeats the total charge.
fn revenue(rng: &mut Rng, kind: Kind) -> (Vec<Revenue>, LineMoney) {
    let repeats_total = matches!(kind, Kind::Outpatient | Kind::Inpatient);
    let count = line_money::count(rng, kind);
    let usual = match kind {
        Kind::Inpatient | Kind::Snf => (20_000, 900_000),
        Kind::Hha | Kind::Hospice => (9_000, 300_000),
        _ => (2_000, 120_000),
    };
    let mut entries: Vec<Revenue> = (0..count - u64::from(repeats_total))
        .map(|_| (Some(rng.pick(REVENUE_CENTERS)), LineMoney::any(rng, usual)))
        .collect();
    let total = LineMoney::total(entries.iter().map(|(_, money)| money));
    if repeats_total {
        entries.push((None, total));
    }
    (entries, total)
}

fn diagnoses_of(rng: &mut Rng, kind: Kind) -> Vec<Diagnosis> {
    let is_inpatient = kind == Kind::Inpatient;
    let count = if is_inpatient { rng.between(5, 8) } else { rng.between(2, 5) };
    let mut found = diagnoses(rng, count, |sequence| match (is_inpatient, sequence) {
        (true, 1) => DiagnosisKind::Admitting,
        (true, 2) | (false, 1) => DiagnosisKind::Principal,
        _ => DiagnosisKind::Other,
    });
    if is_inpatient {
        let variables = ["clm_poa_ind_sw1", "clm_poa_ind_sw2", "clm_poa_ind_sw3", "clm_poa_ind_sw4"];
        let last = std::iter::repeat("clm_poa_ind_sw4");
        for (diagnosis, variable) in found.iter_mut().skip(1).zip(variables.into_iter().chain(last)) {
            diagnosis.at_admission = Some(variable);
        }
    }
    found
}

/// The amounts of a line.
fn amounts(kind: Kind, money: &LineMoney, rate: Cents) -> Vec<(Column, Cents)> {
    let mut amounts = Vec::with_capacity(16);
    amounts.extend([
        (Column::RevCntrRateAmt, rate),
        (Column::RevCntrTotChrgAmt, money.charge),
        (Column::RevCntrNcvrdChrgAmt, money.noncovered),
    ]);
    if kind == Kind::Outpatient {
        amounts.extend([
            (Column::RevCntrBloodDdctblAmt, Cents(0)),
            (Column::RevCntrCashDdctblAmt, money.deductible),
            (Column::RevCntrCoinsrncWgeAdjstdC, money.coinsurance),
            (Column::RevCntrRdcdCoinsrncAmt, Cents(0)),
            (Column::RevCntr1stMspPdAmt, Cents(0)),
            (Column::RevCntr2ndMspPdAmt, Cents(0)),
        ]);
    }
    if matches!(kind, Kind::Outpatient | Kind::Hospice) {
        amounts.extend([(Column::RevCntrPrvdrPmtAmt, money.paid), (Column::RevCntrBenePmtAmt, Cents(0))]);
    }
    if kind == Kind::Outpatient {
        amounts.push((Column::RevCntrPtntRspnsbltyPmt, Cents(money.deductible.0 + money.coinsurance.0)));
    }
    if matches!(kind, Kind::Outpatient | Kind::Hha | Kind::Hospice) {
        amounts.push((Column::RevCntrPmtAmtAmt, money.paid));
    }
    amounts
}

/// The sums and counts of the whole claim.
fn figures(claim: &Claim, total: &LineMoney) -> Vec<(Column, Figure)> {
    let days = claim.end.duration_since(claim.start).as_hours().unsigned_abs() / 24;
    let mut figures = Vec::with_capacity(24);
    match claim.kind {
        Kind::Inpatient | Kind::Snf => stay_figures(&mut figures, claim.kind, days, total),
        Kind::Outpatient => figures.extend(
            [
                (Column::NchProfnlCmpntChrgAmt, Cents(0)),
                (Column::NchBenePtbDdctblAmt, total.deductible),
                (Column::NchBenePtbCoinsrncAmt, total.coinsurance),
                (Column::ClmOpPrvdrPmtAmt, total.paid),
                (Column::ClmOpBenePmtAmt, Cents(0)),
                (Column::NchBeneBloodDdctblLbltyAm, Cents(0)),
            ]
            .map(|(column, amount)| (column, Figure::Money(amount))),
        ),
        Kind::Hospice => figures.push((Column::ClmUtlztnDayCnt, Figure::Count(days + 1))),
        _ => {}
    }
    figures.push((Column::Prpayamt, Figure::Money(Cents(0))));
    if claim.kind == Kind::Inpatient {
        figures.extend([
            (Column::ClmUtlztnDayCnt, Figure::Count(days.max(1))),
            (Column::ClmPpsCptlDrgWtNum, Figure::Count(1)),
            (Column::BeneLrdUsedCnt, Figure::Count(0)),
        ]);
    }
    figures
}

fn stay_figures(figures: &mut Vec<(Column, Figure)>, kind: Kind, days: u64, total: &LineMoney) {
    use Figure::{Count, Money};
    if kind == Kind::Inpatient {
        figures.extend([
            (Column::ClmPassThruPerDiemAmt, Money(Cents(1_000))),
            (Column::NchProfnlCmpntChrgAmt, Money(Cents(0))),
            (Column::ClmTotPpsCptlAmt, Money(total.paid.percent(8))),
        ]);
    } else {
        figures.push((Column::ClmUtlztnDayCnt, Count(days)));
    }
    figures.extend([
        (Column::BeneTotCoinsrncDaysCnt, Count(days.saturating_sub(20))),
        (Column::ClmNonUtlztnDaysCnt, Count(0)),
        (Column::NchBeneIpDdctblAmt, Money(total.deductible)),
        (Column::NchBenePtaCoinsrncLbltyAmt, Money(total.coinsurance)),
        (Column::NchIpNcvrdChrgAmt, Money(total.noncovered)),
        (Column::NchIpTotDdctnAmt, Money(Cents(total.deductible.0 + total.coinsurance.0))),
        (Column::ClmPpsCptlDsprprtntShrAmt, Money(total.paid.percent(1))),
        (Column::ClmPpsCptlExcptnAmt, Money(Cents(0))),
        (Column::ClmPpsCptlFspAmt, Money(total.paid.percent(6))),
        (Column::ClmPpsCptlImeAmt, Money(total.paid.percent(1))),
        (Column::ClmPpsCptlOutlierAmt, Money(Cents(0))),
        (Column::ClmPpsOldCptlHldHrmlsAmt, Money(Cents(0))),
    ]);
    if kind == Kind::Inpatient {
        figures.push((Column::NchDrgOutlierAprvdPmtAmt, Money(Cents(0))));
    }
    figures.push((Column::NchBeneBloodDdctblLbltyAm, Money(Cents(0))));
}
