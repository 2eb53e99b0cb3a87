//! The building blocks that all claims share: codings, extensions, amounts, care team members.
//!
//! Every method writes the keys in the order in which the server's FHIR library does.

use jiff::civil::Date;

use super::dice::Dice;
use super::json::{Digits, Json, Value};
use super::tables::{FAMILY_NAMES, GIVEN_NAMES, SPECIALTIES, Specialty};

/// A code system or an extension's URL, kept as the part that differs.
#[derive(Clone, Copy)]
pub(super) enum System<'a> {
    /// A variable of the CMS claims database.
    Variable(&'a str),
    /// A code system of Blue Button v1 and v2.
    Bluebutton(&'a str),
    /// A code system of the CARIN guide for Blue Button.
    Carin(&'a str),
    /// A code system of HL7 Terminology.
    Terminology(&'a str),
    /// Any other, in full.
    Url(&'a str),
}

impl Value for System<'_> {
    fn write(&self, json: &mut Json<'_>) {
        let (base, name) = match self {
            Self::Variable(name) => ("https://bluebutton.cms.gov/resources/variables/", name),
            Self::Bluebutton(name) => ("https://bluebutton.cms.gov/resources/codesystem/", name),
            Self::Carin(name) => ("http://hl7.org/fhir/us/carin-bb/CodeSystem/", name),
            Self::Terminology(name) => ("http://terminology.hl7.org/CodeSystem/", name),
            Self::Url(name) => ("", name),
        };
        json.raw("\"");
        json.raw(base);
        json.raw(name);
        json.raw("\"");
    }
}

/// A code with its system and its display; an empty display is left out.
#[derive(Clone, Copy)]
pub(super) struct Code<'a>(pub(super) System<'a>, pub(super) &'a str, pub(super) &'a str);

pub(super) const NDC: System<'static> = System::Url("http://hl7.org/fhir/sid/ndc");
pub(super) const US_NPI: System<'static> = System::Url("http://hl7.org/fhir/sid/us-npi");
pub(super) const HCPCS: System<'static> = System::Bluebutton("hcpcs");
pub(super) const UNITS: System<'static> = System::Url("http://unitsofmeasure.org");

pub(super) const SUBMITTED: Code<'static> = Code(System::Terminology("adjudication"), "submitted", "Submitted Amount");
pub(super) const ELIGIBLE: Code<'static> = Code(System::Terminology("adjudication"), "eligible", "Eligible Amount");
pub(super) const BENEFIT: Code<'static> = Code(System::Terminology("adjudication"), "benefit", "Benefit Amount");
pub(super) const DEDUCTIBLE: Code<'static> = Code(System::Terminology("adjudication"), "deductible", "Deductible");
pub(super) const COINSURANCE: Code<'static> = Code(System::Carin("C4BBAdjudication"), "coinsurance", "Co-insurance");
pub(super) const NONCOVERED: Code<'static> = Code(System::Carin("C4BBAdjudication"), "noncovered", "Noncovered");
pub(super) const PAID_TO_PATIENT: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "paidtopatient", "Paid to patient");
pub(super) const PAID_BY_PATIENT: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "paidbypatient", "Paid by patient");
pub(super) const PAID_TO_PROVIDER: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "paidtoprovider", "Paid to provider");
pub(super) const PRIOR_PAYER: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "priorpayerpaid", "Prior payer paid");
pub(super) const DISCOUNT: Code<'static> = Code(System::Carin("C4BBAdjudication"), "discount", "Discount");
pub(super) const DRUG_COST: Code<'static> = Code(System::Carin("C4BBAdjudication"), "drugcost", "Drug Cost");

pub(super) const INFO: Code<'static> = Code(System::Terminology("claiminformationcategory"), "info", "Information");

pub(super) const PERFORMING: Code<'static> =
    Code(System::Carin("C4BBClaimCareTeamRole"), "performing", "Performing provider");
pub(super) const REFERRING: Code<'static> = Code(System::Carin("C4BBClaimCareTeamRole"), "referring", "Referring");
pub(super) const ATTENDING: Code<'static> = Code(System::Carin("C4BBClaimCareTeamRole"), "attending", "Attending");
pub(super) const OPERATING: Code<'static> = Code(System::Carin("C4BBClaimCareTeamRole"), "operating", "Operating");
pub(super) const OTHER_OPERATING: Code<'static> =
    Code(System::Carin("C4BBClaimCareTeamRole"), "otheroperating", "Other Operating");
