//! How many files this process may have open.

/// Reserve for everything else in the process: standard streams, connections, files that are written.
const FOR_OTHERS: usize = 100;

/// Makes room for this many more open files if the system allows it. Returns for how many there is room, at least
/// one.
#[must_use]
pub(crate) fn room_for(wanted: usize) -> usize {
    limit(wanted + FOR_OTHERS).saturating_sub(FOR_OTHERS).clamp(1, wanted)
}

/// The limit of this process, raised as far as needed and allowed.
#[cfg(unix)]
fn limit(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let as_number = |limit: Option<u64>| limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if as_number(current) >= wanted {
        return as_number(current);
    }
    let raised = as_number(maximum).min(wanted);
    let new = Rlimit { current: u64::try_from(raised).ok(), maximum };
    // macOS has limits that it does not report.
    if setrlimit(Resource::Nofile, new).is_ok() { raised } else { as_number(current) }
}

/// Windows allows millions.
#[cfg(not(unix))]
fn limit(wanted: usize) -> usize {
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_as_far_as_the_system_allows() {
        assert_eq!(room_for(10), 10);
        let room = room_for(2000);
        // Windows reports no limit.
        assert!(room >= 64 && (cfg!(windows) || limit(1) >= room), "{room}");
    }
}
