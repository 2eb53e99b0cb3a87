//! Links, pipes, sockets and directories in place of each file that bbdl opens: nothing hangs, their targets are not
//! read, changed or created, and each failure names its cause.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
};

use super::{EOB, FETCH, error_of, said, soon};
use crate::support::{Setting, Stage, assert_code, text};

const PRECIOUS: &str = "{\"refresh_token\":\"hush\"}";

/// What is put in a file's place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plant {
    Link,
    Dangling,
    Twin,
    Pipe,
    Socket,
    Directory,
    Device,
}

const PLANTS: [Plant; 7] =
    [Plant::Link, Plant::Dangling, Plant::Twin, Plant::Pipe, Plant::Socket, Plant::Directory, Plant::Device];

impl Plant {
    fn put(self, home: &Path, path: &Path) {
        let _ = fs::remove_file(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Self::Link => symlink(home.join("precious"), path).unwrap(),
            Self::Dangling => symlink(home.join("made by following"), path).unwrap(),
            Self::Twin => fs::hard_link(home.join("precious"), path).unwrap(),
            Self::Pipe => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            Self::Socket => drop(UnixListener::bind(path).unwrap()),
            Self::Directory => fs::create_dir(path).unwrap(),
            Self::Device => symlink("/dev/zero", path).unwrap(),
        }
    }

    fn remove(path: &Path) {
        let _ = fs::remove_dir(path);
        let _ = fs::remove_file(path);
    }
}

fn stage() -> Stage {
    let stage = Stage::logged_in(Setting { claims: 60, ..Setting::default() });
    stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
    fs::write(stage.home.path().join("precious"), PRECIOUS).unwrap();
    stage
}

/// The files that bbdl opens, and a command that opens each one.
const FILES: [(&str, &[&str]); 24] = [
    ("claims/manifest.json", &FETCH),
    ("claims/manifest.json", &["verify", "claims", "--json"]),
    ("claims/manifest.json", &["export", "claims", "--to", "csv", "--output", "tables", "--json"]),
    ("claims/ExplanationOfBenefit.ndjson", &["verify", "claims", "--json"]),
    ("claims/ExplanationOfBenefit.ndjson", &["report", "claims", "--output", "x.html", "--json"]),
    ("claims/ExplanationOfBenefit.ndjson", &FETCH),
    ("claims/UserInfo.json", &["verify", "claims", "--json"]),
    ("claims/UserInfo.json", &["fetch", "userinfo", "--out", "claims", "--json"]),
    ("claims/.bbdl/lock", &FETCH),
    ("claims/.bbdl/commit.json", &FETCH),
    ("claims/.bbdl/commit.json", &["verify", "claims", "--json"]),
    ("claims/.bbdl/catalog/ExplanationOfBenefit", &FETCH),
    ("claims/.bbdl/partial/ExplanationOfBenefit.journal", &FETCH),
    ("profiles/default.json", &FETCH),
    ("locks/default.lock", &FETCH),
    ("tokens/default.json", &FETCH),
    ("profiles/default.json", &["status", "--json"]),
    ("locks/default.profile-lock", &FETCH),
    ("archives/default.json", &["purge", "--yes", "--json"]),
    ("archives/default.json", &["logout", "--local", "--json"]),
    ("claims/changes", &["fetch", "eob", "--out", "claims", "--json", "--full"]),
    ("claims/pages", &["fetch", "eob", "--out", "claims", "--json", "--format", "json"]),
    ("manual/bbdl.1", &["man", "manual"]),
    ("config.toml", &["status", "--json"]),
];

