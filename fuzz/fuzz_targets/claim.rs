//! A claim of any version, with any damage: it is read or refused, and what is read can be shown.

#![no_main]

use bbdl::claim::Claim;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(claim) = Claim::read(text) else { return };
    let _ = (claim.first_day(), claim.year().map(str::len), claim.party(), claim.who());
    let _ = claim.denied_lines().count();
});
