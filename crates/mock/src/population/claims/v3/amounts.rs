//! The amounts of v3: what they are called there, and which of v2's they are.

use super::super::Kind;
use super::super::facts::Figure;
use super::super::json::Json;
use super::super::vocabulary::{
    BENEFIT, COINSURANCE, Code, DEDUCTIBLE, DISCOUNT, ELIGIBLE, NONCOVERED, PAID_BY_PATIENT, PAID_TO_PATIENT,
    PAID_TO_PROVIDER, PRIOR_PAYER, SUBMITTED, System,
};
use super::parts::dollars;

/// Which claims have an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    Institutional,
    Professional,
    Drug,
    Medical,
}

impl Kinds {
    pub(super) fn include(self, kind: Kind) -> bool {
        match self {
            Self::Institutional => !matches!(kind, Kind::Carrier | Kind::Dme | Kind::Pde),
            Self::Professional => matches!(kind, Kind::Carrier | Kind::Dme),
            Self::Drug => kind == Kind::Pde,
            Self::Medical => kind != Kind::Pde,
        }
    }
}

/// An amount or a count of v3.
pub(super) struct Amount {
    pub(super) kinds: Kinds,
    /// The word of FHIR or CARIN for it, where there is one.
    word: Option<Code<'static>>,
    variable: &'static str,
    words: &'static str,
    /// What v2 calls it; the first that the claim has counts.
    from: &'static [&'static str],
    is_count: bool,
}

impl Amount {
    /// Writes it; 0 where the claim has none, as the server does.
    pub(super) fn write<'f>(
        &self,
        json: &mut Json<'_>,
        money: &impl Fn(&str) -> Option<Figure<'f>>,
        count: &impl Fn(&str) -> Option<u64>,
    ) {
        json.object(|json| {
            json.put_object("category", |json| {
                json.put_list("coding", |json| {
                    if let Some(word) = self.word {
                        json.coding(word);
                    }
                    json.coding(Code(System::Fhir("Adjudication"), self.variable, self.words));
                });
            });
            if self.is_count {
                return json.put("value", self.from.iter().find_map(|name| count(name)).unwrap_or(0));
            }
            match self.from.iter().find_map(|name| money(name)) {
                Some(value) => dollars(json, "amount", value),
                None => dollars(json, "amount", 0),
            }
        });
    }
}

const fn plain(kinds: Kinds, variable: &'static str, words: &'static str, from: &'static [&'static str]) -> Amount {
    Amount { kinds, word: None, variable, words, from, is_count: false }
}

const fn called(
    kinds: Kinds,
    word: Code<'static>,
    variable: &'static str,
    words: &'static str,
    from: &'static [&'static str],
) -> Amount {
    Amount { kinds, word: Some(word), variable, words, from, is_count: false }
}

const fn counted(variable: &'static str, words: &'static str, from: &'static [&'static str]) -> Amount {
    Amount { kinds: Kinds::Institutional, word: None, variable, words, from, is_count: true }
}

use Kinds::{Drug, Institutional as Inst, Medical, Professional as Prof};

