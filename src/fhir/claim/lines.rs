//! The lines of a claim: services, supplies, drugs.

use serde_json::Value;

use super::{
    Family, Kind,
    look::{coding, each, extension, text, words},
    money::{Cents, is_total_line, of_line},
};

/// A line of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its number, which need not begin at 1.
    pub sequence: Option<u64>,
    /// First day of the service.
    pub start: Option<String>,
    /// Last day of the service.
    pub end: Option<String>,
    /// HCPCS or CPT code. Words for them are licensed, and not here.
    pub code: Option<String>,
    /// Modifiers of that code, in order.
    pub modifiers: Vec<String>,
    /// Revenue centre code.
    pub revenue: Option<String>,
    /// What the server calls the line: revenue centre, type of service or drug.
    pub words: Option<String>,
    /// Place of service, in the server's words or as its code.
    pub place: Option<String>,
    /// National Drug Code.
    pub ndc: Option<String>,
    /// Units of service, or quantity dispensed.
    pub units: Option<String>,
    /// What was billed.
    pub charged: Option<Cents>,
    /// What Medicare allows.
    pub allowed: Option<Cents>,
    /// What Medicare paid; for a drug, the plan.
    pub medicare_paid: Option<Cents>,
    /// Deductible.
    pub deductible: Option<Cents>,
    /// Coinsurance.
    pub coinsurance: Option<Cents>,
    /// What the patient paid or owes.
    pub patient_pays: Option<Cents>,
    /// Whether it only repeats the totals of all others: revenue centre 0001.
    pub is_total: bool,
}

impl Line {
    pub(super) fn read(line: &Value, kind: Option<Kind>, family: Family) -> Self {
        // v1 says `service`.
        let product = if line["service"].is_null() { &line["productOrService"] } else { &line["service"] };
        let period = &line["servicedPeriod"];
        let serviced = text(line, "servicedDate");
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let ndc = ndc(line, product);
        let revenue = coding(&line["revenue"], &["CLM-REV-CNTR-CD", "rev_cntr"])
            .or_else(|| each(&line["revenue"], "coding").find(|coding| text(coding, "code").is_some()));
        let amount = |names: &[&str]| of_line(line, names);
        Self {
            sequence: line["sequence"].as_u64(),
            start: owned(serviced.or_else(|| text(period, "start"))),
            end: owned(serviced.or_else(|| text(period, "end"))),
            code: coding(product, &["hcpcs", "cpt", "HCPCSReleaseCodeSets", "hcpcs_cd", "HIPPSCodes"])
                .and_then(|coding| owned(text(coding, "code"))),
            modifiers: each(line, "modifier")
                .flat_map(|modifier| each(modifier, "coding"))
                // v2 hides the unit of a drug's quantity here.
                .filter(|coding| !text(coding, "system").is_some_and(|system| system.contains("unitsofmeasure")))
                .filter_map(|coding| owned(text(coding, "code")))
                .collect(),
            revenue: revenue.and_then(|coding| owned(text(coding, "code"))),
            words: ndc
                .and_then(|coding| owned(text(coding, "display")))
                .or_else(|| words(&line["revenue"]))
                .or_else(|| words(&line["category"])),
            place: words(&line["locationCodeableConcept"]).or_else(|| {
                each(&line["locationCodeableConcept"], "coding").find_map(|coding| owned(text(coding, "code")))
            }),
            ndc: ndc.and_then(|coding| owned(text(coding, "code"))),
            units: units(line, family),
            charged: amount(&[
                "CLM_LINE_SBMT_CHRG_AMT",
                "line_sbmtd_chrg_amt",
                "rev_cntr_tot_chrg_amt",
                "tot_rx_cst_amt",
            ]),
            allowed: amount(&["CLM_LINE_ALOWD_CHRG_AMT", "line_alowd_chrg_amt"]),
            medicare_paid: amount(&[
                "CLM_LINE_CVRD_PD_AMT",
                "line_nch_pmt_amt",
                "rev_cntr_pmt_amt_amt",
                "cvrd_d_plan_pd_amt",
            ]),
            deductible: amount(&["CLM_LINE_MDCR_DDCTBL_AMT", "line_bene_ptb_ddctbl_amt", "rev_cntr_cash_ddctbl_amt"]),
            coinsurance: amount(&[
                "CLM_LINE_MDCR_COINSRNC_AMT",
                "line_coinsrnc_amt",
                "rev_cntr_coinsrnc_wge_adjstd_c",
                "rev_cntr_rdcd_coinsrnc_amt",
            ]),
            patient_pays: amount(&["CLM_LINE_BENE_PMT_AMT", "rev_cntr_ptnt_rspnsblty_pmt", "ptnt_pay_amt"]),
            is_total: kind.is_some() && is_total_line(line),
        }
    }
}

/// The coding of the drug: of the product itself, of a compound's first part, or beside the product.
fn ndc<'v>(line: &'v Value, product: &'v Value) -> Option<&'v Value> {
    let of_details = || each(line, "detail").find_map(|detail| coding(&detail["productOrService"], &["ndc"]));
    let beside = || extension(line, "ndc").map(|extension| &extension["valueCoding"]);
    coding(product, &["ndc"]).or_else(of_details).or_else(beside)
}

/// v2 has the quantity of a drug where the units of an institutional line belong.
fn units(line: &Value, family: Family) -> Option<String> {
    let beside = extension(line, "rev_cntr_unit_cnt").map(|extension| &extension["valueQuantity"]["value"]);
    let beside = beside.filter(|_| family == Family::Institutional);
    beside.unwrap_or(&line["quantity"]["value"]).as_number().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_nothing_is_nothing() {
        let line = Line::read(&serde_json::json!({"revenue": 7, "item": "x"}), None, Family::Professional);
        assert_eq!(line, Line::default());
    }
}
