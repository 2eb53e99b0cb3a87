//! The lines of a claim: services, supplies, drugs.

use serde_json::Value;

use super::{
    Coded, Family, Kind,
    denial::{self, Processing},
    json_access::{coding, display, each, extension, number, said, text, words},
    money::{
        Amounts, COVERED_BY_PLAN, Cents, NOT_COVERED_BY_PLAN, RESPONSIBILITY, ReadIssues, is_total_line, of_line,
        share, uncontradicted,
    },
};

/// A line of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its number. The first one may be larger than 1.
    pub sequence: Option<u64>,
    /// First day of the service.
    pub start: Option<String>,
    /// Last day of the service.
    pub end: Option<String>,
    /// HCPCS or CPT code. The texts for these codes are licensed and not included here.
    pub code: Option<String>,
    /// Modifiers of that code, in order.
    pub modifiers: Vec<String>,
    /// Revenue center code.
    pub revenue: Option<String>,
    /// What the server calls the line: revenue center, type of service or drug.
    pub words: Option<String>,
    /// Place of service, in the server's words or as its code; for an institution, the state.
    pub place: Option<String>,
    /// Place of service: its code.
    pub place_code: Option<String>,
    /// National Drug Code.
    pub ndc: Option<String>,
    /// Units of service, or quantity dispensed.
    pub units: Option<String>,
    /// What was billed.
    pub charged: Option<Cents>,
    /// What Medicare allowed.
    pub allowed: Option<Cents>,
    /// What Medicare paid; for a drug, the plan.
    pub medicare_paid: Option<Cents>,
    /// Deductible.
    pub deductible: Option<Cents>,
    /// Coinsurance.
    pub coinsurance: Option<Cents>,
    /// The patient's share: deductible, coinsurance and blood deductible together; for a drug, what was paid for it.
    pub patient_pays: Option<Cents>,
    /// What the patient has paid; only for a drug.
    pub patient_paid: Option<Cents>,
    /// The patient's responsibility as CMS computed it, before anyone paid.
    pub patient_responsibility: Option<Cents>,
    /// What is not covered.
    pub not_covered: Option<Cents>,
    /// How it was processed (`line_prcsg_ind_cd`): A is allowed.
    pub processing: Option<Coded>,
    /// Why it was adjusted or denied.
    pub denial_reasons: Vec<Coded>,
    /// Whether Medicare did not approve it. Such a line has no share.
    pub is_denied: bool,
    /// Whether it only repeats the totals of the other lines: revenue center 0001.
    pub is_total: bool,
}

