//! Whether a claim counts, or was canceled or replaced by another one.

use serde_json::Value;

use super::{
    json_access::{code_of, coding, each, text},
    kind::Version,
};

/// Whether a claim counts. Only final claims belong in totals.
///
/// Each API version has this in a different place, and `status` alone does not say it: at v3 it is always `active`;
/// at v1 and v2, even a credit or a deleted drug event can be `active`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// It counts, because nothing in it says otherwise.
    #[default]
    Final,
    /// A prior authorization: it asks whether something would be paid, and has no amounts.
    PriorAuthorization,
    /// It is still being processed.
    Partial,
    /// It was replaced by another claim, or is kept for history only.
    Superseded,
    /// It was canceled or voided, or is the credit that cancels another claim.
    Cancelled,
    /// A drug event that was deleted.
    Deleted,
}

impl Disposition {
    /// All except [`Disposition::Final`]. Totals leave these out.
    pub const LEFT_OUT: [Self; 5] =
        [Self::Cancelled, Self::Deleted, Self::Superseded, Self::Partial, Self::PriorAuthorization];

    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::PriorAuthorization => "prior_authorization",
            Self::Partial => "partial",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::PriorAuthorization => "only a request in advance",
            Self::Partial => "still being processed",
            Self::Superseded => "replaced by a later claim",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
        }
    }

    pub(super) fn of(claim: &Value, version: Version) -> Self {
        if text(claim, "use") == Some("preauthorization") {
            Self::PriorAuthorization
        } else if is_deleted(claim, version) {
            Self::Deleted
        } else if is_cancelled(claim) {
            Self::Cancelled
        } else if text(claim, "outcome") == Some("partial") {
            Self::Partial
        } else if is_superseded(claim) {
            Self::Superseded
        } else {
            Self::Final
        }
    }
}

/// Whether it is a deleted drug event. v1 and v2 have a deletion code; v3 has a separate type.
fn is_deleted(claim: &Value, version: Version) -> bool {
    let numbered = coding(&claim["type"], &["CLM-TYPE-CD"]).and_then(|coding| text(coding, "code"));
    code_of(claim, "adjstmt_dltn_cd") == Some("D") || (version == Version::V3 && numbered == Some("3"))
}

fn is_cancelled(claim: &Value) -> bool {
    let code = |names: &[&str]| names.iter().find_map(|name| code_of(claim, name));
    text(claim, "status") == Some("cancelled")
        // Carrier and equipment: the cancel was accepted; a full credit.
        || matches!(text(claim, "disposition"), Some("3" | "03"))
        || code(&["carr_clm_entry_cd"]) == Some("3")
        // Institutional: cancel by credit adjustment, cancel only, forced cancel.
        || matches!(code(&["fi_clm_actn_cd"]), Some("2" | "4" | "6"))
        // v3: void.
        || code(&["CLM_ADJSTMT_TYPE_CD", "CLM-ADJSTMT-TYPE-CD"]) == Some("1")
        || is_credit(claim)
}

/// Whether the type of bill is a credit (adjustment), which cancels another claim.
fn is_credit(claim: &Value) -> bool {
    let period = &claim["billablePeriod"];
    let bill = code_of(claim, "CLM_QUERY_CD")
        .or_else(|| ["claim_query_cd", "CLM-QUERY-CD"].into_iter().find_map(|name| code_of(period, name)));
    matches!(bill, Some("0" | "C"))
}

