//! The docs are true: every shell command in README.md and docs/ is run, and generated files are up to date.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use bbdl::error::ErrorKind;

use crate::support::{Stage, assert_code, finished, has_programs, http, set_mode, text};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages with their `sh` blocks, one script per page. `.ci/run` runs the `cargo` commands.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(root().join("README.md"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let page = fs::read_to_string(&path).unwrap();
            let blocks = page.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
            let script = blocks.filter(|block| !block.starts_with("cargo ")).collect::<Vec<_>>().join("\n");
            (path, script)
        })
        .collect()
}

/// A script in place of `bbdl`, with the mock instead of CMS's servers and a free port instead of a fixed one.
const SHIM: &str = r#"#!/usr/bin/env bash
arguments=()
for argument in "$@"; do
  case $argument in
    --sandbox | --production) arguments+=(--server "$MOCK_URL") ;;
    http://localhost:8080/callback) arguments+=("$FIXED_REDIRECT") ;;
    *) arguments+=("$argument") ;;
  esac
done
# The rows of a web portal: those of the page's own log-ins.
if [[ "$*" == "profiles import rows.ndjson"* && ! -e rows.ndjson ]]; then
  "$REAL_BBDL" profiles export --with-tokens --out rows.ndjson 2> /dev/null
  jq -r .name rows.ndjson | xargs "$REAL_BBDL" profiles remove --yes > /dev/null 2>&1
fi
[[ ${BBDL_STATE-} != postgres://bbdl@db.example.org/bbdl ]] || BBDL_STATE=$STATE_URL
exec "$REAL_BBDL" "${arguments[@]}"
"#;

#[cfg(unix)]
#[test]
fn every_command_of_the_docs_works_as_written() {
    if !has_programs(&["bash", "curl", "git", "jq", "sqlite3"]) {
        return;
    }
    for (path, script) in pages().into_iter().filter(|(_, script)| !script.is_empty()) {
        let stage = Stage::new();
        let state = if script.contains("BBDL_STATE=") { Some(shared_state()) } else { None };
        if state == Some(None) {
            continue;
        }
        // A page that begins with a log-in starts without one.
        if !script.starts_with("bbdl login") {
            stage.log_in(&[]);
        }
        let bin = stage.home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("bbdl"), SHIM).unwrap();
        set_mode(&bin.join("bbdl"), 0o755);
        let checkout = stage.home.path().join("checkout");
        fs::create_dir(&checkout).unwrap();
        fs::rename(stage.secret_file(), checkout.join("client-secret")).unwrap();
        if script.contains("consents.ndjson") && !script.contains("> consents.ndjson") {
            let consents = http("POST", &format!("{}/__mock/consents", stage.mock.url()), &[], "");
            fs::write(checkout.join("consents.ndjson"), consents.body).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("bash");
        for (key, value) in stage.bbdl(&[]).get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        command
            .current_dir(&checkout)
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
            .env("REAL_BBDL", env!("CARGO_BIN_EXE_bbdl"))
            .env("MOCK_URL", stage.mock.url())
            .env("FIXED_REDIRECT", format!("http://127.0.0.1:{port}/callback"))
            .env("CLIENT_ID", stage.mock.client_id())
            .env("STATE_URL", state.flatten().unwrap_or_default())
            .env("BROWSER", "curl -sSLo /dev/null")
            .args(["-euo", "pipefail", "-c", &script]);
        assert_code(&finished(command), 0, &[&path.display().to_string(), &script]);
        assert_eq!(left_for_git(&checkout), "", "{}: .gitignore lets these into a commit", path.display());
    }
}

/// The address of a database for `--state`; none if PostgreSQL is not installed.
#[cfg(unix)]
fn shared_state() -> Option<String> {
    #[cfg(feature = "postgres")]
    return crate::support::postgres::database().map(|database| database.url());
    #[cfg(not(feature = "postgres"))]
    None
}

/// What git would add to a commit in a checkout in which the commands of a page were run.
fn left_for_git(checkout: &Path) -> String {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(checkout).args(arguments);
        let output = finished(command);
        assert_code(&output, 0, arguments);
        text(&output.stdout)
    };
    git(&["init", "--quiet"]);
    fs::copy(root().join(".gitignore"), checkout.join(".git/info/exclude")).unwrap();
    git(&["status", "--porcelain"])
}

/// The README, `bbdl --help` and packages give the same address for the repository.
#[test]
fn the_readme_names_the_repository_of_cargo_toml() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let command = format!("cargo install --locked --git {} bbdl", env!("CARGO_PKG_REPOSITORY"));
    assert!(readme.contains(&command), "{command}");
}

