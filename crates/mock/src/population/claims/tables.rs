//! The material for made-up claims: names, diagnoses, procedures, drugs, places.
//!
//! Names and texts are this project's own. Codes are from the public code sets. HCPCS codes have no descriptions,
//! because CPT's are licensed. Drug codes are in the labeler range 99999.

use super::vocabulary::{Code, System};

/// A provider's specialty: the NUCC taxonomy and the matching CMS specialty.
pub(super) struct Specialty {
    pub(super) taxonomy_code: &'static str,
    pub(super) taxonomy_words: &'static str,
    pub(super) cms_code: &'static str,
    pub(super) cms_words: &'static str,
}

impl Specialty {
    /// The taxonomy as a code.
    pub(super) fn taxonomy(&self) -> Code<'static> {
        Code(System::Url("http://nucc.org/provider-taxonomy"), self.taxonomy_code, self.taxonomy_words)
    }

    /// CMS's own specialty.
    pub(super) fn of_cms(&self) -> Code<'static> {
        Code(System::Variable("prvdr_spclty"), self.cms_code, self.cms_words)
    }
}

const fn specialty(
    taxonomy_code: &'static str,
    taxonomy_words: &'static str,
    cms_code: &'static str,
    cms_words: &'static str,
) -> Specialty {
    Specialty { taxonomy_code, taxonomy_words, cms_code, cms_words }
}

pub(super) const SPECIALTIES: &[Specialty] = &[
    specialty("207R00000X", "Internal Medicine Physician", "11", "Internal medicine"),
    specialty("207Q00000X", "Family Medicine Physician", "08", "Family practice"),
    specialty("207RC0000X", "Cardiovascular Disease Physician", "06", "Cardiology"),
    specialty("207X00000X", "Orthopaedic Surgery Physician", "20", "Orthopedic surgery"),
    specialty("207W00000X", "Ophthalmology Physician", "18", "Ophthalmology"),
    specialty("2084N0400X", "Neurology Physician", "13", "Neurology"),
    specialty("208800000X", "Urology Physician", "34", "Urology"),
    specialty("207N00000X", "Dermatology Physician", "07", "Dermatology"),
    specialty("363L00000X", "Nurse Practitioner", "50", "Nurse practitioner"),
    specialty("225100000X", "Physical Therapist", "65", "Physical therapist in private practice"),
];

pub(crate) const GIVEN_NAMES: &[&str] = &[
    "Ada",
    "José",
    "Zoë",
    "Mei",
    "Oluwaseun",
    "Halldóra",
    "Pierre-Luc",
    "Ruth",
    "Tomasz",
    "Nguyệt",
    "Walter",
    "Şebnem",
    "Inés",
    "Clarence",
    "Aoife",
    "Rashid",
    "Wilhelmina",
    "Søren",
    "Dolores",
    "Elijah",
    "Ágnes",
    "Kofi",
    "Loretta",
    "Bartholomew",
];

pub(crate) const FAMILY_NAMES: &[&str] = &[
    "Appleyard",
    "Ñúñez",
    "Müller-Lüdenscheid",
    "李",
    "Adeyemi",
    "Þorvaldsdóttir",
    "O'Shaughnessy",
    "Whitfield",
    "Wiśniewska",
    "Trần",
    "Van der Merwe",
    "Yıldız",
    "García y Vega",
    "Hargreaves",
    "Ní Bhriain",
    "Al-Amin",
    "Thistlewood",
    "Ångström",
    "Montoya",
    "Brightwater",
    "Szőke",
    "Mensah",
    "Featherstone",
    "Lovelace",
];

pub(super) const ORGANIZATIONS: &[&str] = &[
    "Lakeside Family Clinic",
    "Clínica San Borondón",
    "\"Harbor & Pine\" Rehabilitation",
    "Mesa Verde General Hospital",
    "Hôpital Évangéline de la Baie",
    "Twin Rivers Medical Group, LLC",
    "Cedar Hollow Health Partners",
    "Köhler & Søn Laboratories",
];

pub(super) const PHARMACIES: &[&str] = &[
    "Corner Mortar Pharmacy",
    "Botica La Peña",
    "Prairie Mail-Order Drugs, Inc.",
    "Old Mill Apothecary",
    "O'Malley's Rx",
];

