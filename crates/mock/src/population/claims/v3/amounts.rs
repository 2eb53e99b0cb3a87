//! The amounts of v3: their names there, and the columns that they come from.

use super::super::Kind;
use super::super::json::Json;
use super::super::row::{Column, Figure};
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
    /// FHIR's or CARIN's name for it, if there is one.
    word: Option<Code<'static>>,
    variable: &'static str,
    words: &'static str,
    /// Where it comes from: the first of these columns that the claim has.
    from: &'static [Column],
    is_count: bool,
}

impl Amount {
    /// Writes it. As on the server, it is 0 if the claim has no such amount.
    pub(super) fn write(&self, json: &mut Json<'_>, figure: impl Fn(Column) -> Option<Figure>) {
        json.object(|json| {
            json.put_object("category", |json| {
                json.put_list("coding", |json| {
                    if let Some(word) = self.word {
                        json.coding(word);
                    }
                    json.coding(Code(System::Fhir("Adjudication"), self.variable, self.words));
                });
            });
            let value = self.from.iter().find_map(|column| figure(*column)).unwrap_or(Figure::Count(0));
            if self.is_count { json.put("value", value) } else { dollars(json, "amount", value) }
        });
    }
}

const fn plain(kinds: Kinds, variable: &'static str, words: &'static str, from: &'static [Column]) -> Amount {
    Amount { kinds, word: None, variable, words, from, is_count: false }
}

const fn called(
    kinds: Kinds,
    word: Code<'static>,
    variable: &'static str,
    words: &'static str,
    from: &'static [Column],
) -> Amount {
    Amount { kinds, word: Some(word), variable, words, from, is_count: false }
}

const fn counted(variable: &'static str, words: &'static str, from: &'static [Column]) -> Amount {
    Amount { kinds: Kinds::Institutional, word: None, variable, words, from, is_count: true }
}

use Kinds::{Drug, Institutional as Inst, Medical, Professional as Prof};

/// `adjudication` of the claim.
pub(super) const HEADER: &[Amount] = &[
    plain(Prof, "CLM_MDCR_PRFNL_PRMRY_PYR_AMT", "Primary Payer Paid Amount", &[Column::ClmTotChrgAmt]),
    plain(Inst, "CLM_OPRTNL_DSPRTNT_AMT", "Operating Disproportionate Share Amount", &[Column::DshOpClmValAmt]),
    plain(Inst, "CLM_OPRTNL_IME_AMT", "Operating Indirect Medical Education Amount", &[Column::ImeOpClmValAmt]),
    counted(
        "CLM_MDCR_IP_LRD_USE_CNT",
        "Beneficiary Medicare Lifetime Reserve Days Used Count",
        &[Column::BeneLrdUsedCnt],
    ),
    counted(
        "CLM_INSTNL_MDCR_COINS_DAY_CNT",
        "Beneficiary Total Coinsurance Days Count",
        &[Column::BeneTotCoinsrncDaysCnt],
    ),
    counted("CLM_INSTNL_NCVRD_DAY_CNT", "Claim Medicare Non Utilization Days Count", &[Column::ClmNonUtlztnDaysCnt]),
    counted("CLM_MDCR_HOSPC_PRD_CNT", "Hospice Period Count", &[]),
    counted("CLM_MDCR_HHA_TOT_VISIT_CNT", "Claim HHA Visit Count", &[]),
    counted("CLM_MDCR_IP_PPS_DRG_WT_NUM", "PPS DRG Weight Number", &[Column::ClmPpsCptlDrgWtNum]),
    counted("CLM_INSTNL_CVRD_DAY_CNT", "Claim Medicare Utilization Day Count", &[Column::ClmUtlztnDayCnt]),
    plain(Inst, "CLM_INSTNL_PER_DIEM_AMT", "Claim Pass Thru Per Diem Amount", &[Column::ClmPassThruPerDiemAmt]),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_DSPRPRTNT_AMT",
        "Claim PPS Capital Disproportionate Share Amount",
        &[Column::ClmPpsCptlDsprprtntShrAmt],
    ),
    plain(Inst, "CLM_MDCR_IP_PPS_EXCPTN_AMT", "Claim PPS Capital Exception Amount", &[Column::ClmPpsCptlExcptnAmt]),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_CPTL_FSP_AMT",
        "Claim PPS Capital Federal Specific Portion Amount",
        &[Column::ClmPpsCptlFspAmt],
    ),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_CPTL_IME_AMT",
        "Claim PPS Capital Indirect Medical Education Amount",
        &[Column::ClmPpsCptlImeAmt],
    ),
    plain(Inst, "CLM_MDCR_IP_PPS_OUTLIER_AMT", "Claim PPS Capital Outlier Amount", &[Column::ClmPpsCptlOutlierAmt]),
    plain(
        Inst,
        "CLM_MDCR_IP_PPS_CPTL_HRMLS_AMT",
        "Claim PPS Old Capital Hold Harmless Amount",
        &[Column::ClmPpsOldCptlHldHrmlsAmt],
    ),
    plain(Inst, "CLM_MDCR_IP_PPS_CPTL_TOT_AMT", "Claim Total PPS Capital Amount", &[Column::ClmTotPpsCptlAmt]),
    plain(
        Inst,
        "CLM_MDCR_INSTNL_PRMRY_PYR_AMT",
        "Primary Payer (if not Medicare) Claim Paid Amount",
        &[Column::Prpayamt],
    ),
    plain(Inst, "CLM_INSTNL_PRFNL_AMT", "Professional Component Charge Amount", &[Column::NchProfnlCmpntChrgAmt]),
    plain(
        Inst,
        "CLM_INSTNL_DRG_OUTLIER_AMT",
        "DRG Outlier Approved Payment Amount",
        &[Column::NchDrgOutlierAprvdPmtAmt],
    ),
    plain(
        Inst,
        "CLM_HIPPS_UNCOMPD_CARE_AMT",
        "Claim Uncompensated Care Payment Amount",
        &[Column::ClmUncompdCarePmtAmt],
    ),
    plain(
        Inst,
        "CLM_MDCR_IP_BENE_DDCTBL_AMT",
        "Beneficiary Inpatient (or other Part A) Deductible Amount",
        &[Column::NchBeneIpDdctblAmt],
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
        &[Column::NchBeneBloodDdctblLbltyAm],
    ),
    plain(Medical, "CLM_BLOOD_NCVRD_CHRG_AMT", "Blood Noncovered Charge Amount", &[]),
];