/// `adjudication` of the claim.
pub(super) const HEADER: &[Amount] = &[
    plain(Prof, "CLM_MDCR_PRFNL_PRMRY_PYR_AMT", "Primary Payer Paid Amount", &["clm_tot_chrg_amt"]),
    plain(Inst, "CLM_OPRTNL_DSPRTNT_AMT", "Operating Disproportionate Share Amount", &["dsh_op_clm_val_amt"]),
    plain(Inst, "CLM_OPRTNL_IME_AMT", "Operating Indirect Medical Education Amount", &["ime_op_clm_val_amt"]),
    counted("CLM_MDCR_IP_LRD_USE_CNT", "Beneficiary Medicare Lifetime Reserve Days Used Count", &["bene_lrd_used_cnt"]),
    counted(
        "CLM_INSTNL_MDCR_COINS_DAY_CNT",
        "Beneficiary Total Coinsurance Days Count",
        &["bene_tot_coinsrnc_days_cnt"],
    ),
    counted("CLM_INSTNL_NCVRD_DAY_CNT", "Claim Medicare Non Utilization Days Count", &["clm_non_utlztn_days_cnt"]),
    counted("CLM_MDCR_HOSPC_PRD_CNT", "Hospice Period Count", &[]),
    counted("CLM_MDCR_HHA_TOT_VISIT_CNT", "Claim HHA Visit Count", &[]),
    counted("CLM_MDCR_IP_PPS_DRG_WT_NUM", "PPS DRG Weight Number", &["clm_pps_cptl_drg_wt_num"]),
    counted("CLM_INSTNL_CVRD_DAY_CNT", "Claim Medicare Utilization Day Count", &["clm_utlztn_day_cnt"]),
    plain(Inst, "CLM_INSTNL_PER_DIEM_AMT", "Claim Pass Thru Per Diem Amount", &["clm_pass_thru_per_diem_amt"]),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_DSPRPRTNT_AMT",
        "Claim PPS Capital Disproportionate Share Amount",
        &["clm_pps_cptl_dsprprtnt_shr_amt"],
    ),
    plain(Inst, "CLM_MDCR_IP_PPS_EXCPTN_AMT", "Claim PPS Capital Exception Amount", &["clm_pps_cptl_excptn_amt"]),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_CPTL_FSP_AMT",
        "Claim PPS Capital Federal Specific Portion Amount",
        &["clm_pps_cptl_fsp_amt"],
    ),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_CPTL_IME_AMT",
        "Claim PPS Capital Indirect Medical Education Amount",
        &["clm_pps_cptl_ime_amt"],
    ),
    plain(Inst, "CLM_MDCR_IP_PPS_OUTLIER_AMT", "Claim PPS Capital Outlier Amount", &["clm_pps_cptl_outlier_amt"]),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_CPTL_HRMLS_AMT",
        "Claim PPS Old Capital Hold Harmless Amount",
        &["clm_pps_old_cptl_hld_hrmls_amt"],
    ),
    plain(Inst, "CLM_MDCR_IP_PPS_CPTL_TOT_AMT", "Claim Total PPS Capital Amount", &["clm_tot_pps_cptl_amt"]),
    plain(Inst, "CLM_MDCR_INSTNL_PRMRY_PYR_AMT", "Primary Payer (if not Medicare) Claim Paid Amount", &["prpayamt"]),
    plain(Inst, "CLM_INSTNL_PRFNL_AMT", "Professional Component Charge Amount", &["nch_profnl_cmpnt_chrg_amt"]),
    plain(
        Inst,
        "CLM_INSTNL_DRG_OUTLIER_AMT",
        "DRG Outlier Approved Payment Amount",
        &["nch_drg_outlier_aprvd_pmt_amt"],
    ),
    plain(Inst, "CLM_HIPPS_UNCOMPD_CARE_AMT", "Claim Uncompensated Care Payment Amount", &["clm_uncompd_care_pmt_amt"]),
    plain(
        Inst,
        "CLM_MDCR_IP_BENE_DDCTBL_AMT",
        "Beneficiary Inpatient (or other Part A) Deductible Amount",
        &["nch_bene_ip_ddctbl_amt"],
    ),
    plain(Inst, "CLM_FINL_STDZD_PYMT_AMT", "Standardized Payment Amount", &[]),
    plain(Inst, "CLM_HAC_RDCTN_PYMT_AMT", "Hospital Acquired Condition Reduction Amount", &[]),
    plain(Inst, "CLM_HIPPS_MODEL_BNDLD_PMT_AMT", "Blended Payment Amount", &[]),
    plain(Inst, "CLM_HIPPS_READMSN_RDCTN_AMT", "Readmission Reduction Amount", &[]),
    plain(Inst, "CLM_HIPPS_VBP_AMT", "HIPPS Value Based Purchasing Amount", &[]),
    plain(Inst, "CLM_INSTNL_LOW_VOL_PMT_AMT", "Low Volume Payment Amount", &[]),
    plain(Inst, "CLM_MDCR_IP_1ST_YR_RATE_AMT", "First Year Rate Amount", &[]),
    plain(Inst, "CLM_MDCR_IP_SCND_YR_RATE_AMT", "Second Year Rate Amount", &[]),
    plain(Inst, "CLM_PPS_MD_WVR_STDZD_VAL_AMT", "Maryland Waiver Standardized Amount", &[]),
    plain(Inst, "CLM_SITE_NTRL_CST_BSD_PYMT_AMT", "Site-Neutral Cost-Based Payment Amount", &[]),
    plain(Inst, "CLM_SITE_NTRL_IP_PPS_PYMT_AMT", "Site-Neutral IPPS Payment Amount", &[]),
    plain(Inst, "CLM_SS_OUTLIER_STD_PYMT_AMT", "Short Stay Outlier Payment Amount", &[]),
    plain(
        Medical,
        "CLM_BLOOD_LBLTY_AMT",
        "Beneficiary Blood Deductible Liability Amount",
        &["nch_bene_blood_ddctbl_lblty_am"],
    ),
    plain(Medical, "CLM_BLOOD_NCVRD_CHRG_AMT", "Blood Noncovered Charge Amount", &[]),
];

