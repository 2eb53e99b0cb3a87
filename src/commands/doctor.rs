//! `bbdl doctor`: finds problems before they matter, and says what to do about them.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use reqwest::header::DATE;
use serde::Serialize;
use serde_json::json;

#[cfg(feature = "postgres")]
use crate::shared_state::schema::SchemaState;
use crate::{
    api::{
        client::network_words,
        endpoints::Server,
        http_date,
        proxy::{self, Named},
        setup_problem::SetupProblem,
    },
    auth::{backend_health::Health, store::StoreKind},
    cli::Doctor,
    commands::{Context, shared_state},
    error::{DOCS, Error, ErrorKind, Result, in_words, sanitized},
    files::{path_text::typed, private_dir},
    origin::PRODUCTION,
    profile::{Profile, ProfileName},
    runtime::block_on,
};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One check with its result.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// What to do, if there is a problem.
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), fix: String::new() }
    }

    fn warn(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Warn, found: found.into(), fix: fix.into() }
    }

    fn fail(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Fail, found: found.into(), fix: fix.into() }
    }
}

/// Runs the command.
///
/// # Errors
/// [`crate::error::Exit::NotSetUp`] if a check failed.
pub(crate) fn run(context: &Context, args: &Doctor) -> Result<()> {
    if context.profile_is_named && !shared_state::is_named(context, &args.shared) {
        match Profile::must_exist(&context.paths, &context.profile) {
            Err(error) if error.kind != ErrorKind::NoProfile => {}
            there => drop(there?),
        }
    }
    let mut findings = vec![loopback(), browser(), proxies()];
    findings.extend(context.paths.private_dirs().iter().filter_map(|dir| directory(dir)));
    let names = context.paths.profiles()?;
    let of_state = of_shared_state(context, args);
    let is_shared = !of_state.is_empty();
    findings.extend(of_state);
    if names.is_empty() && !is_shared {
        findings.push(Finding::warn("log-in", "there is none", "bbdl login --sandbox  (or --production)"));
        let kind = context.token_store.or(context.config.token_store).unwrap_or_default();
        let tokens = store(context, kind, &context.profile);
        // The store cannot be used, so it holds nothing of this person yet, and another one can still be chosen.
        let state = if tokens.state == State::Fail { State::Warn } else { tokens.state };
        findings.push(Finding { state, ..tokens });
    }
    let mut servers: Vec<Server> = Vec::new();
    for name in &names {
        match Profile::load(&context.paths, name) {
            Ok(None) => {}
            Ok(Some(profile)) => {
                findings.push(store(context, context.token_store.unwrap_or(profile.token_store), name));
                findings.extend(grant(name, &profile));
                for archive in &profile.archives {
                    findings.extend(directory(&archive.out));
                    findings.extend(free_space(&archive.out));
                }
                // Each version has its own back end.
                if !servers.contains(&profile.server()) {
                    findings.extend(server(context, &profile.server())?);
                    servers.push(profile.server());
                }
            }
            Err(error) => findings.push(Finding::fail("log-in", error.message, error.hint)),
        }
    }
    let failed = findings.iter().filter(|finding| finding.state == State::Fail).count();
    if context.output.json() {
        context.output.result_json(&json!({"ok": failed == 0, "findings": findings}));
    } else {
        for Finding { check, state, found, fix } in &findings {
            let state = match state {
                State::Ok => "ok",
                State::Warn => "warn",
                State::Fail => "FAIL",
            };
            let fix = if fix.is_empty() { String::new() } else { format!("\n      next: {fix}") };
            context.output.result(format!("{state:4}  {check}: {found}{fix}"));
        }
    }
    if failed == 0 {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Doctor, format!("{failed} of {} checks failed", findings.len()))
        .hint("See above for what to do about each.");
    Err(if context.output.json() { error.already_reported() } else { error })
}

