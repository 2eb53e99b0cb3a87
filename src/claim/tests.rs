//! Claims of every version, and claims that are not as they should be.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const WHOLE: &str = r##"{"id":"1","use":"claim","status":"active","type":{"coding":[{"system":"x/eob-type","code":"CARRIER"}]},
    "billablePeriod":{"start":"2024-01-01","end":"2024-01-02"},"careTeam":[{"role":{"coding":[{"code":"performing"}]},"provider":{"reference":"#p"}}],
    "contained":[{"id":"p","name":[{"family":"F","given":["G"]}],"identifier":[{"system":"x/us-npi","value":"12"}]}],
    "total":[{"category":{"coding":[{"code":"CLM_SBMT_CHRG_AMT"}]},"amount":{"value":1.5}}],"diagnosis":[{"type":[{"coding":[{"code":"principal"}]}],
    "diagnosisCodeableConcept":{"coding":[{"code":"A"}]}}],"item":[{"sequence":1,"quantity":{"value":1},"modifier":[{"coding":[{"code":"M"}]}]}]}"##;

proptest! {
    /// Any part of a claim may be replaced with anything.
    #[test]
    fn no_claim_makes_it_panic(at in 0..WHOLE.len(), length in 0..60_usize, by in r#"[\[\]{}",:\\ud80-9e\-é\x00 ]{0,12}|null|\[\]|"\\ud800"|-1e999"#) {
        let end = (at + length).min(WHOLE.len());
        if let (Some(before), Some(after)) = (WHOLE.get(..at), WHOLE.get(end..)) {
            let _ = Claim::read(&format!("{before}{by}{after}"));
        }
    }
}

fn read(claim: &Value) -> Claim {
    Claim::read(&claim.to_string()).unwrap()
}

/// A carrier claim of v1, v2 or v3, with only what shows the version, and with something added.
fn carrier(version: &str, more: &Value) -> Value {
    let (system, name) = match version {
        "v3" => ("https://bluebutton.cms.gov/fhir/CodeSystem/CLM-TYPE-CD", "71"),
        _ => ("https://bluebutton.cms.gov/resources/codesystem/eob-type", "CARRIER"),
    };
    let mut claim = json!({"id": "1", "type": {"coding": [{"system": system, "code": name}]}});
    if version != "v1" {
        claim["use"] = "claim".into();
    }
    for (name, value) in more.as_object().unwrap() {
        claim[name] = value.clone();
    }
    claim
}

#[test]
fn primary_is_who_treated_at_v1_and_who_billed_at_v2() {
    let member = |role: &str, name: &str, number: &str| {
        json!({"role": {"coding": [{"code": role}]}, "provider": {
            "display": name, "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": number},
        }})
    };
    let team = json!({"careTeam": [member("primary", "First", "11"), member("performing", "Second", "22")]});
    let names = |claim: &Claim| (claim.provider.clone(), claim.practitioner.clone(), claim.practitioner_npi.clone());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(names(&read(&carrier("v1", &team))), (None, some("First"), some("11")));
    assert_eq!(names(&read(&carrier("v2", &team))), (some("First"), some("Second"), some("22")));
    assert_eq!(names(&read(&carrier("v3", &team))), (None, some("Second"), some("22")), "primary is nobody's at v3");
    let team = json!({"careTeam": [member("rendering", "Third", "33")]});
    assert_eq!(names(&read(&carrier("v3", &team))), (None, some("Third"), some("33")));
}

#[test]
fn contradictory_dates_are_kept_as_the_claim_has_them() {
    let dated = |period: Value| {
        let claim = read(&json!({"id": "1", "billablePeriod": period}));
        (claim.year().map(str::to_owned), claim.start, claim.end)
    };
    let some = |text: &str| Some(text.to_owned());
    let backwards = dated(json!({"start": "2024-02-02", "end": "2023-01-01"}));
    assert_eq!(backwards, (some("2024"), some("2024-02-02"), some("2023-01-01")));
    // A period without an end has no last day.
    assert_eq!(dated(json!({"start": "2024-02"})), (None, some("2024-02"), None));
    assert_eq!(dated(json!({"start": "2024-02-30"})).0, None);
    assert_eq!(dated(json!({"start": "2024-02-03T23:00:00-05:00"})).0, some("2024"));
    assert_eq!(dated(json!({"start": "20240202", "end": []})), (None, some("20240202"), None));
    assert_eq!(dated(json!({"start": "9999\u{202e}x"})).0, None);
    assert_eq!(dated(json!({"start": "é24"})).0, None);
}