pub(super) const PRESCRIBING: Code<'static> =
    Code(System::Carin("C4BBClaimCareTeamRole"), "prescribing", "Prescribing provider");

const NPI: Code<'static> = Code(System::Carin("C4BBIdentifierType"), "npi", "National Provider Identifier");
const UNIQUE_CLAIM: Code<'static> = Code(System::Carin("C4BBIdentifierType"), "uc", "Unique Claim ID");

/// US dollars in cents.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Cents(pub(super) u64);

impl Cents {
    /// `percent` of the amount, rounded down to a cent.
    pub(super) fn percent(self, percent: u64) -> Self {
        Self(self.0 * percent / 100)
    }

    /// What is left after `other`; never below zero.
    pub(super) fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|amount| amount.0).sum())
    }
}

/// The web server reads and writes the numbers again in Python: `37.50` becomes `37.5`, `0.00` `0.0`.
impl Value for Cents {
    fn write(&self, json: &mut Json<'_>) {
        json.digits(self.0 / 100, 1);
        let cents = self.0 % 100;
        if cents == 0 && json.whole_amounts {
            return;
        }
        json.raw(".");
        if cents % 10 == 0 { json.digits(cents / 10, 1) } else { json.digits(cents, 2) }
    }
}

/// A doctor, a supplier's clerk, a pharmacist. The number starts with 9, which no real NPI does.
#[derive(Clone, Copy)]
pub(super) struct Provider {
    pub(super) npi: u64,
    /// Given and family name, where the server's look-up found the number.
    pub(super) name: Option<(&'static str, &'static str)>,
    pub(super) specialty: &'static Specialty,
}

impl Provider {
    /// Somebody; every tenth of them without a name.
    pub(super) fn any(dice: &mut Dice) -> Self {
        let npi = 9_000_000_000 + dice.below(1_000_000_000);
        let name = (!dice.percent(10)).then(|| (*dice.pick(GIVEN_NAMES), *dice.pick(FAMILY_NAMES)));
        Self { npi, name, specialty: dice.pick(SPECIALTIES) }
    }
}

