//! What a log-in needs, settled before anybody is asked to consent: from flag, environment,
//! configuration and the profile of before.

use std::{
    io::{BufRead, Read, stdin},
    path::Path,
    sync::Arc,
    time::Duration,
};

use crate::{
    api::server::{Origin, PRODUCTION, Server},
    auth::{
        authorization::default_scopes,
        endpoint::App,
        redirect::{self, RedirectUri},
        store::{StoreError, StoreKind, TokenStore},
        token::Credential,
    },
    cli::{Lang, Login},
    commands::Context,
    config::{LoginDefaults, Profile, ProfileName, login_command, server_named},
    error::{Error, ErrorKind, Result},
    secret::Secret,
};

/// Longer than CMS's own pages last (600 s for the consent) and a code for the log-in takes to arrive.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Everything a log-in needs, settled from flag, environment, configuration and the profile of before.
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
    /// Whether there is a profile of this name already.
    pub(super) has_past: bool,
    /// Whether another person may take over the profile.
    pub(super) replace: bool,
    pub(super) patience: Duration,
}

impl Plan {
    pub(super) fn settle(context: &Context, args: Login) -> Result<Self> {
        let name = context.profile.clone();
        let before = Profile::load(&context.paths, &name)?;
        let defaults = context.config.login_for(&name);
        let origin = origin(&args, &defaults, before.as_ref())?;
        let same_server = before.as_ref().filter(|profile| profile.server == origin);
        let api = args.api.or(defaults.api).or(same_server.map(|profile| profile.api)).unwrap_or_default();
        let named = context.token_store.or(context.config.token_store);
        let store_kind = named.or(before.as_ref().map(|profile| profile.token_store)).unwrap_or_default();
        let store = context.store(store_kind);
        let client_id = match args.client_id.clone().or(defaults.client_id).or(same_server.map(|p| p.client_id.clone()))
        {
            Some(id) => id,
            None => context.ui.ask("Client id of the app (from CMS's developer pages)")?,
        };
        if client_id.is_empty() {
            return Err(Error::new(ErrorKind::Client, "no client id was given").hint("Give it with --client-id."));
        }
        let secret_file = args.client_secret_file.clone().or(defaults.client_secret_file);
        let client_secret = client_secret(context, secret_file.as_deref(), same_server, &*store, &client_id)?;
        let manual = args.manual || defaults.manual.unwrap_or(false);
        let redirect_given =
            args.redirect_uri.or(defaults.redirect_uri).or(same_server.and_then(|p| p.redirect_uri.clone()));
        let text = redirect_given.as_deref().unwrap_or(redirect::DEFAULT);
        let redirect = if manual { RedirectUri::manual(text) } else { RedirectUri::loopback(text) };
        let redirect = redirect.map_err(|cause| Error::usage(format!("redirect URI: {cause}")))?;
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
        })
    }

    /// A name for the profile of another person, to be typed as it is.
    pub(super) fn another_name(&self) -> ProfileName {
        let longest = 64 - "-2".len();
        let begun: String = self.name.as_str().chars().take(longest).collect();
        format!("{begun}-2").parse().unwrap_or_else(|_| self.name.clone())
    }

    pub(super) fn login(&self) -> String {
        login_command(self.server.origin(), self.server.api(), &self.name)
    }
}

/// Flag, environment, configuration, the profile of before, production.
fn origin(args: &Login, defaults: &LoginDefaults, before: Option<&Profile>) -> Result<Origin> {
    let set = |name: &str| {
        std::env::var(name).ok().filter(|value| !matches!(value.as_str(), "" | "0" | "false" | "no" | "off"))
    };
    let named = match args {
        Login { sandbox: true, .. } => Some("sandbox".to_owned()),
        Login { production: true, .. } => Some("production".to_owned()),
        Login { server: Some(url), .. } => Some(url.clone()),
        _ => set("BBDL_SERVER")
            .or(set("BBDL_SANDBOX").map(|_| "sandbox".to_owned()))
            .or(set("BBDL_PRODUCTION").map(|_| "production".to_owned()))
            .or(defaults.server.clone()),
    };
    match (named, before) {
        (Some(name), _) => server_named(&name),
        (None, Some(profile)) => Ok(profile.server.clone()),
        (None, None) => server_named(PRODUCTION),
    }
}

/// File, environment, what an earlier log-in with the same client kept, a question.
fn client_secret(
    context: &Context,
    file: Option<&Path>,
    before: Option<&Profile>,
    store: &dyn TokenStore,
    client_id: &str,
) -> Result<Option<Secret>> {
    let given = match file {
        Some(path) => Some(read_secret(path)?),
        None => std::env::var("BBDL_CLIENT_SECRET").ok().filter(|text| !text.is_empty()).map(Secret::new),
    };
    if given.is_some() {
        return Ok(given);
    }
    if before.is_some_and(|profile| profile.client_id == client_id)
        && let Some(credential) = kept(store, context.profile.as_str())?
        && credential.client_id == client_id
        && credential.client_secret.is_some()
    {
        return Ok(credential.client_secret);
    }
    let secret = context.ui.ask_secret("Client secret of the app").map_err(|_| {
        Error::new(ErrorKind::ClientSecret, "no client secret was given")
            .hint("Give it with --client-secret-file FILE (or - for standard input) or in BBDL_CLIENT_SECRET.")
    })?;
    Ok((!secret.is_empty()).then_some(secret))
}

/// What an earlier log-in kept. A record that cannot be used is none: this log-in will write it anew.
fn kept(store: &dyn TokenStore, profile: &str) -> Result<Option<Credential>> {
    match store.load(profile) {
        Ok(record) => Ok(record.as_ref().and_then(Credential::from_record)),
        Err(StoreError::Damaged { .. } | StoreError::Permissions { .. } | StoreError::ForeignOwner { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_secret(path: &Path) -> Result<Secret> {
    const LONGEST: u64 = 4096;
    let mut text = String::new();
    let read = if path == Path::new("-") {
        stdin().lock().take(LONGEST).read_line(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    let refuse = |why: String| {
        Error::new(ErrorKind::ClientSecret, format!("client secret file {}: {why}", path.display()))
            .hint("It must hold the secret and nothing else.")
    };
    read.map_err(|cause| refuse(cause.to_string()))?;
    let secret = Secret::new(text.trim().to_owned());
    zeroize::Zeroize::zeroize(&mut text);
    if secret.is_empty() || secret.expose().chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(refuse("it does not hold one word".to_owned()));
    }
    Ok(secret)
}