#[test]
fn an_amount_out_of_range_is_none_and_noted() {
    for (value, cents) in [
        ("1e2", Some(10_000)),
        ("1.5E1", Some(1500)),
        ("0.1e1", Some(100)),
        ("1e13", None),
        ("1e300", None),
        ("-1e300", None),
        ("1e400", None),
        ("1e-400", Some(0)),
        ("1e-7", Some(0)),
        ("5e-3", Some(1)),
        ("99999999999999999999999999999999", None),
    ] {
        let claim = carrier("v2", &json!({}));
        let text = claim.to_string().replacen('{', &format!("{{\"payment\":{{\"amount\":{{\"value\":{value}}}}},"), 1);
        let claim = Claim::read(&text).unwrap();
        assert_eq!(claim.amounts.medicare_paid.map(|it| it.0), cents, "{value}");
        assert_eq!(claim.is_incomplete, cents.is_none(), "{value}");
        assert_eq!(claim.id, "1");
    }
}

#[test]
fn an_amount_sent_as_text_is_read_if_it_is_a_decimal() {
    for (value, cents, is_incomplete) in [
        (json!("12.30"), Some(1230), false),
        (json!(" -4 "), Some(-400), false),
        (json!("1e2"), None, true),
        (json!("1,000.00"), None, true),
        (json!("$5"), None, true),
        (json!(""), None, true),
        (json!(true), None, true),
        (json!({"x": 1}), None, true),
        (json!(null), None, false),
    ] {
        let claim = read(&carrier("v2", &json!({"payment": {"amount": {"value": value}}})));
        assert_eq!(
            (claim.amounts.medicare_paid.map(|it| it.0), claim.is_incomplete),
            (cents, is_incomplete),
            "{value}"
        );
    }
    // An amount that is not an object is not an amount.
    assert!(read(&carrier("v2", &json!({"payment": {"amount": "12.30"}}))).is_incomplete);
    assert!(!read(&carrier("v2", &json!({"payment": {}}))).is_incomplete);
    let drug = json!({"id": "1", "use": "claim", "type": {"coding": [{"system": "x/eob-type", "code": "PDE"}]},
        "supportingInfo": [{"category": {"coding": [{"code": "dayssupply"}]}, "valueQuantity": {"value": "30.0"}}],
        "item": [{"quantity": {"value": "60"}}]});
    let drug = read(&drug);
    assert_eq!((drug.days_supply.as_deref(), drug.lines[0].units.as_deref()), (Some("30.0"), Some("60")));
}

/// A claim of this type, with amounts in the header and in each line.
fn billed(kind: &str, header: &[(&str, f64)], lines: &[&[(&str, f64)]]) -> Claim {
    let amounts = |named: &[(&str, f64)]| -> Vec<Value> {
        let entry =
            |(name, value): &(&str, f64)| json!({"category": {"coding": [{"code": name}]}, "amount": {"value": value}});
        named.iter().map(entry).collect()
    };
    let items: Vec<Value> = lines.iter().map(|line| json!({"adjudication": amounts(line)})).collect();
    read(&json!({"id": "1", "use": "claim", "type": {"coding": [{"system": "x/eob-type", "code": kind}]},
        "payment": {"amount": {"value": 50}}, "total": amounts(header), "item": items}))
}

