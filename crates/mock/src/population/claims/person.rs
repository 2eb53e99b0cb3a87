//! Made-up people: the facts that all versions share, and the extensions that v1 and v2 write in the same way.

use jiff::{Timestamp, civil::Date};

use super::datetime::days_after;
use super::json::Json;
use super::tables::{STATES, State};
use super::written;
use crate::rng::Rng;

const MONTHS: [&str; 12] = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"];

/// The number of the second person.
const SECOND: u64 = 20_140_000_000_002;

/// The contract of the one Medicare Advantage plan, and the number of the plan under it.
pub(crate) const CONTRACT: &str = "H1234";
pub(crate) const PLAN: &str = "003";

/// The parts of Medicare.
pub(crate) const PARTS: [char; 4] = ['a', 'b', 'c', 'd'];

/// What Patient and Coverage say about a person.
pub(crate) struct Person<'a> {
    /// The absolute value of the patient's number.
    pub(crate) patient: u64,
    /// Given name.
    pub(crate) given: &'a str,
    /// Family name.
    pub(crate) family: &'a str,
    /// When the enrolment data was loaded.
    pub(crate) last_updated: Timestamp,
    /// Random numbers for the rest.
    pub(crate) rng: Rng,
}

/// Everything that Patient and Coverage say about a person, in any version.
pub(super) struct PersonRow {
    /// The Medicare number.
    pub(super) mbi: String,
    pub(super) birth: Date,
    /// Whether the person also has Medicaid.
    pub(super) is_dual: bool,
    /// CMS's code and text.
    race: (&'static str, &'static str),
    /// The initial of the middle name.
    pub(super) middle: &'static str,
    pub(super) is_female: bool,
    pub(super) state: &'static State,
    pub(super) zip: u64,
    /// The number of the contract of their drug plan.
    contract: u64,
}

impl PersonRow {
    /// When parts A and B began: in the month of the 65th birthday.
    pub(super) fn since(&self) -> Date {
        Date::new(self.birth.year() + 65, self.birth.month(), 1).unwrap_or(self.birth)
    }
}

