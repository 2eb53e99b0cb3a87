//! What v1 and v2 write in the same way: CMS's own extensions and codes.

use super::Kind;
use super::json::{Digits, Json};
use super::parts::Cents;
use super::row::{Column, Diagnosis, DrugEvent, Institutional, Line, Professional, ServiceLine, Source};
use super::vocabulary::{Code, HCPCS, NDC, System};

impl Json<'_> {
    /// CMS's number for the type of a claim, and Blue Button's name.
    pub(super) fn claim_types(&mut self, kind: Kind) {
        if let Some((code, words)) = kind.claim_type() {
            self.coding(Code(System::Variable("nch_clm_type_cd"), code, words));
        }
        self.coding(Code(System::Bluebutton("eob-type"), kind.eob_type(), ""));
    }

    /// The adjudication code of a variable with this text.
    pub(super) fn adjudication_code(&mut self, (variable, words): (&str, &str)) {
        self.variable_code("adjudication", variable, words);
    }

    /// The `benefitBalance` code of a column.
    pub(super) fn balance_code(&mut self, column: Column) {
        let (variable, words) = column.variable();
        self.variable_code("benefit-balance", variable, words);
    }

    /// The extension of an adjudication: what Medicare paid is 80 % of what it allowed.
    pub(super) fn share_paid(&mut self, column: Column) {
        if column == Column::LineNchPmtAmt {
            self.put_list("extension", |json| json.variable("line_pmt_80_100_cd", "0", "80%"));
        }
    }

    /// The extension of a diagnosis in a hospital stay.
    pub(super) fn at_admission(&mut self, diagnosis: &Diagnosis) {
        if let Some(variable) = diagnosis.at_admission {
            let words = "Diagnosis was present at the time of admission (POA)";
            self.put_list("extension", |json| json.variable(variable, "Y", words));
        }
    }

    /// The laboratory value as a contained resource.
    pub(super) fn observation(&mut self, id: &str, hemoglobin: Cents) {
        self.object(|json| {
            json.put("resourceType", "Observation");
            json.put("id", id);
            json.put("status", "unknown");
            json.concept("code", &[Code(System::Variable("line_hct_hgb_type_cd"), "R1", "Hemoglobin Test")]);
            json.put_object("valueQuantity", |json| json.put("value", hemoglobin));
        });
    }

    /// The kind of the pharmacy.
    pub(super) fn pharmacy_kind(&mut self, event: &DrugEvent) {
        let Code(system, code, words) = event.pharmacy_kind;
        self.extension(system, code, words);
    }

    /// The extensions of the insurance of a drug event.
    pub(super) fn plan(&mut self, event: &DrugEvent) {
        self.put_list("extension", |json| {
            json.variable_identifier("plan_cntrct_rec_id", format_args!("Z{:04}", event.plan.0));
            json.variable_identifier("plan_pbp_rec_num", Digits(event.plan.1, 3));
        });
    }

    /// What the carrier of a professional claim adds.
    pub(super) fn carrier(&mut self, bill: &Professional) {
        self.variable_identifier("carr_num", Digits(bill.carrier, 5));
        self.variable_identifier("carr_clm_cntl_num", Digits(bill.control, 14));
        let (code, words) = Professional::PAYMENT;
        self.variable("carr_clm_pmt_dnl_cd", code, words);
        self.variable("asgmntcd", "A", "Assigned claim");
        self.variable_identifier("clm_clncl_tril_num", Digits(0, 1));
    }

    /// How the provider of a professional claim participates in Medicare.
    pub(super) fn participation(&mut self, kind: Kind) {
        if kind == Kind::Carrier {
            self.variable("carr_line_prvdr_type_cd", "1", "");
        }
        self.variable("prtcptng_ind_cd", "1", "Participating");
    }

    /// How many services a doctor's line is for.
    pub(super) fn services(&mut self, line: &Line) {
        self.variable_count("carr_line_mtus_cnt", line.units);
    }

    /// Says that services are counted.
    pub(super) fn services_coded(&mut self) {
        self.variable("carr_line_mtus_cd", "3", "Services");
    }

    /// Who supplied equipment, and how much of it.
    pub(super) fn equipment(&mut self, line: &Line, supplier: u64) {
        self.variable_identifier("suplrnum", Digits(supplier, 10));
        self.object(|json| {
            json.put("url", System::Variable("dmerc_line_scrn_svgs_amt"));
            json.put_object("valueQuantity", |json| json.put("value", Cents(0)));
        });
        self.object(|json| {
            json.put("url", System::Variable("dmerc_line_mtus_cnt"));
            json.put_object("valueQuantity", |json| {
                json.put("value", Cents(line.units * 100));
                json.put("unit", "Number of services");
                json.put("system", System::Variable("dmerc_line_mtus_cd"));
                json.put("code", "3");
            });
        });
    }

    /// Where equipment was priced, and what kind of supplier it came from.
    pub(super) fn equipment_pricing(&mut self, bill: &Professional) {
        self.variable("dmerc_line_prcng_state_cd", bill.state.postal, "");
        self.variable(
            "dmerc_line_supplr_type_cd",
            "3",
            "Suppliers (other than sole proprietorship) for whom employer identification (EI) numbers are used in coding the ID field.",
        );
    }

    /// The glucose strips that all lines of equipment name.
    pub(super) fn testing_strips(&mut self) {
        self.extension(NDC, "99999090110", "Testing strips - BLOOD GLUCOSE STRIP");
    }

    /// The kind of service.
    pub(super) fn betos(&mut self, details: &ServiceLine) {
        self.variable("betos_cd", details.service.betos.0, details.service.betos.1);
    }

    /// Says that the deductible applied to the service.
    pub(super) fn deductible_applies(&mut self) {
        self.variable("line_service_deductible", "0", "Service Subject to Deductible");
    }

    /// `"coding"` of an HCPCS code with the version that professional lines give with it.
    pub(super) fn hcpcs_version_3(&mut self, code: &str) {
        self.put_list("coding", |json| {
            json.object(|json| {
                json.put("system", HCPCS);
                json.put("version", "3");
                json.put("code", code);
            });
        });
    }

    /// The extensions of the place of a service.
    pub(super) fn location(&mut self, bill: &Professional, details: &ServiceLine) {
        let Source::Zip(zip, further) = details.source else {
            return self.variable("prvdr_state_cd", bill.state.postal, "");
        };
        self.variable("prvdr_state_cd", bill.state.code, bill.state.name);
        self.object(|json| {
            json.put("url", System::Variable("prvdr_zip"));
            json.put_object("valueCoding", |json| {
                json.put("system", System::Variable("prvdr_zip"));
                json.put("code", format_args!("{zip:05}{further:04}"));
            });
        });
        self.variable("carr_line_prcng_lclty_cd", "99", "");
    }

    /// The extension of an institution's billable period.
    pub(super) fn final_bill(&mut self) {
        self.put_list("extension", |json| json.variable("claim_query_cd", "3", "Final bill"));
    }

    /// The extension of a facility.
    pub(super) fn facility_kind(&mut self, kind: Kind) {
        let (code, words) = Institutional::facility(kind);
        self.put_list("extension", |json| json.variable("clm_fac_type_cd", code, words));
    }

    /// The number that the intermediary gave to the claim.
    pub(super) fn control_number(&mut self, bill: &Institutional) {
        self.variable_identifier("fi_doc_clm_cntl_num", Digits(bill.control, 14));
    }

    /// How many times a hospice has had the patient.
    pub(super) fn hospice_periods(&mut self, periods: u64) {
        self.variable_count("bene_hospc_prd_cnt", periods);
    }

    /// Says that an institution asked for payment.
    pub(super) fn payment_requested(&mut self) {
        self.variable("clm_mdcr_non_pmt_rsn_cd", "P", "Payment requested");
    }

    /// How outpatient and home health lines are paid.
    pub(super) fn fee_schedule(&mut self) {
        let words = "Services not paid under OPPS; uses a different fee schedule (e.g., ambulance, PT, mammography)";
        self.variable("rev_cntr_stus_ind_cd", "A", words);
    }
}