/// `total`.
pub(super) const TOTALS: &[Amount] = &[
    called(Medical, ELIGIBLE, "CLM_ALOWD_CHRG_AMT", "Allowed Charge Amount", &["nch_carr_clm_alowd_amt"]),
    called(
        Medical,
        SUBMITTED,
        "CLM_SBMT_CHRG_AMT",
        "Total Charge Amount",
        &["nch_carr_clm_sbmtd_chrg_amt", "clm_tot_chrg_amt"],
    ),
    called(Prof, PAID_BY_PATIENT, "CLM_BENE_PMT_AMT", "Paid By Beneficiary Amount", &["nch_clm_bene_pmt_amt"]),
    called(
        Medical,
        PAID_TO_PROVIDER,
        "CLM_PRVDR_PMT_AMT",
        "Provider Payment Amount",
        &["nch_clm_prvdr_pmt_amt", "clm_op_prvdr_pmt_amt"],
    ),
    called(
        Medical,
        DEDUCTIBLE,
        "CLM_MDCR_DDCTBL_AMT",
        "Beneficiary Deductible Amount",
        &["carr_clm_cash_ddctbl_apld_amt", "nch_bene_ptb_ddctbl_amt", "nch_bene_ip_ddctbl_amt"],
    ),
    called(
        Inst,
        COINSURANCE,
        "CLM_MDCR_COINSRNC_AMT",
        "Beneficiary Coinsurance Liability Amount",
        &["nch_bene_ptb_coinsrnc_amt", "nch_bene_pta_coinsrnc_lblty_amt"],
    ),
    called(
        Inst,
        NONCOVERED,
        "CLM_NCVRD_CHRG_AMT",
        "Inpatient(or other Part A) Non-covered Charge Amount",
        &["nch_ip_ncvrd_chrg_amt"],
    ),
    called(
        Inst,
        PAID_TO_PATIENT,
        "CLM_MDCR_INSTNL_BENE_PD_AMT",
        "Institutional Paid to Beneficiary Amount",
        &["clm_op_bene_pmt_amt"],
    ),
    called(Drug, PAID_BY_PATIENT, "CLM_BENE_PMT_AMT", "Paid By Beneficiary Amount", &["ptnt_pay_amt"]),
    called(Drug, PRIOR_PAYER, "CLM_OTHR_TP_PD_AMT", "Other Third Party Payer Paid Amount", &["othr_troop_amt"]),
    called(Drug, SUBMITTED, "TOT_RX_CST_AMT", "Total RX Cost Amount", &["tot_rx_cst_amt"]),
];