/// ICD-10-CM code without its dot, and a display. The server keeps double quotation marks around displays with a
/// comma, and so does this table.
const DIAGNOSES: [(&str, &str); 28] = [
    ("I10", "ESSENTIAL HYPERTENSION"),
    ("E119", "TYPE 2 DIABETES WITHOUT COMPLICATIONS"),
    ("E785", "\"HYPERLIPIDEMIA, UNSPECIFIED\""),
    ("I2510", "CORONARY ARTERY DISEASE WITHOUT ANGINA"),
    ("I4891", "UNSPECIFIED ATRIAL FIBRILLATION"),
    ("J449", "\"CHRONIC OBSTRUCTIVE LUNG DISEASE, UNSPECIFIED\""),
    ("N183", "\"CHRONIC KIDNEY DISEASE, STAGE 3\""),
    ("M1711", "\"OSTEOARTHRITIS, RIGHT KNEE\""),
    ("M545", "LOW BACK PAIN"),
    ("H2513", "\"AGE-RELATED NUCLEAR CATARACT, BOTH EYES\""),
    ("I509", "\"HEART FAILURE, UNSPECIFIED\""),
    ("J189", "\"PNEUMONIA, UNSPECIFIED ORGANISM\""),
    ("N390", "\"URINARY TRACT INFECTION, SITE NOT SPECIFIED\""),
    ("E039", "\"HYPOTHYROIDISM, UNSPECIFIED\""),
    ("K219", "GASTRIC REFLUX WITHOUT ESOPHAGITIS"),
    ("D649", "\"ANEMIA, UNSPECIFIED\""),
    ("R079", "\"CHEST PAIN, UNSPECIFIED\""),
    ("L570", "ACTINIC KERATOSIS"),
    ("G309", "\"ALZHEIMER'S DISEASE, UNSPECIFIED\""),
    ("M810", "AGE-RELATED OSTEOPOROSIS WITHOUT FRACTURE"),
    ("G4733", "OBSTRUCTIVE SLEEP APNEA"),
    ("H409", "UNSPECIFIED GLAUCOMA"),
    ("Z0000", "GENERAL ADULT EXAMINATION WITHOUT ABNORMAL FINDINGS"),
    ("Z23", "ENCOUNTER FOR IMMUNIZATION"),
    ("I639", "\"CEREBRAL INFARCTION, UNSPECIFIED\""),
    ("A419", "\"SEPSIS, UNSPECIFIED ORGANISM\""),
    ("W19XXXA", "\"UNSPECIFIED FALL, FIRST ENCOUNTER\""),
    ("S72001A", "\"FRACTURE OF NECK OF RIGHT FEMUR, FIRST ENCOUNTER\""),
];

/// The diagnosis with this number in a claim whose diagnoses begin at `start`. No claim has one twice.
pub(super) fn diagnosis(start: u64, sequence: u64) -> &'static (&'static str, &'static str) {
    &DIAGNOSES[((start % 28 + 5 * sequence) % 28) as usize]
}

/// A professional service: HCPCS, BETOS code and text, type of service, usual charge in cents.
pub(super) struct Service {
    pub(super) hcpcs: &'static str,
    pub(super) betos: (&'static str, &'static str),
    pub(super) kind: (&'static str, &'static str),
    pub(super) charge: (u64, u64),
}

impl Service {
    /// The type of service.
    pub(super) fn code(&self) -> Code<'static> {
        Code(System::Variable("line_cms_type_srvc_cd"), self.kind.0, self.kind.1)
    }
}

const fn service(
    hcpcs: &'static str,
    betos: (&'static str, &'static str),
    kind: (&'static str, &'static str),
    charge: (u64, u64),
) -> Service {
    Service { hcpcs, betos, kind, charge }
}

const VISIT: (&str, &str) = ("1", "Medical care");
const LABORATORY: (&str, &str) = ("5", "Diagnostic laboratory");
const RADIOLOGY: (&str, &str) = ("4", "Diagnostic radiology");

pub(super) const SERVICES: &[Service] = &[
    service("99213", ("M1B", "Office visits - established"), VISIT, (9_000, 21_000)),
    service("99214", ("M1B", "Office visits - established"), VISIT, (13_000, 32_000)),
    service("99203", ("M1A", "Office visits - new"), VISIT, (12_000, 29_000)),
    service("99232", ("M2B", "Hospital visit - subsequent"), VISIT, (10_000, 24_000)),
    service("99284", ("M3", "Emergency room visit"), VISIT, (20_000, 90_000)),
    service("36415", ("T1A", "Lab tests - routine venipuncture (non-Medicare fee schedule)"), LABORATORY, (600, 3_000)),
    service("80053", ("T1B", "Lab tests - automated general profiles"), LABORATORY, (1_500, 9_000)),
    service("85025", ("T1D", "Lab tests - blood counts"), LABORATORY, (1_000, 6_500)),
    service("71046", ("I1A", "Standard imaging - chest"), RADIOLOGY, (5_000, 21_000)),
    service("76856", ("I3B", "Echography/ultrasonography - abdomen/pelvis"), RADIOLOGY, (18_000, 61_000)),
    service("93000", ("T2A", "Other tests - electrocardiograms"), VISIT, (3_000, 15_000)),
    service("G0008", ("O1G", "Immunizations/Vaccinations"), VISIT, (1_500, 5_500)),
];

const PURCHASE: (&str, &str) = ("P", "Lump sum purchase of DME, prosthetics orthotics");
const RENTAL: (&str, &str) = ("R", "Rental of DME");

pub(super) const EQUIPMENT: &[Service] = &[
    service("E0601", ("D1E", "Other DME"), RENTAL, (6_000, 22_000)),
    service("E1390", ("D1C", "Oxygen and supplies"), RENTAL, (10_000, 40_000)),
    service("K0001", ("D1D", "Wheelchairs"), RENTAL, (4_000, 15_000)),
    service("E0143", ("D1E", "Other DME"), PURCHASE, (7_000, 19_000)),
    service("A4253", ("D1A", "Medical/surgical supplies"), PURCHASE, (1_500, 9_500)),
    service("L1832", ("D1F", "Prosthetic/Orthotic devices"), PURCHASE, (40_000, 110_000)),
];