/// CMS's terms of service ask for this sentence, word for word, "prominently within the application".
#[test]
fn the_notice_of_cms_is_shown_where_its_terms_require() {
    const NOTICE: &str = "This product uses the Blue Button APIs but is not endorsed or certified by the Centers for \
        Medicare & Medicaid Services or the U.S. Department of Health and Human Services.";
    // A terminal wraps it, but the words and their order stay.
    let has = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").contains(NOTICE);
    let stage = Stage::claims(3);
    assert!(has(&stage.expect(0, &["--help"])), "bbdl --help");
    assert!(has(&fs::read_to_string(root().join("README.md")).unwrap()), "README.md");
    let output = stage.log_in_with(stage.login_command(&[]));
    assert!(has(&text(&output.stderr)), "bbdl login");
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.expect(0, &["report", "claims", "--output", "page.html"]);
    let page = fs::read_to_string(stage.home.path().join("page.html")).unwrap();
    let footer = page.split("<footer>").nth(1).and_then(|rest| rest.split("</footer>").next()).unwrap();
    assert!(has(&footer.replace("&amp;", "&")), "bbdl report");
}

#[test]
fn links_between_the_pages_work() {
    for (path, _) in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.contains("://") && !file.is_empty() {
                assert!(path.parent().unwrap().join(file).exists(), "{}: {link}", path.display());
            }
        }
    }
}

/// Completions and man pages are committed as the binary generates them. `BBDL_UPDATE=1 cargo test docs` updates
/// them.
#[test]
fn completions_and_man_pages_are_fresh() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = crate::support::bbdl(home.path());
        command.env_remove("BBDL_TOKEN_STORE").env_remove("BBDL_RETRY_DELAY").args(arguments);
        let output = finished(command);
        assert_code(&output, 0, arguments);
        text(&output.stdout)
    };
    let mut made: Vec<(PathBuf, String)> = Vec::new();
    for (shell, file) in [
        ("bash", "bbdl.bash"),
        ("zsh", "_bbdl"),
        ("fish", "bbdl.fish"),
        ("powershell", "_bbdl.ps1"),
        ("elvish", "bbdl.elv"),
    ] {
        made.push((root().join("completions").join(file), run(&["completions", shell])));
    }
    run(&["man", "pages"]);
    for entry in fs::read_dir(home.path().join("pages")).unwrap().flatten() {
        let page = fs::read_to_string(entry.path()).unwrap();
        made.push((root().join("docs/man").join(entry.file_name()), page));
    }
    assert!(made.len() > 10);
    for (path, text) in made {
        if std::env::var_os("BBDL_UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        // Without printing the two texts, which no one wants to read.
        assert!(kept == text, "{} is stale: BBDL_UPDATE=1 cargo test --test docs", path.display());
    }
}

/// The installed shells accept the completions (bash is in `tests/machine.rs`; elvish has its editor only on a
/// terminal, and PowerShell is not in any registry that this project uses).
#[test]
fn zsh_and_fish_accept_the_completions() {
    let home = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_bbdl")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let zsh = "autoload -Uz compinit; compinit -u -d dump; source $COMPLETIONS/_bbdl; whence -w ${_comps[bbdl]}";
    let fish = "source $COMPLETIONS/bbdl.fish; complete -C 'bbdl fet'; complete -C 'bbdl fetch --type car'";
    for (shell, flags, script, said) in [
        ("zsh", "-f", zsh, &["_clap_dynamic_completer_bbdl: function"][..]),
        ("fish", "-N", fish, &["fetch\tDownload claims", "carrier\tDoctors"]),
    ] {
        if !has_programs(&[shell]) {
            continue;
        }
        let mut command = Command::new(shell);
        command.args([flags, "-c", script]).env("PATH", &path).env("HOME", home.path()).current_dir(home.path());
        command.env("COMPLETIONS", root().join("completions"));
        let output = finished(command);
        assert_code(&output, 0, &[shell]);
        let found = text(&output.stdout);
        assert!(said.iter().all(|words| found.contains(words)), "{shell}: {found}");
    }
}

