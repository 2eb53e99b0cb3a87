//! The server's `next` link: whatever it contains, the request is for this search, on this origin, without a
//! credential.

#![no_main]

use bbdl::{api_version::ApiVersion, api::endpoints::{Searchable, Server}};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|link: &str| {
    for api in [ApiVersion::V1, ApiVersion::V2, ApiVersion::V3] {
        let server = Server::new("https://sandbox.bluebutton.cms.gov".parse().expect("an origin"), api);
        let search = server.search(Searchable::ExplanationOfBenefit);
        let Ok(url) = server.follow(&search, link) else { continue };
        assert_eq!(url.origin(), search.origin());
        assert_eq!(url.path().trim_end_matches('/'), search.path().trim_end_matches('/'));
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert!(!names.iter().any(|name| name == "access_token"), "{url}");
    }
});
