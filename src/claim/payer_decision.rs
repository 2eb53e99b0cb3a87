//! Claims that Medicare did not pay. Such a claim does not say anything about the patient's share.

use serde_json::Value;

use super::{
    Amounts, Cents, Coded, Family,
    denial::coded,
    json_access::{code_of, coding_of},
};

/// Why Medicare did not pay a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayerDecision {
    /// Medicare pays nothing for the whole claim: it was denied, or another insurer has to pay.
    Denied,
    /// A Medicare Advantage plan (a managed care organization) paid the provider. The plan decides what its members
    /// owe; the deductible and the coinsurance in the claim are those of Original Medicare.
    MedicareAdvantage,
}

impl PayerDecision {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::MedicareAdvantage => "medicare_advantage",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Denied => "Medicare did not pay",
            Self::MedicareAdvantage => "your Medicare Advantage plan paid",
        }
    }

    pub(super) fn of(claim: &Value, family: Family, amounts: &Amounts) -> Option<Self> {
        let code = |names: &[&str]| names.iter().find_map(|name| code_of(claim, name));
        let switch = ["clm_mco_pd_sw", "CLM_MDCR_INSTNL_MCO_PD_SW", "CLM-MDCR-INSTNL-MCO-PD-SW"];
        if family == Family::Institutional && code(&switch) == Some("1") {
            return Some(Self::MedicareAdvantage);
        }
        let is_denied = reason(claim, family).is_some();
        // Made-up claims can have both such a code and a payment. A claim that was paid was not denied. Nor was one
        // with a patient's part, for example if the deductible is the whole amount.
        let is_split =
            [amounts.medicare_paid, amounts.patient_pays].into_iter().flatten().any(|amount| amount > Cents(0));
        (is_denied && !is_split).then_some(Self::Denied)
    }
}

/// Why Medicare pays nothing for the whole claim.
pub(super) fn reason(claim: &Value, family: Family) -> Option<Coded> {
    let found = |names: &[&str]| names.iter().find_map(|name| coding_of(claim, name)).and_then(coded);
    match family {
        // The code says whom Medicare paid (1 to 9, A, B), or why it paid no one.
        Family::Professional => found(&["carr_clm_pmt_dnl_cd", "CLM_CARR_PMT_DNL_CD", "CLM-CARR-PMT-DNL-CD"])
            .filter(|it| !matches!(it.code.as_bytes(), [b'1'..=b'9' | b'A' | b'B'])),
        // The reason why no payment is made. P is not a reason, but asks for one.
        Family::Institutional => found(&["clm_mdcr_non_pmt_rsn_cd", "CLM_MDCR_NPMT_RSN_CD", "CLM-MDCR-NPMT-RSN-CD"])
            .filter(|it| it.code != "P"),
        Family::Drug => None,
    }
}