impl Line {
    pub(super) fn read(line: &Value, kind: Option<Kind>, family: Family, issues: &ReadIssues) -> Self {
        // v1 has `service` instead.
        let product = if line["service"].is_null() { &line["productOrService"] } else { &line["service"] };
        let period = &line["servicedPeriod"];
        let serviced = said(line, "servicedDate");
        let ndc = ndc(line, product);
        // Next to the revenue center there may be a coding that says what its charges are subject to.
        let revenue = coding(&line["revenue"], &["CLM-REV-CNTR-CD", "rev_cntr"])
            .or_else(|| coding(&line["revenue"], &["RevenueCodes"]));
        let amount = |names: &[&str]| of_line(line, names, issues);
        let deductible = amount(&["CLM_LINE_MDCR_DDCTBL_AMT", "line_bene_ptb_ddctbl_amt", "rev_cntr_cash_ddctbl_amt"]);
        let coinsurance = amount(&["CLM_LINE_MDCR_COINSRNC_AMT", "line_coinsrnc_amt"])
            .or_else(|| outpatient_coinsurance(line, issues));
        let blood = amount(&["CLM_LINE_BLOOD_DDCTBL_AMT", "rev_cntr_blood_ddctbl_amt"]);
        // As for the whole claim, 0 means unknown, except for a drug.
        let at_the_pharmacy = amount(&["ptnt_pay_amt"]);
        let patient_responsibility = amount(&RESPONSIBILITY).filter(|amount| *amount != Cents(0));
        let charged = amount(&[
            "CLM_LINE_SBMT_CHRG_AMT",
            "TOT_RX_CST_AMT",
            "line_sbmtd_chrg_amt",
            "rev_cntr_tot_chrg_amt",
            "tot_rx_cst_amt",
        ]);
        let allowed = amount(&["CLM_LINE_ALOWD_CHRG_AMT", "line_alowd_chrg_amt"]);
        let medicare_paid = if family == Family::Drug {
            issues.sum([amount(&COVERED_BY_PLAN), amount(&NOT_COVERED_BY_PLAN)].into_iter().flatten())
        } else {
            amount(&["CLM_LINE_CVRD_PD_AMT", "line_nch_pmt_amt", "rev_cntr_pmt_amt_amt"])
        };
        let not_covered = amount(&["CLM_LINE_NCVRD_CHRG_AMT", "rev_cntr_ncvrd_chrg_amt"]);
        let is_total = kind.is_some() && is_total_line(line);
        let processing = Processing::of(line, not_covered, charged, [allowed, medicare_paid]);
        let owed = share([deductible, coinsurance, blood], issues);
        let patient_pays = uncontradicted(owed, [at_the_pharmacy, patient_responsibility]).or(at_the_pharmacy);
        Self {
            sequence: line["sequence"].as_u64(),
            start: serviced.clone().or_else(|| said(period, "start")),
            end: serviced.or_else(|| said(period, "end")),
            code: coding(product, &["hcpcs", "cpt", "HCPCSReleaseCodeSets", "hcpcs_cd", "HIPPSCodes"])
                .and_then(|coding| said(coding, "code")),
            modifiers: each(line, "modifier")
                .flat_map(|modifier| each(modifier, "coding"))
                .filter(|coding| !is_unit(coding))
                .filter_map(|coding| said(coding, "code"))
                .collect(),
            revenue: revenue.and_then(|coding| said(coding, "code")),
            words: ndc.and_then(display).or_else(|| revenue.and_then(display)).or_else(|| words(&line["category"])),
            place: place(line),
            place_code: coding(
                &line["locationCodeableConcept"],
                &["line_place_of_srvc_cd", "Place_of_Service_Code_Set"],
            )
            .and_then(|coding| said(coding, "code")),
            ndc: ndc.and_then(|coding| said(coding, "code")),
            units: units(line, family),
            charged,
            allowed,
            medicare_paid,
            patient_pays: patient_pays.filter(|_| !processing.is_denied),
            patient_paid: at_the_pharmacy,
            patient_responsibility,
            not_covered,
            deductible,
            coinsurance,
            processing: processing.code,
            denial_reasons: processing.reasons,
            is_denied: processing.is_denied,
            is_total,
        }
    }
}

impl Line {
    /// Why it was not approved, in words: our own words for a code, else the server's, else the code.
    #[must_use]
    pub fn why_denied(&self) -> Option<String> {
        if !self.is_denied {
            return None;
        }
        let said = |reason: &Coded| {
            // Other lists of reasons have the same codes with other meanings.
            let is_processing = self.processing.as_ref() == Some(reason);
            let plain = denial::in_plain_words(&reason.code).filter(|_| is_processing).map(str::to_owned);
            let known = || reason.words.clone().map(|words| format!("{words} (code {})", reason.code));
            plain.or_else(known).unwrap_or_else(|| format!("code {}", reason.code))
        };
        let reasons: Vec<String> = self.denial_reasons.iter().map(said).collect();
        Some(if reasons.is_empty() { "Medicare covers none of this charge".to_owned() } else { reasons.join("; ") })
    }
}

