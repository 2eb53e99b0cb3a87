//! `bbdl export`: claims as tables.

use serde_json::json;

use crate::{
    cli::Export,
    commands::Context,
    error::Result,
    export::{Written, export},
};

/// Runs the command.
///
/// # Errors
/// As [`export`].
pub fn run(context: &Context, args: &Export) -> Result<()> {
    let Written { claims, lines, incomplete } = export(&args.dir, args.to, &args.output)?;
    if context.ui.json() {
        context
            .ui
            .result_json(&json!({"out": args.output, "claims": claims, "lines": lines, "incomplete": incomplete}));
    } else {
        context.ui.say(format!("{claims} claims and {lines} lines are in {}", args.output.display()));
    }
    if incomplete > 0 {
        context.ui.warn(format!(
            "of {incomplete} claims something cannot be shown in a table; they have is_incomplete 1, and are whole in the archive"
        ));
    }
    Ok(())
}