/// Whether the shared state can be used, if one is named.
#[cfg(feature = "postgres")]
fn of_shared_state(context: &Context, args: &Doctor) -> Vec<Finding> {
    let check = "shared state";
    let mut findings = Vec::new();
    match shared_state::look(context, &args.shared) {
        Ok(None) => return findings,
        Err(error) => findings.push(Finding::fail(check, error.message, error.hint)),
        Ok(Some(look)) => {
            let address = &look.address;
            findings.push(match look.schema {
                SchemaState::Current => Finding::ok(check, format!("{address} answers, and its tables are up to date")),
                SchemaState::Missing => {
                    let found = format!("{address} answers, and has no tables of bbdl's yet");
                    Finding::warn(check, found, "Make them with the first import: bbdl profiles import FILE")
                }
                SchemaState::Older(version) => {
                    let found = format!("{address} answers, and its tables have the older version {version}");
                    Finding::warn(check, found, "The next fetch or import brings them up to date.")
                }
                SchemaState::Newer(version) => {
                    let found = format!("{address} has tables of a newer bbdl (version {version})");
                    Finding::fail(check, found, "Use the newest bbdl on all machines.")
                }
            });
            let missing = look.sealed.as_ref().map_or(0, |sealed| sealed.with_missing_keys);
            let older = look.sealed.as_ref().map_or(0, |sealed| sealed.with_older_keys) - missing;
            findings.push(match look.has_key {
                Ok(true) if missing > 0 => Finding::fail(
                    "state key",
                    format!("the key that is given does not open {}", crate::output::counted(missing.unsigned_abs(), "log-in")),
                    "Use the key with which they were imported. If it was changed, the older key belongs on the second line of the key file.",
                ),
                Ok(true) => Finding::ok("state key", "there is one"),
                Ok(false) => Finding::fail(
                    "state key",
                    "none is given",
                    "Name its file with --state-key-file, or set BBDL_STATE_KEY or BBDL_STATE_KEY_COMMAND.",
                ),
                Err(error) => Finding::fail("state key", error.message, error.hint),
            });
            if older > 0 {
                let are = if older == 1 { "is" } else { "are" };
                let found = format!(
                    "{} {are} sealed with an older key",
                    crate::output::counted(older.unsigned_abs(), "log-in")
                );
                findings.push(Finding::warn("state key", found, "Keep the older key in the key file until this is 0."));
            }
        }
    }
    match shared_state::waiting(context) {
        Err(error) => findings.push(Finding::fail(check, error.message, error.hint)),
        Ok((_, 0)) => {}
        Ok((dir, waiting)) => {
            let found = format!("{waiting} renewed log-ins wait in {} for their database", dir.display());
            let next = "The next fetch on this machine with the same --state brings them there.";
            findings.push(Finding::warn(check, found, next));
        }
    }
    findings
}

#[cfg(not(feature = "postgres"))]
fn of_shared_state(context: &Context, args: &Doctor) -> Vec<Finding> {
    let none = shared_state::none(context, &args.shared);
    none.err().map(|error| Finding::fail("shared state", error.message, error.hint)).into_iter().collect()
}

