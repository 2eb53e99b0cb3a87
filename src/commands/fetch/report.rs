//! What a fetch reports at its end: a line for people, an object for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{
    api_version::ApiVersion,
    archive::manifest::{Entry, Mode, PullRow},
    fleet::Report,
    output::{Output, size},
    pull::{
        one_profile::PulledResource,
        outcome::{Warning, WarningKind},
        plan::Target,
    },
};

/// What was done for one profile.
pub(super) struct Done {
    pub(super) profile: String,
    pub(super) api: ApiVersion,
    pub(super) out: std::path::PathBuf,
    pub(super) resources: Vec<(PulledResource, Entry)>,
    pub(super) withheld: Vec<&'static str>,
    pub(super) elapsed: Duration,
}

impl Done {
    /// The JSON object of the contract.
    pub(super) fn json(&self) -> Value {
        let resources: Map<String, Value> = self
            .resources
            .iter()
            .map(|(pulled, entry)| (pulled.row.resource.clone(), row_json(pulled, entry)))
            .collect();
        json!({
            "profile": self.profile, "out": crate::files::path_text::to_text(&self.out), "resources": resources, "withheld": self.withheld,
            "elapsed_s": (self.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        })
    }

    /// Both forms, for a run over many profiles.
    pub(super) fn report(&self) -> Report {
        Report { line: self.line(), json: self.json() }
    }

    /// One line: where the archive is, what it has, and what is new.
    pub(super) fn line(&self) -> String {
        let parts: Vec<String> = self.resources.iter().map(|(pulled, entry)| summary(&pulled.row, entry)).collect();
        let bytes: u64 = self.resources.iter().map(|(pulled, _)| pulled.row.bytes).sum();
        let (out, seconds) = (self.out.display(), self.elapsed.as_secs_f64());
        let left_out = if self.leaves_out() { "; claims that are still being processed need --source" } else { "" };
        format!("{out}: {} ({} in {seconds:.1} s{left_out})", parts.join("; "), size(bytes))
    }

    /// Whether the server has left out claims that bbdl did not ask for: API v3 sends only fully adjudicated ones
    /// (NCH, DDPS) by default. Only a full pull says so, not every nightly one.
    fn leaves_out(&self) -> bool {
        let by_default = |(PulledResource { target, row, .. }, entry): &(PulledResource, Entry)| {
            *target == Target::CLAIMS && row.mode == Mode::Full && entry.query.iter().all(|(name, _)| name != "_source")
        };
        self.api == ApiVersion::V3 && self.resources.iter().any(by_default)
    }

    /// Says what a person should know, and if the server's own count differs.
    pub(super) fn warn(&self, output: &Output) {
        for (PulledResource { row, warnings, .. }, entry) in &self.resources {
            for warning in warnings {
                match warning.kind {
                    // This is not a problem, so it is said after a full pull only, and not with --quiet.
                    WarningKind::MedicareAdvantage if row.mode == Mode::Full => output.say(&warning.message),
                    WarningKind::MedicareAdvantage => {}
                    _ => output.warn(&warning.message),
                }
            }
            let fewer = entry.server_total.filter(|total| row.mode == Mode::Full && *total < entry.count);
            if let Some(total) = fewer {
                output.warn(format!("{}: the server counted {total}, but sent {}", row.resource, entry.count));
            }
        }
    }
}

fn row_json(PulledResource { row, warnings, .. }: &PulledResource, entry: &Entry) -> Value {
    let mut value = json!({
        "count": entry.count, "added": row.added, "updated": row.updated, "unchanged": row.unchanged,
        "removed": row.removed, "requests": row.requests, "bytes": row.bytes, "mode": row.mode,
    });
    if let Some(total) = entry.server_total {
        value["server_total"] = total.into();
    }
    if !warnings.is_empty() {
        let warning = |warning: &Warning| json!({"kind": warning.kind.name(), "message": warning.message});
        value["warnings"] = warnings.iter().map(warning).collect();
    }
    value
}

fn summary(row: &PullRow, entry: &Entry) -> String {
    let changes: Vec<String> = [(row.added, "new"), (row.updated, "changed"), (row.removed, "gone")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let changes = if changes.is_empty() { "nothing new".to_owned() } else { changes.join(", ") };
    format!("{} {} ({changes})", entry.count, row.resource)
}
