//! The columns of CMS's database with sums and counts.

use super::super::json::{Json, Value};
use super::super::parts::Cents;
use super::super::vocabulary::{
    BENEFIT, COINSURANCE, Code, DEDUCTIBLE, DISCOUNT, DRUG_COST, ELIGIBLE, NONCOVERED, PAID_BY_PATIENT,
    PAID_TO_PATIENT, PAID_TO_PROVIDER, PRIOR_PAYER, SUBMITTED,
};

/// An amount of money or a count of days, visits and the like.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    Money(Cents),
    Count(u64),
}

impl Value for Figure {
    fn write(&self, json: &mut Json<'_>) {
        match self {
            Self::Money(amount) => amount.write(json),
            Self::Count(count) => count.write(json),
        }
    }
}

/// Each column: its FHIR or CARIN name on a line, its name in CMS's database, and CMS's text.
macro_rules! columns {
    ($($column:ident $category:expr, $name:literal, $words:literal;)*) => {
        /// A column, with CMS's name.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Column { $($column),* }

        impl Column {
            /// The FHIR or CARIN category of a line's amount in v2.
            pub(crate) fn category(self) -> Option<Code<'static>> {
                match self { $(Self::$column => $category),* }
            }

            /// The name of the CMS variable, and CMS's text for it.
            pub(crate) fn variable(self) -> (&'static str, &'static str) {
                match self { $(Self::$column => ($name, $words)),* }
            }
        }
    };
}

