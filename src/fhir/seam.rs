//! Where two pages of a search meet.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The last resource of a page and the first one of the page after it.
///
/// Pages are read one after the other, and nothing keeps the set from changing meanwhile: where a resource
/// goes away, all those behind it move up by one, and the one at the seam is on neither page. As the order
/// of a search does not change, the two pages have everything between them exactly if at some moment the
/// one followed the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seam {
    /// The place in the search, from 0, at which the later page was asked for.
    pub at: u64,
    /// How many resources the later page was asked for: so many the server can give at once.
    pub count: u64,
    /// The last resource of the page before: XXH3-64 of its id, of which a long search has many.
    before: u64,
    /// The first resource of the page after; none where that is a prior authorisation of API v3,
    /// all of which stand behind the claims, in an order that nothing fixes.
    after: Option<u64>,
}

/// What a stretch of a search shows of a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The one follows the other.
    Holds,
    /// Something else stands before or behind one of them.
    Broken,
    /// Neither: they are not in this stretch, or at its end.
    Unseen,
}

impl Seam {
    /// The seam between the resources with these ids, before the page of `count` that begins at `at`.
    #[must_use]
    pub fn between(before: &str, after: Option<&str>, at: u64, count: u64) -> Self {
        Self { at, count, before: hash(before), after: after.map(hash) }
    }

    /// What these ids show, which are a stretch of the search. A resource that the server repeats counts
    /// once.
    #[must_use]
    pub fn in_sight(&self, ids: &[String]) -> Sight {
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ids.dedup();
        if let Some(place) = ids.iter().rposition(|id| hash(id) == self.before) {
            return match ids.get(place + 1) {
                Some(next) if self.is_after(next) => Sight::Holds,
                Some(_) => Sight::Broken,
                None => Sight::Unseen,
            };
        }
        match ids.iter().position(|id| self.is_after(id)) {
            None | Some(0) => Sight::Unseen,
            Some(_) => Sight::Broken,
        }
    }

    fn is_after(&self, id: &str) -> bool {
        self.after.map_or_else(|| !is_number(id), |after| after == hash(id))
    }
}

fn hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Whether this is the id of a claim of API v3: a number, negative for people who do not exist.
#[must_use]
pub fn is_number(id: &str) -> bool {
    let digits = id.strip_prefix('-').unwrap_or(id);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_seam_holds_where_the_one_follows_the_other() {
        let seam = Seam::between("b", Some("c"), 50, 50);
        for (text, sight) in [
            ("b c", Sight::Holds),
            ("a b c d", Sight::Holds),
            ("a b b c d", Sight::Holds),
            // Something lies between them, or one of them is gone.
            ("b x c", Sight::Broken),
            ("b d", Sight::Broken),
            ("a c", Sight::Broken),
            ("c b x", Sight::Broken),
            // They may be farther on.
            ("a b", Sight::Unseen),
            ("c d", Sight::Unseen),
            ("x y", Sight::Unseen),
            ("", Sight::Unseen),
        ] {
            assert_eq!(seam.in_sight(&ids(text)), sight, "{text}");
        }
    }

    #[test]
    fn behind_the_last_claim_of_v3_any_prior_authorisation_may_stand_and_no_claim() {
        let seam = Seam::between("-7", None, 50, 50);
        assert_eq!(seam.in_sight(&ids("-8 -7 0a1b-2c")), Sight::Holds);
        assert_eq!(seam.in_sight(&ids("-8 -7 -6 0a1b-2c")), Sight::Broken);
        assert_eq!(seam.in_sight(&ids("-8 -6 0a1b-2c")), Sight::Broken);
        assert_eq!(seam.in_sight(&ids("-9 -8")), Sight::Unseen);
    }
}