fn is_superseded(claim: &Value) -> bool {
    let is_not_final = |tag: &Value| {
        text(tag, "code") == Some("NotFinalAction")
            && text(tag, "system").is_none_or(|system| system.ends_with("/Final-Action"))
    };
    each(&claim["meta"], "tag").any(is_not_final)
        || code_of(claim, "carr_clm_entry_cd") == Some("9")
        || code_of(claim, "fi_clm_actn_cd") == Some("7")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VARIABLES: &str = "https://bluebutton.cms.gov/resources/variables/";

    fn disposition(claim: &Value) -> Disposition {
        Disposition::of(claim, Version::of(claim))
    }

    /// A claim with a variable as an extension of its header, as in v1 and v2.
    fn extended(variable: &str, code: &str) -> Value {
        json!({"use": "claim", "status": "active", "extension": [
            {"url": "http://hl7.org/fhir/sid/us-npi", "valueCoding": {"code": "3"}},
            {"url": format!("{VARIABLES}{variable}"), "valueCoding": {"code": code}},
        ]})
    }

    /// A claim with a code as supporting information, as in v3.
    fn informed(category: &str, code: &str) -> Value {
        json!({"use": "claim", "status": "active", "outcome": "complete", "supportingInfo": [{
            "category": {"coding": [{"code": "info"}, {"code": category}]}, "code": {"coding": [{"code": code}]},
        }]})
    }

    #[test]
    fn canceled_claims_are_recognized_at_each_version() {
        let deletion = |name: &str| {
            json!({"status": "active", name: [{
                "category": {"coding": [{"code": format!("{VARIABLES}adjstmt_dltn_cd")}]}, "code": {"coding": [{"code": "D"}]},
            }]})
        };
        let drug = |code: &str| {
            json!({"use": "claim", "status": "active", "type": {"coding": [
                {"system": "https://bluebutton.cms.gov/fhir/CodeSystem/CLM-TYPE-CD", "code": code},
            ]}})
        };
        let tagged = |tag: &str| {
            json!({"use": "claim", "status": "active", "meta": {"tag": [
                {"system": "https://bluebutton.cms.gov/fhir/CodeSystem/System-Type", "code": "NationalClaimsHistory"},
                {"system": "https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action", "code": tag},
            ]}})
        };
        let billed = |url: &str, code: &str| json!({"status": "active", "billablePeriod": {"extension": [{"url": url, "valueCoding": {"code": code}}]}});
        for (claim, expected) in [
            (json!({}), Disposition::Final),
            (json!({"status": "active"}), Disposition::Final),
            (json!({"status": "cancelled"}), Disposition::Cancelled),
            (json!({"status": "active", "disposition": "01"}), Disposition::Final),
            (json!({"status": "active", "disposition": "03"}), Disposition::Cancelled),
            (deletion("information"), Disposition::Deleted),
            (deletion("supportingInfo"), Disposition::Deleted),
            (extended("carr_clm_entry_cd", "1"), Disposition::Final),
            (extended("carr_clm_entry_cd", "3"), Disposition::Cancelled),
            (extended("carr_clm_entry_cd", "5"), Disposition::Final),
            (extended("carr_clm_entry_cd", "9"), Disposition::Superseded),
            (extended("fi_clm_actn_cd", "1"), Disposition::Final),
            (extended("fi_clm_actn_cd", "2"), Disposition::Cancelled),
            (extended("fi_clm_actn_cd", "3"), Disposition::Final),
            (extended("fi_clm_actn_cd", "4"), Disposition::Cancelled),
            (billed(&format!("{VARIABLES}claim_query_cd"), "3"), Disposition::Final),
            (billed(&format!("{VARIABLES}claim_query_cd"), "5"), Disposition::Final),
            (billed(&format!("{VARIABLES}claim_query_cd"), "0"), Disposition::Cancelled),
            (informed("CLM_QUERY_CD", "3"), Disposition::Final),
            (informed("CLM_QUERY_CD", "0"), Disposition::Cancelled),
            (informed("CLM_ADJSTMT_TYPE_CD", "0"), Disposition::Final),
            (informed("CLM_ADJSTMT_TYPE_CD", "1"), Disposition::Cancelled),
            (informed("CLM_ADJSTMT_TYPE_CD", "2"), Disposition::Final),
            (drug("1"), Disposition::Final),
            (drug("3"), Disposition::Deleted),
            (drug("4"), Disposition::Final),
            (tagged("FinalAction"), Disposition::Final),
            (tagged("NotFinalAction"), Disposition::Superseded),
            (json!({"use": "claim", "outcome": "partial"}), Disposition::Partial),
            (json!({"use": "preauthorization", "outcome": "partial"}), Disposition::PriorAuthorization),
        ] {
            assert_eq!(disposition(&claim), expected, "{claim}");
        }
    }

    #[test]
    fn every_disposition_but_final_is_left_out_and_has_its_own_name() {
        let mut names: Vec<&str> = Disposition::LEFT_OUT.iter().map(|it| it.name()).collect();
        names.push(Disposition::Final.name());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 6);
    }
}
