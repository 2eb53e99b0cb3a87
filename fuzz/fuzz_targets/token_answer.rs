//! The token endpoint's answer: whatever it contains, the part that is stored can be read again.

#![no_main]

use bbdl::auth::token::{Credential, TokenAnswer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Some(answer) = TokenAnswer::read(body) else { return };
    let _ = (answer.is_usable(), answer.is_complete());
    let now = "2026-11-29T10:00:00Z".parse().expect("an instant");
    let (access_token, refresh_token, grant) = answer.into_new(&["openid".to_owned()], now);
    let has_refresh_token = refresh_token.is_some();
    let credential = Credential {
        origin: "https://sandbox.bluebutton.cms.gov".parse().expect("an origin"),
        client_id: "id".to_owned(),
        client_secret: None,
        access_token,
        refresh_token,
        grant,
    };
    let again = Credential::from_record(&credential.to_record()).expect("what was kept can be read");
    assert_eq!(again.access_token.expose(), credential.access_token.expose());
    assert_eq!(again.refresh_token.is_some(), has_refresh_token);
    let _ = (again.grant.days_left(now), again.grant.reminder(now, 14));
});
