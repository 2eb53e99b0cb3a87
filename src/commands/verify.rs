//! `bbdl verify`: checks whether an archive is what its manifest says.

use std::path::Path;

use serde_json::json;

use crate::{
    archive::{self, Archive, manifest::Manifest},
    claim::archived::CLAIM,
    cli::Verify,
    commands::{Context, archive_owner::Owners, fetch::typed_filters},
    error::{Error, ErrorKind, Exit, Result},
    files::{
        path_text::typed,
        private_dir::{self, Exposure},
    },
    profile::profile_option,
};

/// Runs the command.
///
/// # Errors
/// [`Exit::Data`] if the archive is damaged, [`Exit::PersonMustAct`] if others may read it, [`Exit::TryAgain`] if
/// another program holds it.
pub(crate) fn run(context: &Context, args: &Verify) -> Result<()> {
    if archive::has_unfinished_commit(&args.dir) {
        // The new archive is complete, but not yet renamed into place. Opening the archive does that.
        drop(Archive::open(&args.dir)?);
    }
    let mut report = archive::verify::verify(&args.dir)?;
    let mut is_refused = false;
    if !report.ok {
        // A pull may have put its files in place during the check. Only a check while no process writes counts. If
        // this process may not write to the archive, assume that no other does.
        match Archive::open(&args.dir) {
            Ok(held) => {
                report = archive::verify::verify(&args.dir)?;
                if !held.keeps_permissions() {
                    report.forgive_exposure();
                    context.output.warn(format!(
                        "the file system of {} keeps no permissions: everybody who can use that disk can read the claims",
                        args.dir.display()
                    ));
                }
            }
            Err(error) if error.exit() == Exit::TryAgain => return Err(error),
            Err(_) => is_refused = true,
        }
    }
    if report.needs_download {
        let first = if report.remedy.is_empty() { String::new() } else { format!("{} && ", report.remedy) };
        report.remedy = format!("{first}{}", download_again(context, &args.dir));
    }
    // Only the user who owns the files can make them private.
    let is_foreign = is_refused && report.failure() == Some(ErrorKind::Exposed) && is_another_users(&args.dir);
    if is_foreign {
        report.remedy = format!("sudo chown -R $(id -u) {}", typed(&args.dir));
    }
    if context.output.json() {
        context.output.result_json(&json!(report));
    } else {
        for (resource, findings) in &report.resources {
            let verdict = if findings.sha256_ok { "as the manifest says" } else { "not as the manifest says" };
            context.output.say(format!("{resource}: {}, {verdict}", findings.count));
        }
    }
    let Some(kind) = report.failure() else { return Ok(()) };
    let what = match kind {
        ErrorKind::Exposed => "is not damaged, but others can read it",
        ErrorKind::InUse => "could not be read completely",
        _ => "is damaged",
    };
    let hint = match kind {
        ErrorKind::Exposed if is_foreign => format!("Run bbdl as its owner. Or make it yours: {}", report.remedy),
        ErrorKind::Exposed if is_refused => format!("Run: {}", report.remedy),
        ErrorKind::Exposed => format!("The next fetch does this, too. Or run: {}", report.remedy),
        ErrorKind::InUse => "Run the same command again when that program has closed the file.".to_owned(),
        _ if report.needs_download => {
            format!("Restore it from a backup, or download everything again: {}", report.remedy)
        }
        _ => format!("Restore it from a backup, or do without it: {}", report.remedy),
    };
    let message = format!("{} {what}: {}", args.dir.display(), report.problems.join("; "));
    let error = Error::new(kind, message).hint(hint);
    // The report on stdout already says it. A second JSON object would break readers.
    Err(if context.output.json() { error.already_reported() } else { error })
}

/// The command that downloads an archive again, with its filters and for its profile.
fn download_again(context: &Context, dir: &Path) -> String {
    let manifest = Manifest::load(dir).ok().flatten();
    let resources = manifest.map(|manifest| manifest.resources).unwrap_or_default();
    let what = if resources.keys().all(|resource| resource == CLAIM) { "eob" } else { "all" };
    let filters = resources.get(CLAIM).map(|entry| typed_filters(&entry.query)).unwrap_or_default();
    let profile = Owners::load(context).of(dir).map(profile_option).unwrap_or_default();
    // Without this option, the pull would remove the Bundles that were kept.
    let format = if dir.join("pages").is_dir() { " --format json" } else { "" };
    ["bbdl fetch ", what, " --full", format, &filters, &profile, " --out ", &typed(dir)].concat()
}

/// Whether the directory belongs to another user.
fn is_another_users(dir: &Path) -> bool {
    let real = std::fs::canonicalize(dir);
    real.and_then(|real| private_dir::exposure(&real)).is_ok_and(|found| matches!(found, Some(Exposure::Foreign(_))))
}