/// Place of service, with a short text for it.
pub(super) const PLACES: &[(&str, &str)] = &[
    ("11", "Office"),
    ("12", "Home"),
    ("21", "Inpatient Hospital"),
    ("22", "On Campus-Outpatient Hospital"),
    ("23", "Emergency Room - Hospital"),
    ("81", "Independent Laboratory"),
];

/// Revenue center, its text, and the HCPCS code that may go with it.
pub(super) const REVENUE_CENTERS: &[(&str, &str, &str)] = &[
    ("0300", "Laboratory-general classification", "80053"),
    ("0301", "Laboratory-chemistry", "82947"),
    ("0305", "Laboratory-hematology", "85025"),
    ("0250", "Pharmacy-general classification", "J1885"),
    ("0320", "Radiology diagnostic-general classification", "71046"),
    ("0420", "Physical therapy-general classification", "97110"),
    ("0450", "Emergency room-general classification", "99284"),
    ("0510", "Clinic-general classification", "G0463"),
    ("0410", "Respiratory services-general classification", "94640"),
    ("0730", "EKG/ECG-general classification", "93005"),
];

/// ICD-10-PCS procedures with our own texts.
pub(super) const PROCEDURES: &[(&str, &str)] = &[
    ("0SRD0J9", "REPLACEMENT OF LEFT KNEE JOINT, CEMENTED, OPEN"),
    ("4A023N7", "MEASUREMENT OF CARDIAC PRESSURE, LEFT HEART"),
    ("B2111ZZ", "FLUOROSCOPY OF MULTIPLE CORONARY ARTERIES"),
    ("5A1935Z", "RESPIRATORY VENTILATION UNDER 24 HOURS"),
    ("30233N1", "TRANSFUSION OF RED CELLS INTO PERIPHERAL VEIN"),
    ("0DJ08ZZ", "INSPECTION OF UPPER INTESTINAL TRACT"),
];

/// A drug: NDC, brand or label name and substance, units in 30 days, cents per unit.
pub(super) struct Drug {
    pub(super) ndc: &'static str,
    pub(super) name: &'static str,
    pub(super) generic: bool,
    pub(super) daily: u64,
    pub(super) price: (u64, u64),
}

const fn drug(ndc: &'static str, name: &'static str, generic: bool, daily: u64, price: (u64, u64)) -> Drug {
    Drug { ndc, name, generic, daily, price }
}

pub(super) const DRUGS: &[Drug] = &[
    drug("99999010130", "Atorvastatin - ATORVASTATIN CALCIUM", true, 1, (10, 60)),
    drug("99999010290", "Lisinopril - LISINOPRIL", true, 1, (4, 30)),
    drug("99999010360", "Metformin - METFORMIN HYDROCHLORIDE", true, 2, (3, 25)),
    drug("99999010430", "Levothyroxine - LEVOTHYROXINE SODIUM", true, 1, (12, 70)),
    drug("99999010590", "Amlodipine - AMLODIPINE BESYLATE", true, 1, (3, 28)),
    drug("99999010630", "Gabapentin - GABAPENTIN", true, 3, (8, 45)),
    drug("99999010730", "Omeprazole - OMEPRAZOLE", true, 1, (9, 66)),
    drug("99999020115", "Insulin glargine pen - INSULIN GLARGINE", false, 1, (900, 3_100)),
    drug("99999020260", "Apixaban - APIXABAN", false, 2, (700, 1_150)),
    drug("99999020330", "Inhaled tiotropium - TIOTROPIUM BROMIDE", false, 1, (1_200, 1_900)),
    drug("99999030130", "", true, 1, (5, 90)),
];

/// Pharmacy service type codes and their texts.
pub(super) const PHARMACY_KINDS: &[(&str, &str)] = &[
    ("01", "Community/retail pharmacy"),
    ("01", "Community/retail pharmacy"),
    ("05", "Long-term care pharmacy"),
    ("06", "Mail order pharmacy"),
];

/// A state: postal abbreviation, the Social Security Administration's code, name, lowest ZIP code.
pub(super) struct State {
    pub(super) postal: &'static str,
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) zip: u64,
}

const fn state(postal: &'static str, code: &'static str, name: &'static str, zip: u64) -> State {
    State { postal, code, name, zip }
}

pub(super) const STATES: &[State] = &[
    state("AL", "01", "Alabama", 35_000),
    state("AZ", "03", "Arizona", 85_000),
    state("CA", "05", "California", 94_000),
    state("FL", "10", "Florida", 33_000),
    state("MO", "26", "Missouri", 63_000),
    state("NM", "32", "New Mexico", 87_000),
    state("NY", "33", "New York", 12_000),
    state("PR", "40", "Puerto Rico", 900),
    state("TX", "45", "Texas", 77_000),
    state("UT", "46", "Utah", 84_000),
];