#[test]
fn a_share_is_what_the_patient_owes_and_not_what_was_paid() {
    let share = |claim: &Claim| {
        let amounts = &claim.amounts;
        assert!(amounts.patient_paid.is_none() || amounts.patient_responsibility.is_none());
        let other = amounts.patient_paid.or(amounts.patient_responsibility);
        (amounts.patient_pays.map(|it| it.0), other.map(|it| it.0))
    };
    const OWED: [(&str, f64); 3] = [
        ("nch_bene_ptb_ddctbl_amt", 20.0),
        ("nch_bene_ptb_coinsrnc_amt", 10.0),
        ("nch_bene_blood_ddctbl_lblty_am", 1.0),
    ];
    const NOTHING: [(&str, f64); 2] = [("nch_bene_ptb_ddctbl_amt", 0.0), ("nch_bene_ptb_coinsrnc_amt", 0.0)];
    let paid: &[(&str, f64)] = &[("rev_cntr_ptnt_rspnsblty_pmt", 5.0)];
    let unpriced: &[(&str, f64)] = &[
        ("rev_cntr_ptnt_rspnsblty_pmt", 0.0),
        ("rev_cntr_cash_ddctbl_amt", 0.0),
        ("rev_cntr_coinsrnc_wge_adjstd_c", 0.0),
        ("rev_cntr_pmt_amt_amt", 0.0),
    ];
    let priced: &[(&str, f64)] =
        &[("rev_cntr_cash_ddctbl_amt", 3.0), ("rev_cntr_coinsrnc_wge_adjstd_c", 4.0), ("rev_cntr_pmt_amt_amt", 50.0)];
    assert_eq!(share(&billed("OUTPATIENT", &OWED, &[unpriced])), (Some(3100), None));
    assert_eq!(share(&billed("OUTPATIENT", &OWED, &[paid, paid])), (Some(3100), Some(1000)));
    assert_eq!(share(&billed("OUTPATIENT", &NOTHING, &[unpriced])), (Some(0), None));
    // A 0 that the claim contradicts means unknown.
    assert_eq!(share(&billed("OUTPATIENT", &NOTHING, &[priced, unpriced])), (Some(700), None));
    assert_eq!(share(&billed("OUTPATIENT", &NOTHING, &[paid])), (None, Some(500)));
    assert_eq!(share(&billed("OUTPATIENT", &OWED[..1], &[unpriced])), (None, None), "half of it is not it");
    let lines = |claim: &Claim| -> Vec<_> {
        claim.lines.iter().map(|line| (line.medicare_paid.map(|it| it.0), line.patient_pays.map(|it| it.0))).collect()
    };
    assert_eq!(lines(&billed("OUTPATIENT", &OWED, &[unpriced, unpriced])), [(None, None); 2]);
    assert_eq!(lines(&billed("OUTPATIENT", &OWED, &[priced, unpriced])), [(Some(5000), Some(700)), (Some(0), Some(0))]);
    // v3: what was paid is separate from the share, and for a stay the deductible is not the sum of all deductions.
    let v3 = [("CLM_MDCR_DDCTBL_AMT", 30.0), ("CLM_MDCR_COINSRNC_AMT", 7.0), ("CLM_BENE_PMT_AMT", 99.0)];
    assert_eq!(share(&billed("CARRIER", &v3, &[])), (Some(3700), Some(9900)));
    let stay = [&v3[..], &[("CLM_MDCR_IP_BENE_DDCTBL_AMT", 20.0), ("CLM_BLOOD_LBLTY_AMT", 3.0)]].concat();
    assert_eq!(share(&billed("INPATIENT", &stay, &[])), (Some(3000), Some(9900)));
    assert_eq!(share(&billed("SNF", &v3, &[])), (Some(3000), Some(9900)), "all deductions, where a part is not said");
    // CMS also writes 0 if nothing is known. For a drug, 0 is what was paid.
    let line: &[(&str, f64)] = &[("CLM_LINE_BENE_PMT_AMT", 2.5)];
    assert_eq!(share(&billed("HHA", &[("CLM_BENE_PMT_AMT", 0.0)], &[line])), (None, Some(250)));
    assert_eq!(share(&billed("PDE", &[("CLM_BENE_PMT_AMT", 0.0)], &[])), (Some(0), Some(0)));
    let drug: &[(&str, f64)] = &[("ptnt_pay_amt", 12.0)];
    assert_eq!(share(&billed("PDE", &[], &[drug])), (Some(1200), Some(1200)));
}