/// Institutional lines have two amounts. If the provider has reduced the coinsurance, the reduced amount is owed;
/// otherwise the reduced amount is 0.
fn outpatient_coinsurance(line: &Value, issues: &ReadIssues) -> Option<Cents> {
    let reduced = of_line(line, &["CLM_LINE_INSTNL_RDCD_AMT", "rev_cntr_rdcd_coinsrnc_amt"], issues);
    let whole = of_line(line, &["CLM_LINE_INSTNL_ADJSTD_AMT", "rev_cntr_coinsrnc_wge_adjstd_c"], issues);
    reduced.filter(|amount| *amount != Cents(0)).or(whole).or(reduced)
}

/// Whether this is the unit of a drug's quantity, which v2 hides among the modifiers.
fn is_unit(modifier: &Value) -> bool {
    text(modifier, "system").is_some_and(|system| system.contains("unitsofmeasure"))
}

fn place(line: &Value) -> Option<String> {
    let place = &line["locationCodeableConcept"];
    words(place)
        .or_else(|| each(place, "coding").find_map(|coding| said(coding, "code")))
        .or_else(|| said(&line["locationAddress"], "state"))
}

/// The coding of the drug: of the product itself, of a compound's first part, or next to the product.
fn ndc<'v>(line: &'v Value, product: &'v Value) -> Option<&'v Value> {
    let of_details = || each(line, "detail").find_map(|detail| coding(&detail["productOrService"], &["ndc"]));
    // v1 has it on the line, v2 on the product.
    let beside = || extension(line, "ndc").or_else(|| extension(product, "ndc")).map(|it| &it["valueCoding"]);
    coding(product, &["ndc"]).or_else(of_details).or_else(beside)
}

/// Units of service. On an institutional line, v2 has a drug's quantity in their place, and the units next to it. If
/// there is a drug's unit and nothing next to it, the units are unknown.
fn units(line: &Value, family: Family) -> Option<String> {
    let quantity = &line["quantity"]["value"];
    let units = if family == Family::Institutional {
        let is_of_drug = || each(line, "modifier").flat_map(|modifier| each(modifier, "coding")).any(is_unit);
        match extension(line, "rev_cntr_unit_cnt") {
            Some(beside) => &beside["valueQuantity"]["value"],
            None if is_of_drug() => &Value::Null,
            None => quantity,
        }
    } else {
        quantity
    };
    number(units)
}

/// If a claim has 0 and its lines have an amount, or the reverse, the 0 means unknown. The share is then the sum of
/// the lines. If all lines have 0 but their claim has more, the lines' amounts are unknown: in institutional claims,
/// CMS fills them only if a price was set for each line.
pub(super) fn unsay_zeros(lines: &mut [Line], amounts: &mut Amounts, issues: &ReadIssues) {
    if amounts.patient_pays == Some(Cents(0)) {
        let of_lines = lines.iter().filter(|line| !line.is_total).filter_map(|line| line.patient_pays);
        let of_lines = issues.sum(of_lines);
        amounts.patient_pays = match of_lines {
            Some(Cents(1..)) => of_lines,
            _ => uncontradicted(amounts.patient_pays, [amounts.patient_paid, amounts.patient_responsibility]),
        };
    }
    type Part = fn(&mut Line) -> &mut Option<Cents>;
    let parts: [(Option<Cents>, Part); 2] = [
        (amounts.medicare_paid, |line| &mut line.medicare_paid),
        (amounts.patient_pays, |line| &mut line.patient_pays),
    ];
    for (whole, part) in parts {
        let is_contradicted = whole.is_some_and(|amount| amount > Cents(0))
            && lines.iter_mut().all(|line| part(line).is_none_or(|amount| amount == Cents(0)));
        if is_contradicted {
            lines.iter_mut().for_each(|line| *part(line) = None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_values_of_the_wrong_type_is_empty() {
        let line = Line::read(
            &serde_json::json!({"revenue": 7, "item": "x"}),
            None,
            Family::Professional,
            &ReadIssues::default(),
        );
        assert_eq!(line, Line::default());
    }
}