/// A log-in needs a loopback port on this machine.
fn loopback() -> Finding {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        Ok(_) => Finding::ok("redirect listener", "a port on 127.0.0.1 is free"),
        Err(cause) => Finding::fail(
            "redirect listener",
            format!("no port on 127.0.0.1: {}", in_words(&cause)),
            "Log in with --manual, which asks for the address where the browser ended up.",
        ),
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn browser() -> Finding {
    let has_screen = !cfg!(all(unix, not(target_os = "macos"))) || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    if is_set("BROWSER") || has_screen {
        return Finding::ok(
            "browser",
            if is_set("BROWSER") { "named by BROWSER" } else { "this machine has a screen to show one" },
        );
    }
    Finding::warn(
        "browser",
        "this machine has no screen, and BROWSER is not set",
        format!(
            "Log in with --no-browser, open the address in a browser on any machine, and paste the address that the browser ends up at into the terminal. More: {DOCS}/logging-in.md"
        ),
    )
}

fn proxies() -> Finding {
    let Some(named) = Named::here() else {
        return match proxy::named_by_the_system(PRODUCTION) {
            Some(proxy) => Finding::ok(
                "proxy",
                format!("the system's settings name {proxy}: bbdl connects to the server through it"),
            ),
            None => Finding::ok("proxy", "none: bbdl connects to the server directly"),
        };
    };
    if let Err(why) = named.url() {
        let error = named.refused(why);
        return Finding::fail("proxy", error.message, error.hint);
    }
    let name = named.variable;
    match named.exceptions.as_ref().filter(|_| named.leaves_out("api.bluebutton.cms.gov")) {
        Some((except, _)) => {
            Finding::ok("proxy", format!("{name} is set, but {except} excludes CMS: bbdl connects directly"))
        }
        None => Finding::ok("proxy", format!("{name} is set: bbdl connects to the server through it")),
    }
}

/// Whether others can read the directories of tokens and records.
fn directory(dir: &Path) -> Option<Finding> {
    let real = std::fs::canonicalize(dir).ok()?;
    let metadata = std::fs::symlink_metadata(&real).ok()?;
    if let Some(exposure) = private_dir::exposure_of(&metadata) {
        let error = exposure.into_error(&real);
        return Some(Finding::fail("permissions", error.message, error.hint));
    }
    if let Some(mode) = private_dir::usable_by_others(&metadata) {
        return Some(Finding::warn(
            "permissions",
            format!("others can read {} ({mode:03o})", dir.display()),
            format!("chmod 700 {}", typed(dir)),
        ));
    }
    let probe = tempfile::Builder::new().prefix(".bbdl-").suffix(".tmp").tempfile_in(dir);
    Some(match probe {
        // Windows has access lists, and no maintained crate reads them without unsafe code.
        Ok(_) if cfg!(windows) => Finding::ok(
            "permissions",
            format!("{0} is writable. bbdl cannot tell who else may read it; this can: icacls \"{0}\"", dir.display()),
        ),
        Ok(_) => Finding::ok("permissions", format!("{} is private and writable", dir.display())),
        Err(cause) => Finding::fail(
            "permissions",
            format!("{} is not writable: {}", dir.display(), in_words(&cause)),
            "Make it yours, or set BBDL_HOME to another directory.",
        ),
    })
}

/// A first pull for a person with many years of Medicare has some hundred megabytes, and twice that while it is put
/// in place.
#[cfg(unix)]
fn free_space(dir: &Path) -> Option<Finding> {
    const LITTLE: u64 = 1 << 30;
    let system = rustix::fs::statvfs(dir).ok()?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let found = format!("{} free for {}", crate::output::size(free), dir.display());
    Some(if free < LITTLE {
        Finding::warn("free space", found, "Free some space, or fetch into a directory on another disk.")
    } else {
        Finding::ok("free space", found)
    })
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<Finding> {
    None
}

/// Whether the token store answers, and has the tokens that a profile needs.
fn store(context: &Context, kind: StoreKind, name: &ProfileName) -> Finding {
    let what = format!("{} store, profile {name}", kind);
    match context.store(kind).load(name.as_str()) {
        Ok(Some(_)) => Finding::ok("tokens", format!("{what}: the tokens are there")),
        Ok(None) => Finding::warn("tokens", format!("{what}: none"), format!("bbdl login --profile {name}")),
        Err(cause) => Finding::fail("tokens", format!("{what}: {}", sanitized(&cause.to_string())), cause.hint()),
    }
}

/// Whether the log-in is over, and how long the consent lasts.
fn grant(name: &ProfileName, profile: &Profile) -> Option<Finding> {
    const SOON: i64 = 30 * 24 * 3600;
    if let Some(ended) = profile.ended {
        let since = ended.at.strftime("%Y-%m-%d");
        let found = format!("{name}: ended ({}; known since {since})", ended.kind.words());
        return Some(Finding::fail("consent", found, profile.login_command(name)));
    }
    let until = profile.grant.grant_expires?;
    let left = until.as_second() - Timestamp::now().as_second();
    let day = until.strftime("%Y-%m-%d");
    let again = profile.login_command(name);
    Some(if left <= 0 {
        Finding::fail("consent", format!("{name}: ended on {day}"), again)
    } else if left < SOON {
        Finding::warn("consent", format!("{name}: until {day}"), again)
    } else {
        Finding::ok("consent", format!("{name}: until {day}"))
    })
}

/// Whether the server answers over trusted TLS, and whether its clock agrees with ours.
fn server(context: &Context, server: &Server) -> Result<Vec<Finding>> {
    const DRIFT: i64 = 120;
    const PATIENCE: Duration = Duration::from_secs(15);
    let origin = server.origin().to_string();
    let connections = match context.connections(server.origin()) {
        Ok(connections) => connections,
        // A problem with the proxy has its own finding.
        Err(error) if error.kind == ErrorKind::Proxy => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let asked = block_on(async {
        Ok(match connections.look(server.backend_health(), PATIENCE).await {
            Ok(response) => {
                let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
                Ok((date, Health::of_response(server.api(), response).await))
            }
            Err(cause) => Err(cause),
        })
    })?;
    let (date, health) = match asked {
        Ok(answer) => answer,
        Err(cause) => {
            if let Some(missing) = SetupProblem::of(&cause) {
                let error = missing.into_error();
                return Ok(vec![Finding::fail("server", format!("{origin}: {}", error.message), error.hint)]);
            }
            let fix = "Check the network, HTTPS_PROXY, --ca-cert and the system's certificates; then whether the address is right.";
            return Ok(vec![Finding::fail("server", format!("{origin}: {}", network_words(&cause)), fix)]);
        }
    };
    let api = server.api();
    let mut findings = vec![match health {
        Health::Well => Finding::ok("server", format!("{origin} answers, and its database for {api} works")),
        Health::Failing(why) => Finding::warn(
            "server",
            format!("{origin} answers, but its database for {api} is failing ({why})"),
            "Try again later.",
        ),
        Health::NotSetUp(missing) => {
            let error = missing.into_error();
            return Ok(vec![Finding::fail("server", format!("{origin}: {}", error.message), error.hint)]);
        }
        Health::NotTheServer(why) => {
            return Ok(vec![Finding::fail(
                "server",
                format!("something else answers instead of {origin} ({why}): a Wi-Fi log-in page or a proxy?"),
                "Open any page in a browser to see what is in the way; then check whether the address is right.",
            )]);
        }
    }];
    let date = date.as_deref().and_then(http_date::parse);
    if let Some(date) = date {
        let drift = (Timestamp::now().as_second() - date.as_second()).abs();
        findings.push(if drift > DRIFT {
            Finding::warn("clock", format!("{drift} seconds from {origin}'s"), "Set this machine's clock.")
        } else {
            Finding::ok("clock", "the same as the server's")
        });
    }
    Ok(findings)
}
