//! Amounts: under which of CMS's names a claim has them, for each type and version.

use std::{cell::Cell, fmt, iter::Sum, ops::Add};

use serde_json::Value;

use super::{
    Family, Kind,
    json_access::{each, extension, is, text},
};

/// An amount of US dollars, in cents. v3 writes some amounts as binary fractions; those are rounded half up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cents(pub i64);

impl Cents {
    /// Reads a decimal number in JSON's form. `None` if it is not one, or too large for a claim.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // Together with two digits for the cents, a double keeps this many digits exactly.
        const MOST_DIGITS: usize = 13;
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > MOST_DIGITS || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let digit = |at: usize| fraction.as_bytes().get(at).map_or(0, |byte| i64::from(byte - b'0'));
        let cents = whole.parse::<i64>().ok()? * 100 + digit(0) * 10 + digit(1) + i64::from(digit(2) >= 5);
        Some(Self(if negative { -cents } else { cents }))
    }

    /// The sum of both. `None` if it does not fit in a column of 18 digits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        const MOST: u64 = 999_999_999_999_999_999;
        self.0.checked_add(other.0).filter(|cents| cents.unsigned_abs() <= MOST).map(Self)
    }

    /// Reads the value of a `Money`. Amounts have fewer digits than a double keeps, so its shortest text is the one
    /// that was sent. A text is accepted if it is a plain decimal. An amount that is too large, invalid or not in US
    /// dollars is noted.
    fn of(money: &Value, issues: &ReadIssues) -> Option<Self> {
        let value = if money.is_object() { &money["value"] } else { money };
        // R4 has a currency; STU3's Money is a Quantity with the currency code as its unit. Without one, the amount
        // is in dollars, because Medicare pays in nothing else.
        let currency = text(money, "currency").or_else(|| text(money, "code"));
        if !value.is_null() && currency.is_some_and(|currency| !currency.eq_ignore_ascii_case("USD")) {
            issues.0.set(true);
            return None;
        }
        let read = match value {
            Value::Null => return None,
            // Rust writes a double without an exponent here.
            Value::Number(number) if money.is_object() => Self::read(&number.as_f64()?.to_string()),
            Value::String(text) if money.is_object() => Self::read(text.trim()),
            _ => None,
        };
        if read.is_none() {
            issues.0.set(true);
        }
        read
    }
}

/// Whether some amount could not be read, or was too large for a claim or a column.
#[derive(Debug, Default)]
pub(super) struct ReadIssues(Cell<bool>);

impl ReadIssues {
    pub(super) fn is_met(&self) -> bool {
        self.0.get()
    }