/// `total`.
pub(super) const TOTALS: &[Amount] = &[
    called(Medical, ELIGIBLE, "CLM_ALOWD_CHRG_AMT", "Allowed Charge Amount", &[Column::NchCarrClmAlowdAmt]),
    called(
        Medical,
        SUBMITTED,
        "CLM_SBMT_CHRG_AMT",
        "Total Charge Amount",
        &[Column::NchCarrClmSbmtdChrgAmt, Column::ClmTotChrgAmt],
    ),
    called(Prof, PAID_BY_PATIENT, "CLM_BENE_PMT_AMT", "Paid By Beneficiary Amount", &[Column::NchClmBenePmtAmt]),
    called(
        Medical,
        PAID_TO_PROVIDER,
        "CLM_PRVDR_PMT_AMT",
        "Provider Payment Amount",
        &[Column::NchClmPrvdrPmtAmt, Column::ClmOpPrvdrPmtAmt],
    ),
    called(
        Medical,
        DEDUCTIBLE,
        "CLM_MDCR_DDCTBL_AMT",
        "Beneficiary Deductible Amount",
        &[Column::CarrClmCashDdctblApldAmt, Column::NchBenePtbDdctblAmt, Column::NchBeneIpDdctblAmt],
    ),
    called(
        Inst,
        COINSURANCE,
        "CLM_MDCR_COINSRNC_AMT",
        "Beneficiary Coinsurance Liability Amount",
        &[Column::NchBenePtbCoinsrncAmt, Column::NchBenePtaCoinsrncLbltyAmt],
    ),
    called(
        Inst,
        NONCOVERED,
        "CLM_NCVRD_CHRG_AMT",
        "Inpatient(or other Part A) Non-covered Charge Amount",
        &[Column::NchIpNcvrdChrgAmt],
    ),
    called(
        Inst,
        PAID_TO_PATIENT,
        "CLM_MDCR_INSTNL_BENE_PD_AMT",
        "Institutional Paid to Beneficiary Amount",
        &[Column::ClmOpBenePmtAmt],
    ),
    called(Drug, PAID_BY_PATIENT, "CLM_BENE_PMT_AMT", "Paid By Beneficiary Amount", &[Column::PtntPayAmt]),
    called(Drug, PRIOR_PAYER, "CLM_OTHR_TP_PD_AMT", "Other Third Party Payer Paid Amount", &[Column::OthrTroopAmt]),
    called(Drug, SUBMITTED, "TOT_RX_CST_AMT", "Total RX Cost Amount", &[Column::TotRxCstAmt]),
];