/// `item.adjudication`.
pub(super) const LINES: &[Amount] = &[
    called(Prof, COINSURANCE, "CLM_LINE_MDCR_COINSRNC_AMT", "Coinsurance Amount", &["line_coinsrnc_amt"]),
    called(Prof, ELIGIBLE, "CLM_LINE_ALOWD_CHRG_AMT", "Line Allowed Charge Amount", &["line_alowd_chrg_amt"]),
    called(
        Medical,
        DEDUCTIBLE,
        "CLM_LINE_MDCR_DDCTBL_AMT",
        "Cash Deductible Amount",
        &["line_bene_ptb_ddctbl_amt", "rev_cntr_cash_ddctbl_amt"],
    ),
    plain(Inst, "CLM_LINE_BLOOD_DDCTBL_AMT", "Blood Deductible Amount", &["rev_cntr_blood_ddctbl_amt"]),
    called(
        Medical,
        PAID_TO_PATIENT,
        "CLM_LINE_BENE_PD_AMT",
        "Payment Amount to Beneficiary",
        &["line_bene_pmt_amt", "rev_cntr_bene_pmt_amt"],
    ),
    called(
        Inst,
        PAID_BY_PATIENT,
        "CLM_LINE_BENE_PMT_AMT",
        "Line Paid By Beneficiary Amount",
        &["rev_cntr_ptnt_rspnsblty_pmt"],
    ),
    called(Inst, NONCOVERED, "CLM_LINE_NCVRD_CHRG_AMT", "Non-Covered Charge Amount", &["rev_cntr_ncvrd_chrg_amt"]),
    called(
        Medical,
        PAID_TO_PROVIDER,
        "CLM_LINE_PRVDR_PMT_AMT",
        "Line Provider Payment Amount",
        &["line_prvdr_pmt_amt", "rev_cntr_prvdr_pmt_amt"],
    ),
    called(Medical, BENEFIT, "CLM_LINE_CVRD_PD_AMT", "Payment Amount", &["line_nch_pmt_amt", "rev_cntr_pmt_amt_amt"]),
    called(
        Medical,
        SUBMITTED,
        "CLM_LINE_SBMT_CHRG_AMT",
        "Line Submitted Charge Amount",
        &["line_sbmtd_chrg_amt", "rev_cntr_tot_chrg_amt"],
    ),
    plain(
        Inst,
        "CLM_LINE_INSTNL_ADJSTD_AMT",
        "Revenue Center Coinsurance/Wage Adjusted Coinsurance Amount",
        &["rev_cntr_coinsrnc_wge_adjstd_c"],
    ),
    plain(
        Inst,
        "CLM_LINE_INSTNL_RDCD_AMT",
        "Revenue Center Reduced Coinsurance Amount",
        &["rev_cntr_rdcd_coinsrnc_amt"],
    ),
    called(
        Inst,
        PRIOR_PAYER,
        "CLM_LINE_INSTNL_MSP1_PD_AMT",
        "Revenue Center 1st MSP Paid Amount",
        &["rev_cntr_1st_msp_pd_amt"],
    ),
    called(
        Inst,
        PRIOR_PAYER,
        "CLM_LINE_INSTNL_MSP2_PD_AMT",
        "Revenue Center 2nd MSP Paid Amount",
        &["rev_cntr_2nd_msp_pd_amt"],
    ),
    plain(Inst, "CLM_LINE_INSTNL_RATE_AMT", "Revenue Center Rate Amount", &["rev_cntr_rate_amt"]),
    plain(Inst, "CLM_LINE_ADD_ON_PYMT_AMT", "Add On Payment Amount", &[]),
    plain(Prof, "CLM_LINE_PRFNL_DME_PRICE_AMT", "Purchase Price Amount", &["line_dme_prchs_price_amt"]),
    plain(Prof, "CLM_LINE_PRFNL_INTRST_AMT", "Professional Interest Amount", &[]),
    plain(Prof, "CLM_MDCR_PRMRY_PYR_ALOWD_AMT", "Line Primary Payer Allowed Amount", &["line_prmry_alowd_chrg_amt"]),
    called(
        Prof,
        PRIOR_PAYER,
        "CLM_BENE_PRMRY_PYR_PD_AMT",
        "Line Primary Payer Paid Amount",
        &["line_bene_prmry_pyr_pd_amt"],
    ),
    called(Prof, DISCOUNT, "CLM_LINE_DMERC_SCRN_SVGS_AMT", "Screen Savings Amount", &[]),
    plain(Drug, "CLM_LINE_PLRO_AMT", "Patient Liability Reduction Other Paid Amount", &["plro_amt"]),
    plain(Drug, "CLM_LINE_LIS_AMT", "Low Income Cost Sharing Subsidy Amount", &["lics_amt"]),
    plain(
        Drug,
        "CLM_LINE_GRS_BLW_THRSHLD_AMT",
        "Gross Drug Cost Below Out Of Pocket Threshold Amount",
        &["gdc_blw_oopt_amt"],
    ),
    plain(
        Drug,
        "CLM_LINE_GRS_ABOVE_THRSHLD_AMT",
        "Gross Drug Cost Above Out Of Pocket Threshold Amount",
        &["gdc_abv_oopt_amt"],
    ),
    plain(Drug, "CLM_LINE_RPTD_GAP_DSCNT_AMT", "Claim Line Reported Gap Discount Amount", &["rptd_gap_dscnt_num"]),
    called(Drug, SUBMITTED, "TOT_RX_CST_AMT", "Total RX Cost Amount", &["tot_rx_cst_amt"]),
];
