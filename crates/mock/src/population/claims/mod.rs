//! Made-up claims.
//!
//! [`Claim::at`] has what a search needs to know about a claim, and [`row::ClaimRow`] has the rest. [`v1`], [`v2`]
//! and [`v3`] each write the resource from it. Everything is derived from the claim's place in its population, so
//! nothing is stored.

mod datetime;
mod json;
mod parts;
pub(crate) mod person;
#[cfg(test)]
mod recorded_shapes;
mod row;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod v1;
mod v1_and_v2;
mod v2;
pub(crate) mod v3;
mod vocabulary;

use jiff::{Timestamp, civil::Date};

use crate::rng::Rng;
use datetime::{FhirInstant, days_after};

/// When the data was last loaded. It is fixed, so that the same seed gives the same bytes on any day.
pub(super) const LOADED: Timestamp = Timestamp::constant(1_794_819_600, 0); // 2026-11-16T09:00:00Z

/// A Tuesday. Loads run weekly from here on, and no service ends earlier.
const FIRST_LOAD: Date = Date::constant(2015, 3, 3);
const FIRST_LOAD_MILLISECONDS: u64 = 1_425_340_800_000; // its midnight, UTC
/// The Tuesday before [`LOADED`], in days after [`FIRST_LOAD`].
const LAST_TUESDAY: u64 = 4_270;
/// The last day on which a service ends (2026-11-13), in days after [`FIRST_LOAD`].
const LAST_SERVICE: u64 = 4_273;
const DAY_MILLISECONDS: u64 = 86_400_000;
/// Days from the last day of service to the first load that may bring the claim.
const LOAD_DELAY: u64 = 7;

/// The eight claim types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Carrier,
    Dme,
    Hha,
    Hospice,
    Inpatient,
    Outpatient,
    Pde,
    Snf,
}

impl Kind {
    /// The type, as at the beginning of claim ids.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Dme => "dme",
            Self::Hha => "hha",
            Self::Hospice => "hospice",
            Self::Inpatient => "inpatient",
            Self::Outpatient => "outpatient",
            Self::Pde => "pde",
            Self::Snf => "snf",
        }
    }

    /// CMS's number for the type, and its text; drug events have none.
    fn claim_type(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Carrier => (
                "71",
                "Local carrier non-durable medical equipment, prosthetics, orthotics, and supplies (DMEPOS) claim",
            ),
            Self::Dme => ("82", "DMERC; DMEPOS claim"),
            Self::Hha => ("10", "Home Health Agency (HHA) claim"),
            Self::Hospice => ("50", "Hospice claim"),
            Self::Inpatient => ("60", "Inpatient claim"),
            Self::Outpatient => ("40", "Hospital Outpatient claim"),
            Self::Snf => ("20", "Non swing bed Skilled Nursing Facility (SNF) claim"),
            Self::Pde => return None,
        })
    }

    /// Blue Button's name for the type.
    fn eob_type(self) -> &'static str {
        match self {
            Self::Carrier => "CARRIER",
            Self::Dme => "DME",
            Self::Hha => "HHA",
            Self::Hospice => "HOSPICE",
            Self::Inpatient => "INPATIENT",
            Self::Outpatient => "OUTPATIENT",
            Self::Pde => "PDE",
            Self::Snf => "SNF",
        }
    }

    /// The type of the claim at `position`: ten rows of ten, each rotated at random. All eight types occur in a
    /// person's first forty claims.
    fn at(seed: u64, enrollee: u64, position: u64) -> Self {
        use Kind::{
            Carrier as C, Dme as D, Hha as H, Hospice as O, Inpatient as I, Outpatient as U, Pde as P, Snf as S,
        };
        const MIX: [[Kind; 10]; 10] = [
            [C, P, C, U, C, C, P, C, I, C],
            [C, U, C, P, C, D, P, C, H, C],
            [P, C, C, U, C, P, C, C, S, C],
            [C, C, P, C, U, C, D, P, C, O],
            [C, P, C, U, C, C, P, I, C, C],
            [C, C, P, C, D, U, C, P, C, U],
            [P, C, C, U, C, C, P, H, C, U],
            [C, C, P, C, U, S, C, P, C, C],
            [C, P, U, C, C, D, C, C, P, U],
            [P, C, C, U, I, C, C, P, C, C],
        ];
        let turn = Rng::at(&[seed, enrollee, position / 10, 0x6b69_6e64]).below(10);
        MIX[(position / 10 % 10) as usize][((position + turn) % 10) as usize]
    }

    /// Days from the first to the last day of service.
    fn stay(self, rng: &mut Rng) -> u64 {
        match self {
            Self::Pde => 0,
            Self::Carrier => rng.below(10) / 9,
            Self::Outpatient => rng.below(4),
            Self::Inpatient => rng.between(1, 14),
            Self::Snf => rng.between(8, 40),
            Self::Hha => rng.between(20, 59),
            Self::Hospice => rng.between(5, 30),
            Self::Dme => rng.below(2) * 29,
        }
    }
}