#[test]
fn amounts_paid_by_others_come_from_lines_if_the_header_says_zero() {
    let line: &[(&str, f64)] = &[("line_bene_prmry_pyr_pd_amt", 11.0)];
    let none: &[(&str, f64)] = &[("line_bene_prmry_pyr_pd_amt", 0.0)];
    let other = |claim: Claim| claim.amounts.other_paid.map(|it| it.0);
    assert_eq!(other(billed("DME", &[("prpayamt", 0.0)], &[line])), Some(1100));
    assert_eq!(other(billed("DME", &[("prpayamt", 4.0)], &[none])), Some(400));
    assert_eq!(other(billed("DME", &[("prpayamt", 0.0)], &[none])), Some(0));
    assert_eq!(other(billed("DME", &[], &[])), None);
}

#[test]
fn an_unreadable_field_affects_no_other() {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let text = format!(
        r#"{{"id":"7","status":"active","meta":{{"source":"a\ud800b","x":{deep}}},"billablePeriod":{{"start":"2024-01-01","end":1e999}}}}"#
    );
    assert!(serde_json::from_str::<Value>(&text).is_err());
    let claim = Claim::read(&text).unwrap();
    assert_eq!((claim.id.as_str(), claim.is_incomplete), ("7", true));
    assert_eq!(claim.source.as_deref(), Some("a\u{fffd}b"));
    assert_eq!((claim.start.as_deref(), claim.end), (Some("2024-01-01"), None));
    for text in ["", "{", "{\"id\":\"1\"", "[1e400", "\"\\ud800", "{\"id\":\"\u{1}\"}"] {
        assert!(Claim::read(text).is_err(), "{text}");
    }
}

#[test]
fn empty_text_is_none_and_control_characters_are_replaced() {
    let claim = read(&json!({
        "id": "1", "use": "claim", "status": "\u{0}=1+1\u{7}\nx", "careTeam": [{}, {"role": {"coding": []}}],
        "diagnosis": [{"diagnosisCodeableConcept": {"coding": []}}, {"type": [{"coding": [{"code": "principal"}]}]}],
        "procedure": [{"procedureCodeableConcept": {"coding": [{"code": " "}]}}], "total": [{}], "item": [{"modifier": [{"coding": []}]}],
        "supportingInfo": [{"category": {"coding": []}}], "identifier": [{}],
    }));
    assert_eq!(claim.status.as_deref(), Some("\u{fffd}=1+1\u{fffd}\u{fffd}x"));
    assert!(claim.diagnoses.is_empty() && claim.procedures.is_empty() && !claim.has_principal_diagnosis);
    assert_eq!((claim.lines.len(), claim.amounts, claim.number), (1, Amounts::default(), None));
    let other = read(&json!({"id": "1", "diagnosis": [{"type": [{"coding": [{"code": "other"}]}],
        "diagnosisCodeableConcept": {"coding": [{"code": "A01"}]}}]}));
    assert!(!other.has_principal_diagnosis && other.diagnoses.len() == 1);
}

/// A claim with a code in its supporting information, or in an extension of its header.
fn coded(kind: &str, named: &str, code: &str, paid: f64, is_extension: bool) -> Claim {
    let url = format!("https://bluebutton.cms.gov/resources/variables/{named}");
    let coding = json!({"coding": [{"code": code}]});
    let mut claim = json!({"id": "1", "use": "claim", "type": {"coding": [{"system": "x/eob-type", "code": kind}]},
        "payment": {"amount": {"value": paid}},
        "total": [{"category": {"coding": [{"code": "CLM_MDCR_DDCTBL_AMT"}]}, "amount": {"value": 0}},
            {"category": {"coding": [{"code": "CLM_MDCR_COINSRNC_AMT"}]}, "amount": {"value": 0}}],
        "item": [{"adjudication": [{"category": {"coding": [{"code": "CLM_LINE_MDCR_DDCTBL_AMT"}]}, "amount": {"value": 0}},
            {"category": {"coding": [{"code": "CLM_LINE_MDCR_COINSRNC_AMT"}]}, "amount": {"value": 0}}]}]});
    if is_extension {
        claim["extension"] = json!([{"url": url, "valueCoding": {"code": code}}]);
    } else {
        claim["supportingInfo"] = json!([{"category": {"coding": [{"code": named}]}, "code": coding}]);
    }
    read(&claim)
}