#[test]
fn help_fits_and_names_every_variable() {
    let home = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| {
        let mut command = crate::support::bbdl(home.path());
        let output = finished({
            command.args(arguments);
            command
        });
        assert_code(&output, 0, arguments);
        text(&output.stdout)
    };
    let login = help(&["login", "--help"]);
    for name in [
        "PROFILE",
        "CONFIG",
        "TOKEN_STORE",
        "TOKEN_STORE_COMMAND",
        "JSON",
        "QUIET",
        "VERBOSE",
        "NO_PROGRESS",
        "NO_INPUT",
        "COLOR",
        "CA_CERT",
        "API",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "CLIENT_SECRET_FILE",
        "REDIRECT_URI",
        "NO_BROWSER",
        "MANUAL",
        "SCOPE",
        "LANG",
        "TIMEOUT",
        "SERVER",
        "SANDBOX",
        "PRODUCTION",
    ] {
        assert!(login.contains(&format!("BBDL_{name}")), "BBDL_{name}");
    }
    assert!(help(&["--version"]).starts_with("bbdl "));
    // The short help of each command fits on a screen of 80 columns and 31 lines (35 for bbdl itself), and shows how
    // to use the command.
    let commands = help(&["-h"]);
    let commands = commands.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = commands.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help").map(Some).chain([None]) {
        let mut command = crate::support::bbdl(home.path());
        command.env("COLUMNS", "80").args(name).arg("-h");
        let output = finished(command);
        assert_code(&output, 0, &["-h"]);
        let short = text(&output.stdout);
        let most = if name.is_some() { 31 } else { 35 };
        assert!(short.lines().count() <= most && short.contains("\nExamples:\n"), "{name:?}: {short}");
        assert!(short.lines().all(|line| line.chars().count() <= 80), "{name:?}: {short}");
    }
    // What is not there is in the long help.
    assert!(!help(&["fetch", "-h"]).contains("--retry-delay") && help(&["fetch", "--help"]).contains("--retry-delay"));
}

/// What the docs show of a program in another language is part of a program that the tests run.
#[test]
fn snippets_come_from_programs_that_are_run() {
    let mut shown = 0;
    for (path, _) in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for (fence, programs) in [
            ("```python\n", &["tests/sdk/client.py", "docs/examples/read.py", "docs/examples/read_many.py"][..]),
            ("```js\n", &["tests/sdk/client.mjs"]),
        ] {
            let squeezed = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
            let program: String =
                programs.iter().map(|program| squeezed(&fs::read_to_string(root().join(program)).unwrap())).collect();
            for snippet in text.split(fence).skip(1).map(|rest| rest.split("```").next().unwrap()) {
                assert!(program.contains(squeezed(snippet).trim()), "{}:\n{snippet}", path.display());
                shown += 1;
            }
        }
    }
    assert!(shown >= 5);
}

/// The list of error kinds is generated from the enum, so a new kind appears in it with its exit code.
#[test]
fn the_list_of_error_kinds_is_fresh() {
    let path = root().join("docs/exit-codes.md");
    let page = fs::read_to_string(&path).unwrap();
    let rows: String = ErrorKind::ALL
        .iter()
        .map(|kind| format!("| `{}` | {} | {} |\n", kind.name(), kind.exit().code(), kind.meaning()))
        .collect();
    let (before, rest) = page.split_once("| kind | code | meaning |\n| --- | --- | --- |\n").unwrap();
    let after = rest.find("\n\n").map(|end| &rest[end + 1..]).unwrap();
    let fresh = format!("{before}| kind | code | meaning |\n| --- | --- | --- |\n{rows}{after}");
    if std::env::var_os("BBDL_UPDATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), fresh, "BBDL_UPDATE=1 cargo test docs makes it anew");
}
