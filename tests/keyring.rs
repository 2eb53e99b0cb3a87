//! Tokens in a real Secret Service: gnome-keyring in a separate D-Bus session.

use std::time::{Duration, Instant};

use crate::support::{
    assert_code, has_programs,
    secret_service::{self, Keyring},
    text,
};
use bluebutton_mock::{Mock, Options, Population};

fn mock() -> Mock {
    Mock::start(Options {
        auto_consent: true,
        seed: 3,
        records: Box::new(Population::new(3, 1, 20)),
        ..Options::default()
    })
    .unwrap()
}

#[test]
fn a_log_in_is_kept_in_the_keyring_renewed_there_and_forgotten() {
    if !secret_service::is_available() || !has_programs(&["curl", "secret-tool"]) {
        return;
    }
    let (mock, home) = (mock(), tempfile::tempdir().unwrap());
    let script = r#"
set -e
export BROWSER='curl -sSLo /dev/null'
"$BBDL" login --server "$URL" --client-id "$ID"
"$BBDL" login --server "$URL" --client-id "$ID" --profile second
test ! -e "$BBDL_HOME/tokens"
secret-tool search --all service bbdl > "$HOME/items" 2>&1
"$BBDL" fetch eob --out "$HOME/claims" --profile second
curl -sS -X POST -d '{"advance_seconds": 4000}' "$URL/__mock/clock"
"$BBDL" fetch eob --out "$HOME/claims" --profile second
"$BBDL" status --json
"$BBDL" logout --profile second
if "$BBDL" fetch eob --out "$HOME/claims" --profile second; then exit 1; else test $? = 78; fi
# Another home has another "default", although there is one keyring.
BBDL_HOME="$HOME/elsewhere" "$BBDL" login --server "$URL" --client-id "$ID"
BBDL_HOME="$HOME/elsewhere" "$BBDL" logout
if BBDL_HOME="$HOME/elsewhere" "$BBDL" fetch eob --out "$HOME/x"; then exit 1; else test $? = 78; fi
"$BBDL" logout --local
if secret-tool search --all service bbdl 2>/dev/null | grep -q secret; then exit 1; fi
"#;
    let environment = [("URL", mock.url()), ("ID", mock.client_id()), ("BBDL_CLIENT_SECRET", mock.client_secret())];
    let output = secret_service::run(Keyring::Unlocked, home.path(), script, &environment);
    assert_code(&output, 0, &[]);
    let items = std::fs::read_to_string(home.path().join("items")).unwrap();
    for name in ["default", "second"] {
        assert!(items.contains(name), "{items}");
    }
    assert!(text(&output.stdout).contains("\"token_store\":\"keyring\""));
    assert_eq!(crate::support::lines(&home.path().join("claims/ExplanationOfBenefit.ndjson")).len(), 20);
}

#[test]
fn without_a_keyring_the_error_names_the_cause_and_the_other_store() {
    let (mock, home) = (mock(), tempfile::tempdir().unwrap());
    let mut command = crate::support::bbdl(home.path());
    command
        .env_remove("BBDL_TOKEN_STORE")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .env("BBDL_CLIENT_SECRET", mock.client_secret())
        .args(["login", "--server", mock.url(), "--client-id", mock.client_id(), "--no-browser"]);
    let started = Instant::now();
    let output = crate::support::finished(command);
    assert_code(&output, 78, &[]);
    let said = text(&output.stderr);
    assert!(said.contains("keyring is not available") && said.contains("--token-store file"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(10));
    // The person was not asked anything, and nothing was stored as plain text.
    assert!(!said.contains("/o/authorize/") && !home.path().join("tokens").exists());
}

#[test]
fn a_locked_keyring_does_not_hang_an_unattended_run() {
    if !secret_service::is_available() {
        return;
    }
    let (mock, home) = (mock(), tempfile::tempdir().unwrap());
    let script = r#""$BBDL" login --server "$URL" --client-id "$ID" --no-browser --timeout 1 --json"#;
    let environment = [("URL", mock.url()), ("ID", mock.client_id()), ("BBDL_CLIENT_SECRET", mock.client_secret())];
    let started = Instant::now();
    let output = secret_service::run(Keyring::Locked, home.path(), script, &environment);
    assert_code(&output, 78, &[]);
    let said = text(&output.stdout);
    assert!(said.contains("token_store") && said.contains("locked"), "{said}");
    assert!(!text(&output.stderr).contains("/o/authorize/"), "asked the person although nothing could be kept");
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
}

#[test]
fn a_keyring_that_does_not_answer_does_not_hang_an_unattended_run() {
    if !secret_service::is_available() || !has_programs(&["curl"]) {
        return;
    }
    let (mock, home) = (mock(), tempfile::tempdir().unwrap());
    let script = r#"
BROWSER='curl -sSLo /dev/null' "$BBDL" login --server "$URL" --client-id "$ID" || exit 1
each kill -STOP
"$BBDL" fetch eob --out "$HOME/claims" --json
"#;
    let environment = [("URL", mock.url()), ("ID", mock.client_id()), ("BBDL_CLIENT_SECRET", mock.client_secret())];
    let output = secret_service::run(Keyring::Unlocked, home.path(), script, &environment);
    assert_code(&output, 78, &[]);
    assert!(text(&output.stdout).contains("did not answer within 10 seconds"), "{}", text(&output.stdout));
}

#[test]
fn no_daemon_is_left_behind() {
    if !secret_service::is_available() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let output = secret_service::run(Keyring::Unlocked, home.path(), "echo \"$DBUS_SESSION_BUS_ADDRESS\"", &[]);
    assert_code(&output, 0, &[]);
    let address = text(&output.stdout);
    let address = format!("DBUS_SESSION_BUS_ADDRESS={}", address.trim());
    let alive = || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == address.as_bytes())
        })
    };
    crate::support::until("no daemon of the session runs", || !alive());
}
