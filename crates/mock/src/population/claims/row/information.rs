//! The contents of `supportingInfo` in v2 and v3 and of `information` in v1.

use jiff::civil::Date;

use super::super::json::Json;
use super::super::vocabulary::{Code, System, UNITS};

/// The value of an entry.
#[derive(Clone, Copy)]
pub(crate) enum InfoValue {
    Date(Date),
    Period(Date, Date),
    /// A code and its text.
    Code(&'static str, &'static str),
    Count(u64),
    Pints(u64),
    /// The contained Observation.
    Observation,
}

/// Each kind of entry: CARIN's name and text for it, if there are any; its name in CMS's database, and CMS's text.
macro_rules! information {
    ($($info:ident $carin:expr, $name:literal, $words:literal;)*) => {
        /// The kind of an entry.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Info { $($info),* }

        impl Info {
            /// CARIN's name, and the text for it.
            pub(crate) fn carin(self) -> Option<(&'static str, &'static str)> {
                match self { $(Self::$info => $carin),* }
            }

            /// The name of the CMS variable, and CMS's text for it.
            pub(crate) fn variable(self) -> (&'static str, &'static str) {
                match self { $(Self::$info => ($name, $words)),* }
            }
        }
    };
}

information! {
    Received Some(("clmrecvddate", "Claim Received Date")), "nch_wkly_proc_dt", "NCH Weekly Claim Processing Date";
    PatientStatus None, "nch_ptnt_stus_ind_cd", "NCH Patient Status Indicator Code";
    AdmissionPeriod Some(("admissionperiod", "Admission Period")), "", "";
    AdmissionType Some(("admtype", "Information")), "clm_ip_admsn_type_cd", "Claim Inpatient Admission Type Code";
    AdmissionSource None, "clm_src_ip_admsn_cd", "Claim Source Inpatient Admission Code";
    RelatedGroup None, "clm_drg_cd", "Claim Diagnosis Related Group Code (or MS-DRG Code)";
    BenefitsExhausted None, "nch_bene_mdcr_bnfts_exhtd_dt_i", "NCH Beneficiary Medicare Benefits Exhausted Date";
    BloodPints None, "nch_blood_pnts_frnshd_qty", "NCH Blood Pints Furnished Quantity";
    QualifiedStay None, "nch_qlfyd_stay_from_dt", "NCH Qualified Stay From Date";
    PaymentSystem None, "clm_pps_ind_cd", "Claim PPS Indicator Code";
    ManagedCarePaid None, "clm_mco_pd_sw", "Claim MCO Paid Switch";
    BillFrequency Some(("typeofbill", "Type of Bill")), "clm_freq_cd", "Claim Frequency Code";
    DischargeStatus Some(("discharge-status", "Discharge Status")), "ptnt_dschrg_stus_cd", "Patient Discharge Status Code";
    PrimaryPayer None, "nch_prmry_pyr_cd", "NCH Primary Payer Code (if not Medicare)";
    LowUtilization None, "clm_hha_lupa_ind_cd", "Claim HHA Low Utilization Payment Adjustment (LUPA) Indicator Code";
    Referral None, "clm_hha_rfrl_cd", "Claim HHA Referral Code";
    Visits None, "clm_hha_tot_visit_cnt", "Claim HHA Total Visit Count";
    Laboratory None, "line_hct_hgb_rslt_num", "Hematocrit / Hemoglobin Test Results";
    Compound Some(("compoundcode", "Compound Code")), "", "";
    Refill Some(("refillnum", "Refill Number")), "fill_num", "";
    DaysSupply Some(("dayssupply", "Days Supply")), "days_suply_num", "";
    DrugCoverage None, "drug_cvrg_stus_cd", "Drug Coverage Status Code";
    DispenseAsWritten None, "daw_prod_slctn_cd", "Dispense as Written (DAW) Product Selection Code";
    AdjustmentDeletion None, "adjstmt_dltn_cd", "Adjustment Deletion Code";
    PrescriptionOrigin Some(("rxorigincode", "Rx Origin Code")), "rx_orgn_cd", "Prescription Origination Code";
    BrandGeneric Some(("brandgenericindicator", "Brand Generic Indicator")), "brnd_gnrc_cd", "Brand-Generic Code Reported by Submitting Plan";
    Residence None, "ptnt_rsdnc_cd", "Patient Residence Code";
    Clarification None, "submsn_clr_cd", "Submission clarification code";
}

impl Info {
    /// Whether v2 also names the CMS variable. With CARIN's name, it seldom does.
    pub(crate) fn is_variable_in_v2(self) -> bool {
        self.carin().is_none() || matches!(self, Self::Received | Self::AdmissionType)
    }

    fn system(self) -> System<'static> {
        match self {
            Self::AdmissionType => System::Url("https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit"),
            Self::Compound => System::Terminology("v3-ActCode"),
            _ => System::Variable(self.variable().0),
        }
    }
}

impl Json<'_> {
    /// The value of an entry, in the form of both v1 and v2.
    pub(crate) fn information_value(&mut self, info: Info, value: InfoValue) {
        match value {
            InfoValue::Date(date) => self.put("timingDate", date),
            InfoValue::Period(start, end) => self.period("timingPeriod", start, end),
            InfoValue::Code(code, words) => self.concept("code", &[Code(info.system(), code, words)]),
            InfoValue::Count(count) => self.put_object("valueQuantity", |json| json.put("value", count)),
            InfoValue::Pints(pints) => self.pints(pints),
            InfoValue::Observation => {
                self.put_object("valueReference", |json| json.put("reference", "#line-observation-1"));
            }
        }
    }

    /// `"valueQuantity"` of blood.
    pub(crate) fn pints(&mut self, pints: u64) {
        self.put_object("valueQuantity", |json| {
            json.put("value", pints);
            json.put("unit", "pint");
            json.put("system", UNITS);
            json.put("code", "[pt_us]");
        });
    }
}
