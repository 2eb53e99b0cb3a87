//! Where two pages of a search meet.

use serde::{Deserialize, Serialize};

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
    /// The id of the last resource of the page before.
    pub before: String,
    /// The id of the first resource of the page after.
    pub after: String,
}

impl Seam {
    /// Whether the one follows the other in these ids, which are a stretch of the search at one moment.
    /// A resource that the server repeats is there once.
    pub fn holds_in(&self, ids: impl IntoIterator<Item = String>) -> bool {
        let mut last = None;
        for id in ids {
            if last.as_ref() == Some(&self.before) && id == self.after {
                return true;
            }
            last = Some(id);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seam_holds_where_the_one_follows_the_other() {
        let seam = Seam { at: 50, before: "b".into(), after: "c".into() };
        for (ids, holds) in [
            ("b c", true),
            ("a b c d", true),
            ("a b b c d", true),
            // Something lies between them, one of them is gone, or there is nothing.
            ("b x c", false),
            ("b d", false),
            ("a c", false),
            ("c b", false),
            ("b", false),
            ("", false),
        ] {
            assert_eq!(seam.holds_in(ids.split_whitespace().map(str::to_owned)), holds, "{ids}");
        }
    }
}
