//! The filters of a claim search, as a person types them.

use std::cmp::Ordering;

use jiff::{Timestamp, civil::Date};

use crate::{
    api_version::ApiVersion,
    archive::manifest::Query,
    claim::Kind,
    cli::{self, Fetch},
    error::{Error, Result},
    files::path_text::quoted,
    pull::plan::Resource,
};

/// The parameters of a claim search, except the page size.
pub(super) fn claim_query(args: &Fetch, api: ApiVersion) -> Result<Query> {
    let has_filter = !(args.types.is_empty()
        && args.service_date.is_empty()
        && args.last_updated.is_empty()
        && args.source.is_empty());
    if has_filter && !args.resources.iter().any(|resource| matches!(resource, Resource::Eob | Resource::All)) {
        return Err(Error::usage(
            "--type, --service-date, --last-updated and --source are for claims: fetch eob or all",
        ));
    }
    if api != ApiVersion::V3 && !args.source.is_empty() {
        return Err(Error::usage(format!("--source is for API v3; this profile uses {api}, which would ignore it")));
    }
    for (flag, bounds) in [("--service-date", &args.service_date), ("--last-updated", &args.last_updated)] {
        one_bound_a_side(flag, bounds)?;
        something_between(flag, bounds)?;
    }
    let mut query = Query::new();
    // Sorted, because the same filters in another order are the same.
    let types = in_order(args.types.iter().map(|kind| Kind::name(*kind)));
    if !types.is_empty() {
        query.push(("type".to_owned(), types.join(",")));
    }
    for (name, bounds) in [("service-date", &args.service_date), ("_lastUpdated", &args.last_updated)] {
        let bounds = in_order(bounds.iter().map(String::as_str));
        query.extend(bounds.into_iter().map(|bound| (name.to_owned(), bound.to_owned())));
    }
    let sources = in_order(args.source.iter().map(|source| source_name(*source)));
    if !sources.is_empty() {
        query.push(("_source".to_owned(), sources.join(",")));
    }
    Ok(query)
}

/// The options that set these filters, each with a space before it.
pub(in crate::commands) fn typed_filters(query: &Query) -> String {
    let option = |(name, value): &(String, String)| {
        let option = match name.as_str() {
            "type" => "--type",
            "service-date" => "--service-date",
            "_lastUpdated" => "--last-updated",
            "_source" => "--source",
            _ => return String::new(),
        };
        format!(" {option} {}", quoted(value.as_ref()))
    };
    query.iter().map(option).collect()
}

fn in_order<'t>(words: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    words.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Refuses two limits on the same side, as the server's back end does.
fn one_bound_a_side(flag: &str, bounds: &[String]) -> Result<()> {
    for side in ["g", "l"] {
        if bounds.iter().filter(|bound| bound.starts_with(side)).count() > 1 {
            return Err(Error::usage(format!("{flag}: at most one lower (ge, gt) and one upper (le, lt) bound")));
        }
    }
    Ok(())
}

/// The server answers a range with nothing in it as it answers where nothing is loaded, and that would be taken for an
/// outage.
fn something_between(flag: &str, bounds: &[String]) -> Result<()> {
    let side =
        |side: &str| bounds.iter().find(|bound| bound.starts_with(side)).and_then(|bound| bound.split_at_checked(2));
    let (Some((from, start)), Some((to, end))) = (side("g"), side("l")) else { return Ok(()) };
    let is_nothing = |order: Ordering| order.is_gt() || (order.is_eq() && (from, to) != ("ge", "le"));
    let order = match (start.parse::<Date>(), end.parse::<Date>()) {
        (Ok(start), Ok(end)) if bounds.iter().all(|bound| bound.len() == "ge2025-01-31".len()) => Some(start.cmp(&end)),
        _ => start.parse::<Timestamp>().ok().zip(end.parse().ok()).map(|(start, end)| start.cmp(&end)),
    };
    if order.is_some_and(is_nothing) {
        return Err(Error::usage(format!("{flag}: nothing is both {from}{start} and {to}{end}"))
            .hint("The date after ge or gt has to be the earlier one."));
    }
    Ok(())
}

fn source_name(source: cli::Source) -> &'static str {
    match source {
        cli::Source::Nch => "NCH",
        cli::Source::Ddps => "DDPS",
        cli::Source::Fiss => "FISS",
        cli::Source::Mcs => "MCS",
        cli::Source::Vms => "VMS",
        cli::Source::Cwf => "CWF",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_without_anything_in_it_is_refused() {
        for (bounds, is_fine) in [
            (["ge2025-01-01", "le2025-12-31"], true),
            (["ge2025-01-01", "le2025-01-01"], true),
            (["le2025-01-02", "gt2025-01-01"], true),
            (["ge2025-01-01", "le2024-12-31"], false),
            (["lt2025-01-01", "ge2025-01-01"], false),
            (["ge2025-01-01T10:00:00Z", "lt2025-01-01T11:00:00+01:00"], false),
            (["ge2025-01-01T10:00:00Z", "le2025-01-01T10:00:00Z"], true),
            // A day has moments.
            (["gt2025-01-01T10:00:00Z", "le2025-01-01"], true),
        ] {
            let answer = something_between("--service-date", &bounds.map(str::to_owned));
            assert_eq!(answer.is_ok(), is_fine, "{bounds:?}");
        }
    }

    /// Others may be able to write to the disk that a manifest is read from.
    #[test]
    fn filters_to_type_are_quoted() {
        let query = [("type", "carrier,pde"), ("service-date", "ge2020;curl x|sh"), ("unknown", "x")];
        let query: Query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(typed_filters(&query), " --type carrier,pde --service-date 'ge2020;curl x|sh'");
    }
}
