//! Where a session's tokens are kept, and how only one process at a time renews them.
//!
//! There are two kinds: a token store of this machine with a lock file ([`super::local_vault`]), and a database that
//! several machines share (`crate::shared_state`).

use std::pin::Pin;

use super::token::Credential;
use crate::error::Result;

/// A future that a vault returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps the tokens of one profile.
///
/// To renew, call [`Vault::lock`], then [`Vault::load`] (another process may have renewed), then
/// [`Vault::begin_renewal`]. Then ask the server, and call [`Renewal::store`] before anything uses the answer.
pub trait Vault: Send + Sync {
    /// Waits until no other process of this machine renews. Others wait until the returned value is dropped.
    fn lock(&self) -> Answer<'_, Result<Box<dyn Send>>>;

    /// The tokens as they are stored now.
    fn load(&self) -> Answer<'_, Result<Credential>>;

    /// Prepares to replace `present`. Fails if the answer could not be stored.
    fn begin_renewal<'a>(&'a self, present: &'a Credential) -> Answer<'a, Result<Begun>>;

    /// Waits for a running log-in that has ended this one. Calls `waiting` if there is one.
    fn wait_for_log_in<'a>(&'a self, waiting: &'a (dyn Fn() + Sync)) -> Answer<'a, ()>;
}

/// Whether a renewal may be requested.
pub enum Begun {
    /// It may be requested.
    Yes(Box<dyn Renewal>),
    /// Another process has renewed in the meantime: load its tokens.
    Elsewhere,
}

/// A running renewal. If it is dropped without [`Renewal::store`] or [`Renewal::forget`], a note stays that says that
/// the answer may be lost.
pub trait Renewal: Send {
    /// Whether the answer to an earlier renewal of these tokens may be lost.
    fn after_a_loss(&self) -> bool;

    /// Stores the new tokens. After `Ok`, they survive the end of this process. Keeps trying for a while, because the
    /// answer exists only once.
    fn store<'a>(&'a mut self, renewed: &'a Credential) -> Answer<'a, Result<()>>;

    /// Removes the note: the server has not used up the refresh token, or the outcome is known.
    fn forget(self: Box<Self>) -> Answer<'static, ()>;
}