columns! {
    // Drug events.
    CvrdDPlanPdAmt Some(BENEFIT), "cvrd_d_plan_pd_amt", "Amount paid by Part D plan for the PDE (drug is covered by Part D)";
    GdcBlwOoptAmt Some(COINSURANCE), "gdc_blw_oopt_amt", "Gross Drug Cost Below Part D Out-of-Pocket Threshold (GDCB)";
    GdcAbvOoptAmt Some(COINSURANCE), "gdc_abv_oopt_amt", "Gross Drug Cost Above Part D Out-of-Pocket Threshold (GDCA)";
    PtntPayAmt Some(PAID_BY_PATIENT), "ptnt_pay_amt", "Amount Paid by Patient";
    OthrTroopAmt Some(PRIOR_PAYER), "othr_troop_amt", "Other True Out-of-Pocket (TrOOP) Amount";
    LicsAmt Some(DISCOUNT), "lics_amt", "Amount paid for the PDE by Part D low income subsidy";
    PlroAmt Some(PRIOR_PAYER), "plro_amt", "Reduction in patient liability due to payments by other payers (PLRO)";
    TotRxCstAmt Some(DRUG_COST), "tot_rx_cst_amt", "Total drug cost (Part D)";
    RptdGapDscntNum Some(DISCOUNT), "rptd_gap_dscnt_num", "Gap Discount Amount";

    // Lines of professional claims.
    LinePrmryAlowdChrgAmt Some(ELIGIBLE), "line_prmry_alowd_chrg_amt", "Line Primary Payer Allowed Charge Amount";
    LineDmePrchsPriceAmt Some(SUBMITTED), "line_dme_prchs_price_amt", "Line DME Purchase Price Amount";
    LineNchPmtAmt Some(BENEFIT), "line_nch_pmt_amt", "Line NCH Medicare Payment Amount";
    LineBenePmtAmt Some(PAID_TO_PATIENT), "line_bene_pmt_amt", "Line Payment Amount to Beneficiary";
    LinePrvdrPmtAmt Some(PAID_TO_PROVIDER), "line_prvdr_pmt_amt", "Line Provider Payment Amount";
    LineBenePtbDdctblAmt Some(DEDUCTIBLE), "line_bene_ptb_ddctbl_amt", "Line Beneficiary Part B Deductible Amount";
    LineBenePrmryPyrPdAmt Some(PRIOR_PAYER), "line_bene_prmry_pyr_pd_amt", "Line Primary Payer (if not Medicare) Paid Amount";
    LineCoinsrncAmt Some(COINSURANCE), "line_coinsrnc_amt", "Line Beneficiary Coinsurance Amount";
    LineSbmtdChrgAmt Some(SUBMITTED), "line_sbmtd_chrg_amt", "Line Submitted Charge Amount";
    LineAlowdChrgAmt Some(ELIGIBLE), "line_alowd_chrg_amt", "Line Allowed Charge Amount";

    // Revenue lines of institutions. The server uses the first of them on lines of equipment too.
    RevCntrPrvdrPmtAmt Some(PAID_TO_PROVIDER), "rev_cntr_prvdr_pmt_amt", "Revenue Center (Medicare) Provider Payment Amount";
    RevCntrRateAmt Some(SUBMITTED), "rev_cntr_rate_amt", "Revenue Center Rate Amount";
    RevCntrTotChrgAmt Some(SUBMITTED), "rev_cntr_tot_chrg_amt", "Revenue Center Total Charge Amount";
    RevCntrNcvrdChrgAmt Some(NONCOVERED), "rev_cntr_ncvrd_chrg_amt", "Revenue Center Non-Covered Charge Amount";
    RevCntrBloodDdctblAmt Some(DEDUCTIBLE), "rev_cntr_blood_ddctbl_amt", "Revenue Center Blood Deductible Amount";
    RevCntrCashDdctblAmt Some(DEDUCTIBLE), "rev_cntr_cash_ddctbl_amt", "Revenue Center Cash Deductible Amount";
    RevCntrCoinsrncWgeAdjstdC Some(COINSURANCE), "rev_cntr_coinsrnc_wge_adjstd_c", "Revenue Center Coinsurance/Wage Adjusted Coinsurance Amount";
    RevCntrRdcdCoinsrncAmt Some(COINSURANCE), "rev_cntr_rdcd_coinsrnc_amt", "Revenue Center Reduced Coinsurance Amount";
    RevCntr1stMspPdAmt Some(PRIOR_PAYER), "rev_cntr_1st_msp_pd_amt", "Revenue Center 1st Medicare Secondary Payer (MSP) Paid Amount";
    RevCntr2ndMspPdAmt Some(PRIOR_PAYER), "rev_cntr_2nd_msp_pd_amt", "Revenue Center 2nd Medicare Secondary Payer (MSP) Paid Amount";
    RevCntrBenePmtAmt Some(PAID_TO_PATIENT), "rev_cntr_bene_pmt_amt", "Revenue Center Payment Amount to Beneficiary";
    RevCntrPtntRspnsbltyPmt Some(PAID_BY_PATIENT), "rev_cntr_ptnt_rspnsblty_pmt", "Revenue Center Patient Responsibility Payment Amount";
    RevCntrPmtAmtAmt Some(SUBMITTED), "rev_cntr_pmt_amt_amt", "Revenue Center (Medicare) Payment Amount";

    // Whole claims.
    ClmTotChrgAmt None, "clm_tot_chrg_amt", "Claim Total Charge Amount";
    Prpayamt None, "prpayamt", "NCH Primary Payer (if not Medicare) Claim Paid Amount";
    CarrClmCashDdctblApldAmt None, "carr_clm_cash_ddctbl_apld_amt", "Carrier Claim Cash Deductible Applied Amount (sum of all line-level deductible amounts)";
    NchClmPrvdrPmtAmt None, "nch_clm_prvdr_pmt_amt", "NCH Claim Provider Payment Amount";
    NchClmBenePmtAmt None, "nch_clm_bene_pmt_amt", "NCH Claim Payment Amount to Beneficiary";
    NchCarrClmSbmtdChrgAmt None, "nch_carr_clm_sbmtd_chrg_amt", "NCH Carrier Claim Submitted Charge Amount (sum of all line-level submitted charges)";
    NchCarrClmAlowdAmt None, "nch_carr_clm_alowd_amt", "NCH Carrier Claim Allowed Charge Amount (sum of all line-level allowed charges)";
    ImeOpClmValAmt None, "ime_op_clm_val_amt", "";
    DshOpClmValAmt None, "dsh_op_clm_val_amt", "";
    ClmUncompdCarePmtAmt None, "clm_uncompd_care_pmt_amt", "";
    ClmPassThruPerDiemAmt None, "clm_pass_thru_per_diem_amt", "Claim Pass Thru Per Diem Amount";
    NchProfnlCmpntChrgAmt None, "nch_profnl_cmpnt_chrg_amt", "Professional Component Charge Amount";
    ClmTotPpsCptlAmt None, "clm_tot_pps_cptl_amt", "Claim Total PPS Capital Amount";
    ClmUtlztnDayCnt None, "clm_utlztn_day_cnt", "Claim Medicare Utilization Day Count";
    BeneTotCoinsrncDaysCnt None, "bene_tot_coinsrnc_days_cnt", "Beneficiary Total Coinsurance Days Count";
    ClmNonUtlztnDaysCnt None, "clm_non_utlztn_days_cnt", "Claim Medicare Non Utilization Days Count";
    ClmPpsCptlDrgWtNum None, "clm_pps_cptl_drg_wt_num", "Claim PPS Capital DRG Weight Number";
    BeneLrdUsedCnt None, "bene_lrd_used_cnt", "Beneficiary Medicare Lifetime Reserve Days (LRD) Used Count";
    ClmHhaTotVisitCnt None, "clm_hha_tot_visit_cnt", "Claim HHA Total Visit Count";
    NchBeneIpDdctblAmt None, "nch_bene_ip_ddctbl_amt", "NCH Beneficiary Inpatient (or other Part A) Deductible Amount";
    NchBenePtaCoinsrncLbltyAmt None, "nch_bene_pta_coinsrnc_lblty_amt", "NCH Beneficiary Part A Coinsurance Liability Amount";
    NchIpNcvrdChrgAmt None, "nch_ip_ncvrd_chrg_amt", "NCH Inpatient(or other Part A) Non-covered Charge Amount";
    NchIpTotDdctnAmt None, "nch_ip_tot_ddctn_amt", "NCH Inpatient (or other Part A) Total Deductible/Coinsurance Amount";
    ClmPpsCptlDsprprtntShrAmt None, "clm_pps_cptl_dsprprtnt_shr_amt", "Claim PPS Capital Disproportionate Share Amount";
    ClmPpsCptlExcptnAmt None, "clm_pps_cptl_excptn_amt", "Claim PPS Capital Exception Amount";
    ClmPpsCptlFspAmt None, "clm_pps_cptl_fsp_amt", "Claim PPS Capital Federal Specific Portion (FSP) Amount";
    ClmPpsCptlImeAmt None, "clm_pps_cptl_ime_amt", "Claim PPS Capital Indirect Medical Education (IME) Amount";
    ClmPpsCptlOutlierAmt None, "clm_pps_cptl_outlier_amt", "Claim PPS Capital Outlier Amount";
    ClmPpsOldCptlHldHrmlsAmt None, "clm_pps_old_cptl_hld_hrmls_amt", "Claim PPS Old Capital Hold Harmless Amount";
    NchDrgOutlierAprvdPmtAmt None, "nch_drg_outlier_aprvd_pmt_amt", "NCH DRG Outlier Approved Payment Amount";
    NchBeneBloodDdctblLbltyAm None, "nch_bene_blood_ddctbl_lblty_am", "NCH Beneficiary Blood Deductible Liability Amount";
    NchBenePtbDdctblAmt None, "nch_bene_ptb_ddctbl_amt", "NCH Beneficiary Part B Deductible Amount";
    NchBenePtbCoinsrncAmt None, "nch_bene_ptb_coinsrnc_amt", "NCH Beneficiary Part B Coinsurance Amount";
    ClmOpPrvdrPmtAmt None, "clm_op_prvdr_pmt_amt", "Claim Outpatient Provider Payment Amount";
    ClmOpBenePmtAmt None, "clm_op_bene_pmt_amt", "Claim Outpatient Payment Amount to Beneficiary";
}
