//! The sources of packages: the Dockerfile and the files that it gets.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{assert_code, finished};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies what `.dockerignore` allows into the context of a build: nothing except the paths with `!`.
fn docker_context(to: &Path) {
    let rules = fs::read_to_string(repository().join(".dockerignore")).unwrap();
    let mut rules = rules.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"), "everything is left out first");
    for rule in rules {
        let path = rule.strip_prefix('!').unwrap_or_else(|| panic!("{rule}: this test knows only paths with !"));
        copy(&repository().join(path), &to.join(path));
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap_or_else(|cause| panic!("{}: {cause}", from.display()));
    }
}

/// The files that a source includes with `include_str!`, except those for its tests.
fn included(source: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(source).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    let names = text.split("include_str!(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    names.map(|name| source.parent().unwrap().join(name)).collect()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn a_container_is_built_from_files_that_are_there() {
    let context = tempfile::tempdir().unwrap();
    let context = context.path();
    docker_context(context);
    // Cargo refuses a manifest that names targets or members without files.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--locked", "--offline", "--no-deps"]).current_dir(context);
    assert_code(&finished(cargo), 0, &["cargo metadata"]);
    let all: Vec<PathBuf> = ["src", "crates"].iter().flat_map(|dir| sources(&context.join(dir))).collect();
    let needed: Vec<PathBuf> = all.iter().flat_map(|source| included(source)).collect();
    assert!(needed.len() > 4, "{needed:?}");
    for path in needed {
        assert!(path.exists(), "{} is included, but not in the context", path.display());
    }
    // The image cannot contain health data or secrets.
    for name in ["target", "demo", "claims", "client-secret", ".git"] {
        assert!(!context.join(name).exists(), "{name}");
    }
}

#[test]
fn the_dockerfile_copies_the_program_that_it_builds() {
    let text = fs::read_to_string(repository().join("packaging/Dockerfile")).unwrap();
    let line =
        |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("{start}"));
    assert_eq!(line("COPY . "), ".");
    let profile = line("RUN cargo build --profile ").split(' ').next().unwrap();
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("\n[profile.{profile}]\n")), "{profile}");
    let source = line("COPY --from=build ").split(' ').next().unwrap();
    assert_eq!(source, format!("{}/target/{profile}/bbdl", line("WORKDIR ")));
}
