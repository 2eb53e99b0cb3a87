//! What the patient may be billed for a claim.

use crate::claim::{Cents, Claim, Kind};

/// What Medicare does not cover, and so the patient may be billed for, if there is anything.
pub(super) fn uncovered(claim: &Claim) -> Option<Cents> {
    let counts = claim.payer_decision.is_none() && claim.kind != Some(Kind::Pde);
    claim.amounts.not_covered.filter(|amount| counts && *amount > Cents(0))
}

/// What the patient may be billed for a claim: the share, and what is not covered.
pub(super) fn billable(claim: &Claim) -> Option<Cents> {
    let share = claim.amounts.patient_pays.filter(|_| claim.payer_decision.is_none() && claim.kind != Some(Kind::Pde));
    match (share, uncovered(claim)) {
        (None, None) => None,
        (share, uncovered) => share.unwrap_or_default().plus(uncovered.unwrap_or_default()),
    }
}
