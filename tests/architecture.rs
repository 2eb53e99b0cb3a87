//! Checks the map of the code: rooms use only the rooms below them, and the map names every room.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What every room may use. These use only each other.
const GROUND: [&str; 11] = [
    "api_version",
    "cms_notice",
    "duration",
    "error",
    "files",
    "origin",
    "output",
    "resource",
    "runtime",
    "secret",
    "spelling",
];

/// The rooms that a room may use in addition to the ground. A room is above all rooms that it may use, so data flows
/// one way.
const ALLOWED: [(&str, &[&str]); 14] = [
    (
        "commands",
        &[
            "cli",
            "report",
            "export",
            "fleet",
            "pull",
            "paging",
            "shared_state",
            "profile",
            "auth",
            "api",
            "claim",
            "archive",
            "fhir",
        ],
    ),
    ("cli", &["export", "fleet", "profile", "auth", "claim"]),
    ("report", &["claim", "archive", "fhir"]),
    ("export", &["claim", "archive", "fhir"]),
    ("fleet", &["shared_state", "profile"]),
    ("pull", &["paging", "shared_state", "profile", "auth", "api", "claim", "archive", "fhir"]),
    ("paging", &["api", "fhir"]),
    ("shared_state", &["profile", "auth"]),
    ("profile", &["auth", "api", "archive"]),
    ("auth", &["api"]),
    ("api", &[]),
    ("claim", &["archive"]),
    ("archive", &["fhir"]),
    ("fhir", &[]),
];

#[test]
fn every_dependency_points_down() {
    let mut forbidden = BTreeSet::new();
    for (file, text) in sources() {
        let room = room_of(&file);
        // The program itself starts the commands.
        if matches!(room.as_str(), "main" | "lib") {
            continue;
        }
        let allowed = allowed(&room).unwrap_or_else(|| panic!("{}: put the room into the table above", file.display()));
        for used in rooms_used(&file, &text) {
            if used != room && !GROUND.contains(&used.as_str()) && !allowed.contains(&used.as_str()) {
                forbidden.insert(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn the_table_of_dependencies_has_no_cycle() {
    for (place, (room, allowed)) in ALLOWED.iter().enumerate() {
        for used in *allowed {
            let below = ALLOWED[place + 1..].iter().any(|(other, _)| other == used);
            assert!(below, "{room} may use {used}, which does not stand below it");
        }
    }
}

#[test]
fn uses_are_found_in_every_form() {
    let text = "use crate::{api::{client, problem}, error::Error};\n// crate::cli\nfn f() { crate::archive::g(super::super::pull::h()) }\n\
                #[cfg(test)]\nmod tests { use crate::commands; }";
    let found = rooms_used(Path::new("auth/store.rs"), text);
    assert_eq!(found, ["api", "archive", "error", "pull"].map(str::to_owned).into());
}

#[test]
fn both_maps_name_every_module() {
    let rooms: BTreeSet<String> =
        sources().keys().map(|file| room_of(file)).filter(|room| !matches!(room.as_str(), "main" | "lib")).collect();
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    assert_eq!(first_cells(&lib, "//! | [`"), rooms, "src/lib.rs");
    assert_eq!(first_cells(&page, "| `"), rooms, "docs/architecture.md");
}

/// The names in the first column of a table.
fn first_cells(text: &str, begin: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            line.strip_prefix(begin)?.split_once('`').map(|(name, _)| name.trim_end_matches('/').to_owned())
        })
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The source files, by their path below `src`.
fn sources() -> BTreeMap<PathBuf, String> {
    let src = root().join("src");
    let (mut dirs, mut found) = (vec![src.clone()], BTreeMap::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.insert(path.strip_prefix(&src).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn room_of(file: &Path) -> String {
    let first = file.iter().next().unwrap();
    Path::new(first).file_stem().unwrap().to_string_lossy().into_owned()
}

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    let of_ground = GROUND.contains(&room).then_some(&[][..]);
    ALLOWED.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed).or(of_ground)
}

/// The rooms that a file's own code names. Comments and the tests at its end do not count.
fn rooms_used(file: &Path, text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .map(|line| line.split("//").next().unwrap_or_default().trim().to_owned() + " ")
        .collect();
    // Enough `super`s lead to the crate.
    let is_its_rooms_own = file.file_name().is_some_and(|name| name == "mod.rs");
    let depth = file.iter().count() - usize::from(is_its_rooms_own);
    let code = code.replace(&"super::".repeat(depth), "crate::");
    code.split("crate::").skip(1).flat_map(first_names).collect()
}

/// The first name of each path after `crate::`.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut names, mut begin) = (0, Vec::new(), 0);
    for (place, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' if depth == 0 => {
                names.push(name(&group[begin..place]));
                begin = place + 1;
            }
            '}' if depth == 0 => {
                names.push(name(&group[begin..place]));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}