/// What is known about a claim before it is written.
pub(super) struct Claim {
    /// Its type.
    pub(super) kind: Kind,
    /// The absolute value of its number.
    pub(super) number: u64,
    /// The absolute value of the patient's number.
    patient: u64,
    start: Date,
    /// The last day of service; the fill date of a drug event.
    pub(super) end: Date,
    /// When the loader wrote it.
    pub(super) last_updated: Timestamp,
    /// Random numbers for the rest of the claim.
    rng: Rng,
}

impl Claim {
    /// The claim at a place, with the numbers that its population gives it and its patient.
    pub(super) fn at(seed: u64, enrollee: u64, position: u64, number: u64, patient: u64) -> Self {
        let kind = Kind::at(seed, enrollee, position);
        let mut rng = Rng::at(&[seed, enrollee, position]);
        let end = rng.below(LAST_SERVICE + 1);
        let start = end.saturating_sub(kind.stay(&mut rng));
        let last_updated = loaded_at(&mut rng, end);
        Self {
            kind,
            number,
            patient,
            start: days_after(FIRST_LOAD, start),
            end: days_after(FIRST_LOAD, end),
            last_updated,
            rng,
        }
    }

    /// The group that ties a claim to its adjustments.
    fn group(&self, rng: &mut Rng) -> u64 {
        rng.between(1_000_000_000, 99_999_999_999)
    }

    /// The day on which the claim was processed and paid. It is never after the load that brought it, which comes at
    /// least [`LOAD_DELAY`] days after the service.
    fn processed(&self) -> Date {
        days_after(self.end, LOAD_DELAY).min(Date::constant(2026, 11, 15))
    }
}

/// Before 2024, the servers ran on Eastern time; later, on UTC.
pub(super) fn eastern(at: Timestamp) -> bool {
    at.as_second() < 1_704_067_200
}

fn written(at: Timestamp, milliseconds: bool) -> FhirInstant {
    FhirInstant { at, eastern: eastern(at), milliseconds }
}

/// Most claims come with the Tuesday load some weeks after the service. Some are loaded again when they are adjusted.
/// None is newer than the load that ends at [`LOADED`].
fn loaded_at(rng: &mut Rng, end: u64) -> Timestamp {
    let mut day = (end + rng.between(LOAD_DELAY, 60)).div_ceil(7) * 7;
    if rng.percent(8) {
        day += 7 * rng.between(1, 150);
    }
    let milliseconds = if day > LAST_TUESDAY {
        LOADED.as_millisecond().unsigned_abs() - rng.below(4 * 3_600_000)
    } else {
        FIRST_LOAD_MILLISECONDS + day * DAY_MILLISECONDS + rng.between(14 * 3_600_000, 22 * 3_600_000)
    };
    Timestamp::from_millisecond(i64::try_from(milliseconds).unwrap_or(0)).unwrap_or(LOADED)
}

/// The CMS variable for a claim's type of record.
fn near_line_record(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Carrier => {
            ("O", "Part B physician/supplier claim record (processed by local carriers; can include DMEPOS services)")
        }
        Kind::Dme => ("M", "Part B DMEPOS claim record (processed by DME Regional Carrier)"),
        Kind::Hha | Kind::Outpatient => ("W", "Part B institutional claim record (outpatient [HOP], HHA)"),
        Kind::Hospice | Kind::Inpatient | Kind::Snf | Kind::Pde => (
            "V",
            "Part A institutional claim record (inpatient [IP], skilled nursing facility [SNF], hospice [HOS], or home health agency [HHA])",
        ),
    }
}
