//! A page of a search, split into resources: each is an exact part of the text, and none is lost or made up.

#![no_main]

use bbdl::fhir::bundle::Bundle;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let split = Bundle::split(text.to_owned());
    let Ok(bundle) = split else { return };
    assert_eq!(bundle.text(), text);
    let whole: Value = serde_json::from_str(text).expect("what was split is JSON");
    let entries = whole["entry"].as_array().map_or(0, Vec::len);
    // Each is a match, an outcome that is reported, or one that was only included.
    assert_eq!(bundle.len() + bundle.outcomes().count() + bundle.included() as usize, entries);
    let mut at = 0;
    for (resource, header) in bundle.entries() {
        let place = resource.as_ptr() as usize - bundle.text().as_ptr() as usize;
        assert!(place >= at && place + resource.len() <= text.len(), "in the server's order, one after the other");
        at = place + resource.len();
        let value: Value = serde_json::from_str(resource).expect("a resource is JSON");
        if let Ok(header) = header {
            // An entry that is neither is refused later, with its name.
            assert_eq!(value["resourceType"].as_str().unwrap_or_default(), header.kind);
            assert_eq!(value["id"].as_str().unwrap_or_default(), header.id);
        }
    }
});
