//! The query of a callback: a code counts only if the query has this log-in's `state`.

#![no_main]

use bbdl::auth::callback::{self, Callback, Expected};
use bbdl::secret::Secret;
use libfuzzer_sys::fuzz_target;

const STATE: &str = "s1234";

fuzz_target!(|query: &str| {
    let issuer = "https://sandbox.bluebutton.cms.gov".parse().expect("an origin");
    let expected = Expected { state: Secret::new(STATE.to_owned()), issuer };
    if let Ok(Callback::Code(code)) = callback::read(query, &expected) {
        let fields: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let all =
            |name: &str| fields.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value).collect::<Vec<_>>();
        assert_eq!(all("state"), [STATE]);
        assert_eq!(all("code"), [code.expose()]);
        assert!(all("error").is_empty());
    }
});