#[test]
fn planted_links_and_pipes_are_not_followed() {
    let stage = stage();
    let home = stage.home.path();
    let good = home.join("good");
    let copied = |from: &str, to: &Path| {
        assert_code(
            &super::run_line(&stage, &format!("cp -a '{}' '{}'", home.join(from).display(), to.display())),
            0,
            &[],
        );
    };
    fs::create_dir(&good).unwrap();
    for name in ["claims", "profiles", "locks", "tokens"] {
        copied(name, &good.join(name));
    }
    for (file, command) in FILES {
        for plant in PLANTS {
            for name in ["claims", "profiles", "locks", "tokens"] {
                fs::remove_dir_all(home.join(name)).unwrap();
                copied(&format!("good/{name}"), &home.join(name));
            }
            stage.control("POST", "claims", r#"{"add": 1}"#);
            let path = home.join(file);
            // `config.toml` belongs to the person, who may keep it elsewhere.
            if file == "config.toml" && matches!(plant, Plant::Link | Plant::Dangling | Plant::Twin) {
                continue;
            }
            plant.put(home, &path);
            let output = soon(stage.bbdl(command));
            let output = output.unwrap_or_else(|| panic!("{command:?} hangs at {plant:?} as {file}"));
            let what = format!("{plant:?} as {file}, {command:?}: {}", said(&output));
            assert!(matches!(output.status.code(), Some(0 | 65 | 74 | 77 | 78)), "{what}");
            if output.status.code() != Some(0) {
                assert!(text(&output.stderr).contains("next: ") || text(&output.stdout).contains("problems"), "{what}");
            }
            assert_eq!(fs::read_to_string(home.join("precious")).unwrap(), PRECIOUS, "{what}");
            assert!(!home.join("made by following").exists(), "{what}");
            assert!(!what.contains("hush"), "{what}");
            Plant::remove(&path);
        }
    }
}

#[test]
fn each_planted_file_is_named_as_the_cause() {
    let stage = stage();
    let home = stage.home.path().to_owned();
    let at = |file: &str, plant: Plant| -> PathBuf {
        let path = home.join(file);
        fs::rename(&path, home.join("away")).unwrap();
        plant.put(&home, &path);
        path
    };
    for (file, plant, code, kind, cause, typed) in [
        ("claims/manifest.json", Plant::Pipe, 74, "disk", "a pipe", "rm "),
        ("claims/manifest.json", Plant::Link, 74, "disk", "symbolic link", "rm "),
        ("claims/.bbdl/lock", Plant::Link, 74, "disk", "symbolic link", "rm "),
        ("claims/.bbdl/lock", Plant::Twin, 74, "disk", "hard link", "cp -p "),
        ("profiles/default.json", Plant::Pipe, 74, "disk", "a pipe", "rm "),
        ("tokens/default.json", Plant::Pipe, 78, "token_store", "a pipe", "bbdl login"),
        ("tokens/default.json", Plant::Twin, 78, "token_store", "hard link", "bbdl login"),
    ] {
        let path = at(file, plant);
        let output = soon(stage.bbdl(&FETCH)).unwrap_or_else(|| panic!("{plant:?} as {file} hangs"));
        assert_code(&output, code, &[file]);
        let error = error_of(&output);
        assert_eq!(error["kind"], kind, "{file}: {error}");
        assert!(error["message"].as_str().unwrap().contains(cause), "{file}: {error}");
        assert!(error["hint"].as_str().unwrap().contains(typed), "{file}: {error}");
        Plant::remove(&path);
        fs::rename(home.join("away"), &path).unwrap();
    }
    let pipe = home.join("config.toml");
    Plant::Pipe.put(&home, &pipe);
    let output = soon(stage.bbdl(&["status", "--json"])).expect("a pipe as config.toml hangs");
    assert_code(&output, 78, &["config.toml"]);
    assert!(error_of(&output)["message"].as_str().unwrap().contains("a pipe"), "{}", said(&output));
    Plant::remove(&pipe);
    stage.expect(0, &FETCH);
}

/// A manifest names files. None of them may lead out of the archive.
#[test]
fn a_manifest_cannot_name_files_outside_the_archive() {
    let stage = stage();
    let out = stage.out();
    stage.control("POST", "claims", r#"{"add": 1}"#);
    stage.expect(0, &FETCH);
    let manifest = out.join("manifest.json");
    let good = fs::read_to_string(&manifest).unwrap();
    let changes = good.split('"').find(|text| text.starts_with("changes/")).unwrap().to_owned();
    for elsewhere in ["../precious", "/etc/passwd", "changes/../../precious", "pages/../../precious", ""] {
        fs::write(&manifest, good.replace(&changes, elsewhere)).unwrap();
        let output = soon(stage.bbdl(&["report", "claims", "--output", "x.html", "--json"])).unwrap();
        assert_code(&output, 65, &[elsewhere]);
        assert_eq!(error_of(&output)["kind"], "manifest", "{elsewhere}");
    }
    fs::write(&manifest, good).unwrap();
    stage.expect(0, &["report", "claims", "--output", "x.html"]);
    assert!(out.join(EOB).exists());
}

#[test]
fn a_configuration_may_be_a_link_but_not_world_writable() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    let home = stage.home.path();
    fs::create_dir(home.join("dotfiles")).unwrap();
    let file = home.join("dotfiles/config.toml");
    fs::write(&file, "quiet = true\n").unwrap();
    symlink(&file, home.join("config.toml")).unwrap();
    stage.expect(0, &["status"]);
    stage.expect(0, &["status", "--config", "/dev/null"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let error = stage.expect_json(78, &["status", "--json"]);
    assert!(error["error"]["hint"].as_str().unwrap().contains("chmod o-w "), "{error}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let open = home.join("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("bbdl.toml"), "quiet = true\n").unwrap();
    for (mode, code) in [(0o777, 78), (0o1777, 0), (0o755, 0)] {
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        stage.expect(code, &["status", "--config", "open/bbdl.toml"]);
    }
}
