//! The apps that are registered at the mock: its own, and those that a test adds.

use serde::Deserialize;

use super::{
    Access,
    http::{Pairs, last},
    oauth,
};

/// A registered app.
#[derive(Clone)]
pub(super) struct App {
    /// Its name in the server's messages.
    pub name: String,
    pub id: String,
    /// `None` for a public client, which the real registration form does not offer.
    pub secret: Option<String>,
    pub access: Access,
    pub redirect_uris: Vec<String>,
    /// Whether its scopes may include name, address, birth date, race and sex.
    pub demographics: bool,
    pub active: bool,
    /// Whether it may see only drug claims: its tokens give no access to claims of v2.
    pub part_d: bool,
}

impl App {
    /// Whether this app may ask for that scope.
    pub(super) fn may_have(&self, scope: &str) -> bool {
        oauth::is_known(scope) && (self.demographics || !oauth::is_personal(scope))
    }

    /// The server's message when this app was switched off.
    pub(super) fn inactive(&self) -> String {
        format!("This application, {}, is temporarily inactive. {}", self.name, oauth::CONTACT)
    }

    /// The server's message while v3 is not open to this app.
    pub(super) fn too_early(&self) -> String {
        format!("This application, {}, does not yet have access to v3 endpoints. {}", self.name, oauth::CONTACT)
    }

    /// The redirect URI of a request, or the only one there is.
    pub(super) fn redirect_uri<'a>(&'a self, parameters: &'a Pairs) -> Option<&'a str> {
        last(parameters, "redirect_uri").or(match self.redirect_uris.as_slice() {
            [only] => Some(only),
            _ => None,
        })
    }
}

/// An app to be registered: the body of `POST /__mock/apps`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Registration {
    pub name: String,
    pub access: Access,
    pub redirect_uris: Vec<String>,
    pub demographics: bool,
    pub active: bool,
    pub public: bool,
    pub part_d: bool,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            name: "Another App".to_owned(),
            access: Access::default(),
            redirect_uris: oauth::REGISTERED.map(str::to_owned).into(),
            demographics: true,
            active: true,
            public: false,
            part_d: false,
        }
    }
}

impl Registration {
    /// The app with these credentials.
    pub(super) fn app(self, id: String, secret: String) -> App {
        App {
            name: self.name,
            id,
            secret: (!self.public).then_some(secret),
            access: self.access,
            redirect_uris: self.redirect_uris,
            demographics: self.demographics,
            active: self.active,
            part_d: self.part_d,
        }
    }
}
