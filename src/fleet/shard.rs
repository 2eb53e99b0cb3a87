//! `--shard K/N`: which of N workers pulls for an enrollee.
//!
//! Users may rely on this rule (`docs/for-researchers.md`): the first eight bytes of the SHA-256 of the profile's
//! name, as a big-endian number, modulo N. So a name stays with its worker as long as N stays the same, even if other
//! names are added or removed.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// Part K of N, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Whether the enrollee with this profile name belongs to this shard.
    #[must_use]
    pub fn holds(self, name: &str) -> bool {
        number_of(name) % u64::from(self.of) == u64::from(self.number)
    }

    /// K and N.
    #[must_use]
    pub fn parts(self) -> (u32, u32) {
        (self.number, self.of)
    }
}

/// The number of a profile name, which decides its shard.
#[must_use]
pub(crate) fn number_of(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let parts = text.split_once('/').and_then(|(number_, of)| Some((number(number_)?, number(of)?)));
        match parts {
            Some((number, of)) if number < of => Ok(Self { number, of }),
            _ => Err("write it like 0/4, 1/4, 2/4 or 3/4: the first number counts from 0".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_one_shard() {
        for of in [1, 2, 4, 7] {
            let shards: Vec<Shard> = (0..of).map(|number| format!("{number}/{of}").parse().unwrap()).collect();
            let mut sizes = vec![0_usize; shards.len()];
            for name in (0..1000).map(|number| format!("p{number:05}")) {
                let holding: Vec<usize> = (0..shards.len()).filter(|at| shards[*at].holds(&name)).collect();
                assert_eq!(holding.len(), 1, "{name} of {of}");
                sizes[holding[0]] += 1;
            }
            let fair = 1000 / shards.len();
            assert!(sizes.iter().all(|size| size.abs_diff(fair) < fair / 3 + 1), "{sizes:?}");
        }
    }

    /// Users may compute it themselves: `printf p0001 | sha256sum` begins with e0e2bc3848e23b39.
    #[test]
    fn the_shard_of_a_name_never_changes() {
        let shard: Shard = "0/8".parse().unwrap();
        let number = u64::from_str_radix(FIRST_EIGHT_BYTES, 16).unwrap() % 8;
        assert_eq!(shard.holds("p0001"), number == 0);
        assert!(format!("{number}/8").parse::<Shard>().unwrap().holds("p0001"));
    }

    const FIRST_EIGHT_BYTES: &str = "e0e2bc3848e23b39";

    #[test]
    fn an_invalid_shard_is_refused() {
        for bad in ["", "4", "4/4", "0/0", "-1/4", "+1/4", "1/4/5", "1 /4", "a/b", "0/4294967296"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
        assert_eq!("3/4".parse::<Shard>().unwrap().to_string(), "3/4");
    }
}