impl Json<'_> {
    /// `{"system", "code", "display"}` in a list.
    pub(super) fn coding(&mut self, Code(system, code, display): Code<'_>) {
        self.object(|json| {
            json.put("system", system);
            json.put("code", code);
            json.put_some("display", (!display.is_empty()).then_some(display));
        });
    }

    /// `"name": {"coding": [ … ]}`.
    pub(super) fn concept(&mut self, name: &str, codes: &[Code<'_>]) {
        self.put_object(name, |json| json.codings(codes));
    }

    /// `"coding": [ … ]`.
    pub(super) fn codings(&mut self, codes: &[Code<'_>]) {
        self.put_list("coding", |json| {
            for &code in codes {
                json.coding(code);
            }
        });
    }

    /// An extension whose URL is its coding's system too, as all of the server's own are.
    pub(super) fn extension(&mut self, system: System<'_>, code: &str, display: &str) {
        self.object(|json| {
            json.put("url", system);
            json.put_object("valueCoding", |json| {
                json.put("system", system);
                json.put("code", code);
                json.put_some("display", (!display.is_empty()).then_some(display));
            });
        });
    }

    /// [`Json::extension`] of a CMS variable.
    pub(super) fn variable(&mut self, name: &str, code: &str, display: &str) {
        self.extension(System::Variable(name), code, display);
    }

    /// An extension that holds an identifier.
    pub(super) fn variable_identifier(&mut self, name: &str, value: impl Value) {
        self.object(|json| {
            json.put("url", System::Variable(name));
            json.put_object("valueIdentifier", |json| {
                json.put("system", System::Variable(name));
                json.put("value", value);
            });
        });
    }

    /// An extension that holds one plain value under `key`.
    pub(super) fn variable_value(&mut self, name: &str, key: &str, value: impl Value) {
        self.object(|json| {
            json.put("url", System::Variable(name));
            json.put(key, value);
        });
    }

    /// An extension that holds a bare number of things.
    pub(super) fn variable_count(&mut self, name: &str, count: u64) {
        self.object(|json| {
            json.put("url", System::Variable(name));
            json.put_object("valueQuantity", |json| json.put("value", count));
        });
    }

    /// `"name": {"value": 37.5, "currency": "USD"}`.
    pub(super) fn money(&mut self, name: &str, amount: Cents) {
        self.put_object(name, |json| {
            json.put("value", amount);
            json.put("currency", "USD");
        });
    }

    /// `"category": …, "amount": …` as they stand in an adjudication or a total.
    pub(super) fn priced(&mut self, category: Code<'_>, variable: &str, words: &str, amount: Cents) {
        self.put_object("category", |json| {
            json.put_list("coding", |json| {
                json.coding(category);
                json.variable_code("adjudication", variable, words);
            });
        });
        self.money("amount", amount);
    }

    /// An adjudication: CARIN's word for it, CMS's variable, the amount.
    pub(super) fn adjudication(&mut self, category: Code<'_>, variable: &str, words: &str, amount: Cents) {
        self.object(|json| json.priced(category, variable, words, amount));
    }

    /// An adjudication that gives a reason instead of an amount.
    pub(super) fn denial(&mut self, reason: Code<'_>) {
        self.object(|json| {
            let category = Code(System::Carin("C4BBAdjudicationDiscriminator"), "denialreason", "Denial Reason");
            json.concept("category", &[category]);
            json.concept("reason", &[reason]);
        });
    }

    /// A coding whose code is the URL of a CMS variable.
    pub(super) fn variable_code(&mut self, system: &str, variable: &str, words: &str) {
        self.object(|json| {
            json.put("system", System::Bluebutton(system));
            json.put("code", System::Variable(variable));
            json.put("display", words);
        });
    }

    /// `"identifier": {"type": npi, "value": …}`.
    pub(super) fn npi(&mut self, npi: u64) {
        self.put_object("identifier", |json| {
            json.concept("type", &[NPI]);
            json.put("value", Digits(npi, 10));
        });
    }

    /// `"display": "Dr. Given Family"`, for those who have a name.
    pub(super) fn provider_name(&mut self, provider: &Provider) {
        if let Some((given, family)) = provider.name {
            self.put("display", format_args!("Dr. {given} {family}"));
        }
    }

    /// `"billablePeriod"`-like start and end.
    pub(super) fn period(&mut self, name: &str, start: Date, end: Date) {
        self.put_object(name, |json| {
            json.put("start", start);
            json.put("end", end);
        });
    }

    /// The claim's number and its group's, both negative.
    pub(super) fn claim_identifiers(&mut self, variable: &str, number: u64, group: u64) {
        self.object(|json| {
            json.concept("type", &[UNIQUE_CLAIM]);
            json.put("system", System::Variable(variable));
            json.put("value", format_args!("-{number}"));
        });
        self.object(|json| {
            json.concept("type", &[UNIQUE_CLAIM]);
            json.put("system", System::Url("https://bluebutton.cms.gov/resources/identifier/claim-group"));
            json.put("value", format_args!("-{group}"));
        });
    }

    /// The number that a pharmacy gave a prescription.
    pub(super) fn prescription_number(&mut self, number: u64) {
        self.object(|json| {
            json.concept("type", &[UNIQUE_CLAIM]);
            json.put("system", System::Variable("rx_srvc_rfrnc_num"));
            json.put("value", Digits(number, 1));
        });
    }

    /// An ICD-10 diagnosis: the server gives every code in both systems.
    pub(super) fn diagnosis(&mut self, sequence: u64, code: &str, display: &str, kind: Code<'_>) {
        self.put("sequence", sequence);
        self.concept(
            "diagnosisCodeableConcept",
            &[
                Code(System::Url("http://hl7.org/fhir/sid/icd-10-cm"), code, display),
                Code(System::Url("http://hl7.org/fhir/sid/icd-10"), code, display),
            ],
        );
        self.put_list("type", |json| json.object(|json| json.codings(&[kind])));
    }
}

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
