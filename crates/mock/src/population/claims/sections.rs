//! The lists whose entries are numbered, `careTeam` and `supportingInfo`, and `benefitBalance`.

use jiff::civil::Date;

use super::json::Json;
use super::parts::{Cents, Provider};
use super::vocabulary::{Code, INFO, PERFORMING, System};

/// The list `careTeam`, numbered on the way.
pub(super) struct CareTeam {
    next: u64,
}

impl CareTeam {
    /// An empty team.
    pub(super) fn new() -> Self {
        Self { next: 1 }
    }

    /// Adds a member with a taxonomy; returns the number lines refer to.
    pub(super) fn add(&mut self, json: &mut Json<'_>, provider: &Provider, role: Code<'_>) -> u64 {
        json.object(|json| {
            json.put("sequence", self.next);
            json.put_object("provider", |json| {
                json.npi(provider.npi);
                json.provider_name(provider);
            });
            json.concept("role", &[role]);
            json.concept("qualification", &[provider.specialty.taxonomy()]);
        });
        self.next += 1;
        self.next - 1
    }

    /// Adds who answers for a professional line, with CMS's own specialty beside the taxonomy.
    pub(super) fn add_performing(&mut self, json: &mut Json<'_>, provider: &Provider, carrier: bool) -> u64 {
        json.object(|json| {
            json.put_list("extension", |json| {
                if carrier {
                    json.variable("carr_line_prvdr_type_cd", "1", "");
                }
                json.variable("prtcptng_ind_cd", "1", "Participating");
            });
            json.put("sequence", self.next);
            json.put_object("provider", |json| {
                json.npi(provider.npi);
                json.provider_name(provider);
            });
            json.put("responsible", true);
            json.concept("role", &[PERFORMING]);
            let specialty = provider.specialty;
            let cms = Code(System::Variable("prvdr_spclty"), specialty.cms_code, specialty.cms_words);
            json.concept("qualification", &[specialty.taxonomy(), cms]);
        });
        self.next += 1;
        self.next - 1
    }

    /// Adds the group that a professional bills for.
    pub(super) fn add_organization(&mut self, json: &mut Json<'_>, npi: u64, name: &str) {
        json.object(|json| {
            json.put("sequence", self.next);
            json.put_object("provider", |json| {
                json.npi(npi);
                json.put("display", name);
            });
            let primary = Code(System::Terminology("claimcareteamrole"), "primary", "Primary provider");
            json.concept("role", &[primary]);
        });
        self.next += 1;
    }
}

/// The list `supportingInfo`, numbered on the way.
pub(super) struct SupportingInfo {
    next: u64,
}

impl SupportingInfo {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self { next: 1 }
    }

    /// Adds an entry whose value `inside` writes; an empty variable leaves CMS's coding out.
    pub(super) fn add(
        &mut self,
        json: &mut Json<'_>,
        category: Code<'_>,
        variable: (&str, &str),
        inside: impl FnOnce(&mut Json<'_>),
    ) -> u64 {
        json.object(|json| {
            json.put("sequence", self.next);
            json.put_object("category", |json| {
                json.put_list("coding", |json| {
                    json.coding(category);
                    if !variable.0.is_empty() {
                        json.variable_code("information", variable.0, variable.1);
                    }
                });
            });
            inside(json);
        });
        self.next += 1;
        self.next - 1
    }

    /// Adds a CMS variable whose value is one of its codes.
    pub(super) fn add_code(
        &mut self,
        json: &mut Json<'_>,
        variable: &str,
        words: &str,
        code: &str,
        display: &str,
    ) -> u64 {
        self.add(json, INFO, (variable, words), |json| {
            json.concept("code", &[Code(System::Variable(variable), code, display)]);
        })
    }

    /// Adds an entry that CARIN has a word for.
    pub(super) fn add_carin(
        &mut self,
        json: &mut Json<'_>,
        (kind, words): (&str, &str),
        inside: impl FnOnce(&mut Json<'_>),
    ) -> u64 {
        self.add(json, Code(System::Carin("C4BBSupportingInfoType"), kind, words), ("", ""), inside)
    }

    /// Adds the date on which the claim went through the weekly processing.
    pub(super) fn add_received(&mut self, json: &mut Json<'_>, date: Date) -> u64 {
        let category = Code(System::Carin("C4BBSupportingInfoType"), "clmrecvddate", "Claim Received Date");
        self.add(json, category, ("nch_wkly_proc_dt", "NCH Weekly Claim Processing Date"), |json| {
            json.put("timingDate", date);
        })
    }
}

/// One entry of `benefitBalance` with all its amounts and counts.
pub(super) fn benefit_balance(json: &mut Json<'_>, inside: impl FnOnce(&mut Json<'_>)) {
    json.put_list("benefitBalance", |json| {
        json.object(|json| {
            json.concept("category", &[Code(System::Terminology("ex-benefitcategory"), "1", "Medical Care")]);
            json.put_list("financial", inside);
        });
    });
}

/// A sum in `benefitBalance.financial`.
pub(super) fn used_money(json: &mut Json<'_>, variable: &str, words: &str, amount: Cents) {
    json.object(|json| {
        json.put_object("type", |json| {
            json.put_list("coding", |json| json.variable_code("benefit-balance", variable, words));
        });
        json.money("usedMoney", amount);
    });
}

/// A number of days or visits in `benefitBalance.financial`.
pub(super) fn used_count(json: &mut Json<'_>, variable: &str, words: &str, count: u64) {
    json.object(|json| {
        json.put_object("type", |json| {
            json.put_list("coding", |json| json.variable_code("benefit-balance", variable, words));
        });
        json.put("usedUnsignedInt", count);
    });
}
