//! What a log-in needs, decided before the person is asked to consent: from flags, environment, configuration and the
//! earlier profile.

use std::{path::Path, sync::Arc, time::Duration};

use super::{client, store_log_in};
use crate::{
    api::endpoints::Server,
    auth::{
        authorization::default_scopes,
        redirect::{self, RedirectUri},
        store::{StoreKind, TokenStore},
        token_endpoint::App,
    },
    cli::{Lang, Login},
    commands::Context,
    error::{Error, Result},
    files::path_text::{quoted, typed},
    origin::{Origin, PRODUCTION, server_named},
    profile::{Profile, ProfileName, TakenNames, config_file::LoginDefaults, login_command},
};

/// Longer than CMS's own pages last (600 s for the consent) plus the time in which a log-in code arrives.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Everything that a log-in needs, from flags, environment, configuration and the earlier profile.
pub(super) struct Plan {
    pub(super) name: ProfileName,
    pub(super) server: Server,
    pub(super) app: App,
    pub(super) store_kind: StoreKind,
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) redirect_given: Option<String>,
    pub(super) redirect: RedirectUri,
    pub(super) scopes: Vec<String>,
    pub(super) lang: Option<&'static str>,
    pub(super) browser: bool,
    pub(super) manual: bool,
    /// Whether there is already a profile with this name.
    pub(super) has_past: bool,
    /// Whether another person may take over the profile.
    pub(super) replace: bool,
    pub(super) patience: Duration,
    /// Options that no profile has stored yet, each with a space before it.
    given: String,
}

impl Plan {
    pub(super) fn settle(context: &Context, args: Login) -> Result<Self> {
        let name = context.profile.clone();
        let before = Profile::load(&context.paths, &name)?;
        if before.is_none() {
            context.paths.profiles()?.into_iter().collect::<TakenNames>().take(name.clone())?;
        }
        let defaults = context.config.login_for(&name);
        let given = given(&args, context.token_store.filter(|_| before.is_none()));
        let origin = origin(&args, &defaults, before.as_ref())?;
        let same_server = before.as_ref().filter(|profile| profile.server == origin);
        let api = args.api.or(defaults.api).or(same_server.map(|profile| profile.api)).unwrap_or_default();
        let named = context.token_store.or(context.config.token_store);
        let store_kind = named.or(before.as_ref().map(|profile| profile.token_store)).unwrap_or_default();
        let store = context.store(store_kind);
        // Wrong options are reported before missing ones.
        let manual = args.manual || defaults.manual.unwrap_or(false);
        let redirect_given =
            args.redirect_uri.or(defaults.redirect_uri).or(same_server.and_then(|p| p.redirect_uri.clone()));
        let text = redirect_given.as_deref().unwrap_or(redirect::DEFAULT);
        let redirect = if manual { RedirectUri::manual(text) } else { RedirectUri::loopback(text) };
        let redirect = redirect.map_err(|cause| {
            // There may be a password before the "@".
            let shown = if text.contains('@') { String::new() } else { format!(" \"{text}\"") };
            Error::usage(format!("redirect URI{shown}: {cause}"))
        })?;
        // What could fail after the consent has to fail before it, and before any question. The new consent ends the
        // earlier one at once.
        store_log_in::check(&*store, &name)?;
        let client_id = client::id(context, args.client_id.clone().or(defaults.client_id), same_server)?;
        let secret_file = args.client_secret_file.clone().or(defaults.client_secret_file);
        let client_secret = client::secret(context, secret_file.as_deref(), (same_server, store_kind), &client_id)?;
        let scopes =
            if args.scope.is_empty() { defaults.scope.unwrap_or_else(|| default_scopes(api)) } else { args.scope };
        let lang = match (args.lang, defaults.lang.as_deref()) {
            (Some(Lang::En), _) | (None, Some("en")) => Some("en"),
            (Some(Lang::Es), _) | (None, Some("es")) => Some("es"),
            _ => None,
        };
        let no_browser = args.no_browser || defaults.no_browser.unwrap_or(false);
        let patience = args.timeout.or(defaults.timeout).unwrap_or(DEFAULT_TIMEOUT);
        Ok(Self {
            name,
            server: Server::new(origin, api),
            app: App { client_id, client_secret },
            store_kind,
            store,
            redirect_given,
            redirect,
            scopes,
            lang,
            browser: !(no_browser || manual),
            manual,
            has_past: before.is_some(),
            replace: args.replace,
            patience,
            given,
        })
    }

    /// The command that tries the log-in again, with the options of this one.
    pub(super) fn login(&self) -> String {
        format!("{}{}", login_command(self.server.origin(), self.server.api(), &self.name), self.given)
    }
}

/// The options of a log-in that no profile has stored yet, each with a space before it.
fn given(args: &Login, token_store: Option<StoreKind>) -> String {
    let word = |text: &String| quoted(text.as_ref());
    let file = |path: &Path| if path == Path::new("-") { "-".to_owned() } else { typed(path) };
    let options = [
        ("--client-id", args.client_id.as_ref().map(word)),
        ("--client-secret-file", args.client_secret_file.as_deref().map(file)),
        ("--redirect-uri", args.redirect_uri.as_ref().filter(|uri| !uri.contains('@')).map(word)),
        ("--token-store", token_store.map(|kind| kind.to_string())),
    ];
    let mut given: String =
        options.into_iter().filter_map(|(option, value)| Some(format!(" {option} {}", value?))).collect();
    given.extend(args.scope.iter().map(|scope| format!(" --scope {}", word(scope))));
    for (option, is_given) in [(" --manual", args.manual), (" --no-browser", args.no_browser)] {
        if is_given {
            given.push_str(option);
        }
    }
    given
}

/// The server from a flag, the environment, the configuration or the earlier profile; else production.
fn origin(args: &Login, defaults: &LoginDefaults, before: Option<&Profile>) -> Result<Origin> {
    let named = match args {
        Login { sandbox: true, .. } => Some("sandbox".to_owned()),
        Login { production: true, .. } => Some("production".to_owned()),
        Login { server: Some(url), .. } => Some(url.clone()),
        _ => match server_variable()? {
            Some((variable, named)) => {
                return server_named(&named).map_err(|error| {
                    let message = format!("{variable}: {}", error.message);
                    Error { message, ..error }.hint(format!("Correct or unset the environment variable {variable}."))
                });
            }
            None => defaults.server.clone(),
        },
    };
    match (named, before) {
        (Some(name), _) => server_named(&name),
        (None, Some(profile)) => Ok(profile.server.clone()),
        (None, None) => server_named(PRODUCTION),
    }
}

/// The variable that names a server, and the server. Two such variables are an error, because one would be ignored
/// silently.
fn server_variable() -> Result<Option<(&'static str, String)>> {
    let set = |name: &str| {
        std::env::var(name).ok().filter(|value| !matches!(value.as_str(), "" | "0" | "false" | "no" | "off"))
    };
    let named = [
        ("BBDL_SERVER", set("BBDL_SERVER")),
        ("BBDL_SANDBOX", set("BBDL_SANDBOX").map(|_| "sandbox".to_owned())),
        ("BBDL_PRODUCTION", set("BBDL_PRODUCTION").map(|_| "production".to_owned())),
    ];
    let mut named = named.into_iter().filter_map(|(variable, server)| Some((variable, server?)));
    let first = named.next();
    match (&first, named.next()) {
        (Some((one, _)), Some((other, _))) => {
            Err(Error::usage(format!("the environment variables {one} and {other} are both set"))
                .hint("Unset one of them, or name the server on the command line: bbdl login --sandbox"))
        }
        _ => Ok(first),
    }
}