    /// The sum of amounts. `None` if there are none. Also `None`, with a note, if the sum does not fit in a column.
    pub(super) fn sum(&self, mut amounts: impl Iterator<Item = Cents>) -> Option<Cents> {
        let first = amounts.next()?;
        let sum = amounts.try_fold(first, Cents::plus);
        if sum.is_none() {
            self.0.set(true);
        }
        sum
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl Add for Cents {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

/// The amounts of a whole claim, as far as it has them. In made-up data, the lines do not add up to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// What was billed.
    pub charged: Option<Cents>,
    /// What Medicare allowed for it.
    pub allowed: Option<Cents>,
    /// What Medicare paid; for a drug, what the plan paid.
    pub medicare_paid: Option<Cents>,
    /// The part of that for the provider.
    pub paid_to_provider: Option<Cents>,
    /// The part of that for the patient.
    pub paid_to_patient: Option<Cents>,
    /// The deductible applied.
    pub deductible: Option<Cents>,
    /// The coinsurance.
    pub coinsurance: Option<Cents>,
    /// The deductible for blood.
    pub blood_deductible: Option<Cents>,
    /// What is not covered.
    pub not_covered: Option<Cents>,
    /// The patient's share: deductible, coinsurance and blood deductible together; for a drug, what was paid at the
    /// pharmacy.
    pub patient_pays: Option<Cents>,
    /// What the patient has paid: for a drug, at the pharmacy; for other claims of v3, what the header says.
    pub patient_paid: Option<Cents>,
    /// The sum of the patient's responsibility on the lines, as CMS computed it when it priced them, before anyone
    /// paid.
    pub patient_responsibility: Option<Cents>,
    /// Extra Help: what the low-income subsidy paid for a drug.
    pub low_income_subsidy: Option<Cents>,
    /// The manufacturer's discount on a drug in the coverage gap.
    pub discount: Option<Cents>,
    /// What another insurer paid, or for a drug, other payers.
    pub other_paid: Option<Cents>,
}

/// The patient's responsibility for a line: deductible and coinsurance, as CMS itself adds them.
pub(super) const RESPONSIBILITY: [&str; 2] = ["CLM_LINE_BENE_PMT_AMT", "rev_cntr_ptnt_rspnsblty_pmt"];
/// What a drug plan paid for what Part D covers.
pub(super) const COVERED_BY_PLAN: [&str; 2] = ["CLM_LINE_CVRD_PD_AMT", "cvrd_d_plan_pd_amt"];
/// What a drug plan paid for what Part D does not cover. v1 and v2 have only one of these two.
pub(super) const NOT_COVERED_BY_PLAN: [&str; 2] = ["CLM_LINE_NCVRD_PD_AMT", "ncvrd_plan_pd_amt"];

impl Amounts {
    pub(super) fn read(claim: &Value, kind: Option<Kind>, issues: &ReadIssues) -> Self {
        let header = |names: &[&str]| names.iter().find_map(|name| amount(claim, name, issues));
        let lines = |names: &[&str]| sum_of_lines(claim, names, issues);
        let payment = || Cents::of(&claim["payment"]["amount"], issues);
        // CMS defines it only for hospital claims and skilled nursing; v3 sends it with others too.
        let blood_deductible = matches!(kind, Some(Kind::Inpatient | Kind::Outpatient | Kind::Snf))
            .then(|| header(&["CLM_BLOOD_LBLTY_AMT", "nch_bene_blood_ddctbl_lblty_am"]))
            .flatten();
        // Paid by the patient. (`BENE_PD` is what was paid to the patient.) CMS also writes 0 if nothing is known.
        let patient_paid = header(&["CLM_BENE_PMT_AMT"]).filter(|amount| *amount != Cents(0));
        let patient_responsibility = lines(&RESPONSIBILITY).filter(|amount| *amount != Cents(0));
        match kind.map_or(Family::Professional, Kind::family) {
            Family::Professional => {
                let deductible = header(&["CLM_MDCR_DDCTBL_AMT", "carr_clm_cash_ddctbl_apld_amt"]);
                let coinsurance = header(&["CLM_MDCR_COINSRNC_AMT"])
                    .or_else(|| lines(&["CLM_LINE_MDCR_COINSRNC_AMT", "line_coinsrnc_amt"]));
                Self {
                    charged: header(&["CLM_SBMT_CHRG_AMT", "nch_carr_clm_sbmtd_chrg_amt"]),
                    allowed: header(&["CLM_ALOWD_CHRG_AMT", "nch_carr_clm_alowd_amt"])
                        .or_else(|| lines(&["CLM_LINE_ALOWD_CHRG_AMT"])),
                    medicare_paid: payment(),
                    paid_to_provider: header(&["CLM_PRVDR_PMT_AMT", "nch_clm_prvdr_pmt_amt"]),
                    paid_to_patient: header(&["CLM_BENE_PD_AMT", "nch_clm_bene_pmt_amt"])
                        .or_else(|| lines(&["CLM_LINE_BENE_PD_AMT"])),
                    not_covered: header(&["CLM_NCVRD_CHRG_AMT"]).or_else(|| lines(&["CLM_LINE_NCVRD_CHRG_AMT"])),
                    patient_pays: share([deductible, coinsurance, blood_deductible], issues),
                    // v2 has it only on the lines. v1 may have 0 in the header although the lines have more.
                    other_paid: header(&["CLM_MDCR_PRFNL_PRMRY_PYR_AMT", "CLM_OTHR_TP_PD_AMT"]).or_else(|| {
                        let of_lines = lines(&["CLM_BENE_PRMRY_PYR_PD_AMT", "line_bene_prmry_pyr_pd_amt"]);
                        rather(of_lines, || header(&["prpayamt"]))
                    }),
                    patient_paid,
                    patient_responsibility,
                    deductible,
                    coinsurance,
                    blood_deductible,
                    ..Self::default()
                }
            }
            Family::Institutional => {
                // For a stay, v3's CLM_MDCR_DDCTBL_AMT is not a deductible but the sum of all deductions, like v1's
                // and v2's nch_ip_tot_ddctn_amt (CMS's data dictionary of v3, "Inpatient/Outpatient Total Deduction
                // Amount").
                let (deductible, all_deductions) = if matches!(kind, Some(Kind::Inpatient | Kind::Snf)) {
                    (
                        header(&["CLM_MDCR_IP_BENE_DDCTBL_AMT", "nch_bene_ip_ddctbl_amt"]),
                        header(&["CLM_MDCR_DDCTBL_AMT", "nch_ip_tot_ddctn_amt"]),
                    )
                } else {
                    (header(&["CLM_MDCR_DDCTBL_AMT", "nch_bene_ptb_ddctbl_amt"]), None)
                };
                let coinsurance =
                    header(&["CLM_MDCR_COINSRNC_AMT", "nch_bene_pta_coinsrnc_lblty_amt", "nch_bene_ptb_coinsrnc_amt"]);
                Self {
                    charged: header(&["CLM_SBMT_CHRG_AMT", "clm_tot_chrg_amt"])
                        .or_else(|| Cents::of(&claim["totalCost"], issues))
                        .or_else(|| unnamed_total(claim, issues)),
                    // v3 has this for all types: it is the sum of the allowed amounts on lines of doctors and
                    // suppliers. For most institutions it is 0.
                    allowed: header(&["CLM_ALOWD_CHRG_AMT"]).filter(|amount| *amount != Cents(0)),
                    medicare_paid: payment(),
                    paid_to_provider: header(&["CLM_PRVDR_PMT_AMT", "clm_op_prvdr_pmt_amt"])
                        .or_else(|| lines(&["rev_cntr_prvdr_pmt_amt"])),
                    paid_to_patient: header(&["CLM_BENE_PD_AMT", "CLM_MDCR_INSTNL_BENE_PD_AMT", "clm_op_bene_pmt_amt"])
                        .or_else(|| lines(&["rev_cntr_bene_pmt_amt"])),
                    not_covered: header(&["CLM_NCVRD_CHRG_AMT", "nch_ip_ncvrd_chrg_amt"])
                        .or_else(|| lines(&["CLM_LINE_NCVRD_CHRG_AMT", "rev_cntr_ncvrd_chrg_amt"])),
                    patient_pays: rather(share([deductible, coinsurance, blood_deductible], issues), || all_deductions),
                    patient_paid,
                    // In 2025, v3 had the primary payer's payment under the professional name, among the totals.
                    other_paid: total(claim, "CLM_MDCR_PRFNL_PRMRY_PYR_AMT", issues)
                        .or_else(|| header(&["CLM_MDCR_INSTNL_PRMRY_PYR_AMT", "CLM_OTHR_TP_PD_AMT", "prpayamt"])),
                    patient_responsibility,
                    deductible,
                    coinsurance,
                    blood_deductible,
                    ..Self::default()
                }
            }
            Family::Drug => {
                // Copayment, coinsurance and deductible, paid at the pharmacy. So it is both the share and what was
                // paid.
                let at_the_pharmacy = header(&["CLM_BENE_PMT_AMT"]).or_else(|| lines(&["ptnt_pay_amt"]));
                let sum = |amounts: [Option<Cents>; 2]| issues.sum(amounts.into_iter().flatten());
                Self {
                    // In 2025, v3 had the price of some drugs under the name that other claims use.
                    charged: header(&["TOT_RX_CST_AMT"])
                        .or_else(|| lines(&["TOT_RX_CST_AMT", "tot_rx_cst_amt"]))
                        .or_else(|| header(&["CLM_SBMT_CHRG_AMT"])),
                    // A plan pays for what Part D covers, and an enhanced plan also for more.
                    medicare_paid: sum([lines(&COVERED_BY_PLAN), lines(&NOT_COVERED_BY_PLAN)]),
                    patient_pays: at_the_pharmacy,
                    patient_paid: at_the_pharmacy,
                    low_income_subsidy: lines(&["CLM_LINE_LIS_AMT", "lics_amt"]),
                    discount: lines(&["CLM_LINE_RPTD_GAP_DSCNT_AMT", "rptd_gap_dscnt_num"]),
                    // Other payers whose payments count toward the out-of-pocket limit, and those whose payments do
                    // not.
                    other_paid: sum([
                        header(&["CLM_OTHR_TP_PD_AMT"]).or_else(|| lines(&["othr_troop_amt"])),
                        lines(&["CLM_LINE_PLRO_AMT", "plro_amt"]),
                    ]),
                    ..Self::default()
                }
            }
        }
    }
}

/// The patient's share: deductible, coinsurance and, if there is one, the deductible for blood. CMS computes the
/// liability of beneficiaries the same way. The share is known only if the first two are.
///
/// `rev_cntr_ptnt_rspnsblty_pmt` (v3 `CLM_LINE_BENE_PMT_AMT`) is CMS's own sum of the same. It is kept separately as
/// [`Amounts::patient_responsibility`], because only lines that were priced for it have it, and all others have 0. Of
/// the 39 recorded outpatient claims of v2, 38 have 0, and 22 of these have a deductible or a coinsurance.
pub(super) fn share([deductible, coinsurance, blood]: [Option<Cents>; 3], issues: &ReadIssues) -> Option<Cents> {
    issues.sum([deductible?, coinsurance?, blood.unwrap_or_default()].into_iter())
}

/// The share. But a 0 means unknown if the patient paid or is responsible for something.
pub(super) fn uncontradicted(share: Option<Cents>, others: [Option<Cents>; 2]) -> Option<Cents> {
    share.filter(|share| *share != Cents(0) || others.into_iter().flatten().all(|other| other == Cents(0)))
}

/// The first amount if it is not 0, else the other, else the first.
fn rather(first: Option<Cents>, other: impl FnOnce() -> Option<Cents>) -> Option<Cents> {
    first.filter(|amount| *amount != Cents(0)).or_else(other).or(first)
}

/// The amount in `total` with a CMS name.
fn total(claim: &Value, name: &str, issues: &ReadIssues) -> Option<Cents> {
    listed(claim, "total", name, issues)
}

/// The amount with a CMS name in a list of amounts with categories.
fn listed(holder: &Value, list: &str, name: &str, issues: &ReadIssues) -> Option<Cents> {
    let entries = each(holder, list).filter(|entry| is(&entry["category"], name));
    entries.filter_map(|entry| Cents::of(&entry["amount"], issues)).next()
}

/// The amount with a CMS name, anywhere in the header: v3 moved some from `benefitBalance` to `total`, and v1 has
/// extensions.
fn amount(claim: &Value, name: &str, issues: &ReadIssues) -> Option<Cents> {
    let balance = || {
        let financial = each(claim, "benefitBalance").flat_map(|balance| each(balance, "financial"));
        financial.filter(|entry| is(&entry["type"], name)).find_map(|entry| Cents::of(&entry["usedMoney"], issues))
    };
    total(claim, name, issues)
        .or_else(|| listed(claim, "adjudication", name, issues))
        .or_else(balance)
        .or_else(|| extension(claim, name).and_then(|it| Cents::of(&it["valueMoney"], issues)))
}

/// In 2021, v2 had the charge of a stay as its only total, without a category.
fn unnamed_total(claim: &Value, issues: &ReadIssues) -> Option<Cents> {
    match claim["total"].as_array()?.as_slice() {
        [only] if only["category"].is_null() => Cents::of(&only["amount"], issues),
        _ => None,
    }
}

/// The amount of a line with the first of these names that the line has.
pub(super) fn of_line(line: &Value, names: &[&str], issues: &ReadIssues) -> Option<Cents> {
    names.iter().find_map(|name| listed(line, "adjudication", name, issues))
}

/// Whether this line repeats the totals of all others (revenue center 0001).
pub(super) fn is_total_line(line: &Value) -> bool {
    is(&line["revenue"], "0001")
}

/// The sum over the lines that have one of these names; `None` if no line has one. The line with the totals counts
/// only if the claim has no other line.
fn sum_of_lines(claim: &Value, names: &[&str], issues: &ReadIssues) -> Option<Cents> {
    let is_total_only = each(claim, "item").all(is_total_line);
    let lines = each(claim, "item").filter(|line| is_total_only || !is_total_line(line));
    issues.sum(lines.filter_map(|line| of_line(line, names, issues)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_read_from_decimal_text() {
        for (text, cents) in [
            ("37.5", 3750),
            ("0", 0),
            ("-10", -1000),
            ("0.00", 0),
            ("429788.28125", 42_978_828),
            ("99816.1171875", 9_981_612),
            ("0.005", 1),
            ("-0.005", -1),
            ("84999.37", 8_499_937),
        ] {
            assert_eq!(Cents::read(text), Some(Cents(cents)), "{text}");
        }
        for text in ["", "-", "1e5", "1,000", ".5", "NaN", "12345678901234567890", "12345678901234", "1.x"] {
            assert_eq!(Cents::read(text), None, "{text}");
        }
        assert_eq!(
            ["-0.05", "12.30", "1000.00"],
            [Cents(-5), Cents(1230), Cents(100_000)].map(|it| it.to_string()).each_ref().map(String::as_str)
        );
    }
}