#[test]
fn claims_that_medicare_did_not_pay_have_no_share() {
    const DENIED: Option<PayerDecision> = Some(PayerDecision::Denied);
    const PLAN: Option<PayerDecision> = Some(PayerDecision::MedicareAdvantage);
    for (kind, named, code, paid, is_extension, decision) in [
        ("CARRIER", "carr_clm_pmt_dnl_cd", "0", 0.0, true, DENIED),
        ("DME", "carr_clm_pmt_dnl_cd", "D", 0.0, true, DENIED),
        ("CARRIER", "CLM-CARR-PMT-DNL-CD", "#", 0.0, true, DENIED),
        ("CARRIER", "CLM_CARR_PMT_DNL_CD", "00", 0.0, false, DENIED),
        // The code says who was paid.
        ("CARRIER", "carr_clm_pmt_dnl_cd", "1", 0.0, true, None),
        ("CARRIER", "carr_clm_pmt_dnl_cd", "A", 0.0, true, None),
        // What was paid was not denied.
        ("CARRIER", "CLM_CARR_PMT_DNL_CD", "00", 5.0, false, None),
        ("INPATIENT", "clm_mdcr_non_pmt_rsn_cd", "B", 0.0, true, DENIED),
        ("SNF", "CLM_MDCR_NPMT_RSN_CD", "N", 0.0, false, DENIED),
        ("HHA", "clm_mdcr_non_pmt_rsn_cd", "P", 0.0, true, None),
        ("SNF", "clm_mdcr_non_pmt_rsn_cd", "B", 5.0, true, None),
        ("INPATIENT", "clm_mco_pd_sw", "1", 0.0, false, PLAN),
        ("HOSPICE", "CLM_MDCR_INSTNL_MCO_PD_SW", "1", 5.0, false, PLAN),
        ("INPATIENT", "clm_mco_pd_sw", "0", 0.0, false, None),
    ] {
        let claim = coded(kind, named, code, paid, is_extension);
        let share = (decision.is_none()).then_some(Cents(0));
        let found = (claim.payer_decision, claim.amounts.patient_pays, claim.lines[0].patient_pays);
        assert_eq!(found, (decision, share, share), "{kind} {named} {code} {paid}");
    }
}

#[test]
fn a_claim_with_a_patient_share_is_not_denied() {
    let mut claim = json!({"id": "1", "use": "claim", "type": {"coding": [{"system": "x/eob-type", "code": "INPATIENT"}]},
        "payment": {"amount": {"value": 0}},
        "extension": [{"url": "x/clm_mdcr_non_pmt_rsn_cd", "valueCoding": {"code": "N"}}],
        "total": [{"category": {"coding": [{"code": "nch_bene_ip_ddctbl_amt"}]}, "amount": {"value": 112}},
            {"category": {"coding": [{"code": "nch_bene_pta_coinsrnc_lblty_amt"}]}, "amount": {"value": 0}}]});
    let all_deductible = read(&claim);
    assert_eq!((all_deductible.payer_decision, all_deductible.amounts.patient_pays), (None, Some(Cents(11_200))));
    claim["total"][0]["amount"]["value"] = 0.into();
    assert_eq!(read(&claim).payer_decision, Some(PayerDecision::Denied));
}

#[test]
fn a_diagnosis_is_named_once_and_placeholders_are_ignored() {
    let coding = |system: &str, code: &str, display: &str| json!({"diagnosisCodeableConcept": {"coding": [{"system": system, "code": code, "display": display}]}});
    let claim = read(&json!({"id": "1", "diagnosis": [
        coding("icd-10", "I10", ""), coding("icd-9-cm", "9999999", ""), coding("icd-10-cm", "I10", "HYPERTENSION"),
        coding("icd-9-cm", "9999", "COMPLIC MED CARE"), coding("icd-10", "I10", "OTHER WORDS"), coding("icd-10", "999.9999", ""),
        coding("icd-10", "0000000", ""),
    ]}));
    let found: Vec<_> = claim.diagnoses.iter().map(|it| (it.code.as_str(), it.words.as_deref())).collect();
    assert_eq!(found, [("I10", Some("HYPERTENSION")), ("9999", Some("COMPLIC MED CARE"))]);
}

