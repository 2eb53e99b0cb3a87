//! The Patient resource and the four Coverage resources of a made-up person.

use jiff::{Timestamp, civil::Date};

use super::datetime::{FhirInstant, days_after};
use super::eastern;
use super::json::Json;
use super::tables::STATES;
use super::vocabulary::{Code, System};
use crate::rng::Rng;

const MONTHS: [&str; 12] = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"];

/// The number of the second person.
const SECOND: u64 = 20_140_000_000_002;

/// The contract of the one Medicare Advantage plan, and the plan's number within it.
pub(crate) const CONTRACT: &str = "H1234";
pub(crate) const PLAN: &str = "003";

/// The parts of Medicare.
pub(crate) const PARTS: [char; 4] = ['a', 'b', 'c', 'd'];

/// What Patient and Coverage tell of somebody.
pub(crate) struct Person<'a> {
    /// The absolute value of the patient's number.
    pub(crate) patient: u64,
    /// Given name.
    pub(crate) given: &'a str,
    /// Family name.
    pub(crate) family: &'a str,
    /// When the enrolment data was loaded.
    pub(crate) last_updated: Timestamp,
    /// Chance for the rest.
    pub(crate) rng: Rng,
}

/// What both resources must agree on.
struct Facts {
    mbi: String,
    birth: Date,
    dual: bool,
}

impl Person<'_> {
    fn facts(&self) -> (Facts, Rng) {
        let mut rng = self.rng.clone();
        // 65 before 2015: nobody has a claim from before the coverage began.
        let birth = days_after(Date::constant(1930, 1, 1), rng.below(20 * 365));
        // A letter S in second place marks a made-up beneficiary identifier; real ones never hold an S.
        let mut mbi = String::from("1S00");
        for class in ["ACDEFGHJKM", "NPQRTUVWXY", "0123456789", "ACDEFGHJKM", "NPQRTUVWXY", "0123456789", "0123456789"]
        {
            mbi.push(char::from(*rng.pick(class.as_bytes())));
        }
        (Facts { mbi, birth, dual: rng.percent(20) }, rng)
    }

    fn head(&self, json: &mut Json<'_>, kind: &str, profile: &str, id: std::fmt::Arguments<'_>) {
        json.put("resourceType", kind);
        json.put("id", id);
        json.put_object("meta", |json| {
            let at = self.last_updated;
            json.put("lastUpdated", FhirInstant { at, eastern: eastern(at), milliseconds: true });
            json.put_list("profile", |json| {
                json.item(format_args!("http://hl7.org/fhir/us/carin-bb/StructureDefinition/{profile}"));
            });
        });
    }

    /// The Patient: a name, a sex, a birth date, a state and a postal code; no street.
    pub(crate) fn patient(&self) -> String {
        let (facts, mut rng) = self.facts();
        let mut out = String::with_capacity(4096);
        let mut json = Json::new(&mut out);
        json.object(|json| {
            self.head(json, "Patient", "C4BB-Patient", format_args!("-{}", self.patient));
            json.put_list("extension", |json| {
                race(json, &mut rng);
                dual_status(json, facts.dual);
            });
            json.put_list("identifier", |json| self.identifiers(json, &facts));
            json.put_list("name", |json| {
                json.object(|json| {
                    json.put("use", "usual");
                    json.put("family", self.family);
                    json.put_list("given", |json| {
                        json.item(self.given);
                        json.item(*rng.pick(&["A", "J", "M", "X"]));
                    });
                });
            });
            json.put("gender", *rng.pick(&["female", "male"]));
            json.put("birthDate", facts.birth);
            json.put("deceasedBoolean", false);
            json.put_list("address", |json| {
                json.object(|json| {
                    let state = rng.pick(STATES);
                    json.put("state", state.code);
                    json.put("postalCode", format_args!("{:05}", state.zip + rng.below(999)));
                });
            });
        });
        out
    }

    fn identifiers(&self, json: &mut Json<'_>, facts: &Facts) {
        const TYPES: System<'static> = System::Terminology("v2-0203");
        json.object(|json| {
            json.concept("type", &[Code(TYPES, "MB", "Member Number")]);
            json.put("system", System::Variable("bene_id"));
            json.put("value", format_args!("-{}", self.patient));
        });
        json.object(|json| {
            json.put_object("type", |json| {
                json.put_list("coding", |json| {
                    json.object(|json| {
                        json.put_list("extension", |json| {
                            json.extension(System::Bluebutton("identifier-currency"), "current", "Current");
                        });
                        json.put("system", TYPES);
                        json.put("code", "MC");
                        json.put("display", "Patient's Medicare number");
                    });
                });
            });
            json.put("system", System::Url("http://hl7.org/fhir/sid/us-mbi"));
            json.put("value", facts.mbi.as_str());
            json.put_object("period", |json| json.put("start", Date::constant(2020, 1, 1)));
        });
    }

    /// The Coverage of one of [`PARTS`]: its id and the resource.
    pub(crate) fn coverage(&self, part: char) -> (String, String) {
        let (facts, mut rng) = self.facts();
        let mut out = String::with_capacity(20_000);
        let mut json = Json::new(&mut out);
        json.object(|json| {
            self.head(json, "Coverage", "C4BB-Coverage", format_args!("part-{part}--{}", self.patient));
            json.put_list("extension", |json| {
                if part != 'c' {
                    json.variable("ms_cd", "10", "Aged without end-stage renal disease (ESRD)");
                }
                match part {
                    'a' => entitlement(json),
                    'b' => json.variable("b_trm_cd", "0", "Not Terminated"),
                    'c' => self.plan(json),
                    _ => {
                        let contract = format!("Z{:04}", rng.below(40));
                        monthly(json, &["ptdcntrct"], &contract);
                        monthly(json, &["ptdpbpid"], "001");
                        monthly(json, &["sgmtid"], "000");
                        monthly(json, &["cstshr"], if facts.dual { "03" } else { "00" });
                        monthly(json, &["rdsind"], "N");
                    }
                }
                dual_status(json, facts.dual);
                if matches!(part, 'a' | 'b') {
                    let (code, words) =
                        if facts.dual { ("C", "Part A and Part B state buy-in") } else { ("3", "Part A and Part B") };
                    for month in MONTHS {
                        month_variable(json, "buyin", month, code, words);
                    }
                }
            });
            self.coverage_body(json, &facts, part);
        });
        (format!("part-{part}--{}", self.patient), out)
    }

    /// In how many of the first months of 2026 this person was in a Medicare Advantage plan: the second of all people
    /// was, the others were not.
    pub(crate) fn months_in_plan(&self) -> usize {
        if self.patient == SECOND { 6 } else { 0 }
    }

    /// Part C, month by month; 0 stands where there is no plan.
    fn plan(&self, json: &mut Json<'_>) {
        let (within, without) = MONTHS.split_at(self.months_in_plan());
        for (variable, code) in
            [("ptc_cntrct_id_", CONTRACT), ("ptc_pbp_id_", PLAN), ("ptc_plan_type_cd_", "01"), ("hmo_ind_", "C")]
        {
            within.iter().for_each(|month| month_variable(json, variable, month, code, ""));
            without.iter().for_each(|month| month_variable(json, variable, month, "0", ""));
        }
    }

    fn coverage_body(&self, json: &mut Json<'_>, facts: &Facts, part: char) {
        json.put("status", "active");
        json.concept("type", &[Code(System::Terminology("v3-ActCode"), "SUBSIDIZ", "")]);
        json.put("subscriberId", facts.mbi.as_str());
        json.put_object("beneficiary", |json| json.put("reference", format_args!("Patient/-{}", self.patient)));
        json.concept("relationship", &[Code(System::Terminology("subscriber-relationship"), "self", "Self")]);
        if matches!(part, 'a' | 'b') {
            let start = Date::new(facts.birth.year() + 65, facts.birth.month(), 1).unwrap_or(facts.birth);
            json.put_object("period", |json| json.put("start", start));
        }
        json.put_list("payor", |json| {
            json.object(|json| {
                json.put_object("identifier", |json| json.put("value", "Centers for Medicare and Medicaid Services"));
            });
        });
        json.put_list("class", |json| {
            const CLASSES: System<'static> = System::Terminology("coverage-class");
            json.object(|json| {
                json.concept("type", &[Code(CLASSES, "group", "Group")]);
                json.put("value", "Medicare");
            });
            json.object(|json| {
                json.concept("type", &[Code(CLASSES, "plan", "Plan")]);
                json.put("value", format_args!("Part {}", part.to_ascii_uppercase()));
            });
        });
    }
}