/// `item.adjudication`.
pub(super) const LINES: &[Amount] = &[
    called(Prof, COINSURANCE, "CLM_LINE_MDCR_COINSRNC_AMT", "Coinsurance Amount", &[Column::LineCoinsrncAmt]),
    called(Prof, ELIGIBLE, "CLM_LINE_ALOWD_CHRG_AMT", "Line Allowed Charge Amount", &[Column::LineAlowdChrgAmt]),
    called(
        Medical,
        DEDUCTIBLE,
        "CLM_LINE_MDCR_DDCTBL_AMT",
        "Cash Deductible Amount",
        &[Column::LineBenePtbDdctblAmt, Column::RevCntrCashDdctblAmt],
    ),
    plain(Inst, "CLM_LINE_BLOOD_DDCTBL_AMT", "Blood Deductible Amount", &[Column::RevCntrBloodDdctblAmt]),
    called(
        Medical,
        PAID_TO_PATIENT,
        "CLM_LINE_BENE_PD_AMT",
        "Payment Amount to Beneficiary",
        &[Column::LineBenePmtAmt, Column::RevCntrBenePmtAmt],
    ),
    called(
        Inst,
        PAID_BY_PATIENT,
        "CLM_LINE_BENE_PMT_AMT",
        "Line Paid By Beneficiary Amount",
        &[Column::RevCntrPtntRspnsbltyPmt],
    ),
    called(Inst, NONCOVERED, "CLM_LINE_NCVRD_CHRG_AMT", "Non-Covered Charge Amount", &[Column::RevCntrNcvrdChrgAmt]),
    called(
        Medical,
        PAID_TO_PROVIDER,
        "CLM_LINE_PRVDR_PMT_AMT",
        "Line Provider Payment Amount",
        &[Column::LinePrvdrPmtAmt, Column::RevCntrPrvdrPmtAmt],
    ),
    called(
        Medical,
        BENEFIT,
        "CLM_LINE_CVRD_PD_AMT",
        "Payment Amount",
        &[Column::LineNchPmtAmt, Column::RevCntrPmtAmtAmt],
    ),
    called(
        Medical,
        SUBMITTED,
        "CLM_LINE_SBMT_CHRG_AMT",
        "Line Submitted Charge Amount",
        &[Column::LineSbmtdChrgAmt, Column::RevCntrTotChrgAmt],
    ),
    plain(
        Inst,
        "CLM_LINE_INSTNL_ADJSTD_AMT",
        "Revenue Center Coinsurance/Wage Adjusted Coinsurance Amount",
        &[Column::RevCntrCoinsrncWgeAdjstdC],
    ),
    plain(
        Inst,
        "CLM_LINE_INSTNL_RDCD_AMT",
        "Revenue Center Reduced Coinsurance Amount",
        &[Column::RevCntrRdcdCoinsrncAmt],
    ),
    called(
        Inst,
        PRIOR_PAYER,
        "CLM_LINE_INSTNL_MSP1_PD_AMT",
        "Revenue Center 1st MSP Paid Amount",
        &[Column::RevCntr1stMspPdAmt],
    ),
    called(
        Inst,
        PRIOR_PAYER,
        "CLM_LINE_INSTNL_MSP2_PD_AMT",
        "Revenue Center 2nd MSP Paid Amount",
        &[Column::RevCntr2ndMspPdAmt],
    ),
    plain(Inst, "CLM_LINE_INSTNL_RATE_AMT", "Revenue Center Rate Amount", &[Column::RevCntrRateAmt]),
    plain(Inst, "CLM_LINE_ADD_ON_PYMT_AMT", "Add On Payment Amount", &[]),
    plain(Prof, "CLM_LINE_PRFNL_DME_PRICE_AMT", "Purchase Price Amount", &[Column::LineDmePrchsPriceAmt]),
    plain(Prof, "CLM_LINE_PRFNL_INTRST_AMT", "Professional Interest Amount", &[]),
    plain(Prof, "CLM_MDCR_PRMRY_PYR_ALOWD_AMT", "Line Primary Payer Allowed Amount", &[Column::LinePrmryAlowdChrgAmt]),
    called(
        Prof,
        PRIOR_PAYER,
        "CLM_BENE_PRMRY_PYR_PD_AMT",
        "Line Primary Payer Paid Amount",
        &[Column::LineBenePrmryPyrPdAmt],
    ),
    called(Prof, DISCOUNT, "CLM_LINE_DMERC_SCRN_SVGS_AMT", "Screen Savings Amount", &[]),
    plain(Drug, "CLM_LINE_PLRO_AMT", "Patient Liability Reduction Other Paid Amount", &[Column::PlroAmt]),
    plain(Drug, "CLM_LINE_LIS_AMT", "Low Income Cost Sharing Subsidy Amount", &[Column::LicsAmt]),
    plain(
        Drug,
        "CLM_LINE_GRS_BLW_THRSHLD_AMT",
        "Gross Drug Cost Below Out Of Pocket Threshold Amount",
        &[Column::GdcBlwOoptAmt],
    ),
    plain(
        Drug,
        "CLM_LINE_GRS_ABOVE_THRSHLD_AMT",
        "Gross Drug Cost Above Out Of Pocket Threshold Amount",
        &[Column::GdcAbvOoptAmt],
    ),
    plain(Drug, "CLM_LINE_RPTD_GAP_DSCNT_AMT", "Claim Line Reported Gap Discount Amount", &[Column::RptdGapDscntNum]),
    called(Drug, SUBMITTED, "TOT_RX_CST_AMT", "Total RX Cost Amount", &[Column::TotRxCstAmt]),
];