#[test]
fn a_line_total_out_of_range_is_none() {
    let line: &[(&str, f64)] = &[("line_coinsrnc_amt", 9_999_999_999_999.0), ("line_bene_ptb_ddctbl_amt", 0.0)];
    let owed = [("carr_clm_cash_ddctbl_apld_amt", 1.0)];
    for (lines, coinsurance) in [(1_000, Some(999_999_999_999_900_000)), (1_001, None), (10_000, None)] {
        let claim = billed("CARRIER", &owed, &vec![line; lines]);
        assert_eq!(claim.amounts.coinsurance.map(|it| it.0), coinsurance, "{lines}");
        assert_eq!(claim.amounts.patient_pays.map(|it| it.0), coinsurance.map(|it| it + 100), "{lines}");
        assert_eq!(claim.is_incomplete, coinsurance.is_none(), "{lines}");
    }
    assert_eq!(Cents(999_999_999_999_999_999).plus(Cents(1)), None);
    assert_eq!(Cents(i64::MIN).plus(Cents(-1)), None);
}

/// The lists of reasons of claims and of lines have some of the same codes.
#[test]
fn a_reason_is_explained_with_the_words_of_its_own_list() {
    let by_claim = coded("SNF", "clm_mdcr_non_pmt_rsn_cd", "N", 0.0, true);
    assert_eq!(by_claim.lines[0].why_denied().as_deref(), Some("code N"));
    let processed =
        json!([{"url": "x/line_prcsg_ind_cd", "valueCoding": {"system": "x/line_prcsg_ind_cd", "code": "N"}}]);
    let by_line =
        read(&json!({"id": "1", "use": "claim", "type": {"coding": [{"system": "x/eob-type", "code": "CARRIER"}]},
        "item": [{"extension": processed}]}));
    assert_eq!(by_line.lines[0].why_denied().as_deref(), Some("Medicare did not find it medically necessary"));
}

#[test]
fn a_denied_claim_counts_even_if_it_lists_no_services() {
    let mut claim = json!({"id": "1", "use": "claim", "type": {"coding": [{"system": "x/eob-type", "code": "HHA"}]},
        "payment": {"amount": {"value": 0}},
        "extension": [{"url": "x/clm_mdcr_non_pmt_rsn_cd", "valueCoding": {"code": "B"}}]});
    assert_eq!((read(&claim).denied_lines().count(), read(&claim).denied_services()), (0, 1));
    let total = json!({"revenue": {"coding": [{"system": "x/rev_cntr", "code": "0001"}]}});
    claim["item"] = json!([total]);
    assert_eq!((read(&claim).denied_lines().count(), read(&claim).denied_services()), (1, 1));
    // Next to a service, the line with the total counts no second time.
    claim["item"] = json!([total, {"revenue": {"coding": [{"system": "x/rev_cntr", "code": "0420"}]}}]);
    assert_eq!(read(&claim).denied_lines().count(), 1);
}

#[test]
fn what_a_plan_paid_for_was_not_denied_by_medicare() {
    let amount = |name: &str, value: f64| json!({"category": {"coding": [{"code": name}]}, "amount": {"value": value}});
    let mut claim = json!({"id": "1", "use": "claim", "type": {"coding": [{"system": "x/eob-type", "code": "OUTPATIENT"}]},
        "supportingInfo": [{"category": {"coding": [{"code": "clm_mco_pd_sw"}]}, "code": {"coding": [{"code": "1"}]}}],
        "item": [{"adjudication": [amount("rev_cntr_tot_chrg_amt", 50.0), amount("rev_cntr_ncvrd_chrg_amt", 50.0)]}]});
    let by_plan = read(&claim);
    assert_eq!((by_plan.payer_decision, by_plan.denied_services()), (Some(PayerDecision::MedicareAdvantage), 0));
    claim["supportingInfo"][0]["code"]["coding"][0]["code"] = "0".into();
    assert_eq!(read(&claim).denied_services(), 1);
}