impl Person<'_> {
    pub(super) fn row(&self) -> PersonRow {
        let mut rng = self.rng.clone();
        // Everyone was 65 before 2015, so no one has a claim from before the coverage began.
        let birth = days_after(Date::constant(1930, 1, 1), rng.below(20 * 365));
        // An S in second place marks a made-up beneficiary identifier; real ones never contain an S.
        let mut mbi = String::from("1S00");
        for class in ["ACDEFGHJKM", "NPQRTUVWXY", "0123456789", "ACDEFGHJKM", "NPQRTUVWXY", "0123456789", "0123456789"]
        {
            mbi.push(char::from(*rng.pick(class.as_bytes())));
        }
        let is_dual = rng.percent(20);
        let contract = rng.clone().below(40);
        let races = [("1", "White"), ("2", "Black"), ("3", "Other"), ("4", "Asian"), ("5", "Hispanic")];
        let race = *rng.pick(&races);
        let middle = *rng.pick(&["A", "J", "M", "X"]);
        let is_female = *rng.pick(&[true, false]);
        let state = rng.pick(STATES);
        let zip = state.zip + rng.below(999);
        PersonRow { mbi, birth, is_dual, race, middle, is_female, state, zip, contract }
    }

    /// `resourceType`, `id` and `meta` of v1 and v2. Only v2 names a profile.
    pub(super) fn head(&self, json: &mut Json<'_>, kind: &str, id: std::fmt::Arguments<'_>, profile: Option<&str>) {
        json.put("resourceType", kind);
        json.put("id", id);
        json.put_object("meta", |json| {
            json.put("lastUpdated", written(self.last_updated, true));
            if let Some(profile) = profile {
                json.put_list("profile", |json| {
                    json.item(format_args!("http://hl7.org/fhir/us/carin-bb/StructureDefinition/{profile}"));
                });
            }
        });
    }

    /// `name` of v1 and v2.
    pub(super) fn usual_name(&self, json: &mut Json<'_>, row: &PersonRow) {
        json.put_list("name", |json| {
            json.object(|json| {
                json.put("use", "usual");
                self.name(json, row);
            });
        });
    }

    /// `family` and `given`.
    pub(super) fn name(&self, json: &mut Json<'_>, row: &PersonRow) {
        json.put("family", self.family);
        json.put_list("given", |json| {
            json.item(self.given);
            json.item(row.middle);
        });
    }

    /// The extensions of the Coverage of a part of Medicare.
    pub(super) fn coverage_extensions(&self, json: &mut Json<'_>, row: &PersonRow, part: char) {
        if part != 'c' {
            json.variable("ms_cd", "10", "Aged without end-stage renal disease (ESRD)");
        }
        match part {
            'a' => entitlement(json),
            'b' => json.variable("b_trm_cd", "0", "Not Terminated"),
            'c' => self.plan(json),
            _ => {
                monthly(json, "ptdcntrct", &format!("Z{:04}", row.contract), "");
                monthly(json, "ptdpbpid", "001", "");
                monthly(json, "sgmtid", "000", "");
                monthly(json, "cstshr", if row.is_dual { "03" } else { "00" }, "");
                monthly(json, "rdsind", "N", "");
            }
        }
        dual_status(json, row);
        if matches!(part, 'a' | 'b') {
            let (code, words) =
                if row.is_dual { ("C", "Part A and Part B state buy-in") } else { ("3", "Part A and Part B") };
            monthly(json, "buyin", code, words);
        }
    }

    /// In how many of the first months of 2026 this person was in a Medicare Advantage plan. Only the second of all
    /// people was.
    pub(crate) fn months_in_plan(&self) -> usize {
        if self.patient == SECOND { 6 } else { 0 }
    }

    /// Part C, month by month; 0 means no plan.
    fn plan(&self, json: &mut Json<'_>) {
        let (within, without) = MONTHS.split_at(self.months_in_plan());
        for (variable, code) in
            [("ptc_cntrct_id_", CONTRACT), ("ptc_pbp_id_", PLAN), ("ptc_plan_type_cd_", "01"), ("hmo_ind_", "C")]
        {
            within.iter().for_each(|month| month_variable(json, variable, month, code, ""));
            without.iter().for_each(|month| month_variable(json, variable, month, "0", ""));
        }
    }
}

/// CMS's own extensions of a Patient: the race.
pub(super) fn race(json: &mut Json<'_>, row: &PersonRow) {
    json.variable("race", row.race.0, row.race.1);
}

/// `gender`, `birthDate`.
pub(super) fn gender_and_birth(json: &mut Json<'_>, row: &PersonRow) {
    json.put("gender", if row.is_female { "female" } else { "male" });
    json.put("birthDate", row.birth);
}

/// `state` and `postalCode` of v1 and v2. The state is CMS's number instead of an abbreviation.
pub(super) fn state_and_zip(json: &mut Json<'_>, row: &PersonRow) {
    json.put("state", row.state.code);
    json.put("postalCode", format_args!("{:05}", row.zip));
}

/// The reference year and the twelve months of eligibility for Medicaid.
pub(super) fn dual_status(json: &mut Json<'_>, row: &PersonRow) {
    json.variable_value("rfrnc_yr", "valueDate", "2026");
    let (code, words) = if row.is_dual {
        ("02", "QMB and full Medicaid coverage, including prescription drugs")
    } else {
        ("NA", "Non-Medicaid")
    };
    monthly(json, "dual_", code, words);
}

fn entitlement(json: &mut Json<'_>) {
    let insurance = "Old age and survivor\u{2019}s insurance (OASI)";
    json.variable("orec", "0", insurance);
    json.variable("crec", "0", insurance);
    json.variable("esrd_ind", "0", "the beneficiary does not have ESRD");
    json.variable("a_trm_cd", "0", "Not Terminated");
}

/// The same code in each month of the year.
fn monthly(json: &mut Json<'_>, variable: &str, code: &str, words: &str) {
    MONTHS.iter().for_each(|month| month_variable(json, variable, month, code, words));
}

fn month_variable(json: &mut Json<'_>, variable: &str, month: &str, code: &str, words: &str) {
    json.variable(&format!("{variable}{month}"), code, words);
}