fn race(json: &mut Json<'_>, rng: &mut Rng) {
    let (code, words) = *rng.pick(&[("1", "White"), ("2", "Black"), ("3", "Other"), ("4", "Asian"), ("5", "Hispanic")]);
    json.variable("race", code, words);
    json.object(|json| {
        json.put("url", System::Url("http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"));
        json.put_list("extension", |json| {
            json.object(|json| {
                json.put("url", "ombCategory");
                json.put_object("valueCoding", |json| {
                    json.put("system", System::Terminology("v3-NullFlavor"));
                    json.put("code", "UNK");
                    json.put("display", "Unknown");
                });
            });
            json.object(|json| {
                json.put("url", "text");
                json.put("valueString", "Unknown");
            });
        });
    });
}

/// The reference year and the twelve months of Medicaid eligibility beside Medicare.
fn dual_status(json: &mut Json<'_>, dual: bool) {
    json.variable_value("rfrnc_yr", "valueDate", "2026");
    for month in MONTHS {
        let (code, words) = if dual {
            ("02", "QMB and full Medicaid coverage, including prescription drugs")
        } else {
            ("NA", "Non-Medicaid")
        };
        month_variable(json, "dual_", month, code, words);
    }
}

fn entitlement(json: &mut Json<'_>) {
    let insurance = "Old age and survivor\u{2019}s insurance (OASI)";
    json.variable("orec", "0", insurance);
    json.variable("crec", "0", insurance);
    json.variable("esrd_ind", "0", "the beneficiary does not have ESRD");
    json.variable("a_trm_cd", "0", "Not Terminated");
}

fn monthly(json: &mut Json<'_>, variables: &[&str], code: &str) {
    for variable in variables {
        for month in MONTHS {
            month_variable(json, variable, month, code, "");
        }
    }
}

fn month_variable(json: &mut Json<'_>, variable: &str, month: &str, code: &str, words: &str) {
    json.variable(&format!("{variable}{month}"), code, words);
}
