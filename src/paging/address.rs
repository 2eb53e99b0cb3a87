//! The address of each page of a search, worked out from the start and count in one of its links.

use url::Url;

/// The address of a page, if its place in the search can be read from it.
///
/// API v1 and v2 page with `startIndex`, v3 with `_offset`; `_count` is the size. A link that has neither, or has one
/// twice, has no such address, and is followed as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    url: Url,
    start_name: &'static str,
    /// Where its first resource is in the search, from 0.
    pub(super) start: u64,
    /// How many resources it asks for.
    pub(super) count: u64,
}

const STARTS: [&str; 2] = ["startIndex", "_offset"];
const COUNT: &str = "_count";
/// Smaller pages than this are not halved again: 50, 25, 12.
const SMALLEST: u64 = 12;
/// Parameters that the server adds to a search by itself. They do not make it a different page.
const ADDED: [&str; 6] = ["_format", "patient", "beneficiary", "_id", "_source", "_security:not"];

impl Address {
    /// The address in a link; `None` if the link has another form.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let mut starts = STARTS.iter().filter_map(|name| Some((*name, number(url, name)?)));
        let (start_name, start) = starts.next()?;
        if starts.next().is_some() || STARTS.iter().map(|name| named(url, name)).sum::<usize>() != 1 {
            return None;
        }
        let count = number(url, COUNT).filter(|count| *count > 0)?;
        Some(Self { url: url.clone(), start_name, start, count })
    }

    /// The address of a page of this search, built before the server has sent any link.
    pub(super) fn guess(search: &Url, start_name: &'static str, start: u64, count: u64) -> Option<Self> {
        let mut url = search.clone();
        let query = url.query()?.replacen("_count=", &format!("{start_name}={start}&_count="), 1);
        url.set_query(Some(&query));
        Self::of(&url).filter(|address| address.count == count)
    }

    /// The page of `count` resources from `start` on.
    pub(super) fn at(&self, start: u64, count: u64) -> Self {
        let pairs: Vec<String> = self
            .url
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if name == self.start_name => format!("{name}={start}"),
                Some((COUNT, _)) => format!("{COUNT}={count}"),
                _ => pair.to_owned(),
            })
            .collect();
        let mut url = self.url.clone();
        url.set_query(Some(&pairs.join("&")));
        Self { url, start_name: self.start_name, start, count }
    }

    /// The page after this one, which begins `overlap` resources before its end.
    pub(super) fn next(&self, overlap: u64) -> Self {
        self.at((self.start + self.count).saturating_sub(overlap), self.count)
    }

    /// Half its size, for a page that is too much for the server; `None` if a smaller page would not help.
    pub(super) fn half(&self) -> Option<u64> {
        Some(self.count / 2).filter(|half| *half >= SMALLEST)
    }

    /// Its URL.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether both are the same page of the same search, even if the server has added other parameters to a link.
    pub(super) fn is_same_page(&self, other: &Self) -> bool {
        (self.start, self.count) == (other.start, other.count)
            && self.url.path().trim_end_matches('/') == other.url.path().trim_end_matches('/')
            && self.filters() == other.filters()
    }

    fn filters(&self) -> Vec<(String, String)> {
        let mut filters: Vec<(String, String)> = self
            .url
            .query_pairs()
            .filter(|(name, _)| !ADDED.contains(&&**name) && !STARTS.contains(&&**name) && name != COUNT)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        filters.sort();
        filters
    }
}

fn named(url: &Url, name: &str) -> usize {
    url.query_pairs().filter(|(key, _)| key == name).count()
}

/// The number in a parameter that occurs exactly once.
fn number(url: &Url, name: &str) -> Option<u64> {
    let mut values = url.query_pairs().filter(|(key, _)| key == name);
    let (_, value) = values.next()?;
    let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // FHIR's integers have 32 bits.
    if plain && values.next().is_none() { value.parse::<u32>().ok().map(u64::from) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(query: &str) -> Option<Address> {
        Address::of(&Url::parse(&format!("https://x.example/v2/fhir/ExplanationOfBenefit?{query}")).unwrap())
    }

    #[test]
    fn links_of_all_versions_have_a_page_address() {
        let v2 = address("_format=application%2Ffhir%2Bjson&startIndex=50&_count=50&patient=-2014").unwrap();
        assert_eq!((v2.start, v2.count), (50, 50));
        assert_eq!(
            v2.next(0).url().query(),
            Some("_format=application%2Ffhir%2Bjson&startIndex=100&_count=50&patient=-2014")
        );
        assert_eq!(v2.next(1).start, 99);
        let v3 = address("_source=NCH%2CDDPS&_count=50&_offset=100&patient=-3025").unwrap();
        assert_eq!(v3.at(125, 25).url().query(), Some("_source=NCH%2CDDPS&_count=25&_offset=125&patient=-3025"));
    }

    #[test]
    fn links_of_another_form_have_no_page_address() {
        for other in [
            "startIndex=50",
            "_count=50",
            "startIndex=50&_count=0",
            "startIndex=18446744073709551615&_count=50",
            "startIndex=50&_count=50&startIndex=60",
            "startIndex=50&_offset=50&_count=50",
            "startIndex=x&_offset=50&_count=50",
            "startIndex=-5&_count=50",
            "cursor=abc&_count=50",
        ] {
            assert_eq!(address(other), None, "{other}");
        }
    }

    #[test]
    fn extra_link_parameters_do_not_make_another_page() {
        let search = Url::parse("https://x.example/v2/fhir/ExplanationOfBenefit?type=pde&_count=50").unwrap();
        let guess = Address::guess(&search, "startIndex", 50, 50).unwrap();
        let link = address("_format=json&startIndex=50&_count=50&type=pde&patient=-1").unwrap();
        assert!(guess.is_same_page(&link));
        for other in [
            "startIndex=50&_count=50&type=carrier",
            "startIndex=50&_count=50",
            "startIndex=50&_count=25&type=pde",
            "startIndex=51&_count=50&type=pde",
            "startIndex=50&_count=50&type=pde&_lastUpdated=ge2026-01-01",
        ] {
            assert!(!guess.is_same_page(&address(other).unwrap()), "{other}");
        }
    }
}
